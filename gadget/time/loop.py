"""The one event loop: file descriptors, deadlines and calls from worker threads, in one thread, on one clock.

A *service* is anything with `next_wakeup_ns()` and `service(now_ns)` (a `UsbDevice`, a server). After every
wake-up the loop serves all services that are due, so one camera's traffic never delays another's clock.

However late the loop is, its clock goes no further in a round than MOST_NS beyond the first thing due; the rest is
served in the next rounds, with a look at the descriptors in between. A machine that is too slow for a camera's frames
would otherwise need longer for what is due than it was late, be later in the next round, and never answer its host
again.
"""

import socket
import time
from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Protocol

from gadget.time.signals import woken_by_signals
from gadget.time.slices import SHORT_NS, ask_for_slices
from gadget.time.waiting import READ as READ
from gadget.time.waiting import WRITE as WRITE
from gadget.time.waiting import Callback, HasFileno, Waiter

MOST_NS = 20_000_000


class Service(Protocol):
    def next_wakeup_ns(self) -> int | None: ...

    def service(self, now_ns: int) -> None: ...


class Loop:
    """Run with `run()` until `stop()`, then `close()`. Only `call_threadsafe` may be called from other threads."""

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock_ns = clock_ns
        self._last_ns = 0
        self._ceiling_ns: int | None = None
        self._is_real = clock_ns is time.monotonic_ns
        self.services: list[Service] = []
        self._waiter = Waiter()
        self._calls: deque[Callable[[], None]] = deque()
        self._later: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = count()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._waiter.watch(self._wake_read, READ, self._drain)
        self.stopping = False

    def now_ns(self) -> int:
        """The clock; while the loop is late, as far as it serves in this round."""
        now_ns = self._clock_ns()
        if self._ceiling_ns is not None:
            now_ns = min(now_ns, self._ceiling_ns)
        self._last_ns = now_ns
        return now_ns

    def watch(self, fileobj: int | HasFileno, events: int, callback: Callback) -> None:
        """Call `callback(mask)` when `fileobj` is ready; a second call replaces events and callback."""
        self._waiter.watch(fileobj, events, callback)

    def unwatch(self, fileobj: int | HasFileno) -> None:
        """Forget `fileobj` (before closing it). Unknown ones are ignored."""
        self._waiter.unwatch(fileobj)

    def call_threadsafe(self, call: Callable[[], None]) -> None:
        """Run `call` in the loop's thread, soon. From any thread or signal handler."""
        self._calls.append(call)
        try:
            self._wake_write.send(b"\0")
        except (BlockingIOError, OSError):
            pass

    def call_later(self, delay_s: float, call: Callable[[], None]) -> Callable[[], None]:
        """Run `call` after so long of the machine's own time, on whatever clock the loop is; what cancels that."""
        entry = time.monotonic_ns() + int(delay_s * 1e9), next(self._sequence), call
        heappush(self._later, entry)

        def cancel() -> None:
            if entry in self._later:
                self._later.remove(entry)
                heapify(self._later)

        return cancel

    def stop(self) -> None:
        """End `run`; the next one, where none runs now."""
        self.stopping = True

    def run(self) -> None:
        """Serve until `stop()`."""
        ask_for_slices(SHORT_NS)
        with woken_by_signals(self._wake_write.fileno()):
            while not self.stopping:
                self.step()
        self.stopping = False

    def step(self, timeout_s: float | None = None) -> None:
        """One round: wait for a descriptor, a deadline or `timeout_s`; then serve what is due."""
        services = list(self.services)
        instants = [service.next_wakeup_ns() for service in services]
        due_ns = min((at for at in instants if at is not None), default=None)
        timed_ns = min((at for at in instants if at), default=None)  # 0: at once, whatever the time is
        self._ceiling_ns = None if timed_ns is None else max(timed_ns, self._last_ns) + MOST_NS
        same = not self._waiter.wait(self._until_ns(due_ns, timeout_s))
        if self._ceiling_ns is None:
            self._ceiling_ns = self._clock_ns() + MOST_NS
        for _ in range(len(self._calls)):  # those that come meanwhile are for the next round
            self._calls.popleft()()
            same = False
        if self._later and self._call_due():
            same = False
        now_ns = self.now_ns()
        for index, service in enumerate(services if same else list(self.services)):
            at_ns = instants[index] if same else service.next_wakeup_ns()
            if at_ns is not None and at_ns <= now_ns:
                service.service(now_ns)
                same = False  # it may have given the others something to do
        if self._clock_ns() <= self._ceiling_ns:
            self._ceiling_ns = None

    def _call_due(self) -> bool:
        """Run what is due by the machine's own time; whether anything was."""
        called = False
        while self._later and self._later[0][0] <= time.monotonic_ns():
            heappop(self._later)[2]()
            called = True
        return called

    def _until_ns(self, due_ns: int | None, timeout_s: float | None) -> int | None:
        """When to stop waiting, on the machine's monotonic clock; 0: at once."""
        now_ns = self._clock_ns()
        if self._calls or timeout_s == 0.0 or (due_ns is not None and due_ns <= now_ns):
            return 0
        here_ns = now_ns if self._is_real else time.monotonic_ns()
        ends_ns = None if timeout_s is None else here_ns + int(timeout_s * 1e9)
        if self._later:
            ends_ns = self._later[0][0] if ends_ns is None else min(self._later[0][0], ends_ns)
        if due_ns is None:
            return ends_ns
        due_here_ns = due_ns + (here_ns - now_ns)
        return due_here_ns if ends_ns is None else min(due_here_ns, ends_ns)

    def close(self) -> None:
        self._waiter.close()
        self._wake_read.close()
        self._wake_write.close()

    def _drain(self, _mask: int) -> None:
        try:
            while self._wake_read.recv(4096):
                pass
        except BlockingIOError:
            pass
