"""Mutants of robustness and of power."""

import dataclasses
import struct
from collections.abc import Iterable
from itertools import count

from gadget.faults.wrappers import MS
from gadget.runner import BuiltCamera
from gadget.usb.in_pipe import EOVERFLOW, Urb
from tests.matrix.boot import SI_CONTROL, after_power
from tests.matrix.gencp import READ, WRITE, Command, write_through
from tests.matrix.lives import COMMAND, CONFIGURE, ENDED, dies
from tests.matrix.rig import Mutant, about, acks, refusing
from tests.matrix.usb import ENDPOINT, HS
from tests.matrix.usb_life import never_recovers
from tests.matrix.usb_rig import answer, describe, part
from u3v.function import InTransfer
from u3v.wire.usb import STREAM_IN, Descriptors

CONFIGURATION = 2
MODEL_NAME = 0x44
STOP = b"\x02\x08", struct.pack("<QI", SI_CONTROL, 0)
STREAM = frozenset({STREAM_IN})
SLEEPS_AFTER_NS, AWAKE_NS = 4000 * MS, 100 * MS


def is_stop(packet: object) -> bool:
    return isinstance(packet, bytes) and (packet[6:8], packet[12:]) == STOP


def too_few_reset_endings(built: BuiltCamera) -> None:
    """From the 7th reading on the device descriptor is cut."""
    seen = count(1)

    def change(d: Descriptors) -> Descriptors:
        return d if next(seen) < 7 else dataclasses.replace(d, device=d.device[:8])

    describe(change)(built)


def one_read_lost(built: BuiltCamera) -> None:
    number = count(1)

    def change(ack: bytes, command: Command, now_ns: int) -> Iterable[bytes]:
        return [] if next(number) == 1500 else [ack]

    acks(change)(built)


def garbage_written(built: BuiltCamera) -> None:
    """Bytes that are no command are written to memory."""

    def refuse(command: Command, packet: bytes) -> bytes | None:
        if command is None and len(packet) >= 20:
            write_through(built, MODEL_NAME, packet[12:16])
        return None

    refusing(refuse)(built)


def length_overruns(built: BuiltCamera) -> None:
    """A write whose length field says more than came is executed, with what lies behind."""

    def refuse(command: Command, packet: bytes) -> bytes | None:
        told = int.from_bytes(packet[8:10], "little")
        if command is not None and command.command_id == WRITE and told > len(packet) - 12:
            write_through(built, MODEL_NAME, bytes(4))
        return None

    refusing(refuse)(built)


def sleepy(built: BuiltCamera) -> None:
    """After some seconds without a command the first one takes long."""
    last_ns = [0]

    def change(ack: bytes, command: Command, now_ns: int) -> Iterable[bytes | InTransfer]:
        idle_ns, last_ns[0] = now_ns - last_ns[0], now_ns
        late = idle_ns > SLEEPS_AFTER_NS
        return [InTransfer(memoryview(ack), ready_ns=now_ns + AWAKE_NS) if late else ack]

    acks(change)(built)


def comes_back_streaming(built: BuiltCamera) -> None:
    """SI_Control reads 1 after a power cycle, until it is written."""
    on: list[bool] = []
    after_power(built, lambda: on.append(True))

    def change(ack: bytes, command: Command, now_ns: int) -> Iterable[bytes]:
        kind, first, length = about(command)
        if first == SI_CONTROL and kind == WRITE:
            on.clear()
        return [ack[:12] + b"\1\0\0\0" if on and (kind, first, length) == (READ, SI_CONTROL, 4) else ack]

    acks(change)(built)


def busy_status(built: BuiltCamera) -> None:
    """GET_STATUS stalls while frames are sent."""
    answer((0x80, 0, None, None), lambda d, urb: None if built.camera.frames.enabled else d)(built)


def high_speed_power(built: BuiltCamera) -> None:
    """The same bMaxPower at both speeds, whatever its unit."""
    byte = built.device.descriptors.configuration[8]
    part(CONFIGURATION, 0, 8, byte, HS)(built)


def babbled(urb: object) -> bool:
    return isinstance(urb, Urb) and urb.endpoint == STREAM_IN and urb.status == EOVERFLOW


MUTANTS = [
    Mutant("7th enumeration fails", "ROB-001", too_few_reset_endings),
    Mutant("the stream is dead after the 12th stop", "ROB-007 ROB-028", dies(COMMAND, is_stop, 12, STREAM)),
    Mutant("one read of 1500 lost", "ROB-008", one_read_lost),
    Mutant("garbage written to memory", "ROB-009", garbage_written),
    Mutant("flipped length overruns", "ROB-010", length_overruns),
    Mutant(
        "a transfer of 512 bytes wedges",
        "ROB-011",
        dies(COMMAND, lambda packet: isinstance(packet, bytes) and len(packet) == 512),
    ),
    Mutant("a class request crashes endpoint 0", "ROB-012", never_recovers((0xA1, None, None, None))),
    Mutant("device status stalls while frames are sent", "ROB-013", busy_status),
    Mutant("sleeps after some seconds", "ROB-014", sleepy),
    Mutant(
        "dead after the 5th configuration", "ROB-018", dies(CONFIGURE, lambda value: value == 1, 5, STREAM)
    ),
    Mutant("packets of 1024 bytes at HS", "ROB-021", part(ENDPOINT, 3, 5, 4, HS)),
    Mutant("the stream is dead after babble", "ROB-025", dies(ENDED, babbled, 1, STREAM)),
    Mutant("comes back streaming", "ROB-026", comes_back_streaming),
    Mutant("2000 mA at SS", "PWR-001", part(CONFIGURATION, 0, 8, 250), also="*"),
    Mutant("byte of HS as at SS", "PWR-002", high_speed_power),
    Mutant("bus-powered with 0 mA", "PWR-003", part(CONFIGURATION, 0, 8, 0)),
]
