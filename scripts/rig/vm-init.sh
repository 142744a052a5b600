#!/bin/busybox sh
# First process of the VM, out of its initrd: loads the modules, mounts the host's root read-only, and becomes
# guest.sh there. /modules has one line for each module, in loading order: file name, parameters.
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
while read -r module parameters; do
    # shellcheck disable=SC2086
    /bin/busybox insmod "/lib/$module" $parameters || echo "<3>u3v-rig: cannot load $module" >/dev/kmsg
done </modules
if ! /bin/busybox mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose host /mnt; then
    echo "<0>u3v-rig: cannot mount the host's root" >/dev/kmsg
    echo "<0>u3v-rig: exit 125" >/dev/kmsg
    /bin/busybox poweroff -f
fi
/bin/busybox umount /proc
/bin/busybox mount --move /dev /mnt/dev
exec /bin/busybox switch_root /mnt /bin/sh "$u3v_guest"
