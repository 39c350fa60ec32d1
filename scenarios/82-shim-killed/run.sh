#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=dbg --target=app --attach=false -- sleep 300 </dev/null
await_running dbg
kill -KILL "$(shim_pid dbg)"
