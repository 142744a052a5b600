"""Mutants of frames, of transfer plans, of events and of instants."""

import struct
from collections.abc import Iterable
from itertools import count
from typing import Any

from gadget.faults.wrappers import MS
from gadget.runner import BuiltCamera
from tests.matrix.gencp import SIRM, answered, is_write_to
from tests.matrix.rig import (
    Mutant,
    Spoil,
    about,
    acks,
    events,
    frames,
    leader_bytes,
    put,
    register,
    rewriting,
    trailer_bytes,
)
from tests.matrix.seams import feature_ignored
from u3v.function import InTransfer
from u3v.wire import gencp


def swapped_size(raw: bytes, _: Any) -> list[bytes]:
    return [put(raw, 32, raw[36:40] + raw[32:36])]


def flipped_pixels(raw: bytes, wrapper: Any) -> list[bytes]:
    """Each frame has another first byte."""
    return [bytes((raw[0] ^ (wrapper.frame & 0xFF),)) + raw[1:]] if raw and not wrapper.at_byte else [raw]


def numbered(every: int, change):  # type: ignore[no-untyped-def]
    def made(message: bytes, number: int) -> list[bytes]:
        return change(message) if number % every == every - 1 else [message]

    return events(made)


def sirm(name_at: int, status: int, when=lambda value: True) -> Spoil:  # type: ignore[no-untyped-def]
    """Writes of an SI register get this status, where `when(value)`."""

    def spoil(built: BuiltCamera) -> None:
        def answer_with(command: gencp.Command | None, packet: bytes) -> int | None:
            if command is None or not is_write_to(SIRM + name_at, 4)(command):
                return None
            return status if when(int.from_bytes(command.scd[8:12], "little")) else None

        answered(answer_with)(built)

    return spoil


def delayed(ms: float, when=lambda command: True) -> Spoil:  # type: ignore[no-untyped-def]
    """Acknowledges come so much later, and no PENDING_ACK says so."""

    def each(ack: bytes, command: gencp.Command | None, now_ns: int) -> Iterable[bytes | InTransfer]:
        if command is not None and when(command):
            return [InTransfer(memoryview(ack), ready_ns=now_ns + round(ms * MS))]
        return [ack]

    return acks(each)


def sometimes_late(built: BuiltCamera) -> None:
    number = count()
    delayed(700, lambda command: next(number) % 100 == 99)(built)


def growing(built: BuiltCamera) -> None:
    """Each command takes longer than the one before."""
    number = count()

    def each(ack: bytes, command: gencp.Command | None, now_ns: int) -> Iterable[bytes | InTransfer]:
        return [InTransfer(memoryview(ack), ready_ns=now_ns + next(number) * 1000)]

    acks(each)(built)


def latched(change):  # type: ignore[no-untyped-def]
    """The latched timestamp reads as `change(ns)`."""

    def each(ack: bytes, command: gencp.Command | None, now_ns: int) -> list[bytes]:
        kind, first, length = about(command)
        if kind == gencp.READMEM_CMD and first == 0x1F0 and length == 8 and len(ack) == 20:
            return [ack[:12] + struct.pack("<Q", change(struct.unpack("<Q", ack[12:])[0]))]
        return [ack]

    return acks(each)


def stamped(change):  # type: ignore[no-untyped-def]
    """Leaders' timestamps are `change(ns, frame)`."""
    return frames(
        leader=lambda raw, w: [
            put(raw, 20, struct.pack("<Q", change(struct.unpack_from("<Q", raw, 20)[0], w.frame)))
        ]
    )


def event_without_enable(built: BuiltCamera) -> None:
    """The event channel is always on."""
    rewriting(
        lambda p: put(p, 20, b"\1") if p[6:8] == b"\x02\x08" and p[12:20] == struct.pack("<Q", 0x30000) else p
    )(built)


MUTANTS = [
    Mutant("50-byte leader", "STREAM-002", frames(leader=lambda raw, w: [raw[:50]])),
    Mutant("reserved not 0", "STREAM-003", leader_bytes(4, b"\1")),
    Mutant("payload type 0002", "STREAM-004", leader_bytes(18, b"\2")),
    Mutant("pixel format of another setting", "STREAM-005", leader_bytes(28, b"\x05")),
    Mutant("sizes x and y swapped", "STREAM-005", frames(leader=swapped_size)),
    Mutant("padding told, not sent", "STREAM-006", leader_bytes(48, b"\x04")),
    Mutant(
        "block ids stand still",
        "STREAM-007",
        frames(leader=lambda raw, w: [put(raw, 8, bytes(8))], trailer=lambda raw, w: [put(raw, 8, bytes(8))]),
    ),
    Mutant("timestamp 0 for ever", "STREAM-008", leader_bytes(20, bytes(8))),
    Mutant("the stream's clock is another", "STREAM-009", stamped(lambda ns, frame: ns + 10**12)),
    Mutant(
        "payload one packet short",
        "STREAM-010 STREAM-011",
        frames(payload=lambda raw, w: [raw[: len(raw) - 1024]] if len(raw) > 1024 else [raw]),
    ),
    Mutant("trailer of 31 bytes", "STREAM-012", frames(trailer=lambda raw, w: [raw[:31]])),
    Mutant("trailer's id differs", "STREAM-013", frames(trailer=lambda raw, w: [put(raw, 8, b"\xee")])),
    Mutant("trailer status A100", "STREAM-014", trailer_bytes(16, b"\x00\xa1")),
    Mutant(
        "valid size too big",
        "STREAM-015",
        frames(
            trailer=lambda raw, w: [put(raw, 20, struct.pack("<Q", struct.unpack_from("<Q", raw, 20)[0] + 4))]
        ),
    ),
    Mutant("trailer's size y 0", "STREAM-016", trailer_bytes(28, bytes(4))),
    Mutant(
        "a zero-length transfer before each trailer", "STREAM-017", frames(trailer=lambda raw, w: [b"", raw])
    ),
    Mutant("trailer twice", "STREAM-018", frames(trailer=lambda raw, w: [raw, raw])),
    Mutant(
        "leader padded to the announced size",
        "STREAM-020",
        frames(leader=lambda raw, w: [raw.ljust(1024, b"\0")]),
    ),
    Mutant("left-aligned data", "STREAM-024", frames(payload=lambda raw, w: [b"\xff" * len(raw)])),
    Mutant("two frames mixed", "STREAM-025", frames(payload=flipped_pixels)),
    Mutant("count 0 refused", "SI-004", sirm(0x20, 0x8002, lambda value: value == 0), also="BOOT-SIRM-008"),
    Mutant(
        "whole packets at the end refused",
        "SI-005",
        sirm(0x24, 0x8002, lambda value: value and not value % 1024),
    ),
    Mutant("count must be aligned", "SI-020", sirm(0x20, 0xA003, lambda value: value % 4)),
    Mutant(
        "second disable refused", "SI-024", sirm(0x04, 0x8006, lambda value: value == 0), also="GENCP-HDR-002"
    ),
    Mutant(
        "message length counts the header",
        "EVT-006",
        events(lambda m, n: [put(m, 8, struct.pack("<H", len(m)))]),
    ),
    Mutant("message prefix U3VC", "EVT-006", events(lambda m, n: [b"U3VC" + m[4:]])),
    Mutant("size in single mode", "EVT-007", events(lambda m, n: [put(m, 12, b"\x0c")])),
    Mutant("event id constant", "EVT-008", events(lambda m, n: [put(m, 10, b"\7\0")])),
    Mutant(
        "event ids in steps of two",
        "EVT-008",
        events(lambda m, n: [put(m, 10, struct.pack("<H", 2 * n + 1))]),
    ),
    Mutant(
        "event timestamps of another clock",
        "EVT-009",
        events(lambda m, n: [put(m, 16, struct.pack("<Q", struct.unpack_from("<Q", m, 16)[0] + 10**12))]),
    ),
    Mutant(
        "messages longer than told",
        "EVT-011",
        register("Maximum_Event_Transfer_Length", 20),
        also="BOOT-EIRM-002",
    ),
    Mutant("every second event lost", "EVT-012", numbered(2, lambda m: [])),
    Mutant("first commands take 100 ms", "TIME-002", delayed(100), also="GENCP-HDR-021"),
    Mutant("MDRT read slow", "TIME-003", delayed(60, lambda c: about(c)[1] == 0x1CC)),
    Mutant("writes take 400 ms", "TIME-005", delayed(400, lambda c: c.command_id == gencp.WRITEMEM_CMD)),
    Mutant("acks later than MDRT", "TIME-001", delayed(700)),
    Mutant("each command a little slower", "TIME-017", growing),
    Mutant("timestamp in microseconds", "BOOT-ABRM-016 TIME-014", latched(lambda ns: ns // 1000)),
    Mutant(
        "clock free-running without latch",
        "BOOT-ABRM-017",
        latched((lambda: (lambda step: lambda ns: ns + next(step) * 1000)(count()))()),
    ),
    Mutant(
        "clock falls",
        "BOOT-ABRM-021",
        latched((lambda: (lambda step: lambda ns: 10**15 - next(step) * 10**9)(count()))()),
    ),
    Mutant("the stream's clock in microseconds", "TIME-015", stamped(lambda ns, frame: ns // 1000)),
    Mutant(
        "every 20th frame late",
        "TIME-009",
        stamped(lambda ns, frame: ns + (10_000_000 if frame % 20 == 19 else 0)),
    ),
    Mutant("two frames for one", "ACQ-001", feature_ignored("AcquisitionMode")),
    Mutant("free-runs although triggered", "TRG-001", feature_ignored("TriggerMode")),
    Mutant("exposure does not limit", "ACQ-006", feature_ignored("ExposureTime")),
    Mutant("limit ignored", "STREAM-043", feature_ignored("DeviceLinkThroughputLimit")),
    Mutant("free-running rate ignored", "ACQ-004", feature_ignored("AcquisitionFrameRate")),
    Mutant("control waits behind the stream now and then", "TIME-006", sometimes_late),
]
