"""What a camera draws, sees on its supply and how warm it gets over a run: plugged in, idle, acquiring, idle.

The camera core, its port and its heat live on a simulated clock that only stops where one of them changes, so
an hour takes milliseconds. No frame is exposed: current and heat follow the throughput that settings and bus
allow. The host of the run configures the camera as any host does, so a port that offers too little refuses it.
It opens a camera again that dropped off the bus, three times, and then gives up; all of that is among the events.

A run is kept as samples, taken before and after every change. What mattered in a state (the lowest voltage, the
highest current) comes from all samples of its stretch of time, however short that was: a brown-out takes 1 ms.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from gadget.budget.bus import BusSpec, fair_shares
from gadget.budget.power import PowerModel, Supply
from gadget.time.simulated import SimulatedTime
from gadget.tools.plan import Plugged, plug
from gadget.usb.port import Port
from u3v.camera import Camera

SECOND = 10**9
PHASES = (("plugged in", 0.1), ("idle", 0.15), ("acquiring", 0.55), ("idle again", 0.2))
"""What the host does, and for which part of the run."""
SAMPLES = 400
REOPEN_NS = 5 * SECOND
MAX_REOPENED = 3
DROPS = "drops off the bus"
"""How the report of a port begins that lost its camera."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The state at one instant: `state` is the camera's, `status` its temperature's in its maker's words."""

    time_s: float
    state: str
    power_w: float
    current_ma: float
    voltage_v: float
    temperature_c: float
    status: str


@dataclass(frozen=True, slots=True)
class Span:
    """What a quantity was over a stretch of time; `mean` is the mean over that time."""

    min: float
    mean: float
    max: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time in one state. `statuses`: the temperature's, in the order in which they came up."""

    state: str
    from_s: float
    to_s: float
    power_w: Span
    current_ma: Span
    voltage_v: Span
    temperature_c: Span
    statuses: tuple[str, ...]

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> "Stretch":
        """All samples of one state, in order."""
        power, current, voltage, temperature = (
            _span(samples, name) for name in ("power_w", "current_ma", "voltage_v", "temperature_c")
        )
        statuses = tuple(dict.fromkeys(s.status for s in samples if s.status))
        first, last = samples[0], samples[-1]
        return cls(first.state, first.time_s, last.time_s, power, current, voltage, temperature, statuses)

    def line(self) -> str:
        power, current, voltage, warm = self.power_w, self.current_ma, self.voltage_v, self.temperature_c
        return (
            f"{self.state:10} {self.from_s:8.1f} s {_duration(self.to_s - self.from_s):>9}"
            f"  {power.min:6.2f} {power.mean:5.2f} {power.max:5.2f}"
            f"  {current.min:6.0f} {current.mean:4.0f} {current.max:4.0f}"
            f"  {voltage.min:6.2f} {voltage.max:5.2f}"
            f"  {warm.min:6.1f} {warm.mean:5.1f} {warm.max:5.1f}  {', '.join(self.statuses)}"
        ).rstrip()


@dataclass(slots=True)
class PowerRun:
    """Samples in order of time; `events` (time_s, what happened); `thresholds` (C, status from there on)."""

    name: str
    bus: str
    power: PowerModel
    samples: list[Sample] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)
    thresholds: list[tuple[float, str]] = field(default_factory=list)

    def stretches(self) -> list[Stretch]:
        """The run by states, in order of time."""
        return [Stretch.of(list(group)) for _, group in groupby(self.samples, lambda s: s.state)]

    @property
    def drops_s(self) -> list[float]:
        """When the camera dropped off the bus."""
        return [at_s for at_s, what in self.events if what.startswith(DROPS)]

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "bus": self.bus,
            "port_ma": self.power.limit_ma,
            "minimum_v": self.power.min_v,
            "peak_current_ma": max(s.current_ma for s in self.samples),
            "lowest_voltage_v": min(s.voltage_v for s in self.samples),
            "highest_temperature_c": max(s.temperature_c for s in self.samples),
            "states": [asdict(stretch) for stretch in self.stretches()],
            "events": [{"time_s": at, "event": what} for at, what in self.events],
            "samples": [asdict(s) for s in self.samples],
        }

    def lines(self) -> list[str]:
        """For people."""
        out = [
            f"{'':31}  {'power, W':^18}  {'current, mA':^16}  {'voltage, V':^12}  {'temperature, C':^18}".rstrip(),
            f"{'state':10} {'from':>10} {'lasts':>9}  {'min':>6} {'mean':>5} {'max':>5}"
            f"  {'min':>6} {'mean':>4} {'max':>4}  {'min':>6} {'max':>5}  {'min':>6} {'mean':>5} {'max':>5}  status",
        ]
        out += [stretch.line() for stretch in self.stretches()]
        return out + [f"{at:9.1f} s  {what}" for at, what in self.events]


def _span(samples: Sequence[Sample], name: str) -> Span:
    values = [getattr(sample, name) for sample in samples]
    seconds = samples[-1].time_s - samples[0].time_s
    area = sum(
        (getattr(a, name) + getattr(b, name)) / 2 * (b.time_s - a.time_s) for a, b in pairwise(samples)
    )
    return Span(min(values), area / seconds if seconds else values[0], max(values))


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if 0 < seconds < 1 else f"{seconds:.1f} s"


class _Heat:
    """The part of a camera core that has deadlines here."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera

    def next_wakeup_ns(self) -> int | None:
        return self._camera.thermal.next_wakeup_ns()

    def service(self, now_ns: int) -> None:
        self._camera.now_ns = now_ns
        self._camera.thermal.tick(now_ns)


class _Host:
    """Configures and starts the camera as the phase asks, again where it had dropped off."""

    def __init__(self, plugged: Plugged, port: Port, tell: Callable[[str], None]) -> None:
        self.phase = PHASES[0][0]
        self._plugged, self._camera, self._port, self._tell = plugged, plugged.camera, port, tell
        self._again_ns: int | None = None
        self._drops = 0
        self._is_refused = False

    @property
    def has_given_up(self) -> bool:
        return self._is_refused or self._drops > MAX_REOPENED

    @property
    def state(self) -> str:
        if not self._port.on_bus:
            return "off"
        if not self._camera.configured:
            return "plugged in"
        return "acquiring" if self._camera.acquisition.active else "idle"

    def next_wakeup_ns(self) -> int | None:
        if self._port.drops > self._drops and self._port.on_bus:
            return 0
        return self._again_ns

    def service(self, now_ns: int) -> None:
        if self._port.drops > self._drops:
            self._drops = self._port.drops
            self._again_ns = now_ns + REOPEN_NS if self._drops <= MAX_REOPENED else None
            if self._again_ns is None:
                self._tell(f"the host gives up after {self._drops} drops: nobody opens the camera any more")
        elif self._again_ns is not None and self._again_ns <= now_ns:
            self._again_ns = None
            self._tell("the host opens it again")
            self.act(now_ns)

    def act(self, now_ns: int) -> None:
        """Bring the camera to what the phase asks for."""
        camera = self._camera
        camera.now_ns = now_ns
        if self.phase == "plugged in" or not self._port.on_bus or self.has_given_up:
            return
        if not camera.configured:
            refusal = self._plugged.configure(now_ns)
            if refusal:
                self._is_refused = True
                self._tell(f"stays unconfigured: {refusal}")
                return
        camera.acquisition.active = self.phase == "acquiring"
        camera.throughput.report()


def power_run(
    wanted: str, bus: BusSpec, supply: Supply, duration_s: float, files: Sequence[Path] = ()
) -> PowerRun:
    """A run of "MODEL[:Feature=value,...]", alone with the bus's other traffic.

    Raises Mistake, each one line for a person.
    """
    plugged = plug(wanted, bus, supply, files)
    camera, power = plugged.camera, plugged.power
    (power.bus_bytes_per_s,) = fair_shares(bus, [camera.wire_bytes * 1e9 / camera.acquisition.period_ns()])
    power.start_cold(0)
    camera.thermal.look(0)
    time = SimulatedTime()
    run = PowerRun(wanted, bus.name, power)

    def tell(line: str) -> None:
        run.events.append((time.now_ns / 1e9, line))

    port = Port(plugged.device, camera, power)
    port.listeners.append(tell)
    host = _Host(plugged, port, tell)
    time.services += [_Heat(camera), port, host]
    limits = camera.thermal.limits
    if limits is not None:
        run.thresholds = [(float(at), status) for status, at in limits.status[1:]]
    status = camera.thermal.status

    def record() -> None:
        nonlocal status
        now_ns = time.now_ns
        run.samples.append(
            Sample(
                now_ns / 1e9,
                host.state,
                power.power_w(),
                power.current_ma(now_ns),
                power.voltage_v(),
                power.temperature_c(now_ns),
                camera.thermal.status,
            )
        )
        if camera.thermal.status != status:
            status = camera.thermal.status
            tell(f"temperature status {status}")

    for phase, end_ns in _phases(duration_s):
        host.phase = phase
        record()
        if not host.has_given_up:
            tell(phase)
        host.act(time.now_ns)
        record()
        while time.now_ns < end_ns:
            sample_ns = time.now_ns + max(1, int(duration_s * 1e9 / SAMPLES))
            due_ns = time.next_wakeup_ns()
            next_ns = min(sample_ns, end_ns, end_ns if due_ns is None else max(due_ns, time.now_ns))
            before_ns, time.now_ns = time.now_ns, next_ns
            if next_ns > before_ns:
                record()
            if due_ns is not None and due_ns <= next_ns:
                time.step(next_ns)
                record()
    return run


def _phases(duration_s: float) -> Iterator[tuple[str, int]]:
    """What the host does, and until when."""
    end = 0.0
    for phase, part in PHASES:
        end += part
        yield phase, int(end * duration_s * 1e9)
