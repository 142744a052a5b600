"""A network of its own for cameras and one program: what `u3v run --wire gige` runs it on, without root.

Two network namespaces and a cable (a veth pair) between them: this process with its cameras on one end, the program on
the other. There is nothing else: no Internet, no other machine. The program sees an interface with a broadcast address,
which is what hosts that pass over loopback look for, and an MTU as on a card set to jumbo packets.

`enter` makes this process start again inside; `run_at_the_other_end` starts the program. All of it is gone when both
have ended, however they end: namespaces live as long as somebody is in them.
"""

import ipaddress
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from gadget.local.launch import LaunchError, forwarded_signals, serve_until_end
from gadget.time.loop import Loop
from gadget.time.sigkill_guard import Keeper
from u3v.errors import U3VError
from u3v.gev.bootstrap import Address

NETWORK = ipaddress.IPv4Network("192.168.10.0/24")
HOST = NETWORK[1]
FIRST_CAMERA = 11
MOST_CAMERAS = 200
MTU_BYTES = 9000
CAMERA_END, HOST_END = "camera0", "gige0"
_INSIDE = "U3V_OWN_NETWORK"
_PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
_WAYS = (("--net",), ("--user", "--map-current-user", "--keep-caps", "--net"))
"""As root; and as anybody, where the kernel lets users have namespaces."""

_PLUG_IN = f"""
set -e
nsenter --net=/proc/$PPID/ns/net ip link set {HOST_END} netns $$
ip link set lo up
ip address add {HOST}/{NETWORK.prefixlen} broadcast + dev {HOST_END}
ip link set {HOST_END} up mtu {MTU_BYTES}
ip route add 255.255.255.255 dev {HOST_END}
ip route add 224.0.0.0/4 dev {HOST_END}
exec setpriv --ambient-caps=-all --inh-caps=-all -- "$@"
"""


def enter() -> None:
    """Start this process again, with the same arguments, in a network namespace of its own; once inside, return.

    Raises U3VError where the machine does not allow that.
    """
    if os.environ.pop(_INSIDE, ""):
        return
    for tool in ("unshare", "nsenter", "setpriv", "ip"):
        if shutil.which(tool, path=_PATH) is None:
            package = "iproute2" if tool == "ip" else "util-linux"
            raise U3VError(f"--wire gige needs the program {tool} (package {package}) to make a network")
    os.environ["PATH"] = _PATH
    refusal = ""
    for way in _WAYS:
        tried = subprocess.run(
            ["unshare", *way, "ip", "link", "add", "name", CAMERA_END, "type", "veth"],
            capture_output=True,
            text=True,
        )
        if tried.returncode == 0:
            sys.stdout.flush()
            os.environ[_INSIDE] = "1"
            os.execvp("unshare", ["unshare", *way, "--", sys.executable, *sys.orig_argv[1:]])
        refusal = (
            tried.stderr.strip().splitlines()[-1] if tried.stderr.strip() else f"exit {tried.returncode}"
        )
    raise U3VError(
        f"--wire gige needs network namespaces for users and veth, which this machine refuses ({refusal}): "
        "run it as root, or use `u3v serve --wire gige` and loopback"
    )


def camera_addresses(count: int) -> list[Address]:
    """Lay the cable, and give this end an address for each camera. Raises U3VError."""
    if count > MOST_CAMERAS:
        raise U3VError(f"{count} cameras: a network of its own has room for {MOST_CAMERAS}")
    places = [Address(str(NETWORK[FIRST_CAMERA + index]), str(NETWORK.netmask)) for index in range(count)]
    _ip("link", "set", "lo", "up")
    _ip("link", "add", "name", CAMERA_END, "mtu", str(MTU_BYTES), "type", "veth", "peer", "name", HOST_END)
    # What the kernel cuts out of one call it cuts here, as a card does: programs that read packet sockets see packets.
    _ip("link", "set", "dev", CAMERA_END, "gso_max_segs", "1")
    for place in places:
        _ip("address", "add", f"{place.ip}/{NETWORK.prefixlen}", "broadcast", "+", "dev", CAMERA_END)
    _ip("link", "set", CAMERA_END, "up")
    return places


def run_at_the_other_end(argv: Sequence[str], loop: Loop) -> int:
    """Run `argv` at the other end while `loop` serves; its exit status, or 128 + N where signal N ended it."""
    with forwarded_signals(loop) as forward_to, Keeper() as keeper:
        client = subprocess.Popen(["unshare", "--net", "--", "/bin/sh", "-c", _PLUG_IN, "u3v", *argv])
        keeper.client(client.pid)
        forward_to(client)
        return serve_until_end(loop, client)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise LaunchError(f"ip {' '.join(words)}: {done.stderr.strip()}")
