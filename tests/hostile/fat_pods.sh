#!/usr/bin/env bash
# 60 pods as large as the API takes them. They are bound to the node, whose kubelet refuses to run them.
# NAMESPACE, NODE: where they are.
set -euo pipefail
value=$(head --bytes=100000 /dev/zero | tr '\0' x)
env=
for n in $(seq 13); do
    env+="${env:+,}{\"name\": \"V$n\", \"value\": \"$value\"}"
done
for n in $(seq 60); do
    kubectl create -n "$NAMESPACE" -f - <<POD >/dev/null
{
  "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "fat-$n"},
  "spec": {
    "nodeName": "$NODE", "nodeSelector": {"no": "such-node"},
    "containers": [{"name": "app", "image": "local/busybox:1", "imagePullPolicy": "Never", "env": [$env]}]
  }
}
POD
done
