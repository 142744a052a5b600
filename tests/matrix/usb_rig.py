"""What mutants change of USB: descriptors, the answers of endpoint 0, and when a host's requests end."""

import dataclasses
import struct
from collections.abc import Callable

from gadget.faults.wrappers import MS, FunctionWrapper, PassThrough
from gadget.runner import BuiltCamera
from gadget.usb.descriptors import walk
from gadget.usb.in_pipe import EPIPE, OK, Urb
from tests.matrix.rig import Spoil, put, wrap
from u3v.function import Function
from u3v.wire.usb import Descriptors, Speed

# -- descriptors ------------------------------------------------------------------------------------------------


class Described(FunctionWrapper):
    def __init__(
        self, inner: Function, change: Callable[[Descriptors], Descriptors], only: Speed | None
    ) -> None:
        super().__init__(inner)
        self._change, self._only = change, only

    def descriptors(self, speed: Speed) -> Descriptors:
        descriptors = self.inner.descriptors(speed)
        return self._change(descriptors) if self._only in (None, speed) else descriptors


def describe(change: Callable[[Descriptors], Descriptors], only: Speed | None = None) -> Spoil:
    """Descriptors are `change(descriptors)`, at one speed `only` where it is given."""

    def spoil(built: BuiltCamera) -> None:
        wrap(built, lambda inner: Described(inner, change, only))
        built.device.bus_reset(0)

    return spoil


def device_bytes(at: int, new: bytes) -> Spoil:
    return describe(lambda d: dataclasses.replace(d, device=put(d.device, at, new)))


def bos_bytes(at: int, new: bytes) -> Spoil:
    return describe(lambda d: dataclasses.replace(d, bos=put(d.bos, at, new)))


def conf(
    change: Callable[[list[bytearray]], None], *, whole: bool = True, only: Speed | None = None
) -> Spoil:
    """Change the list of descriptors of the configuration; `whole`: its total length is made to fit."""

    def changed_configuration(d: Descriptors) -> Descriptors:
        parts = [bytearray(raw) for raw in walk(d.configuration)]
        change(parts)
        made = bytearray(b"".join(parts))
        if whole:
            made[2:4] = len(made).to_bytes(2, "little")
        return dataclasses.replace(d, configuration=bytes(made))

    return describe(changed_configuration, only)


def part(kind: int, nth: int, at: int, value: int, only: Speed | None = None) -> Spoil:
    """One byte of the nth descriptor of a type in the configuration (at High-Speed some are not there)."""

    def change(parts: list[bytearray]) -> None:
        for found in of_kind(parts, kind)[nth : nth + 1]:
            found[at] = value

    return conf(change, whole=kind != 2 or at not in (2, 3), only=only)


def of_kind(parts: list[bytearray], kind: int) -> list[bytearray]:
    return [raw for raw in parts if raw[1] == kind]


def strings(change: Callable[[dict[int, str]], None]) -> Spoil:
    def changed_strings(d: Descriptors) -> Descriptors:
        table = dict(d.strings)
        change(table)
        return dataclasses.replace(d, strings=table)

    return describe(changed_strings)


# -- endpoint 0 -------------------------------------------------------------------------------------------------

Match = tuple[int | None, int | None, int | None, int | None]


def matches(urb: Urb, match: Match) -> bool:
    """Whether it is a control request with these fields; None is any."""
    if len(urb.setup) != 8:
        return False
    fields = struct.unpack("<BBHHH", urb.setup)
    return all(want in (None, have) for want, have in zip(match, fields, strict=False))


class Answer(PassThrough):
    """Requests that match get `change(data, urb)`: other data, or None for a STALL; `data` is None where it stalled."""

    def __init__(self, match: Match, change: Callable[[bytes | None, Urb], bytes | None]) -> None:
        self._match, self._change = match, change

    def completed(self, urb: Urb, now_ns: int) -> None:
        if urb.status not in (OK, EPIPE) or not matches(urb, self._match):
            return
        kind = urb.setup[0]
        before = b"".join(urb.chunks) if urb.status == OK else None
        after = self._change(before, urb)
        if after is None:
            urb.chunks.clear()
            urb.actual, urb.status = 0, EPIPE
        else:
            data = after[: urb.length] if kind & 0x80 else b""
            urb.chunks[:] = [memoryview(data)] if data else []
            urb.actual, urb.status = (len(data) if kind & 0x80 else len(urb.data)), OK


def answer(match: Match, change: Callable[[bytes | None, Urb], bytes | None]) -> Spoil:
    def spoil(built: BuiltCamera) -> None:
        built.device.wrappers.append(Answer(match, change))

    return spoil


def descriptor_answer(
    kind: int, number: int | None, change: Callable[[bytes | None, Urb], bytes | None]
) -> Spoil:
    """As `answer`, for GET_DESCRIPTOR of a type; any index where `number` is None."""

    def only(data: bytes | None, urb: Urb) -> bytes | None:
        if urb.setup[3] != kind or (number is not None and urb.setup[2] != number):
            return data
        return change(data, urb)

    return answer((0x80, 6, None, None), only)


def accepted(kind: int, request: int, value: int | None = None, index: int | None = None) -> Spoil:
    """A request that should stall succeeds; what it asks for is zeros."""
    return answer(
        (kind, request, value, index), lambda data, urb: bytes(urb.length) if data is None else data
    )


def stalled(kind: int, request: int, value: int | None = None, index: int | None = None) -> Spoil:
    """A request that should succeed stalls."""
    return answer((kind, request, value, index), lambda data, urb: None)


class Chained(PassThrough):
    """After a request that matches, the device does another one by itself: what `setup(urb)` says (b"": none)."""

    def __init__(self, built: BuiltCamera, match: Match, setup: Callable[[Urb], bytes]) -> None:
        self._built, self._match, self._setup = built, match, setup

    def completed(self, urb: Urb, now_ns: int) -> None:
        if urb.status == OK and matches(urb, self._match) and (more := self._setup(urb)):
            self._built.device.submit(Urb(0, 0, setup=more, tag=self), now_ns)


def chained(match: Match, setup: Callable[[Urb], bytes]) -> Spoil:
    def spoil(built: BuiltCamera) -> None:
        built.device.wrappers.append(Chained(built, match, setup))

    return spoil


def taken_as(match: Match, setup: bytes) -> Spoil:
    """A request that matches does what another one should."""

    class Taken(PassThrough):
        def submitted(self, urb: Urb, now_ns: int) -> int:
            if matches(urb, match):
                urb.setup = setup
            return OK

    def spoil(built: BuiltCamera) -> None:
        built.device.wrappers.append(Taken())

    return spoil


def ending(when: Callable[[Urb], float | None]) -> Spoil:
    """`when(urb)` says how many ms after its submission an answered request ends: 0 at once, None never."""

    def spoil(built: BuiltCamera) -> None:
        tell = built.device.on_complete

        def complete(urb: Urb) -> None:
            late_ms = when(urb)
            if late_ms == 0:
                tell(urb)
            elif late_ms is not None:
                built.port.at(urb.submitted_ns + round(late_ms * MS), lambda now_ns: tell(urb))

        built.device.on_complete = complete

    return spoil


def hangs(*match: int | None) -> Spoil:
    """A control request that is never answered."""
    fields = (*match, None, None, None, None)[:4]
    return ending(lambda urb: None if matches(urb, fields) else 0)
