"""Taking connections from a listening socket in a `Loop`, also when this process has no descriptor left for one.

The kernel reports such a socket as ready for as long as somebody waits on it, so a loop that cannot accept would
turn without a pause. `Acceptor` looks away for `PAUSE_NS` then: who waits gets in as soon as there is room.

State: the instant at which it looks again. Always true: it is a service of the loop while it looks away, and only then.
"""

import errno
import socket
from collections.abc import Callable
from typing import Any

from gadget.time.loop import READ, Loop

PAUSE_NS = 100_000_000
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """Calls `accepted(socket, address)` for each connection. Owns `listener`, which it closes."""

    paces_clock = False

    def __init__(
        self, loop: Loop, listener: socket.socket, accepted: Callable[[socket.socket, Any], None]
    ) -> None:
        self.listener = listener
        self._loop = loop
        self._accepted = accepted
        self._resume_ns: int | None = None
        listener.setblocking(False)
        loop.watch(listener, READ, self._ready)

    def next_wakeup_ns(self) -> int | None:
        return self._resume_ns

    def service(self, now_ns: int) -> None:
        """The pause is over."""
        self._end_pause()
        self._loop.watch(self.listener, READ, self._ready)

    def close(self) -> None:
        """Stop listening; twice is once."""
        if self.listener.fileno() >= 0:
            self._loop.unwatch(self.listener)
            self._end_pause()
            self.listener.close()

    def _ready(self, _mask: int) -> None:
        try:
            sock, address = self.listener.accept()
        except OSError as error:
            if error.errno in _NO_ROOM:
                self._loop.unwatch(self.listener)
                self._loop.services.append(self)
                self._resume_ns = self._loop.now_ns() + PAUSE_NS
            return
        self._accepted(sock, address)

    def _end_pause(self) -> None:
        if self._resume_ns is not None:
            self._resume_ns = None
            self._loop.services.remove(self)
