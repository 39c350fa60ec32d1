#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=dbg --attach=false -- sh -c 'trap "exit 44" TERM; while :; do sleep 0.1; done' </dev/null
await_running dbg
kubectl wait pod "$POD" -n "$NAMESPACE" --timeout=60s --for=jsonpath='{.status.phase}'=Failed >/dev/null
