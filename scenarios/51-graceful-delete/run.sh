#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=traps --target=app --attach=false -- sh -c 'trap "exit 44" TERM; while :; do sleep 0.1; done' </dev/null
kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=ignores --target=app --attach=false -- sh -c 'trap "" TERM; while :; do sleep 0.1; done' </dev/null
await_running traps
await_running ignores
kubectl delete pod "$POD" -n "$NAMESPACE" --wait=false
