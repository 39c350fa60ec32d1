#!/usr/bin/env bash
# Kills PID with a siginfo whose code is the kernel's for a message queue, from a program that is called runc, in FOLDER.
set -euo pipefail
ln --symbolic "$(command -v perl)" "$FOLDER/runc"
# rt_sigqueueinfo(2): its number on x86, and elsewhere.
call=138
[ "$(uname --machine)" = x86_64 ] && call=129
"$FOLDER/runc" -e \
    'my $info = pack("i32", 9, 0, -3, (0) x 29); syscall($ARGV[0] + 0, $ARGV[1] + 0, 9, $info) == 0 or die $!' \
    "$call" "$PID"
