#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=first --target=app --attach=false -- sh -c 'sleep 4; exit 5' </dev/null
kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=second --target=app --attach=false -- sh -c 'sleep 2; exit 6' </dev/null
