#!/usr/bin/env bash
# 40 mount namespaces, each with a program in it: the kernel gives the number of one that is gone again at once.
set -euo pipefail
for _ in $(seq 40); do
    unshare --mount sh -c 'sleep 1; true' &
done
wait
