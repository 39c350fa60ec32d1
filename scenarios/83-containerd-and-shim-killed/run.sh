#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"
needs_embedded_cluster

kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=dbg --target=app --attach=false -- sh -c 'trap "exit 49" TERM; while :; do sleep 0.1; done' </dev/null
await_running dbg
pid=$(host_pid dbg)
shim=$(shim_pid dbg)
node kill runtime
kill -KILL "$shim"
kill -TERM "$pid"
await_gone "$pid"
node start runtime
