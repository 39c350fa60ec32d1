#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=traps --target=app --attach=false -- sh -c 'trap "exit 44" TERM; while :; do sleep 0.1; done' </dev/null
kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=plain --target=app --attach=false -- sleep 300 </dev/null
await_running traps
await_running plain
# What `kubectl drain` asks for, pod by pod.
kubectl create --raw "/api/v1/namespaces/$NAMESPACE/pods/$POD/eviction" --filename=- <<EVICTION
{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "$POD", "namespace": "$NAMESPACE"}}
EVICTION
