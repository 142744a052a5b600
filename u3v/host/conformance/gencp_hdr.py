"""GENCP-HDR: packets of the control channel, right and wrong ones (GenCP 1.3 clauses 3.1.4, 4.3)."""

from u3v.host.conformance import packets
from u3v.host.conformance.context import SI_CONTROL, SI_MAX_LEADER, Context
from u3v.host.conformance.declare import INFO, SHOULD, Failed, Phase, check
from u3v.host.conformance.packets import HEAD_BYTES, Ack, command, readmem, writemem
from u3v.host.conformance.xml_file import read_manifest

WRITTEN_LENGTH = 1 << 11
"""Device_Capability: write acknowledges carry how much was written."""
NOT_IMPLEMENTED, INVALID_PARAMETER, WRONG_HEADER, NO_RESEND = 0x8001, 0x8002, 0x800E, 0xA001
WRONG_LENGTH = (WRONG_HEADER, INVALID_PARAMETER)
_READ_0 = readmem(0, 0, 4)[HEAD_BYTES:]


AT_ONCE_MS = 50
"""How long the answer to a packet is waited for on its own, where silence is waited for after the last one."""


def quiet(c: Context, packet: bytes, what: str, *, error_too: bool = False, timeout_ms: int = 0) -> None:
    """A packet gets no answer (an error acknowledge is noted where that will do). Raises Failed."""
    ack = c.exchange(packet, due=False, timeout_ms=timeout_ms or c.silence_ms)
    if ack is None:
        return
    if not error_too:
        raise Failed(f"{what}: {ack}, where silence is due")
    c.proper_error(ack)
    c.note(f"{what}: answered, {ack}")


def odd_read(c: Context, length: int | None = None, flags: int = packets.REQUEST_ACK) -> Ack | None:
    """READMEM of register 0 with something else in its header."""
    return c.exchange(command(packets.READMEM, c.next_id(), _READ_0, length=length, flags=flags))


@check(
    "GENCP-HDR-001", "READMEM of 4 bytes at 0",
    "16 bytes: U3VC, status 0, acknowledge 0801, length 4, the command's id, 4 bytes of data", "GenCP 1.3 4.3.2",
)  # fmt: skip
def read(c: Context) -> None:
    wanted = c.next_id()
    ack = c.answered(readmem(wanted, 0, 4))
    c.same(
        ack.raw[:HEAD_BYTES], packets.PREFIX + b"\0\0\x01\x08\x04\0" + wanted.to_bytes(2, "little"), "header"
    )
    c.same(len(ack.raw), 16, "length of the acknowledge")


@check(
    "GENCP-HDR-002", "WRITEMEM of SI_Control 0",
    "0803 with reserved 0 and written length 4 where capability bit 11 says so, else without data",
    "GenCP 1.3 4.4.4", trace="r",
)  # fmt: skip
def write(c: Context) -> None:
    ack = c.write(c.sirm + SI_CONTROL, bytes(4))
    c.expect(ack.ok, str(ack))
    c.same(ack.command, packets.WRITEMEM + 1, "acknowledge")
    c.same(ack.scd, b"\0\0\x04\0" if c.capability & WRITTEN_LENGTH else b"", "data")
    c.same(ack.length, len(ack.scd), "length field")


@check(
    "GENCP-HDR-003", "reads with other prefixes", "silence (an error is noted); alive", "GenCP 1.3 3.1.4.1", SHOULD,
)  # fmt: skip
def prefixes(c: Context) -> None:
    for prefix in (b"U3VE", b"U3VX", bytes(4), b"CV3U"):
        packet = command(packets.READMEM, c.next_id(), _READ_0, prefix=prefix)
        quiet(c, packet, f"prefix {prefix!r}", error_too=True, timeout_ms=AT_ONCE_MS)
    for ack in c.drain():
        c.proper_error(ack)
        c.note(f"answered late, {ack}")
    c.alive()


@check("GENCP-HDR-004", "packets of 0, 1, 4, 11 bytes", "silence; alive", "GenCP 1.3 3.1.4.1")
def short_packets(c: Context) -> None:
    for length in (0, 1, 4, 11):
        quiet(c, readmem(c.next_id(), 0, 4)[:length], f"a packet of {length} bytes", timeout_ms=AT_ONCE_MS)
    late = c.drain()
    c.expect(not late, f"{len(late)} answers where silence is due, the first: {''.join(map(str, late[:1]))}")
    c.alive()


@check(
    "GENCP-HDR-005", "READMEM with its header only, length field 12", "error 800E or 8002", "GenCP 1.3 table 6",
)  # fmt: skip
def no_scd(c: Context) -> None:
    c.refused(c.exchange(command(packets.READMEM, c.next_id(), length=12)), *WRONG_LENGTH)


@check(
    "GENCP-HDR-006", "READMEM with length field 0, 11, 13, FFFF", "error 800E or 8002; alive", "GenCP 1.3 table 6",
)  # fmt: skip
def wrong_length_fields(c: Context) -> None:
    for length in (0, 11, 13, 0xFFFF):
        c.refused(odd_read(c, length=length), *WRONG_LENGTH)
    c.alive()


@check(
    "GENCP-HDR-007", "READMEM with 16 bytes of data and length 16", "error 800E or 8002", "GenCP 1.3 4.4.1", SHOULD,
)  # fmt: skip
def long_scd(c: Context) -> None:
    c.refused(c.exchange(command(packets.READMEM, c.next_id(), _READ_0 + bytes(4))), *WRONG_LENGTH)


@check(
    "GENCP-HDR-008", "READMEM with 4 bytes more than its length field says",
    "error 800E or 8002, or served (noted)", "GenCP 1.3 table 6", SHOULD,
)  # fmt: skip
def trailing_bytes(c: Context) -> None:
    ack = c.exchange(command(packets.READMEM, c.next_id(), _READ_0 + bytes(4), length=12))
    if ack is not None and ack.ok:
        c.note("served")
        c.same(len(ack.scd), 4, "bytes of data")
    else:
        c.refused(ack, *WRONG_LENGTH)
    c.alive()


@check("GENCP-HDR-009", "commands 0000, 0804, 080A, 0810, 0A00, 7FFE", "error 8001 each", "GenCP 1.3 3.1.4.3")
def unknown_commands(c: Context) -> None:
    for code in (0x0000, 0x0804, 0x080A, 0x0810, 0x0A00, 0x7FFE):
        ack = c.exchange(command(code, c.next_id()))
        c.refused(ack, NOT_IMPLEMENTED)
        assert ack is not None
        c.expect(ack.command in (code | 1, 1), f"command {code:04X}: acknowledge {ack.command:04X}")


@check("GENCP-HDR-010", "custom commands 8000, FFFE", "error 8001", "GenCP 1.3 4.3.3", SHOULD, needs="sim")
def custom_commands(c: Context) -> None:
    for code in (0x8000, 0xFFFE):
        c.refused(c.exchange(command(code, c.next_id())), NOT_IMPLEMENTED)


@check(
    "GENCP-HDR-011", "ids of acknowledges as commands: 0801, 0803, 0805", "an error or silence; alive",
    "GenCP 1.3 4.3.3", SHOULD,
)  # fmt: skip
def acks_as_commands(c: Context) -> None:
    for code in (0x0801, 0x0803, 0x0805):
        quiet(c, command(code, c.next_id(), _READ_0), f"command {code:04X}", error_too=True)
    c.alive()


@check(
    "GENCP-HDR-012", "an event command (0C00) to the camera", "error 8001 or silence; alive", "GenCP 1.3 4.4.10",
    SHOULD,
)  # fmt: skip
def event_to_device(c: Context) -> None:
    ack = c.exchange(command(packets.EVENT, c.next_id(), bytes(12)), due=False, timeout_ms=c.silence_ms)
    if ack is not None:
        c.refused(ack, NOT_IMPLEMENTED)
    c.alive()


@check(
    "GENCP-HDR-013", "READMEM with flags 4001, 6000, 7FFF", "error 800E", "GenCP 1.3 tables 4 and 6", SHOULD,
)  # fmt: skip
def reserved_flags(c: Context) -> None:
    for flags in (0x4001, 0x6000, 0x7FFF):
        c.refused(odd_read(c, flags=flags), WRONG_HEADER)


@check(
    "GENCP-HDR-014", "READMEM with the resend flag (C000), after a read with the same id", "error A001",
    "USB3 Vision status codes: resending is not supported", SHOULD,
)  # fmt: skip
def resend(c: Context) -> None:
    c.refused(odd_read(c, flags=packets.REQUEST_ACK | packets.RESEND), NO_RESEND)
    again = c.next_id()
    c.answered(readmem(again, 0, 4))
    c.refused(c.exchange(readmem(again, 0, 4, flags=packets.REQUEST_ACK | packets.RESEND)), NO_RESEND)


@check(
    "GENCP-HDR-015", "WRITEMEM of SI_Maximum_Leader_Size without RequestAck", "no acknowledge; the value is there",
    "GenCP 1.3 3.1.1", trace="r",
)  # fmt: skip
def write_without_ack(c: Context) -> None:
    address = c.sirm + SI_MAX_LEADER
    with c.restoring(address, 4) as before:
        new = (2048 if before != b"\x00\x08\0\0" else 1024).to_bytes(4, "little")
        quiet(c, writemem(c.next_id(), address, new, flags=0), "a write that asks for no acknowledge")
        c.same(c.rd(address, 4), new, "SI_Maximum_Leader_Size")


@check(
    "GENCP-HDR-016", "READMEM without RequestAck", "silence (an answer is noted); alive", "GenCP 1.3 3.1.1", INFO,
)  # fmt: skip
def read_without_ack(c: Context) -> None:
    ack = c.exchange(readmem(c.next_id(), 0, 4, flags=0), due=False, timeout_ms=c.silence_ms)
    if ack is not None:
        raise Failed(f"answered although nobody asked: {ack}")
    c.alive()


def answers(c: Context) -> list[tuple[str, bytes, Ack]]:
    """(check, command, acknowledge) of the whole run; there is at least one."""
    c.read(0, 4)
    made = [(e.check, e.packet, ack) for e in c.journal.exchanges for ack in (e.answer, *e.strays) if ack]
    return made + [(e.check, e.packet, p) for e in c.journal.exchanges if e.answer for p in e.answer.pending]


@check(
    "GENCP-HDR-017", "every error acknowledge of the run",
    "12 bytes, the command's acknowledge or 1, its id, length 0", "GenCP 1.3 3.1.4.3", phase=Phase.JOURNAL,
)  # fmt: skip
def error_form(c: Context) -> None:
    wrong = []
    for where, packet, ack in answers(c):
        if ack.whole and ack.status & 0x8000 and len(packet) >= HEAD_BYTES:
            code = int.from_bytes(packet[6:8], "little")
            named = ack.command in (code | 1, 1)
            if len(ack.raw) != HEAD_BYTES or ack.length or not named or ack.prefix != packets.PREFIX:
                wrong.append(f"{where}: {packets.describe_command(packet)}: {ack}")
    c.none_of(wrong, "error acknowledges of another form")


@check(
    "GENCP-HDR-018", "every status of the run",
    "known, or of the device's namespace (noted); bit 12 clear; namespace never 3", "GenCP 1.3 4.3.2.1",
    phase=Phase.JOURNAL,
)  # fmt: skip
def statuses(c: Context) -> None:
    wrong = []
    for where, packet, ack in answers(c):
        if not ack.whole or not ack.status & 0x8000:
            continue
        namespace = ack.status >> 13 & 3
        if namespace == 2 and not ack.status & 0x1000:
            c.note(f"device specific status {ack.status:04X} in {where}")
        elif ack.status not in packets.STATUS:
            wrong.append(f"{where}: {packets.describe_command(packet)}: status {ack.status:04X}")
    c.none_of(wrong, "unknown statuses")


@check(
    "GENCP-HDR-019", "warnings of the run (bit 15 clear, not 0)", "noted", "GenCP 1.3 4.3.2.1", INFO,
    phase=Phase.JOURNAL,
)  # fmt: skip
def warnings(c: Context) -> None:
    wrong = [
        f"{where}: {packets.describe_command(packet)}: status {ack.status:04X}"
        for where, packet, ack in answers(c)
        if ack.whole and ack.status and not ack.status & 0x8000
    ]
    c.none_of(wrong, "warnings")


@check(
    "GENCP-HDR-020", "the prefix and the length of every acknowledge of the run",
    "U3VC; 12 + its length field, at most MaxAck, in one transfer", "GenCP 1.3 4.3.2; hosts post buffers of exact size",
    phase=Phase.JOURNAL,
)  # fmt: skip
def lengths(c: Context) -> None:
    wrong = [
        f"{e.check}: {packets.describe_command(e.packet)}: too long"
        for e in c.journal.exchanges
        if e.overflow
    ]
    for where, packet, ack in answers(c):
        fits = ack.whole and len(ack.raw) == HEAD_BYTES + ack.length and len(ack.raw) <= c.max_ack_bytes
        if not fits or ack.prefix != packets.PREFIX:
            wrong.append(f"{where}: {packets.describe_command(packet)}: {ack}")
    c.none_of(wrong, "acknowledges of a wrong length or prefix")


def full_packet(c: Context) -> int:
    """How many bytes to read, so that the acknowledge is one packet."""
    if c.max_ack < c.packet_bytes:
        c.skip("Maximum_Acknowledge_Transfer_Length is less than a packet")
    return c.packet_bytes - HEAD_BYTES


@check(
    "GENCP-HDR-021", "a read whose acknowledge is exactly one packet, into a buffer of two packets",
    "completes within MDRT (a zero-length packet ends it)", "USB 2.0 5.8.3; USB3 Vision 1.0",
)  # fmt: skip
def full_packet_ends(c: Context) -> None:
    count = full_packet(c)
    began_ns = c.now_ns()
    ack = c.answered(readmem(c.next_id(), c.xml.entry.address, count), room=2 * c.packet_bytes)
    c.same(ack.scd, c.xml.stored[:count], "data")
    took_ms = (c.now_ns() - began_ns) / 1e6
    c.expect(took_ms <= max(c.response_ms, 200), f"the transfer ended after {took_ms:.0f} ms")


@check(
    "GENCP-HDR-022", "the same into a buffer of one packet, then another read",
    "the second one gets its acknowledge, not 0 bytes", "USB 2.0 5.8.3; Aravis posts exact sizes",
)  # fmt: skip
def nothing_after_full_buffer(c: Context) -> None:
    count = full_packet(c)
    where = read_manifest(c)[0].address  # the file itself may not be readable with such a defect
    ack = c.answered(readmem(c.next_id(), where, count), room=c.packet_bytes)
    c.same(len(ack.scd), count, "bytes of data")
    ack = c.answered(readmem(c.next_id(), 0, 4))
    c.expect(ack.ok and len(ack.scd) == 4, f"the next acknowledge: {ack}")


@check(
    "GENCP-HDR-023", "READMEM with 1 in the reserved word", "error 8002", "GenCP 1.3 4.4.1, table 6", SHOULD,
)  # fmt: skip
def reserved_word(c: Context) -> None:
    c.refused(c.exchange(readmem(c.next_id(), 0, 4, reserved=1)), INVALID_PARAMETER)


@check(
    "GENCP-HDR-024", "READMEM in two bulk transfers (11 and 13 bytes)", "no read is executed; alive",
    "USB3 Vision 1.0: a command is one transfer", SHOULD,
)  # fmt: skip
def split_command(c: Context) -> None:
    packet = readmem(c.next_id(), 0, 4)
    c.send(packet[:11])
    c.send(packet[11:])
    executed = [ack for ack in c.drain() if ack.ok]
    c.expect(not executed, f"answered: {executed[0] if executed else ''}")
    c.alive()
