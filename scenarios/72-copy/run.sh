#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general --same-node \
    --copy-to=web-copy --container=debugger-a --attach=false -- sh -c 'trap "exit 22" TERM; while :; do sleep 0.1; done' </dev/null
kubectl wait pod web-copy -n "$NAMESPACE" --for=condition=Ready --timeout=60s
kubectl delete pod web-copy -n "$NAMESPACE" --wait=false
