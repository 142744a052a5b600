"""What people do to the lines of a camera that runs: volts, pulses, loads, wires to other cameras, an encoder.

`LineVerbs` is the part of `LiveCamera` that does it. A `Harness` is what hangs between the cameras of one bench: once
two are wired, their instants are gone through in one order (`u3v.instants`), so the one's strobe triggers the other in
the same nanosecond, however late the loop is. It is a service of the clock: what one camera's time has done to another,
that one's device has to send.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from gadget.front_door.camera_verbs import CameraError
from gadget.front_door.encoder import Encoder
from gadget.runner import Plugged
from u3v.did_you_mean import hint
from u3v.lines import Line

if TYPE_CHECKING:
    from collections.abc import Callable

LINE_VERBS = {
    "lines": "state of all lines",
    "apply": "volts on a line",
    "pulse": "a pulse on a line",
    "load": "current that hangs on an output",
    "repair": "a damaged line is as new",
    "wire": "lead an output to an input, of this camera or of another",
    "encoder": "a rotary encoder on a line",
}
HIGH_V = 24.0
"""What a signal has where nobody says otherwise, if the line stands it."""


@dataclass(frozen=True, slots=True)
class Connections:
    """What hangs on a camera's lines, for another camera to take over. `verbs`: by what it is about, the verb and its
    parameters that connect it; the last one counts. `damaged`: lines."""

    verbs: Mapping[tuple[str, ...], tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()


class Services(Protocol):
    """The part of a loop or of a simulated clock that is needed here."""

    services: list[Any]


class Harness:
    """Wires between the cameras of one bench."""

    paces_clock = True

    def __init__(self, lives: "Sequence[LineVerbs]", clock: Services) -> None:
        self._lives = list(lives)
        self._served = 0
        self._wired: list[LineVerbs] = []
        clock.services.append(self)
        for live in self._lives:
            live.harness = self

    def find(self, which: Any, own: "LineVerbs") -> "LineVerbs":
        """A camera by serial number, name or index; None is the own one. Raises CameraError."""
        if which is None:
            return own
        for index, live in enumerate(self._lives):
            options = live.built.camera.options
            if which in (index, str(index), options.serial, live.built.camera.user_defined_name or None):
                return live
        serials = [live.built.camera.options.serial for live in self._lives]
        raise CameraError(
            f"no camera {which!r} on this bench{hint(str(which), serials)}: {', '.join(serials)}"
        )

    def wire(self, source: "LineVerbs", output: str, sink: "LineVerbs", line: str, high_v: float) -> None:
        """From now on `line` has `high_v` while `output` is on, and 0 V while it is not."""
        source.built.camera.join(sink.built.camera)
        for live in (source, sink):
            if live not in self._wired:
                self._wired.append(live)
        inputs = sink.built.camera.inputs

        def change(name: str, level: bool, at_ns: int) -> None:
            if name == output:
                inputs.apply(line, high_v if level else 0.0, at_ns, at_ns)

        source.built.camera.lines.watchers.append(change)
        now_ns = source.now_ns()
        change(output, source.built.camera.lines.level(output), now_ns)

    def next_wakeup_ns(self) -> int | None:
        return 0 if self._rounds() != self._served else None

    def service(self, now_ns: int) -> None:
        self._served = self._rounds()
        for live in self._wired:
            live.built.wake(now_ns)
        self._served = self._rounds()

    def _rounds(self) -> int:
        return sum(live.built.camera.instants.rounds for live in self._wired)


class LineVerbs:
    """`harness`: what this camera's lines are wired with; None where it is alone and has no clock of a bench.
    `_hangs`: what has been connected, so that it can be connected again."""

    built: Plugged
    now_ns: "Callable[[], int]"
    harness: Harness | None = None
    _on_line: Encoder | None = None
    _hangs: dict[tuple[str, ...], tuple[str, Mapping[str, Any]]]

    def connections(self) -> Connections:
        """What hangs on the lines. Pulses that are still to come are not among it."""
        lines = self.built.camera.lines.all
        return Connections(dict(self._hangs), tuple(name for name in lines if lines[name].is_damaged))

    def connect(self, connections: Connections) -> None:
        """Connect all that again, to lines that nobody has touched."""
        for name in connections.damaged:
            self.built.camera.lines.all[name].is_damaged = True
        for verb, parameters in connections.verbs.values():
            getattr(self, f"_{verb}")(**parameters)

    def _lines(self) -> dict[str, Any]:
        lines = self.built.camera.lines
        return {
            name: {
                "direction": "output" if line.is_output else "input",
                "volts": line.volts,
                "level": line.level,
                "load_ma": line.load_ma,
                "damaged": line.is_damaged,
                "overloaded": line.is_overloaded,
            }
            for name, line in lines.all.items()
        } | {"troubles": list(lines.troubles)}

    def _apply(self, line: str, volts: float | None = None) -> None:
        self._line(line)
        check_number("volts", volts, -1000, 1000, optional=True)
        now_ns = self.now_ns()
        self.built.camera.inputs.apply(line, volts, now_ns, now_ns)
        self._hangs["volts", line] = "apply", {"line": line, "volts": volts}

    def _pulse(
        self,
        line: str,
        us: float,
        volts: float | None = None,
        after_us: float = 0.0,
        times: int = 1,
        every_us: float | None = None,
    ) -> None:
        facts = self._line(line).facts
        shortest_us = facts.number("pulse_min_us", 0.001)
        check_number("us", us, shortest_us, 1e9)
        check_number("volts", volts, -1000, 1000, optional=True)
        check_number("after_us", after_us, 0, 1e9)
        check_number("times", times, 1, 100_000)
        period_us = 2 * us if every_us is None else every_us
        check_number("every_us", period_us, us, 1e9)
        inputs, now_ns = self.built.camera.inputs, self.now_ns()
        high_v = high_of(self._line(line)) if volts is None else volts
        for number in range(int(times)):
            on_ns = now_ns + round((after_us + number * period_us) * 1000)
            inputs.apply(line, high_v, on_ns, now_ns)
            inputs.apply(line, 0.0, on_ns + round(us * 1000), now_ns)
        self._hangs["volts", line] = "apply", {"line": line, "volts": 0.0}

    def _load(self, line: str, ma: float) -> None:
        self._line(line)
        check_number("ma", ma, 0, 100_000)
        self.built.camera.lines.load(line, float(ma), self.now_ns())
        self._hangs["load", line] = "load", {"line": line, "ma": ma}

    def _repair(self, line: str) -> None:
        self._line(line)
        self.built.camera.lines.repair(line)
        self._hangs.pop(("volts", line), None)

    def _wire(self, line: str, to: str, of: Any = None, volts: float | None = None) -> None:
        if self.harness is None:
            raise CameraError("wires need a bench: there is no clock that the cameras share")
        if not self._line(line).facts.can_be_output:
            raise CameraError(f"{line} is an input: a wire leads from an output")
        sink = self.harness.find(of, self)
        end = sink._line(to)
        if not end.facts.can_be_input:
            raise CameraError(f"{to} is an output: a wire leads to an input")
        check_number("volts", volts, 0, 1000, optional=True)
        self.harness.wire(self, line, sink, to, high_of(end) if volts is None else volts)
        serial = sink.built.camera.options.serial
        wire = {"line": line, "to": to, "of": serial, "volts": volts}
        self._hangs["wire", line, serial, to] = "wire", wire

    def _encoder(self, line: str | None = None, every_px: float = 1.0, px_per_s: float | None = None) -> None:
        check_number("every_px", every_px, 0.001, 1e6)
        check_number("px_per_s", px_per_s, -1e6, 1e6, optional=True)
        high_v = 0.0 if line is None else high_of(self._line(line))
        instants = self.built.camera.instants
        if self._on_line is not None:
            instants.parts.remove(self._on_line)
            self._on_line = None
            del self._hangs["encoder",]
        if line is None:
            return
        inputs, source = self.built.camera.inputs, self.built.pixels.source

        def speed() -> float:
            return px_per_s if px_per_s is not None else source.scene.drift_x

        def apply(is_high: bool, at_ns: int) -> None:
            inputs.apply(line, high_v if is_high else 0.0, at_ns, at_ns)

        self._on_line = Encoder(speed, every_px, apply, self.now_ns())
        instants.parts.insert(0, self._on_line)
        self._hangs["encoder",] = "encoder", {"line": line, "every_px": every_px, "px_per_s": px_per_s}

    def _line(self, name: Any) -> Line:
        lines = self.built.camera.lines.all
        if not isinstance(name, str) or name not in lines:
            has = f"it has {', '.join(lines)}" if lines else "it has no lines"
            raise CameraError(f"{self.built.model.name} has no line {name!r}: {has}{hint(str(name), lines)}")
        return lines[name]


def high_of(line: Line) -> float:
    """Volts that are high on a line for certain, and safe."""
    return min(HIGH_V, line.facts.number("safe_max_v", HIGH_V))


def check_number(name: str, value: Any, low: float, high: float, *, optional: bool = False) -> None:
    """Raises CameraError where it is no number from `low` to `high`; None is good where it is optional."""
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise CameraError(f"{name} = {value!r}: must be a number from {low} to {high}")
