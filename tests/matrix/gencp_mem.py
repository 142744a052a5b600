"""Mutants of reading and writing memory."""

import struct
from collections.abc import Iterable
from itertools import count

from gadget.runner import BuiltCamera
from tests.matrix.gencp import (
    ENTRY,
    MANIFEST,
    READ,
    SIRM,
    WRITE,
    Command,
    answered,
    is_write_to,
    keeps,
    stays,
    with_length,
    write_through,
)
from tests.matrix.rig import Mutant, about, ack_bytes, acks, ok, overlay, refusing, rewriting
from u3v.wire import bootstrap as boot
from u3v.wire import gencp


def longest_refused(built: BuiltCamera) -> None:
    seen: list[int] = []

    def status(command: Command, packet: bytes) -> int | None:
        kind, first, length = about(command)
        if kind != READ or first != boot.XML_ADDRESS or length < 1000:
            return None
        seen.append(first)
        return 0x8002 if len(seen) > 1 else None

    answered(status)(built)


def latch_leaks(command: Command, packet: bytes) -> bytes | None:
    if command is None or about(command) != (READ, 0x1F8, 4):
        return None
    return gencp.pack_ack(0, gencp.READMEM_ACK, command.request_id, b"\1\0\0\0")


def end_of_xml(built: BuiltCamera) -> int:
    """The address behind the file."""
    return boot.XML_ADDRESS + int.from_bytes(built.camera.memory.device_read(ENTRY + 16, 8), "little")


def short_data(built: BuiltCamera) -> None:
    """Where the file ends the data end, with success."""
    end = end_of_xml(built)

    def change(ack: bytes, command: Command, now_ns: int) -> Iterable[bytes]:
        kind, first, length = about(command)
        if kind == READ and command is not None and first < end < first + length and first > boot.XML_ADDRESS:
            return [gencp.pack_ack(0, gencp.READMEM_ACK, command.request_id, bytes(end - first))]
        return [ack]

    acks(change)(built)


def end_padded(built: BuiltCamera) -> None:
    """Short reads that end where the file ends have something else there."""
    end = end_of_xml(built)

    def change(ack: bytes, command: Command, now_ns: int) -> Iterable[bytes]:
        kind, first, length = about(command)
        ends_there = kind == READ and length < 8 and first + length == end
        return [ack[:-1] + bytes((ack[-1] ^ 0xFF,)) if ends_there and ok(ack) else ack]

    acks(change)(built)


def half_committed(built: BuiltCamera) -> None:
    """A write that is refused for its second half has done its first."""

    def refuse(command: Command, packet: bytes) -> bytes | None:
        if command is None or about(command) != (WRITE, SIRM + 4, 12):
            return None
        write_through(built, SIRM + 4, bytes(command.scd[8:12]))
        return gencp.pack_ack(0x8004, gencp.WRITEMEM_ACK, command.request_id)

    refusing(refuse)(built)


def first_register_only(packet: bytes) -> bytes:
    if packet[6:8] == b"\x02\x08" and len(packet) == 44 and packet[12:20] == struct.pack("<Q", SIRM + 0x18):
        return with_length(packet[:24])
    return packet


def refused_and_stored(built: BuiltCamera) -> None:
    def change(ack: bytes, command: Command, now_ns: int) -> Iterable[bytes]:
        kind, first, _ = about(command)
        if kind == WRITE and command is not None and ack[4:6] == b"\x04\x80":
            write_through(built, first, bytes(command.scd[8:]))
        return [ack]

    acks(change)(built)


def posted_late(built: BuiltCamera) -> None:
    """A register reads as it was before its last write."""
    written: list[bytes] = []

    def change(ack: bytes, command: Command, now_ns: int) -> Iterable[bytes]:
        kind, first, length = about(command)
        if command is None or (first, length) != (SIRM + 0x20, 4):
            return [ack]
        if kind == WRITE:
            written.append(bytes(command.scd[8:]))
        elif len(written) > 1:
            return [ack[:12] + written[-2]]
        return [ack]

    acks(change)(built)


def each_number(change):  # type: ignore[no-untyped-def]
    """`change(ack, number)` with the number of the acknowledge."""
    number = count()

    def made(ack: bytes, command: Command, now_ns: int) -> list[bytes]:
        return [change(ack, next(number))]

    return acks(made)


MUTANTS = [
    Mutant(
        "reads rounded up to 4",
        "GENCP-RD-001",
        ack_bytes(
            lambda d, c: d.__setitem__(slice(None), d + bytes(-(len(d) - 12) % 4)),
            lambda a, c: about(c)[0] == READ and ok(a),
        ),
    ),
    Mutant(
        "address rounded down",
        "GENCP-RD-002",
        rewriting(
            lambda p: (
                p[:12] + struct.pack("<Q", struct.unpack_from("<Q", p, 12)[0] & ~3) + p[20:]
                if p[6:8] == b"\x00\x08" and len(p) == 24
                else p
            )
        ),
    ),
    Mutant(
        "stops at a register's end",
        "GENCP-RD-003",
        answered(
            lambda c, p: 0x8003 if about(c)[0] == READ and about(c)[1] == 0 and about(c)[2] > 4 else None
        ),
    ),
    Mutant(
        "4-byte read of an 8-byte register refused",
        "GENCP-RD-004",
        answered(lambda c, p: 0x8005 if about(c)[0] == READ and about(c)[1:] == (0x1C4, 4) else None),
    ),
    Mutant(
        "more than 32 bytes refused",
        "GENCP-RD-005",
        answered(
            lambda c, p: (
                0x8002 if about(c)[0] == READ and about(c)[2] == 64 and about(c)[1] >= MANIFEST else None
            )
        ),
    ),
    Mutant("the longest read refused, from the second on", "GENCP-RD-006", longest_refused),
    Mutant(
        "over-long ack sent",
        "GENCP-RD-007",
        answered(lambda c, p: 0 if about(c)[0] == READ and about(c)[2] == 1013 else None),
    ),
    Mutant(
        "count 0 hangs",
        "GENCP-RD-008",
        answered(lambda c, p: -1 if about(c)[0] == READ and not about(c)[2] else None),
    ),
    Mutant(
        "zeros for anything",
        "GENCP-RD-010",
        answered(
            lambda c, p: (
                0 if about(c)[0] == READ and about(c)[1] >= 0xE0000000 and about(c)[2] < 1000 else None
            )
        ),
    ),
    Mutant(
        "wraps to 0",
        "GENCP-RD-011",
        answered(lambda c, p: 0 if about(c)[0] == READ and about(c)[1] == 2**64 - 1 else None),
    ),
    Mutant("latch value leaks", "GENCP-RD-013", refusing(latch_leaks)),
    Mutant(
        "a bit flips in every 20th acknowledge",
        "GENCP-RD-016",
        each_number(
            lambda ack, n: ack[:-1] + bytes((ack[-1] ^ 1,)) if n % 20 == 19 and len(ack) > 12 else ack
        ),
        also="*",
    ),
    Mutant(
        "RO write answered S=0",
        "GENCP-WR-001 GENCP-WR-002",
        answered(lambda c, p: 0 if about(c)[0] == WRITE and about(c)[1] < 0x184 else None),
    ),
    Mutant(
        "write to nowhere S=0",
        "GENCP-WR-003",
        answered(lambda c, p: 0 if about(c)[0] == WRITE and about(c)[1] >= 0xE0000000 else None),
    ),
    Mutant(
        "empty write hangs",
        "GENCP-WR-004",
        answered(lambda c, p: -1 if c is not None and c.command_id == WRITE and len(c.scd) == 8 else None),
    ),
    Mutant(
        "address from stale memory (write)",
        "GENCP-WR-005",
        refusing(
            lambda c, p: (
                gencp.pack_write_ack(c.request_id, 0)
                if c is not None and c.command_id == WRITE and len(c.scd) < 8
                else None
            )
        ),
    ),
    Mutant("partial write clears the rest", "GENCP-WR-006", stays(0x184, 64)),
    Mutant(
        "over-long command wedges",
        "GENCP-WR-010",
        refusing(
            lambda c, p: (
                gencp.pack_write_ack(c.request_id, len(p)) if c is not None and len(p) > 1024 else None
            )
        ),
    ),
    Mutant(
        "written length counts the address",
        "GENCP-WR-011",
        ack_bytes(
            lambda d, c: d.__setitem__(slice(14, 16), struct.pack("<H", about(c)[2] + 8)),
            lambda a, c: a[6:8] == b"\x03\x08" and ok(a),
        ),
    ),
    Mutant(
        "rewriting is refused",
        "GENCP-WR-015",
        answered(lambda c, p: 0x8006 if is_write_to(SIRM + 0x20, 4)(c) else None),
    ),
    Mutant(
        "64 KiB acknowledge",
        "GENCP-RD-009",
        answered(lambda c, p: 0 if about(c)[0] == READ and about(c)[2] == 0xFFFF else None),
    ),
    Mutant("short data, status 0", "GENCP-RD-012", short_data),
    Mutant("reserved space holds data", "GENCP-RD-014", overlay({0x8000: b"\1\0\0\0"})),
    Mutant(
        "hangs on spanning reads",
        "GENCP-RD-015",
        answered(lambda c, p: -1 if about(c) == (READ, SIRM + 8, 64) else None),
    ),
    Mutant("last piece padded", "GENCP-RD-017", end_padded),
    Mutant("first half committed", "GENCP-WR-007", half_committed),
    Mutant("only the first register taken", "GENCP-WR-008", rewriting(first_register_only)),
    Mutant(
        "command of the longest length lost",
        "GENCP-WR-009",
        answered(lambda c, p: -1 if len(p) == 1024 else None),
    ),
    Mutant(
        "id 0: acknowledged, not written",
        "GENCP-WR-012",
        answered(lambda c, p: 0 if about(c)[0] == WRITE and not c.request_id else None),
    ),
    Mutant("reserved bits stored", "GENCP-WR-013", keeps(boot.EIRM_ADDRESS, 4)),
    Mutant(
        "last byte cut",
        "GENCP-WR-014",
        rewriting(lambda p: p[:-1] + b"\0" if p[6:8] == b"\x02\x08" and len(p) == 84 else p),
    ),
    Mutant("refused write has effect", "GENCP-WR-016", refused_and_stored),
    Mutant("writes posted late", "GENCP-WR-017", posted_late),
]
