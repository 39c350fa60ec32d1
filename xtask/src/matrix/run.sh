#!/bin/sh
# Runs the guest's job, prints its exit status, and powers off.
exec > /dev/ttyS1 2>&1
busybox stty -F /dev/ttyS1 -opost
"/guest/$1"
echo "guest: $1 ended with $?"
sync
busybox poweroff -f
