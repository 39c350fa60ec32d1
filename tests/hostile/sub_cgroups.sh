#!/usr/bin/env bash
# COUNT cgroups below OWN, the cgroup of a session, as a folder. Makes the file MADE once all are there, and keeps them
# until OVER exists.
set -euo pipefail
seq --format="$OWN/d%.0f" "$COUNT" | xargs mkdir
touch "$MADE"
until [ -e "$OVER" ]; do sleep 0.1; done
seq --format="$OWN/d%.0f" "$COUNT" | xargs rmdir
