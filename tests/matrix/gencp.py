"""Mutants of the control channel and of the bootstrap registers."""

import struct
from collections.abc import Iterable
from itertools import count

from gadget.faults.registers import find_register
from gadget.runner import BuiltCamera
from tests.matrix.rig import Mutant, Spoil, about, ack_bytes, acks, ok, overlay, refusing, register, rewriting
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


def served_as_read(packet: bytes, count_bytes: int = 4) -> bytes:
    request_id = struct.unpack_from("<H", packet.ljust(12, b"\0"), 10)[0]
    return gencp.pack_ack(0, gencp.READMEM_ACK, request_id, bytes(count_bytes))


def each_number(change):  # type: ignore[no-untyped-def]
    """`change(ack, number)` with the number of the acknowledge."""
    number = count()

    def made(ack: bytes, command: Command, now_ns: int) -> list[bytes]:
        return [change(ack, next(number))]

    return acks(made)


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


def doubled_pending(ack: bytes, command: Command, now_ns: int) -> Iterable[bytes | InTransfer]:
    data = bytearray(ack)
    if ack[4:10] == b"\0\0\x05\x08\x04\0":
        data[10:12] = struct.pack("<H", (struct.unpack_from("<H", ack, 10)[0] + 1) & 0xFFFF)
    return [bytes(data)]


def short_wait(ack: bytes, command: Command, now_ns: int) -> Iterable[bytes]:
    return [ack[:14] + b"\x01\x00"] if ack[6:8] == b"\x05\x08" else [ack]


def second_write_ignored(built: BuiltCamera) -> None:
    seen: list[int] = []

    def status(command: Command, packet: bytes) -> int | None:
        if command is None or command.command_id != WRITE:
            return None
        seen.append(command.request_id)
        return -1 if seen[-2:] == [command.request_id] * 2 else None

    answered(status)(built)


def ids_must_rise(built: BuiltCamera) -> None:
    last = [0]

    def status(command: Command, packet: bytes) -> int | None:
        if command is None:
            return None
        before, last[0] = last[0], command.request_id
        return None if command.request_id >= before else -1

    answered(status)(built)


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
    Mutant("over-long acks", "GENCP-HDR-020", acks(lambda a, c, now: [a + b"\0\0\0\0"])),
    Mutant(
        "reserved word ignored",
        "GENCP-HDR-023",
        rewriting(lambda p: p[:20] + b"\0\0" + p[22:] if p[6:8] == b"\x00\x08" and len(p) == 24 else p),
    ),
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
        "a bit flips every 500th read",
        "GENCP-RD-016",
        each_number(
            lambda ack, n: ack[:-1] + bytes((ack[-1] ^ 1,)) if n % 20 == 19 and len(ack) > 12 else ack
        ),
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
        "id 0 refused",
        "GENCP-ID-001",
        answered(lambda c, p: 0x8002 if c is not None and not c.request_id else None),
    ),
    Mutant(
        "ids treated as signed",
        "GENCP-ID-002",
        ack_bytes(lambda d, c: d.__setitem__(slice(10, 12), struct.pack("<H", c.request_id & 0x7FFF))),
    ),
    Mutant("second write of an id ignored", "GENCP-ID-004", second_write_ignored),
    Mutant("ids must rise", "GENCP-ID-005", ids_must_rise),
    Mutant("own id in PENDING", "GENCP-PND-002", acks(doubled_pending), also="GENCP-ID-009"),
    Mutant("announces 1 ms", "GENCP-PND-003", acks(short_wait)),
    Mutant(
        "half-made stacked read",
        "GENCP-STK-001",
        answered(lambda c, p: 0 if c is not None and c.command_id in (0x0806, 0x0808) else None),
    ),
    # bootstrap registers
    Mutant("GenCP version 0x00000101", "BOOT-ABRM-001", register("GenCP_Version", 0x101)),
    Mutant("blank model", "BOOT-ABRM-002", register("Model_Name", bytes(64))),
    Mutant("Device_Version empty", "BOOT-ABRM-003", register("Device_Version", bytes(64))),
    Mutant(
        "rest of an older string", "BOOT-ABRM-004", register("Device_Version", b"1.0\0older".ljust(64, b"\0"))
    ),
    Mutant("bit 40 set", "BOOT-ABRM-005", register("Device_Capability", 0xB0D | 1 << 40)),
    Mutant("bit 9 clear", "BOOT-ABRM-006", register("Device_Capability", 0x90D)),
    Mutant("no timestamp", "BOOT-ABRM-007", register("Device_Capability", 0xB05)),
    Mutant("family bit without register", "BOOT-ABRM-008", read_error(0x84, 64, 0x8003)),
    Mutant(
        "zeros instead of 8003",
        "BOOT-ABRM-009",
        overlay({0x1E8: bytes(4), 0x204: bytes(4), 0x20C: bytes(4), 0x210: bytes(4)}),
    ),
    Mutant("MDRT 0", "BOOT-ABRM-010", register("Maximum_Device_Response_Time", 0)),
    Mutant("MDRT 1000", "BOOT-ABRM-011", register("Maximum_Device_Response_Time", 1000)),
    Mutant("SBRM pointer 0", "BOOT-ABRM-012", register("SBRM_Address", 0)),
    Mutant(
        "manifest inside the XML file",
        "BOOT-ABRM-013",
        register("Manifest_Table_Address", boot.XML_ADDRESS + 64),
    ),
    Mutant(
        "0 latches",
        "BOOT-ABRM-018",
        rewriting(
            lambda p: (
                p[:-4] + b"\1\0\0\0" if p[6:8] == b"\x02\x08" and p[12:20] == struct.pack("<Q", 0x1F8) else p
            )
        ),
    ),
    Mutant("increment 0", "BOOT-ABRM-019", register("Timestamp_Increment", 0)),
    Mutant("name not stored", "BOOT-ABRM-022", stays(0x184, 64)),
    Mutant("serial changes", "BOOT-ABRM-025", drifts("Serial_Number")),
    Mutant("U3V version 0", "BOOT-SBRM-001", register("U3V_Version", 0)),
    Mutant("U3VCP bit 5 set", "BOOT-SBRM-002", register("U3VCP_Capability", 0x23)),
    Mutant("U3VCP bit 0 clear", "BOOT-SBRM-003", register("U3VCP_Capability", 2)),
    Mutant("EIRM bit clear with an interface", "BOOT-SBRM-004", register("U3VCP_Capability", 1)),
    Mutant("IIDC2 pointer dangling", "BOOT-SBRM-006", register("IIDC2_Address", 0x1234)),
    Mutant("command length 24", "BOOT-SBRM-008", register("Maximum_Command_Transfer_Length", 24)),
    Mutant("ack length 16", "BOOT-SBRM-009", register("Maximum_Acknowledge_Transfer_Length", 16)),
    Mutant("2 channels with one", "BOOT-SBRM-010", register("Number_of_Stream_Channels", 2)),
    Mutant("SIRM_Length 0", "BOOT-SBRM-011", register("SIRM_Length", 0)),
    Mutant("speed always HS", "BOOT-SBRM-012", register("Current_Speed", 4)),
    Mutant("SBRM changes", "BOOT-SBRM-014", drifts("U3V_Version")),
    Mutant("exponent in bits 0..7", "BOOT-SIRM-001", register("SI_Info", 2)),
    Mutant("alignment 64 KiB", "BOOT-SIRM-002", register("SI_Info", 16 << 24)),
    Mutant("SI_Control 1 at open", "BOOT-SIRM-003", register("SI_Control", 1)),
    Mutant("RP + 48", "BOOT-SIRM-004", register("SI_Required_Payload_Size", 4096 * 2168 + 48)),
    Mutant("leader size 0", "BOOT-SIRM-006", register("SI_Required_Leader_Size", 0)),
    Mutant("trailer size 0", "BOOT-SIRM-007", register("SI_Required_Trailer_Size", 0)),
    Mutant("SI registers read back 0", "BOOT-SIRM-008", register("SI_Payload_Transfer_Count", 0)),
    Mutant("SIRM refused", "BOOT-SIRM-009", read_error(SIRM + 0x28, 4, 0x8006)),
    Mutant("EI_Control 1 at open", "BOOT-EIRM-001", register("EI_Control", 1)),
    Mutant("event length 12", "BOOT-EIRM-002", register("Maximum_Event_Transfer_Length", 12)),
    Mutant("EI_Control reads back 0", "BOOT-EIRM-003", register("EI_Control", 0)),
    Mutant("manifest count 0", "BOOT-MAN-001", overlay({MANIFEST: bytes(8)})),
    Mutant("entry 0 of type 1", "BOOT-MAN-002", overlay({ENTRY + 4: b"\x01"})),
    Mutant("entry of type 2", "BOOT-MAN-003", overlay({ENTRY + 4: b"\x02"})),
    Mutant("reserved bytes used", "BOOT-MAN-004", overlay({ENTRY + 60: b"\x01"})),
    Mutant("size 32 MiB", "BOOT-MAN-005", overlay({ENTRY + 16: struct.pack("<Q", 32 << 20)})),
    Mutant("SHA-1 wrong", "BOOT-MAN-006", overlay({ENTRY + 24: b"\x01\x02\x03"})),
    Mutant("entry says schema 1.0", "BOOT-MAN-008", overlay({ENTRY + 6: b"\x00"})),
]
