"""Clocks that are not the wall's: time that jumps from deadline to deadline, for a loop or for one process.

`SimulatedTime` is for one process, such as a test: who owns it moves it, and it stops at every deadline on its way.

`SimulatedLoop` serves other programs. They run in real time and the cameras do not: the clock stands still while
anything is left to do, and jumps to the next deadline when everybody has what they want. A host may be slow: while a
camera streams and its host has no request for the data, the clock stands still, too, for PATIENCE_S of real time at
most. So a slow host loses no frame, and gets what an infinitely fast one would. In lockstep the clock stops at an
instant that a host moves on (feature VirtualClockAdvance).
"""

import time
from collections.abc import Callable
from typing import Protocol

from gadget.time.loop import Loop

CLOCKS = ("real", "simulated", "lockstep")
PATIENCE_S = 0.1
LOCKSTEP_NS = 1_000_000
"""How far a host of ours in lockstep moves the clock at a time while it waits."""
MAX_IDLE_ROUNDS = 10_000


class Timed(Protocol):
    """What has deadlines: a device, a port's supply."""

    def next_wakeup_ns(self) -> int | None: ...

    def service(self, now_ns: int) -> None: ...


class SimulatedTime:
    """A clock that only moves when it is told to, and stops at every deadline of `services` on its way."""

    def __init__(self, *, lockstep: bool = False, step_ns: int = 0) -> None:
        """`step_ns`: in lockstep, how far a request that waits asks for time again and again (0: not at all)."""
        self.now_ns = 0
        self.lockstep = lockstep
        self.step_ns = step_ns
        self.services: list[Timed] = []
        self._idle_rounds = 0

    def next_wakeup_ns(self) -> int | None:
        instants = [service.next_wakeup_ns() for service in self.services]
        return min((at for at in instants if at is not None), default=None)

    def step(self, at_ns: int) -> None:
        """Move on to a deadline and serve what is due."""
        self._idle_rounds = 0 if at_ns > self.now_ns else self._idle_rounds + 1
        if self._idle_rounds > MAX_IDLE_ROUNDS:
            raise RuntimeError("the device asks for the same instant again and again")
        self.now_ns = now_ns = max(self.now_ns, at_ns)
        for service in list(self.services):
            due_ns = service.next_wakeup_ns()
            if due_ns is not None and due_ns <= now_ns:
                service.service(now_ns)

    def advance(self, duration_ns: int) -> None:
        """Let time pass, deadline by deadline."""
        end_ns = self.now_ns + duration_ns
        while (at_ns := self.next_wakeup_ns()) is not None and at_ns <= end_ns:
            self.step(at_ns)
        self.now_ns = end_ns


class SimulatedLoop(Loop):
    """A loop on a clock of its own. `held()` says whether a host has to do something first."""

    def __init__(self, held: Callable[[], bool] = lambda: False, *, lockstep: bool = False) -> None:
        self._now_ns = 0
        self._limit_ns: int | None = 0 if lockstep else None
        self._held = held
        super().__init__(lambda: self._now_ns)

    @property
    def is_lockstep(self) -> bool:
        return self._limit_ns is not None

    def advance(self, duration_ns: int) -> None:
        """In lockstep: let the clock go on by so much."""
        if self._limit_ns is not None:
            self._limit_ns += duration_ns

    def step(self, timeout_s: float | None = None) -> None:
        """One round: do what there is to do, or else move the clock, or wait for somebody."""
        if self._poll(0.0) or self._serve():
            return
        instants = [s.next_wakeup_ns() for s in self.services if getattr(s, "paces_clock", True)]
        at_ns = min((at for at in instants if at is not None), default=None)
        limit_ns = self._limit_ns
        if limit_ns is not None and limit_ns > self._now_ns and (at_ns is None or at_ns > limit_ns):
            self._now_ns = limit_ns
            return
        if at_ns is None or (limit_ns is not None and at_ns > limit_ns):
            self._poll(timeout_s)
            return
        if self._held() and self._poll(PATIENCE_S if timeout_s is None else min(timeout_s, PATIENCE_S)):
            return
        self._now_ns = max(self._now_ns, at_ns)
        self._serve()

    def _poll(self, timeout_s: float | None) -> bool:
        """Handle descriptors and calls; whether there were any."""
        if self._later:
            left_s = max((self._later[0][0] - time.monotonic_ns()) / 1e9, 0.0)
            timeout_s = left_s if timeout_s is None else min(timeout_s, left_s)
        called = self._waiter.wait_for(0.0 if self._calls else timeout_s)
        called = bool(self._calls) or called
        called = (bool(self._later) and self._call_due()) or called
        while self._calls:
            self._calls.popleft()()
        return called

    def _serve(self) -> bool:
        """Serve what is due now; whether anything was."""
        served = False
        for service in list(self.services):
            at_ns = service.next_wakeup_ns()
            if at_ns is not None and at_ns <= self._now_ns:
                service.service(self._now_ns)
                served = True
        return served
