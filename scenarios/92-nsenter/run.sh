#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=dbg --target=app --attach=false -- sh -c 'until [ -e /tmp/done ]; do sleep 0.1; done; exit 6' </dev/null
await_running dbg
nsenter --target "$(host_pid dbg)" --mount -- /bin/sh -c '/bin/touch /tmp/done; exit 9' || [ $? = 9 ]
