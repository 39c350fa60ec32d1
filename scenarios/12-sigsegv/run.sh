#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

# Kubernetes turns $$ into $: four of them reach the shell as its own pid.
kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=dbg --target=app --attach=false -- sh -c 'sleep 1; kill -SEGV $$$$' </dev/null
