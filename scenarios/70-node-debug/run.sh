#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

kubectl debug "node/$NODE" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=debugger --attach=false -- sh -c 'sleep 1; exit 21' </dev/null
