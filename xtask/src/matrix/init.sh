#!/bin/sh
# The guest's first process: mounts what a node has, and becomes what runs the job named on the kernel's command line, or
# the systemd that has it run.
export PATH=/usr/sbin:/usr/bin HOME=/root LC_ALL=C.UTF-8
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
chmod 1777 /tmp
mount -t tmpfs none /run
mount -t cgroup2 none /sys/fs/cgroup
mount -t bpf none /sys/fs/bpf
mount -t tracefs none /sys/kernel/tracing
mount -t debugfs none /sys/kernel/debug
for controller in cpu io memory pids; do echo "+$controller" > /sys/fs/cgroup/cgroup.subtree_control; done
ln -s /proc/self/fd /dev/fd
busybox ip link set lo up
for word in $(cat /proc/cmdline); do
    case $word in debugtrail.job=*) job=${word#*=} ;; esac
done
case $job in
systemd) exec /usr/lib/systemd/systemd --unit=debugtrail-job.service ;;
*) exec /guest/run "$job" ;;
esac
