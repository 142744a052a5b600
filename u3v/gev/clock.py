"""IEEE 1588 (PTP): the cameras of one network agree on a clock, which all of them follow.

State of a clock: its port's state, and when it does the next step. Always true: where several are enabled, the one of
the least identity becomes the master, and the others show its time once they are slaves. Cameras of one process share
a `Domain`; messages between them take no time and are never lost. Names of the states and the order of steps are
IEEE 1588's; the intervals are assumed.
"""

from enum import IntEnum

from u3v.camera import Camera
from u3v.gev.bootstrap import Bootstrap

ANNOUNCE_NS = 1_000_000_000
"""A master says so once in that time."""
TIMEOUT_NS = 3 * ANNOUNCE_NS
"""Without a word from a master for so long, there is none."""
SETTLE_NS = 1_000_000_000
"""How long a clock measures the master's before it follows."""


class PortState(IntEnum):
    """Numbers of IEEE 1588, which the register IEEE1588_Status shows."""

    DISABLED = 3
    LISTENING = 4
    MASTER = 6
    UNCALIBRATED = 8
    SLAVE = 9


class Domain:
    """The clocks that hear each other."""

    def __init__(self) -> None:
        self.clocks: list[Clock] = []

    @property
    def master(self) -> "Clock | None":
        return next((clock for clock in self.clocks if clock.state is PortState.MASTER), None)


class Clock:
    """One camera's, with its registers."""

    def __init__(self, camera: Camera, bootstrap: Bootstrap, domain: Domain) -> None:
        self.domain = domain
        self.state = PortState.DISABLED
        high, low = divmod(bootstrap.mac, 1 << 24)
        self.identity = high << 40 | 0xFFFE << 24 | low
        """64 bits, made of the MAC address as IEEE 1588 says."""
        self._camera = camera
        self._bootstrap = bootstrap
        self._due_ns: int | None = None
        domain.clocks.append(self)
        if bootstrap.options.ieee1588:
            bootstrap.on_ieee1588 = lambda enabled: self.enable(enabled, camera.now_ns)
            bootstrap.when_read("IEEE1588_Status", lambda: self.state)
            bootstrap.when_read("Clock_Identity", lambda: self.identity)
            bootstrap.when_written("Clock_Latch", written=self._latch)

    @property
    def enabled(self) -> bool:
        return self.state is not PortState.DISABLED

    @property
    def parent_identity(self) -> int:
        """Of the clock that it follows: its own, where it follows none."""
        master = self.domain.master
        follows = self.state in (PortState.SLAVE, PortState.UNCALIBRATED)
        return master.identity if follows and master is not None else self.identity

    @property
    def offset_from_master_ns(self) -> int:
        """What it is ahead of the master's; 0 where it follows none."""
        master = self.domain.master
        if master is None or not self.enabled:
            return 0
        return self._camera.clock_offset_ns - master._camera.clock_offset_ns

    def enable(self, enabled: bool, now_ns: int) -> None:
        """A host has switched it on or off."""
        if enabled == self.enabled:
            return
        if enabled:
            self.state = PortState.LISTENING
            self._due_ns = now_ns + (TIMEOUT_NS if self.domain.master is None else ANNOUNCE_NS)
            return
        was_master = self.state is PortState.MASTER
        self.state, self._due_ns = PortState.DISABLED, None
        if was_master:
            for other in self.domain.clocks:
                other._master_lost(now_ns)

    def tick(self, now_ns: int) -> None:
        while self._due_ns is not None and self._due_ns <= now_ns:
            at_ns, self._due_ns = self._due_ns, None
            master = self.domain.master
            if master is None or self.identity < master.identity:
                self.state = PortState.MASTER
                for other in self.domain.clocks:
                    other._announced(self, at_ns)
            elif self.state is PortState.UNCALIBRATED:
                self.state = PortState.SLAVE
                self._camera.set_clock(at_ns + master._camera.clock_offset_ns, at_ns)
            else:
                self._announced(master, at_ns)

    def next_wakeup_ns(self) -> int | None:
        return self._due_ns

    def leave(self, now_ns: int) -> None:
        """The camera is gone from the network."""
        self.enable(False, now_ns)
        self.domain.clocks.remove(self)

    def _latch(self) -> None:
        """All that a host may read of it belongs to one instant."""
        self._bootstrap.set("Clock_Parent", self.parent_identity)
        self._bootstrap.set("Clock_Offset", self.offset_from_master_ns % (1 << 64))
        self._bootstrap.set("Clock_State", self.state)

    def _announced(self, master: "Clock", at_ns: int) -> None:
        if self.enabled and master.identity < self.identity:
            self.state, self._due_ns = PortState.UNCALIBRATED, at_ns + SETTLE_NS

    def _master_lost(self, at_ns: int) -> None:
        if self.enabled:
            self._due_ns = at_ns + TIMEOUT_NS
