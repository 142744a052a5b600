"""Mutants of requests, endpoints and descriptors over a device's life: halts, configurations, replugs, other speeds."""

import struct
from itertools import count

from gadget.faults.wrappers import FunctionWrapper, PassThrough
from gadget.runner import BuiltCamera
from gadget.usb.in_pipe import EPIPE, OK, Urb
from tests.matrix.gencp import keeps
from tests.matrix.lives import (
    HALT,
    FirstLost,
    LastAgain,
    NeverCleared,
    OldDescriptors,
    Survivor,
    Unstoppable,
    dies,
    unlinks_lose,
)
from tests.matrix.rig import Mutant, Spoil, acks, wrap
from tests.matrix.usb import ENDPOINT, HS, IAD
from tests.matrix.usb_rig import (
    accepted,
    answer,
    chained,
    conf,
    descriptor_answer,
    device_bytes,
    ending,
    hangs,
    matches,
    of_kind,
    part,
    strings,
    taken_as,
)
from u3v.function import Function, InTransfer
from u3v.wire import bootstrap as boot
from u3v.wire import gencp
from u3v.wire.usb import CONTROL_IN, CONTROL_OUT, EVENT_IN, STREAM_IN

GET_DESCRIPTOR, SET_CONFIGURATION = (0x80, 6, None, None), (0x00, 9, None, None)
SET_HALT, CLEAR_HALT = (0x02, 3, 0, None), (0x02, 1, 0, None)


def setup(kind: int, request: int, value: int, index: int) -> bytes:
    return struct.pack("<BBHHH", kind, request, value, index, 0)


class Stalls(PassThrough):
    """Control requests stall although they should not, as `wrong(stalls in a row before, urb)` says."""

    def __init__(self, wrong) -> None:  # type: ignore[no-untyped-def]
        self._wrong, self._row = wrong, 0

    def completed(self, urb: Urb, now_ns: int) -> None:
        if not urb.setup:
            return
        stalled, wrong = urb.status == EPIPE, self._wrong(self._row, urb)
        if wrong and not stalled:
            urb.chunks.clear()
            urb.actual, urb.status = 0, EPIPE
        self._row = self._row + 1 if stalled else 0


def stalls(wrong) -> Spoil:  # type: ignore[no-untyped-def]
    return lambda built: built.device.wrappers.append(Stalls(wrong))


def never_recovers(match: tuple[int | None, int | None, int | None, int | None]) -> Spoil:
    """After such a request endpoint 0 stalls for good."""

    def spoil(built: BuiltCamera) -> None:
        dead: list[bool] = []

        def wrong(row: int, urb: Urb) -> bool:
            before = bool(dead)
            if matches(urb, match):
                dead.append(True)
            return before

        stalls(wrong)(built)

    return spoil


def halts_last(built: BuiltCamera) -> None:
    """A halt survives SET_CONFIGURATION."""
    halted: set[int] = set()

    def note(data: bytes | None, urb: Urb) -> bytes | None:
        (halted.add if urb.setup[1] == 3 else halted.discard)(urb.setup[4])
        return data

    answer(SET_HALT, note)(built)
    answer(CLEAR_HALT, note)(built)
    chained(
        SET_CONFIGURATION,
        lambda urb: setup(2, 3, 0, min(halted)) if halted and urb.setup[2] else b"",
    )(built)


class Answering(PassThrough):
    """Halted endpoints answer with nothing instead of STALL."""

    def completed(self, urb: Urb, now_ns: int) -> None:
        if not urb.setup and urb.status == EPIPE:
            urb.actual, urb.status = 0, OK


class InOrder(FunctionWrapper):
    """Whoever clears control IN while control OUT is still halted is never heard again."""

    def __init__(self, inner: Function) -> None:
        super().__init__(inner)
        self._halted: set[int] = set()
        self._deaf = False

    def set_halt(self, endpoint: int, now_ns: int) -> None:
        self._halted.add(endpoint)
        self.inner.set_halt(endpoint, now_ns)

    def clear_halt(self, endpoint: int, now_ns: int) -> None:
        self._halted.discard(endpoint)
        self._deaf = self._deaf or (endpoint == CONTROL_IN and CONTROL_OUT in self._halted)
        self.inner.clear_halt(endpoint, now_ns)

    def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None:
        if not self._deaf:
            self.inner.transfer_out(endpoint, data, now_ns)


class Linked(FunctionWrapper):
    """No frames while the event endpoint is halted."""

    def __init__(self, inner: Function) -> None:
        super().__init__(inner)
        self._halted = False

    def set_halt(self, endpoint: int, now_ns: int) -> None:
        self._halted = self._halted or endpoint == EVENT_IN
        self.inner.set_halt(endpoint, now_ns)

    def clear_halt(self, endpoint: int, now_ns: int) -> None:
        self._halted = self._halted and endpoint != EVENT_IN
        self.inner.clear_halt(endpoint, now_ns)

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        return None if self._halted and endpoint == STREAM_IN else self.inner.transfer_in(endpoint, now_ns)


def enabled_all_the_same(status: int) -> Spoil:
    """A write that is refused with this status is acknowledged."""

    def change(ack: bytes, command: gencp.Command | None, now_ns: int) -> list[bytes]:
        refused = command is not None and ack[4:6] == struct.pack("<H", status)
        return [gencp.pack_write_ack(command.request_id, 4) if refused and command else ack]

    return acks(change)


def waits_for_the_frame(built: BuiltCamera) -> None:
    """While frames are sent, endpoint 0 has to wait."""
    ending(lambda urb: 600 if matches(urb, GET_DESCRIPTOR) and built.camera.frames.enabled else 0)(built)


def padded_without_end(built: BuiltCamera) -> None:
    """A configuration of 128 bytes, and no zero-length packet at its end."""

    def pad(parts: list[bytearray]) -> None:
        missing = -sum(map(len, parts)) % 64
        parts.append(bytearray((missing, 0xFE, *bytes(missing - 2))))

    conf(pad)(built)

    def without_end(urb: Urb) -> float | None:
        return (
            None
            if matches(urb, GET_DESCRIPTOR) and urb.actual and not urb.actual % 64 and urb.actual < urb.length
            else 0
        )

    ending(without_end)(built)


def stream_elsewhere(parts: list[bytearray]) -> None:
    of_kind(parts, ENDPOINT)[-1][2] = 0x84


def first_lost(endpoint: int) -> Spoil:
    return lambda built: wrap(built, lambda inner: FirstLost(inner, endpoint))


def old_name(built: BuiltCamera) -> None:
    wrap(built, OldDescriptors)
    built.device.bus_reset(0)


def serial_counts(built: BuiltCamera) -> None:
    number = count(1)
    strings(lambda s: s.update({3: f"{next(number):08}"}))(built)


MUTANTS = [
    Mutant("index 1 answered by zeros", "USB-DESC-011", descriptor_answer(1, 1, lambda d, urb: bytes(18))),
    Mutant("bcdDevice 0x0A0F", "USB-DESC-015", device_bytes(12, b"\x0f\x0a")),
    Mutant("stream on 84 at HS", "USB-CFG-021", conf(stream_elsewhere, only=HS)),
    Mutant("no zero-length packet on endpoint 0", "USB-CFG-022", padded_without_end, speed=HS),
    Mutant("garbage at EE", "USB-STR-006", descriptor_answer(3, 0xEE, lambda d, urb: b"\x12\x03garbage")),
    Mutant("hangs on a foreign language", "USB-STR-007", hangs(0x80, 6, None, 0x0C0C)),
    Mutant("serial number from a counter", "USB-STR-008 ROB-016", serial_counts),
    Mutant(
        "a reserved byte means configuration 0",
        "USB-CH9-005",
        taken_as((0, 9, 0x0101, None), setup(0, 9, 0, 0)),
    ),
    Mutant("interface answers unconfigured", "USB-CH9-006", accepted(0x81, 10, 0, 0)),
    Mutant("the last acknowledge comes again", "USB-CH9-007 ROB-003", lambda built: wrap(built, LastAgain)),
    Mutant(
        "stream survives configuration 0",
        "USB-CH9-008 ROB-002 ROB-018",
        lambda built: wrap(built, Unstoppable),
    ),
    Mutant("events survive configuration 0", "USB-CH9-008", keeps(boot.EIRM_ADDRESS, 4)),
    Mutant("vendor request hangs", "USB-CH9-032", hangs(0xC0)),
    Mutant("stall leaks into the next request", "USB-CH9-033", stalls(lambda row, urb: row > 0)),
    Mutant("endpoint 0 waits for the frame", "USB-CH9-035", waits_for_the_frame),
    Mutant("endpoint 0 stays stalled", "USB-CH9-036", stalls(lambda row, urb: row >= 20)),
    Mutant("halted but answers", "USB-EP-002", lambda built: built.device.wrappers.append(Answering())),
    Mutant(
        "halting IN halts OUT",
        "USB-EP-004",
        chained((0x02, None, 0, CONTROL_IN), lambda urb: setup(2, urb.setup[1], 0, CONTROL_OUT)),
    ),
    Mutant("a halted event endpoint stops the stream", "USB-EP-004", lambda built: wrap(built, Linked)),
    Mutant("order of clearing matters", "USB-EP-005", lambda built: wrap(built, InOrder)),
    Mutant("dead after the 10th halt", "USB-EP-006", dies(HALT, lambda endpoint: endpoint == CONTROL_IN, 10)),
    Mutant(
        "control toggle not reset",
        "USB-EP-009",
        first_lost(CONTROL_IN),
    ),
    Mutant(
        "stream sequence kept",
        "USB-EP-010",
        first_lost(STREAM_IN),
    ),
    Mutant("halt survives SET_CONFIGURATION", "USB-EP-011", halts_last),
    Mutant("endpoint 0 halts for good", "USB-EP-012", never_recovers((0x02, 3, 0, 0))),
    Mutant("old frame continues", "USB-EP-014 ROB-019", lambda built: wrap(built, NeverCleared)),
    Mutant("stream enabled although halted", "USB-EP-015", enabled_all_the_same(0xA002)),
    Mutant("events enabled although halted", "USB-EP-016", enabled_all_the_same(0xA005)),
    Mutant("an answer is lost after a cancelled request", "USB-EP-017 GENCP-ID-007", unlinks_lose),
    Mutant("pending ack survives", "USB-EP-007 ROB-003", lambda built: wrap(built, Survivor)),
    Mutant("iFunction names a missing string", "U3V-DESC-003", part(IAD, 0, 7, 0x77)),
    Mutant("GUID of another maker", "U3V-DESC-015", strings(lambda s: s.update({4: "1234" + s[4][4:]}))),
    Mutant("old name for ever", "U3V-DESC-021", old_name),
]
