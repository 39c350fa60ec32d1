#!/bin/sh
# Runs inside a session, as root of the container: COUNT programs, each with a thousand empty
# arguments and gone at once, beside SLEEPERS programs that do not end. Exits with 9.
set -eu
: "${COUNT:?programs to run}" "${SLEEPERS:?programs that stay}"
i=0
while [ "$i" -lt "$SLEEPERS" ]; do
    sleep 1000 &
    i=$((i + 1))
done
arguments=""
i=0
while [ "$i" -lt 1000 ]; do
    arguments="$arguments ''"
    i=$((i + 1))
done
eval "set -- $arguments"
i=0
while [ "$i" -lt "$COUNT" ]; do
    /bin/true "$@"
    i=$((i + 1))
done
exit 9
