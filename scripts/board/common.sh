# shellcheck shell=sh
# What install and uninstall have in common: where things are, and the few ways of changing them.
# Sourced; `here` is this directory. Nothing is written but by `write`, `link`, `remove` and `run`.

root='' dry_run=no
# The variables below are used by those who source this file.
# shellcheck disable=SC2034
{
    settings=/etc/u3v/camera.conf
    unit=/etc/systemd/system/u3v-camera.service
    wants=/etc/systemd/system/multi-user.target.wants/u3v-camera.service
    modules_load=/etc/modules-load.d/u3v.conf
    udev_rule=/etc/udev/rules.d/70-u3v-cameras.rules
    program_dir=/opt/u3v
    program_link=/usr/local/bin/u3v
    overlay=dtoverlay=dwc2,dr_mode=peripheral
    block_begin='# u3v: the USB port is a device port'
    block_end='# u3v: end'
    # shellcheck disable=SC2154
    project=$(dirname -- "$(dirname -- "$here")")
}

say() {
    printf '%s\n' "board: $*"
}

fail() {
    printf '%s\n' "board: $*" >&2
    exit 2
}

# choose_root DIR: everything happens below it.
choose_root() {
    [ -d "$1" ] || fail "--root $1: no such directory"
    root=$(CDPATH='' cd -- "$1" && pwd)
    [ "$root" != / ] || root=''
}

need_root() {
    [ -n "$root" ] || [ $dry_run = yes ] || [ "$(id -u)" = 0 ] || fail 'must be root: sudo scripts/board/install'
}

# run COMMAND...: do it, or say it.
run() {
    say "$*"
    [ $dry_run = yes ] || "$@"
}

# tell_running COMMAND...: the same, where there is somebody to be told: not in a root file system that is not up.
tell_running() {
    if [ -z "$root" ] && [ -d /run/systemd/system ]; then
        run "$@"
    fi
}

# write MODE FILE: stdin becomes the file, whole or not at all, if that is a change. On the FAT of /boot/firmware
# every file is 0755, and no other mode can be had.
write() {
    content=$(mktemp)
    cat >"$content"
    if [ -e "$root$2" ] && [ "$(cat "$content")" = "$(cat "$root$2")" ]; then
        say "unchanged: $root$2"
    else
        say "writes: $root$2"
        if [ $dry_run = no ]; then
            mkdir -p "$(dirname -- "$root$2")"
            cp "$content" "$root$2.u3v-new"
            chmod "$1" "$root$2.u3v-new"
            mv "$root$2.u3v-new" "$root$2"
        fi
    fi
    rm -f "$content"
}

# link TARGET FILE: a symbolic link.
link() {
    if [ "$(readlink -- "$root$2" 2>/dev/null || true)" = "$1" ]; then
        say "unchanged: $root$2"
    else
        say "links: $root$2"
        [ $dry_run = yes ] || { mkdir -p "$(dirname -- "$root$2")" && ln -sf "$1" "$root$2"; }
    fi
}

# remove FILE
remove() {
    if [ -e "$root$1" ] || [ -h "$root$1" ]; then
        say "removes: $root$1"
        [ $dry_run = yes ] || rm -f "$root$1"
    fi
}

# config_txt: the firmware's settings, where Raspberry Pi OS has them.
config_txt() {
    for file in "$root/boot/firmware/config.txt" "$root/boot/config.txt"; do
        if [ -f "$file" ]; then
            printf '%s\n' "$file"
            return
        fi
    done
    return 1
}

# without_block FILE: its lines but for those that install has added.
without_block() {
    sed "/^$block_begin\$/,/^$block_end\$/d" "$1"
}
