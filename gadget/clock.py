"""Clocks that are not the wall's: time that jumps from deadline to deadline, for a loop or for one process.

`SimulatedLoop` serves other programs. They run in real time and the cameras do not: the clock stands still
while anything is left to do, and jumps to the next deadline when all have what they want. A camera that
streams to a host which has no request waiting holds the clock (that host is slow, not the camera), for
PATIENCE_S of real time at most. So a host loses no frame by being slow, and what it gets is what an infinitely
fast one would. In lockstep the clock stops at an instant that a host moves on (feature VirtualClockAdvance).

`in_process` is a camera on a `LoopbackBus`: no other program, so the whole run is a pure function of seed and
settings, bit for bit. Frames are rendered before the clock moves on, so results do not depend on the machine.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gadget.loop import Loop
from gadget.loopback import LoopbackBus, SimulatedTime

CLOCKS = ("real", "simulated", "lockstep")
PATIENCE_S = 0.1
LOCKSTEP_NS = 1_000_000
"""How far a host of ours in lockstep moves the clock at a time while it waits."""


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
        events = self._selector.select(0.0 if self._calls else timeout_s)
        for key, mask in events:
            key.data(mask)
        called = bool(self._calls)
        while self._calls:
            self._calls.popleft()()
        return bool(events) or called

    def _serve(self) -> bool:
        """Serve what is due now; whether anything was."""
        served = False
        for service in list(self.services):
            at_ns = service.next_wakeup_ns()
            if at_ns is not None and at_ns <= self._now_ns:
                service.service(self._now_ns)
                served = True
        return served


@contextlib.contextmanager
def in_process(model: str, options: Mapping[str, Any]) -> Iterator[LoopbackBus]:
    """A camera in this process on a simulated clock. `options`: the camera's, as the command line parses them."""
    from gadget.options import specs
    from gadget.pcap import PcapWriter
    from gadget.runner import FIRST_SERIAL, build

    (spec,) = specs((model,), {**options, "settings": ()})
    bus = spec.bus.bus() if spec.bus is not None else None
    built = build(spec, spec.serial or str(FIRST_SERIAL), bus=bus)
    lockstep = options["clock"] == "lockstep"
    time = SimulatedTime(lockstep=lockstep, step_ns=LOCKSTEP_NS if lockstep else 0)
    host = LoopbackBus.to(built.device, time)
    time.services.append(built.port)
    pcap: Path | None = options["pcap"]
    writer = None
    if pcap is not None:
        writer = PcapWriter(pcap)
        writer.attach(built.device, bus=1, address=2)
    try:
        yield host
    finally:
        host.close()
        built.rendered.source.close()
        if writer is not None:
            writer.close()
