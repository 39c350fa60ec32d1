#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=dbg --target=app --stdin -- sh <<'TYPED'
cd /tmp
/bin/ls /
/bin/sh -c 'exit 3'
/bin/sh -c 'kill -TERM $$'
exit 42
TYPED
