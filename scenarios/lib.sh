# Sourced by every scenario's run.sh. By hand: kubectl apply -f pod.yaml, then ./run.sh
set -euo pipefail

: "${NAMESPACE:=default}" # where the scenario's pod runs
: "${POD:=web}"           # its name, as in pod.yaml
: "${IMAGE:=local/busybox:1}"
: "${NODE:=$(kubectl get pod "$POD" -n "$NAMESPACE" -o jsonpath='{.spec.nodeName}')}" # the pod's

# await_running CONTAINER: returns once the API says that this debug container runs.
await_running() { await_state "$1" running.startedAt; }

# await_terminated CONTAINER: returns once the API says that it has ended.
await_terminated() { await_state "$1" terminated.finishedAt; }

await_state() {
    kubectl wait pod "$POD" -n "$NAMESPACE" --timeout=60s >/dev/null \
        --for=jsonpath="{.status.ephemeralContainerStatuses[?(@.name==\"$1\")].state.$2}"
}

# container_id CONTAINER: the runtime's id of this debug container.
container_id() {
    local uri
    uri=$(kubectl get pod "$POD" -n "$NAMESPACE" \
        -o jsonpath="{.status.ephemeralContainerStatuses[?(@.name==\"$1\")].containerID}")
    echo "${uri#*://}"
}

# host_pid CONTAINER: the host's pid of its main process, the one in its cgroup whose parent is not.
# Needs to run on the pod's node.
host_pid() {
    local id pid parent
    id=$(container_id "$1")
    for pid in $(grep --files-with-matches --no-messages "${id:?no container id of $1 yet}" /proc/[0-9]*/cgroup); do
        pid=${pid#/proc/} pid=${pid%/cgroup}
        in_container "$pid" "$id" || continue
        parent=$(awk '/^PPid:/ { print $2 }' "/proc/$pid/status")
        if ! in_container "$parent" "$id"; then
            echo "$pid"
            return
        fi
    done
    echo "no process of container $1 on this machine: is $POD's node another one?" >&2
    return 1
}

# in_container PID ID: whether the process is in that container's cgroup. CRI-O's conmon has one beside it, named after it.
in_container() {
    awk -v id="$2" 'index($0, id) && !index($0, "conmon-" id) { found = 1 } END { exit !found }' \
        "/proc/$1/cgroup" 2>/dev/null
}

# needs_embedded_cluster: for a scenario that stops parts of its node.
needs_embedded_cluster() {
    [ -z "${XTASK:-}" ] || return 0
    echo "this scenario stops parts of its node, so it needs the embedded cluster: cargo xtask scenario NUMBER" >&2
    exit 1
}

# node stop|kill|start runtime|kubelet: lets that part of the node go away or come back. What is still away when
# the scenario ends, xtask starts again.
node() { "$XTASK" internal node "$1" "$2"; }

# shim_pid CONTAINER: the containerd-shim, or CRI-O's conmon, that its main process is a child of. As host_pid, on the
# pod's node.
shim_pid() {
    local parent
    parent=$(awk '/^PPid:/ { print $2 }' "/proc/$(host_pid "$1")/status")
    case "$(cat "/proc/$parent/comm")" in
    containerd-shim | conmon) echo "$parent" ;;
    *)
        echo "the parent of container $1 is $(cat "/proc/$parent/comm"), no shim" >&2
        return 1
        ;;
    esac
}

# await_gone PID: returns once there is no such process any more.
await_gone() { timeout 60 tail --pid="$1" --sleep-interval=0.05 --follow /dev/null; }
