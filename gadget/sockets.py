"""Listening sockets: where they can be had, and one line for a person where they cannot."""

import errno
import ipaddress
import os
import socket
from pathlib import Path

from u3v.errors import U3VError

MAX_PATH_BYTES = 107


def listen_tcp(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 picks a free one. Raises U3VError, one line."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        raise U3VError(f"cannot listen on {host} port {port}: {_why(error)}") from None
    return listener


def listen_unix(path: Path, option: str) -> socket.socket:
    """A listening socket that only this user can reach. One that nobody answers any more is replaced.

    `option`: what a person typed before the path. Raises U3VError, one line.
    """
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise U3VError(f"{option} {path}: longer than the {MAX_PATH_BYTES} bytes a socket's path may have")
    if path.is_socket():
        if is_alive(path):
            raise U3VError(f"{option} {path}: another camera is there already")
        path.unlink()
    elif path.exists():
        raise U3VError(f"{option} {path}: is there already, and is no socket")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.bind(str(path))
        path.chmod(0o600)  # nobody can connect before listen()
        sock.listen(64)
    except OSError as error:
        sock.close()
        raise U3VError(f"{option} {path}: {error.strerror}") from error
    return sock


def is_alive(path: Path) -> bool:
    """Whether somebody listens at this path."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        try:
            sock.connect(str(path))
        except BlockingIOError:  # its queue is full: it is busy, not gone
            return True
        except OSError:
            return False
    return True


def is_loopback(address: str) -> bool:
    """Whether an IP address is this machine's alone."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _why(error: OSError | OverflowError) -> str:
    """Why a port cannot be had, and what to do."""
    if isinstance(error, OverflowError):
        return "the port must be 0..65535; try another port"
    if isinstance(error, socket.gaierror):
        return "no such host; 127.0.0.1 is this machine alone, 0.0.0.0 all its networks"
    return f"{error.strerror}; try another {'address' if error.errno == errno.EADDRNOTAVAIL else 'port'}"
