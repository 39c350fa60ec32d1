#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=traps --target=app --attach=false -- sh -c 'trap "exit 45" TERM; while :; do sleep 0.1; done' </dev/null
await_running traps
kubectl exec "$POD" -n "$NAMESPACE" -c app -- dd if=/dev/zero of=/scratch/full bs=1M count=3
# The kubelet measures volumes once in a while, and what it does about them every ten seconds.
kubectl wait pod "$POD" -n "$NAMESPACE" --for=jsonpath='{.status.reason}'=Evicted --timeout=120s
