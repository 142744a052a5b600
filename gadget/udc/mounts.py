"""Mounting the kernel's gadget file systems, and loading the modules that have them."""

import ctypes
import errno
import os
import subprocess
from pathlib import Path

from u3v.errors import U3VError

RUN = Path("/run/u3v-gadget")
MOUNTS = Path("/proc/self/mounts")
FILESYSTEMS = Path("/proc/filesystems")
_DETACH = 2


def mount(kind: str, source: str, point: Path) -> None:
    """Raises OSError with the errno of mount(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), os.fsencode(point), kind.encode(), 0, None):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(point))


def unmount(point: Path) -> None:
    """Whatever is mounted there, if anything is."""
    libc = ctypes.CDLL(None, use_errno=True)
    while libc.umount2(os.fsencode(point), _DETACH) == 0:
        pass


def mounted(kind: str) -> list[Path]:
    """Where a file system of this kind is mounted."""
    rows = [line.split() for line in MOUNTS.read_text().splitlines()]
    return [Path(row[1].encode().decode("unicode_escape")) for row in rows if row[2] == kind]


def load(*modules: str) -> None:
    """Have the kernel load modules; one that is built in or does not exist is not told apart."""
    for module in modules:
        try:
            subprocess.run(["modprobe", "-q", module], capture_output=True, check=False)
        except OSError:
            return


def knows(kind: str) -> bool:
    """Whether this kernel has a file system of this kind, now."""
    return kind in FILESYSTEMS.read_text().split()


def need_root() -> None:
    """Raises U3VError for everybody else."""
    if os.geteuid() != 0:
        raise U3VError("only root may be a USB device: use sudo")


def explained(error: OSError, what: str, remedy: str) -> U3VError:
    """One line for a person."""
    name = errno.errorcode.get(error.errno or 0, "")
    return U3VError(f"{what}: {error.strerror} ({name}): {remedy}")
