"""A connected stream socket around a protocol's `Session`, in a `Loop`: USB/IP and usbredir are carried by it.

Each connection is a service of the loop: it is due at once while the device has left answers in the session
(a frame arrived, a deadline passed), so they leave in the same round. Pixels go from the views of the device
to `sendmsg` without a copy; what the socket does not take waits in `_queue`. Input is read also while output
waits, for a cancellation must be answered soon, but only up to `MAX_QUEUED_BYTES` of answers: a peer that asks and
never reads would have all our memory. It is read again once the peer has taken what it asked for.
"""

import logging
import socket
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Generic, Protocol, TypeVar

from gadget.time.loop import READ, WRITE, Loop, Service

log = logging.getLogger(__name__)

Buffer = bytes | memoryview

HANDSHAKE_S = 10
MAX_QUEUED_BYTES = 64 << 20
"""Answers that may wait for one peer; more than any host has requests in flight for."""
_ENTRY_BYTES = 256  # what a waiting answer costs beside its bytes
_RECEIVE_BYTES = 256 << 10
_SEND_BUFFERS = 256
_KEEPALIVE = {socket.TCP_KEEPIDLE: 30, socket.TCP_KEEPINTVL: 10, socket.TCP_KEEPCNT: 3}


class Session(Protocol):
    """One side of a protocol on a byte stream, without its socket. What the peer sends never makes it raise."""

    finished: bool
    """Close the connection once the output has gone."""
    broken: str
    """Close the connection at once, for this reason."""

    @property
    def is_settled(self) -> bool:
        """The peer has said what it wants; until then it has `HANDSHAKE_S`."""

    @property
    def must_look(self) -> bool:
        """Its device has come or gone: `look` has something to do."""

    @property
    def has_output(self) -> bool: ...

    def look(self, now_ns: int) -> None:
        """Tell the peer of its device, if there is something to tell."""

    def receive(self, data: bytes | memoryview, now_ns: int) -> None:
        """Take any piece of the peer's byte stream."""

    def take_output(self) -> list[Buffer]:
        """What to send now, in order. The views must be dropped once sent."""

    def end(self, now_ns: int) -> None:
        """The connection is gone."""


SessionT = TypeVar("SessionT", bound=Session)


class Connection(Generic[SessionT]):
    """A connected socket, until it is closed by either side. `on_close` is called once. `name` is for people."""

    paces_clock = False  # a simulated clock does not jump to the end of a client's patience

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        session: SessionT,
        name: str,
        on_close: Callable[["Connection[SessionT]"], None] | None = None,
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
        if self.session.has_output or self.session.must_look:
            return 0
        return None if self.session.is_settled else self._handshake_ends_ns

    def service(self, now_ns: int) -> None:
        if self.closed:
            return
        if not self.session.is_settled and now_ns >= self._handshake_ends_ns:
            self.close(f"no complete request within {HANDSHAKE_S} s")
            return
        self.session.look(now_ns)
        self._flush()

    def close(self, reason: str = "") -> None:
        """End the connection; the device is reset and free for the next client."""
        if self.closed:
            return
        self.closed = True
        if reason:
            log.warning("%s: %s; connection closed", self.name, reason)
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


def keep_served(loop: Loop, device: Service) -> None:
    """Have the loop serve a device, which it may do already."""
    if not any(service is device for service in loop.services):
        loop.services.append(device)


def _flat(buffer: Buffer) -> memoryview:
    view = memoryview(buffer)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


def _reset_is_a_close(error: OSError) -> str:
    return "" if isinstance(error, ConnectionError) else str(error)
