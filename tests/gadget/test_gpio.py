"""Lines of the camera on pins: a board of pipes in the place of /dev/gpiochip0, a clock of the test's."""

import os
import types
from collections.abc import Iterator
from typing import Any

import pytest

from gadget import gpio
from gadget.gpio import GpioBoard, Wire, Wiring, parse_wire
from gadget.runner import BuiltCamera, CameraSpec, build
from gadget.time.loop import Loop
from u3v.errors import Mistake, U3VError
from u3v.happenings import Happening

MS = 1_000_000
TRIGGERED = {
    "TriggerSelector": "FrameStart",
    "TriggerMode": "On",
    "TriggerSource": "Line1",
    "ExposureTime": "5000",
    "LineSelector": "Line2",
    "LineSource": "ExposureActive",
    "Width": "64",
    "Height": "32",
}


class Pin:
    """A pin whose edges the test makes, and whose levels it reads."""

    def __init__(self) -> None:
        self.to_come: list[tuple[bool, int]] = []
        self.levels: list[bool] = []
        self.closed = False
        self._read, self._write = os.pipe()

    def fileno(self) -> int:
        return self._read

    def level(self) -> bool:
        return False

    def edge(self, rising: bool, at_ns: int) -> None:
        self.to_come.append((rising, at_ns))
        os.write(self._write, b"x")

    def edges(self) -> list[tuple[bool, int]]:
        os.read(self._read, 100)
        came, self.to_come = self.to_come, []
        return came

    def set(self, level: bool) -> None:
        self.levels.append(level)

    def close(self) -> None:
        assert not self.closed
        self.closed = True
        os.close(self._read)
        os.close(self._write)


class Pins:
    def __init__(self) -> None:
        self.pins: dict[Wire, Pin] = {}

    def input(self, wire: Wire) -> Pin:
        return self.pins.setdefault(wire, Pin())

    output = input


class Rig:
    def __init__(self, *wires: str) -> None:
        self.now_ns = 0
        self.loop = Loop(lambda: self.now_ns)
        self.built: BuiltCamera = build(CameraSpec("acA4096-40um", settings=TRIGGERED), "7")
        self.exposed: list[int] = []
        self.built.camera.happenings.listen(
            lambda _what, at, _id: self.exposed.append(at), Happening.EXPOSURE_START
        )
        self.loop.services.append(self.built.device)
        self.board = Pins()
        self.wires = [parse_wire(text) for text in wires]
        self.wiring: Wiring | None = None
        try:
            self.wiring = Wiring(
                self.loop,
                self.built.camera,
                self.wires,
                tick=self.built.function.tick,
                serve=lambda: self.built.device.service(self.now_ns),
                board=self.board,
            )
        except BaseException:
            self.close()
            raise

    def pin(self, number: int) -> Pin:
        return self.board.pins[self.wires[number]]

    def start(self) -> None:
        camera = self.built.camera
        camera.configure(True, 0)
        camera.frames.open()
        camera.features.host_set("AcquisitionStart", 1)

    def run_to(self, now_ns: int) -> None:
        while (at_ns := self.built.device.next_wakeup_ns()) is not None and at_ns <= now_ns:
            self.now_ns = max(self.now_ns, at_ns)
            self.loop.step(0)
        self.now_ns = now_ns
        self.loop.step(0)

    def close(self) -> None:
        if self.wiring is not None:
            self.wiring.close()
        self.loop.close()
        self.built.pixels.source.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig("Line1=gpiochip0:17", "Line2=gpiochip0:27")
    rig.start()
    yield rig
    rig.close()


def test_an_edge_triggers_at_the_kernels_instant(rig: Rig) -> None:
    """The process wakes up 3 ms late; the exposure begins when the edge was, not 3 ms later."""
    rig.pin(0).edge(True, 20 * MS)
    rig.run_to(23 * MS)
    delay_ns = rig.exposed[0] - 20 * MS
    assert 0 <= delay_ns < MS
    rig.pin(0).edge(False, 24 * MS)
    rig.run_to(60 * MS)
    assert len(rig.exposed) == 1  # TriggerActivation is RisingEdge


def test_edges_of_a_burst_keep_their_instants(rig: Rig) -> None:
    for n in range(3):
        rig.pin(0).edge(True, (100 + 50 * n) * MS)
        rig.pin(0).edge(False, (101 + 50 * n) * MS)
    rig.run_to(300 * MS)
    assert len(rig.exposed) == 3
    assert [b - a for a, b in zip(rig.exposed, rig.exposed[1:], strict=False)] == [50 * MS, 50 * MS]


def test_an_edge_before_the_last_wakeup_does_not_turn_time_back(rig: Rig) -> None:
    rig.run_to(50 * MS)
    rig.built.function.tick(50 * MS)
    rig.pin(0).edge(True, 40 * MS)
    rig.run_to(51 * MS)
    assert len(rig.exposed) == 1 and rig.exposed[0] >= 50 * MS


def test_the_strobe_is_high_while_exposing(rig: Rig) -> None:
    pin = rig.pin(1)
    rig.pin(0).edge(True, 20 * MS)
    rig.run_to(21 * MS)
    assert pin.levels == [False, True]
    rig.run_to(40 * MS)
    assert pin.levels == [False, True, False]


def test_the_end_lets_go_of_the_pins() -> None:
    rig = Rig("Line1=gpiochip0:17", "Line2=gpiochip0:27")
    rig.start()
    rig.pin(0).edge(True, 20 * MS)
    rig.run_to(21 * MS)
    rig.close()
    assert [pin.closed for pin in rig.board.pins.values()] == [True, True]
    assert rig.pin(1).levels[-1] is False


def test_a_pin_that_cannot_be_had_lets_go_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Pin] = []

    def output(self: Pins, wire: Wire) -> Pin:
        taken.extend(self.pins.values())
        raise U3VError("no")

    monkeypatch.setattr(Pins, "output", output)
    with pytest.raises(U3VError, match="no"):
        Rig("Line1=gpiochip0:17", "Line2=gpiochip0:27")
    assert [pin.closed for pin in taken] == [True]


def test_a_pin_that_is_high_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pin, "level", lambda _self: True)
    rig = Rig("Line1=gpiochip0:17", "Line3=gpiochip0:22")
    assert [rig.built.camera.lines.level(name) for name in ("Line1", "Line3")] == [True, True]
    assert rig.built.camera.lines.all["Line1"].volts == 3.3
    rig.close()


def test_line_mode_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TRIGGERED, "LineSource")
    monkeypatch.setitem(TRIGGERED, "LineSelector", "Line3")
    monkeypatch.setitem(TRIGGERED, "LineMode", "Output")
    rig = Rig("Line3=gpiochip0:22")
    assert rig.pin(0).levels != []
    rig.close()


def test_a_line_that_the_camera_has_not() -> None:
    with pytest.raises(Mistake, match=r"no line of acA4096-40um: it has Line1, .*, did you mean 'Line1'"):
        Rig("Lime1=gpiochip0:17")


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("Line1=gpiochip0:17", Wire("Line1", "/dev/gpiochip0", 17)),
        ("Line3=/dev/gpiochip4:0", Wire("Line3", "/dev/gpiochip4", 0)),
    ],
)
def test_wires(text: str, wire: Wire) -> None:
    assert parse_wire(text) == wire


@pytest.mark.parametrize(
    "text", ["", "Line1", "Line1=17", "Line1=gpiochip0", "Line1=gpiochip0:x", "=gpiochip0:1"]
)
def test_no_wires(text: str) -> None:
    with pytest.raises(Mistake, match=r"give LINE=CHIP:PIN, such as Line1=gpiochip0:17"):
        parse_wire(text)


# --- The library's side: gpiod as it is, its kernel played by the test.


class Request:
    fd = 77

    def __init__(self) -> None:
        self.values: list[tuple[int, Any]] = []
        self.released = False

    def read_edge_events(self) -> list[Any]:
        import gpiod

        types_ = gpiod.EdgeEvent.Type
        return [
            types.SimpleNamespace(event_type=types_.RISING_EDGE, timestamp_ns=5),
            types.SimpleNamespace(event_type=types_.FALLING_EDGE, timestamp_ns=9),
        ]

    def get_value(self, pin: int) -> Any:
        from gpiod.line import Value

        return Value.ACTIVE if pin == 17 else Value.INACTIVE

    def set_value(self, pin: int, value: Any) -> None:
        self.values.append((pin, value))

    def release(self) -> None:
        self.released = True


def test_what_gpiod_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import gpiod
    from gpiod.line import Direction, Edge, Value

    asked, request = [], Request()

    def request_lines(path: str, **keywords: Any) -> Request:
        asked.append((path, keywords))
        return request

    monkeypatch.setattr(gpiod, "request_lines", request_lines)
    pin = GpioBoard().input(parse_wire("Line1=gpiochip0:17"))
    out = GpioBoard().output(parse_wire("Line2=gpiochip0:27"))
    (chip, first), (_, second) = asked
    assert (chip, first["consumer"]) == ("/dev/gpiochip0", "u3v")
    assert (first["config"][17].direction, first["config"][17].edge_detection) == (Direction.INPUT, Edge.BOTH)
    assert first["config"][17].event_clock is gpiod.line.Clock.MONOTONIC
    assert second["config"][27].direction is Direction.OUTPUT
    assert pin.level() is True
    assert (pin.fileno(), pin.edges()) == (77, [(True, 5), (False, 9)])
    out.set(True)
    out.set(False)
    assert request.values == [(27, Value.ACTIVE), (27, Value.INACTIVE)]
    pin.close()
    assert request.released


def test_no_such_chip() -> None:
    with pytest.raises(U3VError, match=r"--gpio Line1: pin 17 of /dev/gpiochip99: .*; `gpioinfo` lists pins"):
        GpioBoard().input(parse_wire("Line1=gpiochip99:17"))


def test_no_gpiod(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(gpio.importlib, "import_module", missing)
    with pytest.raises(U3VError, match=r"--gpio needs the package gpiod: pip install 'u3v\[gpio\]'"):
        GpioBoard()
