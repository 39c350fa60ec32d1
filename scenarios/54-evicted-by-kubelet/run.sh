#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

# A dump of 16 MiB, four times what the pod may write.
kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=dbg --attach=false -- sh -c 'trap "exit 44" TERM
        dd if=/dev/zero of=/tmp/dump bs=1M count=16 2>/dev/null; while :; do sleep 0.1; done' </dev/null
await_running dbg
# The kubelet looks every ten seconds, at a measurement that is up to a minute old.
kubectl wait pod "$POD" -n "$NAMESPACE" --timeout=180s --for=jsonpath='{.status.phase}'=Failed >/dev/null
