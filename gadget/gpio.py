"""A camera's lines on the pins of a board: a pin's levels are volts on Line1, Line2's level is a pin's.

Linux' character device for pins (/dev/gpiochipN) by its own library, PyPI's `gpiod`. The kernel stamps each edge with
the monotonic clock, which is the loop's, so a trigger counts from when it came and not from when this process woke
up. An output is set when this process hears of its line, as late as that is: some 0.1 ms (estimated for a board).

State: the pins held, until `close`. Always true: instants given to the camera never go back.
"""

import contextlib
import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from gadget.time.loop import READ, Loop
from gadget.time.waiting import HasFileno
from u3v.camera import Camera
from u3v.did_you_mean import hint
from u3v.errors import Mistake, U3VError
from u3v.lines import Line

CONSUMER = "u3v"
PIN_V = 3.3
"""What a pin that is high puts on a line; more where the line's sheet asks for more, as a level shifter would."""


@dataclass(frozen=True, slots=True)
class Wire:
    """A line of the camera on a pin: `chip` is a device file, `pin` the number of a line there."""

    line: str
    chip: str
    pin: int


class Pin(Protocol):
    """One pin that is held."""

    def close(self) -> None: ...


class InputPin(Pin, HasFileno, Protocol):
    """Readable when there are edges."""

    def level(self) -> bool:
        """What it is now."""

    def edges(self) -> list[tuple[bool, int]]:
        """What has come: rising, and when (monotonic clock, ns)."""


class OutputPin(Pin, Protocol):
    def set(self, level: bool) -> None: ...


class Board(Protocol):
    """Where pins are had. Raises U3VError, one line."""

    def input(self, wire: Wire) -> InputPin: ...

    def output(self, wire: Wire) -> OutputPin: ...


def parse_wire(text: str) -> Wire:
    """LINE=CHIP:PIN, such as Line1=gpiochip0:17. Raises Mistake."""
    line, _, place = text.partition("=")
    chip, _, pin = place.rpartition(":")
    if not line or not chip or not (pin.isascii() and pin.isdigit()):
        raise Mistake(f"--gpio {text}: give LINE=CHIP:PIN, such as Line1=gpiochip0:17")
    return Wire(line, chip if chip.startswith("/") else f"/dev/{chip}", int(pin))


class Wiring:
    """The `wires` of one camera. `tick(now_ns)` lets its time pass, `serve()` what follows from an edge.

    Whether a line is an input or an output (LineMode) is asked once, now.
    """

    def __init__(
        self,
        loop: Loop,
        camera: Camera,
        wires: Iterable[Wire],
        *,
        tick: Callable[[int], None],
        serve: Callable[[], None],
        board: Board | None = None,
    ) -> None:
        self._loop = loop
        self._camera = camera
        self._tick = tick
        self._serve = serve
        self._open = contextlib.ExitStack()
        wires = tuple(wires)
        lines = camera.lines.all
        for wire in wires:
            if wire.line not in lines:
                has = f"it has {', '.join(lines)}" if lines else "it has no lines"
                raise Mistake(
                    f"--gpio {wire.line}: no line of {camera.model.name}: {has}{hint(wire.line, lines)}"
                )
        board = board or GpioBoard()
        tick(loop.now_ns())
        with self._open as open_:
            for wire in wires:
                if lines[wire.line].is_output:
                    self._drive(open_, wire.line, board.output(wire))
                else:
                    self._watch(open_, lines[wire.line], board.input(wire))
            self._open = open_.pop_all()

    def close(self) -> None:
        """Give the pins back."""
        self._open.close()

    def _watch(self, open_: contextlib.ExitStack, line: Line, pin: InputPin) -> None:
        open_.callback(pin.close)
        high_v = max(PIN_V, line.facts.number("high_min_v", 0.0))

        def give(level: bool, at_ns: int) -> None:
            at_ns = max(at_ns, self._camera.now_ns)
            self._camera.inputs.apply(line.name, high_v if level else 0.0, at_ns, at_ns)
            self._tick(at_ns)

        def edges(_mask: int) -> None:
            for rising, at_ns in pin.edges():
                give(rising, at_ns)
            self._serve()

        give(pin.level(), self._loop.now_ns())
        self._loop.watch(pin, READ, edges)
        open_.callback(self._loop.unwatch, pin)

    def _drive(self, open_: contextlib.ExitStack, name: str, pin: OutputPin) -> None:
        open_.callback(pin.close)
        open_.callback(pin.set, False)

        def told(line: str, level: bool, _at_ns: int) -> None:
            if line == name:
                pin.set(level)

        pin.set(self._camera.lines.level(name))
        watchers = self._camera.lines.watchers
        watchers.append(told)
        open_.callback(watchers.remove, told)


class GpioBoard:
    """The board's own pins, by `gpiod`."""

    def __init__(self) -> None:
        try:
            self._gpiod = importlib.import_module("gpiod")
        except ImportError:
            raise U3VError("--gpio needs the package gpiod: pip install 'u3v[gpio]'") from None

    def input(self, wire: Wire) -> InputPin:
        line = self._gpiod.line
        settings = {"direction": line.Direction.INPUT, "edge_detection": line.Edge.BOTH}
        return _Input(self._request(wire, settings), wire.pin, self._gpiod)

    def output(self, wire: Wire) -> OutputPin:
        line = self._gpiod.line
        settings = {"direction": line.Direction.OUTPUT, "output_value": line.Value.INACTIVE}
        return _Output(self._request(wire, settings), wire.pin, line.Value)

    def _request(self, wire: Wire, settings: dict[str, Any]) -> Any:
        config = {wire.pin: self._gpiod.LineSettings(**settings)}
        try:
            return self._gpiod.request_lines(wire.chip, consumer=CONSUMER, config=config)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise U3VError(
                f"--gpio {wire.line}: pin {wire.pin} of {wire.chip}: {why}; `gpioinfo` lists pins and who has them"
            ) from None


class _Input:
    def __init__(self, request: Any, pin: int, gpiod: Any) -> None:
        self._request = request
        self._pin = pin
        self._rising = gpiod.EdgeEvent.Type.RISING_EDGE
        self._active = gpiod.line.Value.ACTIVE

    def fileno(self) -> int:
        return int(self._request.fd)

    def level(self) -> bool:
        return bool(self._request.get_value(self._pin) is self._active)

    def edges(self) -> list[tuple[bool, int]]:
        return [
            (event.event_type is self._rising, event.timestamp_ns)
            for event in self._request.read_edge_events()
        ]

    def close(self) -> None:
        self._request.release()


class _Output:
    def __init__(self, request: Any, pin: int, value: Any) -> None:
        self._request = request
        self._pin = pin
        self._value = value

    def set(self, level: bool) -> None:
        self._request.set_value(self._pin, self._value.ACTIVE if level else self._value.INACTIVE)

    def close(self) -> None:
        self._request.release()
