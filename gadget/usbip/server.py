"""Sockets around USB/IP sessions: a listening server and single connected sockets, in a `Loop`."""

import ipaddress
import logging
import socket
from collections.abc import Callable, Mapping

from gadget.sockets import is_loopback, listen_tcp
from gadget.time.accepting import Acceptor
from gadget.time.loop import Loop
from gadget.usb.connection import Connection, keep_served
from gadget.usbip import wire
from gadget.usbip.session import ExportedDevice, Session
from u3v.errors import U3VError

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 128
"""When there are more, the one goes that has been in its handshake for the longest time."""


class UsbipServer:
    """Export `devices` (by bus id; the mapping may change while serving) on a TCP port; 0 picks a free one.

    There is no authentication in USB/IP: whoever reaches the port has the cameras. Raises U3VError where the
    port cannot be had.
    """

    def __init__(
        self,
        loop: Loop,
        devices: Mapping[str, ExportedDevice],
        host: str = "127.0.0.1",
        port: int = wire.PORT,
    ) -> None:
        self.devices = devices
        self.connections: list[Connection[Session]] = []
        self._loop = loop
        for exported in devices.values():
            keep_served(loop, exported.device)
        listener = listen_tcp(host, port)
        self.host: str = listener.getsockname()[0]
        self.port: int = listener.getsockname()[1]
        self._acceptor = Acceptor(loop, listener, self._accepted)

    @property
    def is_open_to_others(self) -> bool:
        """Whether other machines may reach the port, and with it the cameras."""
        return not is_loopback(self.host)

    @property
    def address(self) -> str:
        """Where clients find the server: where it listens everywhere, this machine's address on its network."""
        if not ipaddress.ip_address(self.host.partition("%")[0]).is_unspecified:
            return self.host
        family, elsewhere = (
            (socket.AF_INET6, "2001:db8::1") if ":" in self.host else (socket.AF_INET, "192.0.2.1")
        )
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            try:
                sock.connect((elsewhere, 9))  # chooses a route and sends nothing
            except OSError:
                return socket.gethostname()
            return str(sock.getsockname()[0])

    def close(self) -> None:
        """Stop listening and end every connection."""
        self._acceptor.close()
        for connection in list(self.connections):
            connection.close()

    def __enter__(self) -> "UsbipServer":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _accepted(self, sock: socket.socket, address: tuple[str, int]) -> None:
        name = f"usbip: {address[0]}:{address[1]}"
        if len(self.connections) >= MAX_CONNECTIONS:
            idle = next((c for c in self.connections if c.session.imported is None), None)
            if idle is None:
                log.warning("%s: more than %d connections; refused", name, MAX_CONNECTIONS)
                sock.close()
                return
            idle.close(
                f"more than {MAX_CONNECTIONS} connections, and this one has not asked for anything yet"
            )
        session = Session(self.devices)
        self.connections.append(Connection(self._loop, sock, session, name, self.connections.remove))


def attach_socket(
    loop: Loop,
    sock: socket.socket,
    exported: ExportedDevice,
    on_close: Callable[[Connection[Session]], None] | None = None,
) -> Connection[Session]:
    """Serve requests for `exported` on a connected stream socket, without the import handshake (for vhci)."""
    if exported.session is not None:
        raise U3VError(f"device {exported.busid} is used by another client")
    keep_served(loop, exported.device)
    session = Session({}, exported)
    return Connection(loop, sock, session, f"usbip: {exported.busid}", on_close)
