#!/usr/bin/env bash
source "$(dirname "$0")/../lib.sh"

kubectl debug "$POD" -n "$NAMESPACE" --image="$IMAGE" --image-pull-policy=Never --profile=general \
    --container=dbg --target=app --attach=false -- \
    sh -c '/bin/sleep 4 & until [ -e /tmp/done ]; do /bin/true; /bin/usleep 100000; done; exit 7' </dev/null
await_running dbg
main=$(host_pid dbg)
# The one that goes: a child of the main process that still sleeps when the others have ended.
sleeper=$(pgrep --parent "$main" --full 'sleep 4')
unified=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
echo "$sleeper" >"$unified/cgroup.procs"
touch "/proc/$main/root/tmp/done"
