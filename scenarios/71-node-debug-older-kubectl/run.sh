#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

# What kubectl before 1.34 makes of `kubectl debug node/NODE`.
kubectl create -n "$NAMESPACE" -f - <<POD
apiVersion: v1
kind: Pod
metadata:
  name: node-debugger-$NODE-x2b7q
spec:
  nodeName: $NODE
  hostIPC: true
  hostNetwork: true
  hostPID: true
  restartPolicy: Never
  tolerations: [{operator: Exists}]
  containers:
    - name: debugger
      image: $IMAGE
      imagePullPolicy: Never
      command: [sh, -c, "sleep 1; exit 20"]
      volumeMounts: [{name: host-root, mountPath: /host}]
  volumes: [{name: host-root, hostPath: {path: /}}]
POD
