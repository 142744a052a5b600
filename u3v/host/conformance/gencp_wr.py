"""GENCP-WR: writing memory (GenCP 1.3 clauses 4.4.3, 4.4.4)."""

import struct

from u3v.host.conformance import packets
from u3v.host.conformance.bootstrap import read_only, read_write
from u3v.host.conformance.context import (
    EI_CONTROL,
    SI_CONTROL,
    SI_MAX_LEADER,
    SI_TRANSFER_COUNT,
    Context,
)
from u3v.host.conformance.declare import INFO, SHOULD, Failed, Phase, check
from u3v.host.conformance.gencp_hdr import WRITTEN_LENGTH
from u3v.host.conformance.packets import HEAD_BYTES, Ack, command, writemem

INVALID_PARAMETER, INVALID_ADDRESS, WRITE_PROTECT, ACCESS_DENIED = 0x8002, 0x8003, 0x8004, 0x8006
WRONG_LENGTH = (0x800E, INVALID_PARAMETER)
USER_NAME, NAME_BYTES = 0x184, 64
ADDRESS_BYTES = 8


def name_register(c: Context) -> int:
    if not c.capability & 1:
        c.skip("the camera has no User_Defined_Name")
    return USER_NAME


def refused_without_effect(c: Context, address: int, data: bytes, *statuses: int) -> Ack:
    """A write is refused, and what is readable there stays. Raises Failed."""
    before = c.read(address, len(data))
    ack = c.write(address, data)
    after = c.read(address, len(data))
    if before.ok and after.scd != before.scd:
        c.journal.refused_writes.append(
            (c.check, f"{address:#x}: {before.scd.hex(' ')} became {after.scd.hex(' ')}")
        )
        if ack.ok:
            c.write(address, before.scd)
        raise Failed(f"{address:#x} was {before.scd.hex(' ')}, is {after.scd.hex(' ')} after: {ack}")
    c.refused(ack, *statuses)
    return ack


@check("GENCP-WR-001", "GenCP_Version written", "error 8004 (8006 is noted); it stays", "GenCP 1.3 table 6")
def version_stays(c: Context) -> None:
    ack = refused_without_effect(c, 0, b"\x01\0\0\0", WRITE_PROTECT, ACCESS_DENIED)
    if ack.status == ACCESS_DENIED:
        c.note("answered by 8006")


@check(
    "GENCP-WR-002", "each read-only bootstrap register's own value written", "error 8004 or 8006; nothing changes",
    "GenCP 1.3 table 19; USB3 Vision 1.0",
)  # fmt: skip
def read_only_stays(c: Context) -> None:
    for name, address, size in read_only(c):
        value = c.read(address, size)
        if value.ok:
            ack = c.write(address, value.scd)
            c.expect(ack.status in (WRITE_PROTECT, ACCESS_DENIED), f"{name} at {address:#x}: {ack}")
            c.proper_error(ack)
            c.same(c.read(address, size).scd, value.scd, name)


@check("GENCP-WR-003", "WRITEMEM where reads say 8003", "error 8003", "GenCP 1.3 table 6")
def nowhere(c: Context) -> None:
    ack = c.read(0xE0000000, 4)
    if ack.status != INVALID_ADDRESS:
        c.skip("there is memory at E0000000")
    c.refused(c.write(0xE0000000, bytes(4)), INVALID_ADDRESS)


@check("GENCP-WR-004", "WRITEMEM of 0 bytes", "error 8002 or 800E", "GenCP 1.3 table 6", SHOULD)
def nothing(c: Context) -> None:
    c.refused(c.write(name_register(c), b""), *WRONG_LENGTH)


@check("GENCP-WR-005", "WRITEMEM with 1, 4, 7 bytes of an address", "error 800E or 8002", "GenCP 1.3 table 6")
def cut_address(c: Context) -> None:
    for count in (1, 4, 7):
        c.refused(c.exchange(command(packets.WRITEMEM, c.next_id(), bytes(count))), *WRONG_LENGTH)


@check(
    "GENCP-WR-006", "1, 2, 3 bytes inside User_Defined_Name", "exactly those bytes change, or it is refused",
    "GenCP 1.3 4.4.3: byte aligned", SHOULD, trace="r",
)  # fmt: skip
def some_bytes(c: Context) -> None:
    address = name_register(c)
    with c.restoring(address, NAME_BYTES):
        wanted = b"conformance".ljust(NAME_BYTES, b"\0")
        c.wr(address, wanted)
        for count in (1, 2, 3):
            ack = c.write(address + 4, b"XYZ"[:count])
            if ack.ok:
                wanted = wanted[:4] + b"XYZ"[:count] + wanted[4 + count :]
            else:
                c.proper_error(ack)
            c.same(c.rd(address, NAME_BYTES), wanted, f"the name after {count} bytes")


@check(
    "GENCP-WR-007", "SI_Control and the read-only register behind it in one write",
    "an error, and SI_Control stays", "all or nothing", SHOULD, needs="str", trace="r",
)  # fmt: skip
def all_or_nothing(c: Context) -> None:
    address = c.sirm + SI_CONTROL
    with c.restoring(address, 4) as before:
        ack = c.write(address, b"\x01\0\0\0" + bytes(8))
        c.proper_error(ack)
        c.same(c.rd(address, 4), before, "SI_Control")


@check(
    "GENCP-WR-008", "the six writable SI registers in one write",
    "success, and all read back; or an error, and none changed", "all or nothing", SHOULD, needs="str", trace="r",
)  # fmt: skip
def six_at_once(c: Context) -> None:
    address, size = c.sirm + SI_MAX_LEADER, 24
    before = c.rd(address, size)
    new = struct.pack("<6I", 2048, 65536, 7, 4096, 2048, 2048)
    ack = c.write(address, new)
    after = c.rd(address, size)
    for at in range(0, size, 4):
        c.write(address + at, before[at : at + 4])
    c.same(after, new if ack.ok else before, "the six registers")


@check(
    "GENCP-WR-009", "64 bytes to User_Defined_Name; a command of MaxCmd bytes to it (more than it holds)",
    "success; an error, but an answer", "USB3 Vision 1.0, SBRM",
)  # fmt: skip
def longest(c: Context) -> None:
    address = name_register(c)
    with c.restoring(address, NAME_BYTES) as before:
        c.wr(address, before)
        data = bytes(min(c.max_command, 65535) - HEAD_BYTES - ADDRESS_BYTES)
        if len(data) > NAME_BYTES:
            c.proper_error(c.write(address, data))
    c.alive()


@check(
    "GENCP-WR-010", "commands of MaxCmd + 1 and MaxCmd + 1024 bytes",
    "error 8002, 800E, 8003 or 8004, or silence; alive", "USB3 Vision 1.0, SBRM",
)  # fmt: skip
def too_long(c: Context) -> None:
    for more in (1, 1024):
        length = c.max_command + more
        if length > 66_000:
            c.skip("the camera's commands may be longer than a length field says")
        packet = writemem(c.next_id(), USER_NAME, bytes(length - HEAD_BYTES - ADDRESS_BYTES))
        reply = c.bulk_out(c.control_out, packet)
        c.expect(reply.ok or reply.stalled, str(reply))
        if reply.stalled:
            c.note(f"a command of {length} bytes stalls the endpoint")
            c.clear_halt(c.control_out)
            continue
        for ack in c.drain():
            c.refused(ack, INVALID_PARAMETER, 0x800E, INVALID_ADDRESS, WRITE_PROTECT)
    c.alive()


@check(
    "GENCP-WR-011", "the written length of writes of 1, 4, 8, 64 bytes", "the bytes sent (capability bit 11)",
    "GenCP 1.3 4.4.4; cameleon: written length mismatch", trace="r",
)  # fmt: skip
def written_length(c: Context) -> None:
    if not c.capability & WRITTEN_LENGTH:
        c.skip("the camera tells no written length")
    address = name_register(c)
    with c.restoring(address, NAME_BYTES):
        for count in (64, 8, 4, 1):
            ack = c.write(address, b"conformance".ljust(NAME_BYTES, b"\0")[:count])
            if ack.ok or count >= 4:
                c.same(ack.scd, struct.pack("<HH", 0, count), f"data of the acknowledge of {count} bytes")


@check(
    "GENCP-WR-012", "WRITEMEM with request id 0", "error 8002 (success is noted)",
    "GenCP 1.3 3.1.1: id 0 is for reads", INFO, trace="r",
)  # fmt: skip
def id_zero(c: Context) -> None:
    address = c.sirm + SI_MAX_LEADER
    with c.restoring(address, 4):
        ack = c.write(address, b"\0\x08\0\0", request_id=0)
        if ack.ok:
            c.note("executed")
            c.same(c.rd(address, 4), b"\0\x08\0\0", "SI_Maximum_Leader_Size")
        else:
            c.refused(ack, INVALID_PARAMETER)


@check(
    "GENCP-WR-013", "2 to SI_Control, FFFFFFFF to EI_Control", "error 8002, or bit 0 alone is stored",
    "USB3 Vision 1.0, SIRM and EIRM: reserved bits", SHOULD, trace="r",
)  # fmt: skip
def reserved_bits(c: Context) -> None:
    tries = [(c.sirm + SI_CONTROL, 2, "SI_Control")] if c.u3vcp & 1 else []
    tries += [(c.eirm + EI_CONTROL, 0xFFFFFFFF, "EI_Control")] if c.u3vcp & 2 else []
    for address, value, name in tries:
        try:
            ack = c.write(address, struct.pack("<I", value))
            stored = c.number(address)
            c.expect(not stored & ~1, f"{name} is {stored:#x} after {value:#x} was written: {ack}")
        finally:
            c.wr_number(address, 0)


@check(
    "GENCP-WR-014", "User_Defined_Name: 64 characters without NUL; characters that are no ASCII",
    "success and equal; an error or equal", "GenCP 1.3 5.2", SHOULD, trace="r",
)  # fmt: skip
def full_strings(c: Context) -> None:
    address = name_register(c)
    with c.restoring(address, NAME_BYTES):
        full = bytes(65 + i % 26 for i in range(NAME_BYTES))
        c.wr(address, full)
        c.same(c.rd(address, NAME_BYTES), full, "a name of 64 characters")
        foreign = "Größe".encode().ljust(NAME_BYTES, b"\0")
        ack = c.write(address, foreign)
        c.same(c.rd(address, NAME_BYTES), foreign if ack.ok else full, f"a name with umlauts ({ack})")


@check(
    "GENCP-WR-015", "the present value to each writable bootstrap register", "success", "consistency with itself",
    trace="r",
)  # fmt: skip
def rewrite(c: Context) -> None:
    for name, address, size in read_write(c):
        value = c.rd(address, size)
        ack = c.write(address, value)
        c.expect(ack.ok, f"{name} at {address:#x}, {value.hex(' ')}: {ack}")
        c.same(c.rd(address, size), value, name)


@check(
    "GENCP-WR-016", "every refused write of the run", "nothing has changed", "all or nothing", phase=Phase.JOURNAL,
)  # fmt: skip
def refused_has_no_effect(c: Context) -> None:
    refused_without_effect(c, 0, b"\x01\0\0\0", WRITE_PROTECT, ACCESS_DENIED)
    c.none_of(
        [f"{where}: {what}" for where, what in c.journal.refused_writes], "refused writes had an effect"
    )


@check(
    "GENCP-WR-017", "500 writes of two values in turn to SI_Payload_Transfer_Count, each read back",
    "always the last one", "consistency with itself", needs="str", trace="r",
)  # fmt: skip
def last_one_counts(c: Context) -> None:
    address = c.sirm + SI_TRANSFER_COUNT
    with c.restoring(address, 4):
        for i in range(c.count(100, 500)):
            value = struct.pack("<I", 3 + i % 2)
            c.wr(address, value)
            c.same(c.rd(address, 4), value, f"the register after write {i + 1}")
