"""What a camera draws, sees on its supply and how warm it gets over a run: plugged in, idle, acquiring, idle.

The camera core, its port and its heat live on a simulated clock that only stops where one of them changes, so
an hour takes milliseconds. No frame is exposed: current and heat follow the throughput of the settings. The
host of the run opens a camera again that dropped off the bus, three times, and then leaves it alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from gadget.budget.bus import BusSpec
from gadget.budget.power import PowerModel, Supply
from gadget.catalogue import find_model
from gadget.feature_text import parse_camera
from gadget.runner import check_bus
from gadget.time.simulated import SimulatedTime
from gadget.tools.plan import camera_core
from gadget.tools.plots import COLOURS, Curve, curves
from gadget.usb.device import UsbDevice
from gadget.usb.port import Port
from u3v.camera import Camera

SECOND = 10**9
PHASES = (("plugged in", 0.1), ("idle", 0.15), ("acquiring", 0.55), ("idle again", 0.2))
"""What the host does, and for which part of the run."""
SAMPLES = 400
REOPEN_NS = 5 * SECOND
MAX_REOPENED = 3


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


@dataclass(slots=True)
class PowerRun:
    """Samples in order of time; `events` (time_s, what happened); `thresholds` (C, status from there on)."""

    name: str
    power: PowerModel
    samples: list[Sample] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)
    thresholds: list[tuple[float, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "port_ma": self.power.limit_ma,
            "minimum_v": self.power.min_v,
            "peak_current_ma": max(s.current_ma for s in self.samples),
            "lowest_voltage_v": min(s.voltage_v for s in self.samples),
            "highest_temperature_c": max(s.temperature_c for s in self.samples),
            "events": [{"time_s": at, "event": what} for at, what in self.events],
            "samples": [asdict(s) for s in self.samples],
        }

    def lines(self) -> list[str]:
        """For people."""
        out = [
            f"{'state':12} {'until':>9} {'power':>8} {'current':>9} {'voltage':>8} {'temperature':>12}  status"
        ]
        for sample, following in zip(self.samples, [*self.samples[1:], None], strict=True):
            if following is None or following.state != sample.state:
                out.append(
                    f"{sample.state:12} {sample.time_s:7.1f} s {sample.power_w:6.2f} W {sample.current_ma:6.0f} mA"
                    f" {sample.voltage_v:6.2f} V {sample.temperature_c:10.1f} C  {sample.status}"
                )
        return out + [f"{at:9.1f} s  {what}" for at, what in self.events]

    def draw(self) -> Image.Image:
        """Current, voltage and temperature over the run."""
        long = self.samples[-1].time_s > 600
        unit = 60.0 if long else 1.0
        limits_ma = [(self.power.limit_ma, "port limit")] if self.power.limit_ma is not None else []

        def points(name: str) -> list[tuple[float, float]]:
            return [(s.time_s / unit, getattr(s, name)) for s in self.samples]

        panels = [
            Curve("Current", "mA", points("current_ma"), COLOURS[0], limits_ma),
            Curve(
                "Voltage at the camera",
                "V",
                points("voltage_v"),
                COLOURS[2],
                [(self.power.min_v, "brown-out")],
            ),
            Curve("Temperature in the camera", "°C", points("temperature_c"), COLOURS[1], self.thresholds),
        ]
        marks = [(at / unit, what) for at, what in self.events if what in dict(PHASES)]
        return curves(self.name, panels, "minutes" if long else "seconds", marks)


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

    def __init__(self, device: UsbDevice, camera: Camera, port: Port, time: SimulatedTime) -> None:
        self.phase = PHASES[0][0]
        self._device, self._camera, self._port, self._time = device, camera, port, time
        self._again_ns: int | None = None
        self._drops = 0

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
        elif self._again_ns is not None and self._again_ns <= now_ns:
            self._again_ns = None
            self.act(now_ns)

    def act(self, now_ns: int) -> None:
        """Bring the camera to what the phase asks for."""
        camera = self._camera
        camera.now_ns = now_ns
        if self.phase == "plugged in" or not self._port.on_bus or self._drops > MAX_REOPENED:
            return
        if not camera.configured:
            camera.configure(True, now_ns)
        camera.acquisition.active = self.phase == "acquiring"
        camera.throughput.report()


def power_run(
    wanted: str, bus: BusSpec, supply: Supply, duration_s: float, files: Sequence[Path] = ()
) -> PowerRun:
    """A run of "MODEL[:Feature=value,...]". Raises Mistake, each one line for a person."""
    name, settings = parse_camera(wanted)
    model, sensor = find_model(name, files)
    check_bus(model, bus)
    power = PowerModel(model, speed=bus.speed, supply=supply)
    function = camera_core(model, sensor, settings, power, bus)
    camera = function.camera
    power.start_cold(0)
    camera.thermal.look(0)
    device = UsbDevice(function, speed=bus.speed)
    port = Port(device, camera, power)
    time = SimulatedTime()
    host = _Host(device, camera, port, time)
    time.services += [_Heat(camera), port, host]
    run = PowerRun(wanted, power)
    limits = camera.thermal.limits
    if limits is not None:
        run.thresholds = [(float(at), status) for status, at in limits.status[1:]]
    port.report = lambda line: run.events.append((time.now_ns / 1e9, line))
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
            run.events.append((now_ns / 1e9, f"temperature status {status}"))

    for phase, end_ns in _phases(duration_s):
        host.phase = phase
        record()
        run.events.append((time.now_ns / 1e9, phase))
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
