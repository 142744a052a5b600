#!/bin/sh
# PID 1 of both rigs: mounts, runs the job, reports its exit status, powers off.
#
# The kernel command line gives, as environment:
#   u3v_ctl                 the host's control directory: fstab, job, and two FIFOs stdout and stderr
#   u3v_stdout, u3v_stderr  the devices whose other ends are the host's stdout and stderr
#   u3v_usb_mb              what usbfs may hold
# The job writes into the FIFOs, so that it sees pipes and not terminals, and so that its output is
# complete before the power goes. That it begins and its exit status travel as kernel messages
# ("u3v-rig: exit N"): the console is the one channel that works whatever state the guest is in.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

report() {
    echo "<0>u3v-rig: exit $1" >/dev/kmsg
}

power_off() {
    echo o >/proc/sysrq-trigger
    while :; do sleep 10; done 2>/dev/null # PID 1 must not end before the power is off
}

fail() {
    echo "<0>u3v-rig: $1" >/dev/kmsg
    report 125
    power_off
}

mount -a -T "$u3v_ctl/fstab" || fail 'cannot mount what fstab says'
ctl=/run/u3v

cp -a $ctl/dev/. /dev/
ip link set lo up
echo "$u3v_usb_mb" >/sys/module/usbcore/parameters/usbfs_memory_mb
# Without udevd libusb shows a running program only the devices that were there when it began.
/lib/systemd/systemd-udevd --daemon --resolve-names=never 2>/dev/null || fail 'cannot start udevd'

exec 3>"/dev/$u3v_stdout" 4>"/dev/$u3v_stderr"
cat <$ctl/stdout >&3 3>&- 4>&- &
stdout=$!
cat <$ctl/stderr >&4 3>&- 4>&- &
stderr=$!

echo '<0>u3v-rig: the command begins' >/dev/kmsg
unset u3v_ctl u3v_stdout u3v_stderr u3v_usb_mb hostfs mem uml_dir
/bin/sh $ctl/job </dev/null >$ctl/stdout 2>$ctl/stderr 3>&- 4>&-
report $?

# What the job left running would hold the FIFOs open for ever. Kernel threads do not mind.
for pid in /proc/[0-9]*; do
    pid=${pid#/proc/}
    case $pid in
    1 | "$stdout" | "$stderr") ;;
    *) kill -9 "$pid" 2>/dev/null ;;
    esac
done
wait $stdout $stderr
exec 3>&- 4>&-
power_off
