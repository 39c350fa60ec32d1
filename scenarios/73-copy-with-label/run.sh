#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

# kubectl gives the copy the labels of the original, where it is told to.
kubectl label pod "$POD" -n "$NAMESPACE" debugtrail.dev/session=yes
kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general --same-node \
    --copy-to=web-copy --keep-labels --container=debugger-b --attach=false \
    -- sh -c 'trap "exit 23" TERM; while :; do sleep 0.1; done' </dev/null
kubectl label pod "$POD" -n "$NAMESPACE" debugtrail.dev/session-
kubectl wait pod web-copy -n "$NAMESPACE" --for=condition=Ready --timeout=60s
kubectl delete pod web-copy -n "$NAMESPACE" --wait=false
