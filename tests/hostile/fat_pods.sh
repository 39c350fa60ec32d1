#!/usr/bin/env bash
# 60 pods as large as the API takes them: every other one by its environment, the rest by the name of an image. They are
# bound to the node, whose kubelet refuses to run them.
# NAMESPACE, NODE: where they are.
set -euo pipefail
value=$(head --bytes=100000 /dev/zero | tr '\0' x)
env=
for n in $(seq 13); do
    env+="${env:+,}{\"name\": \"V$n\", \"value\": \"$value\"}"
done
long=$(head --bytes=1300000 /dev/zero | tr '\0' x)
for n in $(seq 60); do
    if ((n % 2)); then
        container="\"image\": \"local/busybox:1\", \"env\": [$env]"
    else
        container="\"image\": \"$long\""
    fi
    cat <<POD
{
  "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "fat-$n"},
  "spec": {
    "nodeName": "$NODE", "nodeSelector": {"no": "such-node"},
    "containers": [{"name": "app", "imagePullPolicy": "Never", $container}]
  }
}
POD
done | kubectl create -n "$NAMESPACE" --validate=false -f - >/dev/null
