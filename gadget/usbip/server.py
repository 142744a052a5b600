"""Sockets around `Session`: a listening USB/IP server and single connected sockets, in a `Loop`.

Each connection is a service of the loop: it is due at once while the device has left answers in the session
(a frame arrived, a deadline passed), so they leave in the same round. Pixels go from the views of the device
to `sendmsg` without a copy; what the socket does not take waits in `_queue`. Input is read also while output
waits: an unlink must be answered whatever the client reads.
"""

import logging
import socket
from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice

from gadget.time.loop import READ, WRITE, Loop, Service
from gadget.usbip import wire
from gadget.usbip.session import Buffer, ExportedDevice, Session
from u3v.errors import U3VError

log = logging.getLogger(__name__)

HANDSHAKE_S = 10
MAX_CONNECTIONS = 128
_RECEIVE_BYTES = 256 << 10
_SEND_BUFFERS = 256
_KEEPALIVE = {socket.TCP_KEEPIDLE: 30, socket.TCP_KEEPINTVL: 10, socket.TCP_KEEPCNT: 3}


class Connection:
    """A connected socket, until it is closed by either side. `on_close` is called once."""

    paces_clock = False  # a simulated clock does not jump to the end of a client's patience

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        session: Session,
        name: str,
        on_close: Callable[["Connection"], None] | None = None,
    ) -> None:
        self.session = session
        self.name = name
        self.closed = False
        self._loop = loop
        self._sock = sock
        self._on_close = on_close
        self._queue: deque[memoryview] = deque()
        self._blocked = False
        self._scratch = memoryview(bytearray(_RECEIVE_BYTES))
        self._handshake_ends_ns = loop.now_ns() + HANDSHAKE_S * 10**9
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE.items():
                sock.setsockopt(socket.IPPROTO_TCP, option, value)
        loop.watch(sock, READ, self._ready)
        loop.services.append(self)

    def next_wakeup_ns(self) -> int | None:
        imported = self.session.imported
        if self.session.has_output:
            return 0
        if imported is not None and imported.device.unplugged and not self.session.finished:
            return 0
        return self._handshake_ends_ns if imported is None else None

    def service(self, now_ns: int) -> None:
        if self.closed:
            return
        imported = self.session.imported
        if imported is None and now_ns >= self._handshake_ends_ns:
            self.close(f"no complete request within {HANDSHAKE_S} s")
            return
        if imported is not None and imported.device.unplugged:
            self.session.finished = True
        self._flush()

    def close(self, reason: str = "") -> None:
        """End the connection; the device is reset and free for the next client."""
        if self.closed:
            return
        self.closed = True
        if reason:
            log.warning("usbip: %s: %s; connection closed", self.name, reason)
        self._loop.unwatch(self._sock)
        self._loop.services.remove(self)
        self._sock.close()
        self._queue.clear()
        self.session.end(self._loop.now_ns())
        if self._on_close is not None:
            self._on_close(self)

    def _ready(self, mask: int) -> None:
        if mask & WRITE:
            self._block(False)
        if mask & READ:
            try:
                length = self._sock.recv_into(self._scratch)
            except BlockingIOError:
                pass
            except OSError as error:
                self.close(_reset_is_a_close(error))
                return
            else:
                if length == 0:
                    self.close()
                    return
                self.session.receive(self._scratch[:length], self._loop.now_ns())
        self._flush()

    def _flush(self) -> None:
        if self.session.broken:
            self.close(self.session.broken)
            return
        self._queue.extend(map(_flat, self.session.take_output()))
        try:
            while self._queue and not self._blocked:
                self._sent(self._sock.sendmsg(list(islice(self._queue, _SEND_BUFFERS))))
        except BlockingIOError:
            self._block(True)
        except OSError as error:
            self.close(_reset_is_a_close(error))
            return
        if self.session.finished and not self._queue:
            self.close()

    def _block(self, blocked: bool) -> None:
        self._blocked = blocked
        self._loop.watch(self._sock, READ | WRITE if blocked else READ, self._ready)

    def _sent(self, length: int) -> None:
        while length:
            first = self._queue[0]
            if len(first) > length:
                self._queue[0] = first[length:]
                return
            length -= len(first)
            self._queue.popleft()


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
        self.connections: list[Connection] = []
        self._loop = loop
        for exported in devices.values():
            _serve(loop, exported.device)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((host, port))
            self._listener.listen()
        except (OSError, OverflowError) as error:
            self._listener.close()
            text = error.strerror if isinstance(error, OSError) else "the port must be 0..65535"
            raise U3VError(f"cannot listen on {host} port {port}: {text}; try another port") from None
        self._listener.setblocking(False)
        self.host: str = self._listener.getsockname()[0]
        self.port: int = self._listener.getsockname()[1]
        loop.watch(self._listener, READ, self._accept)

    def close(self) -> None:
        """Stop listening and end every connection."""
        self._loop.unwatch(self._listener)
        self._listener.close()
        for connection in list(self.connections):
            connection.close()

    def __enter__(self) -> "UsbipServer":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _accept(self, _mask: int) -> None:
        try:
            sock, address = self._listener.accept()
        except OSError:
            return
        name = f"{address[0]}:{address[1]}"
        if len(self.connections) >= MAX_CONNECTIONS:
            log.warning("usbip: %s: more than %d connections; refused", name, MAX_CONNECTIONS)
            sock.close()
            return
        session = Session(self.devices)
        self.connections.append(Connection(self._loop, sock, session, name, self.connections.remove))


def attach_socket(
    loop: Loop,
    sock: socket.socket,
    exported: ExportedDevice,
    on_close: Callable[[Connection], None] | None = None,
) -> Connection:
    """Serve requests for `exported` on a connected stream socket, without the import handshake (for vhci)."""
    if exported.session is not None:
        raise U3VError(f"device {exported.busid} is used by another client")
    _serve(loop, exported.device)
    session = Session({}, exported)
    return Connection(loop, sock, session, exported.busid, on_close)


def _serve(loop: Loop, device: Service) -> None:
    if not any(service is device for service in loop.services):
        loop.services.append(device)


def _flat(buffer: Buffer) -> memoryview:
    view = memoryview(buffer)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


def _reset_is_a_close(error: OSError) -> str:
    return "" if isinstance(error, ConnectionError) else str(error)
