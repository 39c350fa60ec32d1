#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

# With --target the session shares app's pid namespace. Without, it would be pid 1 of its own and ignore a SIGTERM it does not handle.
kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=dbg --target=app --attach=false -- sleep 300 </dev/null
await_running dbg
kill -TERM "$(host_pid dbg)"
