"""Sockets around `Session`: a listening USB/IP server and single connected sockets, in a `Loop`.

Each connection is a service of the loop: it is due at once while the device has left answers in the session
(a frame arrived, a deadline passed), so they leave in the same round. Pixels go from the views of the device
to `sendmsg` without a copy; what the socket does not take waits in `_queue`. Input is read also while output
waits, for an unlink must be answered soon, but only up to `MAX_QUEUED_BYTES` of answers: a client that asks and
never reads would have all our memory. It is read again once the client has taken what it asked for.
"""

import errno
import ipaddress
import logging
import socket
from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice

from gadget.time.accepting import Acceptor
from gadget.time.loop import READ, WRITE, Loop, Service
from gadget.usbip import wire
from gadget.usbip.session import Buffer, ExportedDevice, Session
from u3v.errors import U3VError

log = logging.getLogger(__name__)

HANDSHAKE_S = 10
MAX_CONNECTIONS = 128
"""When there are more, the one goes that has been in its handshake for the longest time."""
MAX_QUEUED_BYTES = 64 << 20
"""Answers that may wait for one client; more than any host has requests in flight for."""
_ENTRY_BYTES = 256  # what a waiting answer costs beside its bytes
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
        self._queued_bytes = 0
        self._blocked = False
        self._watched = READ
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
        self._queued_bytes = 0
        self.session.end(self._loop.now_ns())
        if self._on_close is not None:
            self._on_close(self)

    def _ready(self, mask: int) -> None:
        if mask & WRITE:
            self._blocked = False
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
        for buffer in self.session.take_output():
            self._queue.append(view := _flat(buffer))
            self._queued_bytes += len(view)
        try:
            while self._queue and not self._blocked:
                self._sent(self._sock.sendmsg(list(islice(self._queue, _SEND_BUFFERS))))
        except BlockingIOError:
            self._blocked = True
        except OSError as error:
            self.close(_reset_is_a_close(error))
            return
        if self.session.finished and not self._queue:
            self.close()
            return
        self._watch()

    def _watch(self) -> None:
        """Look for what can be gone on with: room for output, and input unless too much output waits."""
        is_full = self._queued_bytes + _ENTRY_BYTES * len(self._queue) > MAX_QUEUED_BYTES
        wanted = (WRITE if self._blocked else 0) | (0 if self._blocked and is_full else READ)
        if wanted != self._watched:
            self._watched = wanted
            self._loop.watch(self._sock, wanted, self._ready)

    def _sent(self, length: int) -> None:
        self._queued_bytes -= length
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
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen()
        except (OSError, OverflowError) as error:
            listener.close()
            raise U3VError(f"cannot listen on {host} port {port}: {_why(error)}") from None
        self.host: str = listener.getsockname()[0]
        self.port: int = listener.getsockname()[1]
        self._acceptor = Acceptor(loop, listener, self._accepted)

    @property
    def is_open_to_others(self) -> bool:
        """Whether other machines may reach the port, and with it the cameras."""
        return not ipaddress.ip_address(self.host.partition("%")[0]).is_loopback

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
        name = f"{address[0]}:{address[1]}"
        if len(self.connections) >= MAX_CONNECTIONS:
            idle = next((c for c in self.connections if c.session.imported is None), None)
            if idle is None:
                log.warning("usbip: %s: more than %d connections; refused", name, MAX_CONNECTIONS)
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


def _why(error: OSError | OverflowError) -> str:
    """Why a port cannot be had, and what to do."""
    if isinstance(error, OverflowError):
        return "the port must be 0..65535; try another port"
    if isinstance(error, socket.gaierror):
        return "no such host; 127.0.0.1 is this machine alone, 0.0.0.0 all its networks"
    return f"{error.strerror}; try another {'address' if error.errno == errno.EADDRNOTAVAIL else 'port'}"


def _reset_is_a_close(error: OSError) -> str:
    return "" if isinstance(error, ConnectionError) else str(error)
