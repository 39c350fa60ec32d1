#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=exits --target=app --attach=false -- sh -c 'exit 137' </dev/null
kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=killed --target=app --attach=false -- sleep 300 </dev/null
await_running killed
kill -KILL "$(host_pid killed)"
