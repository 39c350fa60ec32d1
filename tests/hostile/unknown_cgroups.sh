#!/usr/bin/env bash
# COUNT cgroups that are named as containers of unknown pods. HIERARCHY: where the v2 hierarchy is mounted.
# APART: a name for what is made in it. Makes the file MADE once all are there, and keeps them until OVER exists.
set -euo pipefail
pods="$HIERARCHY/$APART/kubepods"
for n in $(seq "$COUNT"); do
    printf '%s/pod%08x-0000-4000-8000-000000000000/%064x\0' "$pods" "$n" "$n"
done | xargs --null mkdir --parents
touch "$MADE"
until [ -e "$OVER" ]; do sleep 0.1; done
find "$HIERARCHY/$APART" -depth -type d -exec rmdir {} +
