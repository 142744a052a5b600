"""Where control sockets are: one file per process in a directory that only its user can enter.

The directory is `u3v` in $XDG_RUNTIME_DIR, else in /run/user/UID, else `/tmp/u3v.UID`. A socket whose process
was killed stays behind until somebody looks: `clean` removes those that nobody answers. A file's name has the
kernel's boot id in it, for in a directory that a virtual machine shares with its host the one cannot know whether
the sockets of the other are alive, and must leave them alone.
"""

import os
import socket
import stat
from pathlib import Path

from gadget.sockets import is_alive, listen_unix
from u3v.errors import U3VError

VARIABLE = "U3V_CONTROL"
"""Tells the programs of `u3v run` which camera is theirs."""


def directory() -> Path:
    """The directory of this user's sockets, made if need be. Raises U3VError where somebody else holds its name."""
    place = _runtime_directory()
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        about = place.lstat()
    except OSError as error:
        raise U3VError(f"{place}: {error.strerror}; say where: --control PATH") from error
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o077:
        raise U3VError(f"{place} is not a directory of yours alone; say where: --control PATH")
    return place


def _runtime_directory() -> Path:
    for base in (os.environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{os.geteuid()}"):
        if base and os.path.isdir(base) and os.access(base, os.W_OK) and os.stat(base).st_uid == os.geteuid():
            return Path(base) / "u3v"
    return Path(f"/tmp/u3v.{os.geteuid()}")


def default_path() -> Path:
    """The socket of this process, in a directory without leftovers."""
    place = directory()
    clean(place)
    return place / f"{os.getpid()}{_ending()}"


def process_of(path: Path) -> str:
    """The process id in a socket's name."""
    return path.name.partition(".")[0]


def clean(place: Path) -> list[Path]:
    """The sockets of this kernel that somebody answers; all others of it are removed."""
    alive = []
    for path in sorted(place.glob(f"*{_ending()}")):
        if is_alive(path):
            alive.append(path)
        else:
            path.unlink(missing_ok=True)
    return alive


def _ending() -> str:
    """How the names of this kernel's sockets end."""
    try:
        return f".{Path('/proc/sys/kernel/random/boot_id').read_text()[:8]}.sock"
    except OSError:  # a sandbox without /proc
        return ".00000000.sock"


def listen(path: Path) -> socket.socket:
    """A listening socket that only this user can reach. Raises U3VError, one line."""
    return listen_unix(path, "--control")
