"""Mutants of the control channel; what mutants of commands and of registers are made of."""

import struct
from collections.abc import Iterable
from itertools import count

from gadget.faults.registers import find_register
from gadget.runner import BuiltCamera
from tests.matrix.rig import Mutant, Spoil, about, ack_bytes, acks, ok, refusing, register, rewriting
from u3v.function import InTransfer
from u3v.wire import bootstrap as boot
from u3v.wire import gencp

READ, WRITE = gencp.READMEM_CMD, gencp.WRITEMEM_CMD
SIRM, SBRM, MANIFEST = boot.SIRM_ADDRESS, boot.SBRM_ADDRESS, boot.MANIFEST_ADDRESS
ENTRY = MANIFEST + 8
Command = gencp.Command | None


def is_write_to(address: int, size: int = 1):  # type: ignore[no-untyped-def]
    def at(command: Command) -> bool:
        kind, first, length = about(command)
        return kind == WRITE and first < address + size and address < first + length

    return at


def when_length(packet: bytes, lengths: Iterable[int]) -> bool:
    return len(packet) in lengths


def put_words(at: int, *words: int):  # type: ignore[no-untyped-def]
    def change(data: bytearray, command: gencp.Command) -> None:
        if len(data) >= at + 2 * len(words):
            struct.pack_into(f"<{len(words)}H", data, at, *words)

    return change


def error_length(data: bytearray, command: gencp.Command) -> None:
    data[8:10] = b"\x04\x00"


def rename(old: str, new: bytes) -> Spoil:
    return register(old, new)


def read_error(address: int, size: int, status: int) -> Spoil:
    def refuse(command: Command, packet: bytes) -> bytes | None:
        kind, first, length = about(command)
        if command is not None and kind == READ and first < address + size and address < first + length:
            return gencp.pack_ack(status, gencp.READMEM_ACK, command.request_id)
        return None

    return refusing(refuse)


def answered(status_for):  # type: ignore[no-untyped-def]
    """`status_for(command, packet)`: None lets the camera answer; -1: silence; else that status (reads: zeros)."""

    def refuse(command: Command, packet: bytes) -> bytes | None:
        status = status_for(command, packet)
        if status is None or command is None:
            return None
        if status < 0:
            return b""
        kind, _, length = about(command)
        if status:
            return gencp.pack_ack(status, command.command_id | 1, command.request_id)
        if kind == WRITE:
            return gencp.pack_write_ack(command.request_id, length)
        return gencp.pack_ack(0, command.command_id | 1, command.request_id, bytes(length))

    return refusing(refuse)


def flags(packet: bytes) -> int:
    return struct.unpack_from("<H", packet.ljust(12, b"\0"), 4)[0]


def with_flags(wrong: int, new: int) -> Spoil:
    """Commands with these flags are executed as if they had others."""
    return rewriting(
        lambda packet: (
            packet[:4] + struct.pack("<H", new) + packet[6:]
            if len(packet) >= 12 and flags(packet) & wrong
            else packet
        )
    )


def with_length(packet: bytes) -> bytes:
    """The length field made right: who ignores it executes what came."""
    if len(packet) < 12:
        return packet
    return packet[:8] + struct.pack("<H", len(packet) - 12) + packet[10:]


def write_through(built: BuiltCamera, at: int, data: bytes) -> None:
    built.camera.memory.device_write(at, data)


def stays(name_at: int, size: int) -> Spoil:
    """A register that takes no write: acknowledged, without effect."""
    return answered(lambda c, p: 0 if is_write_to(name_at, size)(c) else None)


def keeps(at: int, size: int) -> Spoil:
    """Writes of a register are acknowledged and read back, whatever they say; the camera never hears of them."""

    def spoil(built: BuiltCamera) -> None:
        kept: list[bytes] = []

        def answer_alone(command: Command, packet: bytes) -> bytes | None:
            kind, first, length = about(command)
            if command is None or (first, length) != (at, size):
                return None
            if kind == WRITE:
                kept[:] = [bytes(command.scd[8:])]
                return gencp.pack_write_ack(command.request_id, size)
            if kind == READ and kept:
                return gencp.pack_ack(0, gencp.READMEM_ACK, command.request_id, kept[0])
            return None

        refusing(answer_alone)(built)

    return spoil


def drifts(name: str) -> Spoil:
    """A register reads differently each time."""

    def spoil(built: BuiltCamera) -> None:
        address, _ = find_register(name, built.camera)
        number = count()

        def made(ack: bytes, command: Command, now_ns: int) -> list[bytes]:
            kind, first, length = about(command)
            data = bytearray(ack)
            if kind == READ and ok(ack) and first <= address < first + length:
                data[12 + address - first] ^= next(number) & 1
            return [bytes(data)]

        acks(made)(built)

    return spoil


def from_then_on(first, later):  # type: ignore[no-untyped-def]
    """Once `first(command, packet)` held, commands for which `later(command)` holds get no answer."""

    def spoil(built: BuiltCamera) -> None:
        seen: list[bool] = []

        def status(command: Command, packet: bytes) -> int | None:
            gone = bool(seen) and command is not None and later(command)
            if first(command, packet):
                seen.append(True)
            return -1 if gone else None

        answered(status)(built)

    return spoil


def zero_packet_less(ack: bytes, command: Command, now_ns: int) -> Iterable[bytes | InTransfer]:
    return [InTransfer(memoryview(ack), ends=len(ack) % 1024 != 0)]


def assembled(built: BuiltCamera) -> None:
    """What is too short for a command waits for its rest."""
    begun: list[bytes] = []

    def change(packet: bytes) -> bytes:
        whole = b"".join([*begun, packet])
        begun[:] = [whole] if len(whole) < 12 else []
        return packet if begun else whole

    rewriting(change)(built)


def served_as_read(packet: bytes, count_bytes: int = 4) -> bytes:
    request_id = struct.unpack_from("<H", packet.ljust(12, b"\0"), 10)[0]
    return gencp.pack_ack(0, gencp.READMEM_ACK, request_id, bytes(count_bytes))


MUTANTS = [
    Mutant(
        "written 0",
        "GENCP-HDR-002 GENCP-WR-011",
        ack_bytes(put_words(14, 0), lambda a, c: a[6:8] == b"\x03\x08"),
    ),
    Mutant(
        "any prefix served",
        "GENCP-HDR-003",
        rewriting(lambda p: b"U3VC" + p[4:] if len(p) >= 12 else p),
    ),
    Mutant(
        "short packet answered",
        "GENCP-HDR-004",
        refusing(lambda c, p: served_as_read(p) if len(p) < 12 else None),
    ),
    Mutant(
        "address from stale memory",
        "GENCP-HDR-005",
        refusing(
            lambda c, p: (
                served_as_read(p) if c is not None and c.command_id == READ and not len(c.scd) else None
            )
        ),
    ),
    Mutant("length ignored", "GENCP-HDR-006", rewriting(with_length)),
    Mutant(
        "extra SCD ignored",
        "GENCP-HDR-007",
        rewriting(lambda p: with_length(p[:24]) if p[6:8] == b"\x00\x08" and len(p) == 28 else p),
    ),
    Mutant(
        "unknown command silent",
        "GENCP-HDR-009",
        answered(lambda c, p: -1 if c is not None and c.command_id not in (READ, WRITE) else None),
    ),
    Mutant(
        "custom range served",
        "GENCP-HDR-010",
        answered(lambda c, p: 0 if c is not None and c.command_id & 0x8000 else None),
    ),
    Mutant("reserved flags ignored", "GENCP-HDR-013", with_flags(0x3FFF, 0x4000)),
    Mutant("resend executes again", "GENCP-HDR-014", with_flags(0x8000, 0x4000)),
    Mutant(
        "acks always",
        "GENCP-HDR-015",
        rewriting(lambda p: p[:4] + b"\x00\x40" + p[6:] if len(p) >= 12 and not flags(p) else p),
    ),
    Mutant(
        "error ack keeps a length",
        "GENCP-HDR-017",
        ack_bytes(error_length, lambda a, c: not ok(a)),
    ),
    Mutant("status 9003", "GENCP-HDR-018", ack_bytes(put_words(4, 0x9003), lambda a, c: not ok(a))),
    Mutant(
        "another prefix in long acks",
        "GENCP-HDR-020",
        acks(lambda a, c, now: [b"U3VX" + a[4:] if len(a) > 20 else a]),
        also="*",
    ),
    Mutant("over-long acks", "GENCP-HDR-020", acks(lambda a, c, now: [a + b"\0\0\0\0"]), also="USB-EP-009"),
    Mutant(
        "reserved word ignored",
        "GENCP-HDR-023",
        rewriting(lambda p: p[:20] + b"\0\0" + p[22:] if p[6:8] == b"\x00\x08" and len(p) == 24 else p),
    ),
    Mutant(
        "trailing bytes begin the next command",
        "GENCP-HDR-008",
        from_then_on(lambda c, p: len(p) == 28 and p[8:10] == b"\x0c\0", lambda c: True),
    ),
    Mutant(
        "0801 executes as a read",
        "GENCP-HDR-011",
        rewriting(lambda p: p[:6] + b"\x00\x08" + p[8:] if p[6:8] == b"\x01\x08" else p),
    ),
    Mutant(
        "crashes on 0C00",
        "GENCP-HDR-012",
        from_then_on(lambda c, p: p[6:8] == b"\x00\x0c", lambda c: True),
    ),
    Mutant(
        "reads answered unasked",
        "GENCP-HDR-016",
        rewriting(lambda p: p[:4] + b"\x00\x40" + p[6:] if p[4:8] == b"\0\0\x00\x08" else p),
    ),
    Mutant(
        "status 0001 on writes",
        "GENCP-HDR-019",
        ack_bytes(put_words(4, 1), lambda a, c: a[6:8] == b"\x03\x08" and ok(a)),
    ),
    Mutant("no zero-length packet after a full ack", "GENCP-HDR-021", acks(zero_packet_less)),
    Mutant(
        "a zero-length packet although the buffer was full",
        "GENCP-HDR-022",
        acks(lambda a, c, now: [a] if len(a) % 1024 else [a, InTransfer(memoryview(b""))]),
    ),
    Mutant("assembles packets over transfers", "GENCP-HDR-024", assembled),
]
