#!/usr/bin/env bash
# A pod that the API takes and that many a client cannot read: its managedFields are of the year 9999.
# NAMESPACE, NODE: where it is.
set -euo pipefail
kubectl create -n "$NAMESPACE" -f - <<POD
{
  "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "odd"},
  "spec": {
    "nodeName": "$NODE", "nodeSelector": {"no": "such-node"},
    "containers": [{"name": "app", "image": "local/busybox:1", "imagePullPolicy": "Never"}]
  }
}
POD
kubectl patch pod odd -n "$NAMESPACE" --type=json \
    -p '[{"op": "replace", "path": "/metadata/managedFields/0/time", "value": "9999-12-31T23:59:59Z"}]'
kubectl get pod odd -n "$NAMESPACE" --show-managed-fields -o json | grep '"9999-12-31T23:59:59Z"'
