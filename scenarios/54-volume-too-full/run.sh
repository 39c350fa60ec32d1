#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

# The target's root is reached through its process: an ephemeral container shares the pid namespace, not the volumes.
kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=dbg --target=app --attach=false -- \
    sh -c 'trap "exit 44" TERM; dd if=/dev/zero of=/proc/1/root/scratch/file bs=1M count=4; while :; do sleep 0.1; done' </dev/null
await_running dbg
kubectl wait pod "$POD" -n "$NAMESPACE" --timeout=60s --for=jsonpath='{.status.phase}'=Failed >/dev/null
kubectl delete pod "$POD" -n "$NAMESPACE" --wait=false
