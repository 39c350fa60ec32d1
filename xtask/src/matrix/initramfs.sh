#!/bin/busybox sh
# /init of the guest's initramfs: the modules that the disk needs, then the system on the disk.
/bin/busybox mount -t devtmpfs none /dev
while read -r module; do
    /bin/busybox insmod "/modules/$module" || echo "cannot load $module"
done < /modules/order
/bin/busybox mount -t ext4 /dev/vda /disk
exec /bin/busybox switch_root /disk /guest/init
