#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=dbg --target=app --attach=false -- dd if=/dev/zero of=/dev/null bs=256M count=1 </dev/null
