#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=innocent --target=app --attach=false -- sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done' </dev/null
await_running innocent
kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=guilty --target=app --attach=false -- dd if=/dev/zero of=/dev/null bs=256M count=1 </dev/null
await_terminated guilty
kill -TERM "$(host_pid innocent)"
