"""Plugging a device into this machine's own kernel: vhci-hcd and a socket pair, no network, no usbip tool.

The kernel is given one end of a stream socket pair through sysfs and speaks USB/IP on it; the other end is
served by `attach_socket`. Port numbers count over all controllers, as the status files print them; each
controller has a High-Speed and a SuperSpeed hub (hs, ss).
"""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gadget.time.loop import Loop
from gadget.usbip import wire
from gadget.usbip.server import attach_socket
from gadget.usbip.session import ExportedDevice
from u3v.errors import U3VError
from u3v.wire.usb import Speed

SYSFS = Path("/sys/devices/platform/vhci_hcd.0")
_HUB = {Speed.HIGH: "hs", Speed.SUPER: "ss"}
_FREE = 4  # VDEV_ST_NULL
_SO_SNDBUFFORCE = 32
_SEND_BYTES = 2 << 20
_INSTEAD = "without it, `u3v run` gives the camera to one program, `u3v serve` to others over USB/IP"


def free_ports(status: str, speed: Speed) -> list[int]:
    """The free ports in the text of a status file for a device of `speed`."""
    found = []
    for line in status.splitlines():
        fields = line.split()
        if len(fields) >= 3 and fields[0] == _HUB[speed] and fields[1].isdigit() and int(fields[2]) == _FREE:
            found.append(int(fields[1]))
    return found


def read_free_ports(speed: Speed, sysfs: Path = SYSFS) -> list[int]:
    """Free ports of all controllers. Raises U3VError where there is no vhci-hcd."""
    files = sorted(sysfs.glob("status*"), key=lambda path: (len(path.name), path.name))
    if not files:
        raise U3VError(f"no vhci-hcd in this kernel: `modprobe vhci-hcd` as root loads it; {_INSTEAD}")
    return [port for path in files for port in free_ports(path.read_text(), speed)]


def check(sysfs: Path = SYSFS) -> None:
    """Raises U3VError where nothing can be plugged in: no vhci-hcd, or not root."""
    read_free_ports(Speed.SUPER, sysfs)
    if not os.access(sysfs / "attach", os.W_OK):
        raise _explain(PermissionError(), "plug a device in")


def attach(sock: socket.socket, devid: int, speed: Speed, sysfs: Path = SYSFS) -> int:
    """Give the kernel a connected stream socket in the request phase; the port it is plugged into."""
    for port in read_free_ports(speed, sysfs):
        try:
            _write(sysfs / "attach", f"{port} {sock.fileno()} {devid} {wire.WIRE_SPEED[speed]}")
            return port
        except OSError as error:
            if error.errno != errno.EBUSY:  # somebody was faster: try the next
                raise _explain(error, "plug a device in") from None
    raise U3VError(f"all {_HUB[speed]} ports of vhci-hcd are in use; `usbip port` lists them")


def detach(port: int, sysfs: Path = SYSFS) -> None:
    """Unplug. Works whatever state the device is in; a port that is free already is fine."""
    try:
        _write(sysfs / "detach", str(port))
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOENT):
            raise _explain(error, f"unplug port {port}") from None


@contextmanager
def plug(loop: Loop, exported: ExportedDevice, sysfs: Path = SYSFS) -> Iterator[int]:
    """Plug a device into this machine for as long as the context lasts; gives the port. Run `loop` inside."""
    ours, kernels = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _grow(ours)
        with kernels:
            port = attach(kernels, exported.devid, exported.device.speed, sysfs)
    except BaseException:
        ours.close()
        raise
    connection = None
    try:
        connection = attach_socket(loop, ours, exported)
        yield port
    finally:
        if connection is None or not connection.closed:  # else the host has unplugged it itself
            detach(port, sysfs)
        if connection is not None:
            connection.close()
        ours.close()


def _grow(sock: socket.socket) -> None:
    """Room for whole requests: twice the throughput of the default 208 KiB. Only root may exceed wmem_max."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _SEND_BYTES)
    except PermissionError:
        pass


def _write(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _explain(error: OSError, what: str) -> U3VError:
    if isinstance(error, PermissionError):
        return U3VError(f"only root may {what} (vhci-hcd): use sudo; {_INSTEAD}")
    return U3VError(f"vhci-hcd: cannot {what}: {error.strerror}")
