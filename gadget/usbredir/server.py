"""A listening usbredir socket in a `Loop`: one camera, one guest at a time.

QEMU connects to it as a client: `-chardev socket,id=cam,path=PATH -device usb-redir,chardev=cam`. A guest that is
shut down leaves the camera to the next one. There is no authentication in usbredir: whoever reaches the socket has
the camera.
"""

import logging
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gadget.sockets import is_loopback, listen_tcp, listen_unix
from gadget.time.accepting import Acceptor
from gadget.time.loop import Loop
from gadget.usb.connection import Connection, keep_served
from gadget.usb.device import UsbDevice
from gadget.usbredir.session import Session
from u3v.errors import Mistake

log = logging.getLogger(__name__)

OPTION = "--usbredir"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen: a TCP port (0 picks a free one), or the socket file `path`."""

    host: str = LOOPBACK
    port: int = 0
    path: Path | None = None


def parse_place(text: str) -> Place:
    """[HOST:]PORT or unix:PATH. Raises Mistake."""
    scheme, colon, path = text.partition(":")
    if scheme == "unix" and colon:
        if not path:
            raise Mistake(f"{OPTION} {text}: the socket's path is missing, as in unix:/tmp/camera.sock")
        return Place(path=Path(path))
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 0xFFFF:
        raise Mistake(f"{OPTION} {text}: give a port 0..65535, HOST:PORT or unix:PATH")
    return Place(host.removeprefix("[").removesuffix("]") or LOOPBACK, int(port))


class UsbredirServer:
    """Gives `device` to whoever connects. Raises U3VError where the place cannot be had."""

    def __init__(self, loop: Loop, device: UsbDevice, place: Place) -> None:
        self.connection: Connection[Session] | None = None
        self._loop = loop
        self._device = device
        self._path = place.path
        keep_served(loop, device)
        listener = (
            listen_tcp(place.host, place.port) if place.path is None else listen_unix(place.path, OPTION)
        )
        self._inode = 0 if place.path is None else place.path.stat().st_ino
        self._address = None if place.path is not None else listener.getsockname()[:2]
        self._acceptor = Acceptor(loop, listener, self._accepted)

    @property
    def chardev(self) -> str:
        """What QEMU's option -chardev takes to connect here, without its id."""
        if self._address is None:
            return f"socket,path={str(self._path).replace(',', ',,')}"
        return f"socket,host={self._address[0]},port={self._address[1]}"

    @property
    def is_open_to_others(self) -> bool:
        """Whether other machines may reach the socket, and with it the camera."""
        return self._address is not None and not is_loopback(self._address[0])

    @property
    def port(self) -> int:
        """The TCP port; 0 where the place is a socket file."""
        return 0 if self._address is None else int(self._address[1])

    def close(self) -> None:
        """Stop listening, hang up, remove the socket file."""
        self._acceptor.close()
        if self.connection is not None:
            self.connection.close()
        if self._path is not None and self._path.is_socket() and self._path.stat().st_ino == self._inode:
            self._path.unlink()

    def __enter__(self) -> "UsbredirServer":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _accepted(self, sock: socket.socket, address: Any) -> None:
        name = f"usbredir: {address[0]}:{address[1]}" if self._path is None else f"usbredir: {self._path}"
        if self.connection is not None:
            log.warning("%s: another guest has the camera; refused", name)
            sock.close()
            return
        self.connection = Connection(self._loop, sock, Session(self._device), name, self._closed)

    def _closed(self, _connection: Connection[Session]) -> None:
        self.connection = None
