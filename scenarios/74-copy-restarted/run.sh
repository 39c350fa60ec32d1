#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general --same-node \
    --copy-to=web-copy --container=debugger-c --attach=false -- sh -c 'sleep 1; exit 24' </dev/null
# The kubelet restarts it at once, and a second time only after 10 s.
kubectl wait pod web-copy -n "$NAMESPACE" --timeout=60s \
    --for=jsonpath='{.status.containerStatuses[?(@.name=="debugger-c")].restartCount}'=1
kubectl wait pod web-copy -n "$NAMESPACE" --timeout=60s \
    --for=jsonpath='{.status.containerStatuses[?(@.name=="debugger-c")].state.waiting.reason}'=CrashLoopBackOff
kubectl delete pod web-copy -n "$NAMESPACE" --wait=false
