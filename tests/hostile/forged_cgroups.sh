#!/usr/bin/env bash
# Cgroups that are named as containers of the pod POD_UID and are none. HIERARCHY: where the v2 hierarchy is
# mounted. OWN: the cgroup of the session SESSION, as a folder. APART: a name for what is made in HIERARCHY.
# Makes the file MADE once the folders that nothing entered are gone, and keeps the others until OVER exists.
set -euo pipefail
hex() { head --bytes=32 /dev/urandom | od --address-radix=n --format=x1 | tr --delete ' \n'; }
apart="$HIERARCHY/$APART/kubepods/pod$POD_UID"
mkdir --parents "$apart"
# Nothing ever enters these: elsewhere, in the pod's own cgroup, and in the session's.
empty=("$apart/$(hex)" "$(dirname "$OWN")/$(hex)")
inside="$OWN/kubepods/pod$POD_UID/$(hex)"
mkdir "${empty[@]}"
mkdir --parents "$inside"
# These have a process each: one of no container, and one with the session's id.
entered="$apart/$(hex)"
second="$apart/$SESSION"
mkdir "$entered" "$second"
sleep 100 &
stranger=$!
echo "$stranger" >"$entered/cgroup.procs"
sleep 100 &
double=$!
echo "$double" >"$second/cgroup.procs"
# Longer than a container may go without a name.
sleep 13
rmdir "${empty[@]}" "$inside" "${inside%/*}" "$OWN/kubepods"
touch "$MADE"
until [ -e "$OVER" ]; do sleep 0.1; done
kill "$stranger" "$double"
wait || true
rmdir "$entered" "$second" "$apart" "${apart%/*}" "$HIERARCHY/$APART"
