#!/usr/bin/env bash
# Containers whose bundles can't be read. HIERARCHY: where the v2 hierarchy is mounted. APART: a name for the
# cgroups. BUNDLES: a well-known folder of bundles. FOLDER: an empty folder, where a process that is called as a
# shim shows others. Makes the file MADE once all is there, and keeps it until OVER exists.
set -euo pipefail
hex() { head --bytes=32 /dev/urandom | od --address-radix=n --format=x1 | tr --delete ' \n'; }
pod="$HIERARCHY/$APART/kubepods/pod$(cat /proc/sys/kernel/random/uuid)"
mkdir --parents "$pod" "$BUNDLES" "$FOLDER/shown/own"
# Of the container: the agent asks for it as long as it lives.
container() {
    mkdir "$pod/$1"
    sleep 1000 &
    echo $! >"$pod/$1/cgroup.procs"
}
made=()
for kind in fifo device link huge endless; do
    for place in "$BUNDLES" "$FOLDER/shown"; do
        id=$(hex)
        mkdir "$place/$id"
        case $kind in
            fifo) mkfifo "$place/$id/config.json" ;;
            device) mknod "$place/$id/config.json" c 1 5 ;;
            link) ln --symbolic /dev/zero "$place/$id/config.json" ;;
            huge) truncate --size=1G "$place/$id/config.json" ;;
            # It says that it is empty, and is a gigabyte of text at least.
            endless) ln --symbolic /proc/kallsyms "$place/$id/config.json" ;;
        esac
        made+=("$place/$id")
        container "$id"
    done
done
# A file system whose server does not answer.
exec 5<>/dev/fuse
hung=$(hex)
mkdir "$FOLDER/shown/$hung"
mount --internal-only --types fuse hung "$FOLDER/shown/$hung" \
    --options fd=5,rootmode=40000,user_id=0,group_id=0
cp "$(command -v sleep)" "$FOLDER/containerd-shim-sleep"
(cd "$FOLDER/shown/own" && exec "$FOLDER/containerd-shim-sleep" 1000) &
container "$hung"
touch "$MADE"
until [ -e "$OVER" ]; do sleep 0.1; done
umount --lazy "$FOLDER/shown/$hung"
exec 5>&-
kill $(jobs -p)
wait || true
rm --recursive "${made[@]}"
rmdir "$pod"/*/ "$pod" "${pod%/*}" "$HIERARCHY/$APART"
