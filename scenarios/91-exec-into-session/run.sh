#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=dbg --target=app --attach=false -- sh -c 'until [ -e /tmp/done ]; do sleep 0.1; done; exit 5' </dev/null
await_running dbg
kubectl exec "$POD" -n "$NAMESPACE" --container=dbg -- sh -c '/bin/ls / >/dev/null; touch /tmp/done; exit 0'
