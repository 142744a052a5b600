"""GENCP-RD: reading memory (GenCP 1.3 clauses 4.4.1, 4.4.2)."""

from u3v.host.conformance.camera import camera_of
from u3v.host.conformance.context import SI_REQUIRED_PAYLOAD, Context
from u3v.host.conformance.declare import INFO, SHOULD, check
from u3v.host.conformance.packets import HEAD_BYTES, readmem
from u3v.host.conformance.streaming import streaming
from u3v.host.conformance.xml_file import ABRM_MANIFEST

INVALID_PARAMETER, INVALID_ADDRESS, ACCESS_DENIED, BAD_ALIGNMENT = 0x8002, 0x8003, 0x8006, 0x8005
NOWHERE = ((0xE0000000, 0x40), (0xFFFFFFFFFFFFFFF0, 4), (0x7FFFFFFF00000000, 4))
LATCH = 0x1F8
LONG_TEXT = 0x004
"""Manufacturer_Name: 64 bytes that may be read in any pieces."""


@check("GENCP-RD-001", "READMEM of 1 to 64 bytes at 4", "each a prefix of the 64", "GenCP 1.3 4.4.1")
def every_length(c: Context) -> None:
    whole = c.read_whole(LONG_TEXT, 64)
    for count in range(1, 65):
        c.same(c.read_whole(LONG_TEXT, count), whole[:count], f"{count} bytes")


@check(
    "GENCP-RD-002", "READMEM of 4 bytes at 5 to 12", "slices of the string; or 8005 at all odd addresses (noted)",
    "GenCP 1.3 4.4.1: byte aligned", SHOULD,
)  # fmt: skip
def every_address(c: Context) -> None:
    whole = c.read_whole(LONG_TEXT, 64)
    refused = set()
    for k in range(1, 9):
        ack = c.read(LONG_TEXT + k, 4)
        if ack.whole and ack.status == BAD_ALIGNMENT:
            refused.add(k)
        else:
            c.same(ack.scd, whole[k : k + 4], f"4 bytes at {LONG_TEXT + k}")
    if refused:
        c.note(f"8005 at offsets {sorted(refused)}")
        c.expect(refused >= {1, 3, 5, 7}, f"8005 at some unaligned addresses only: offsets {sorted(refused)}")


@check(
    "GENCP-RD-003", "the ABRM's strings and numbers in pieces of MaxAck", "the registers joined", "GenCP 1.3 4.4.1",
)  # fmt: skip
def spanning(c: Context) -> None:
    c.same(c.read_whole(0, 8), c.read_whole(0, 4) + c.read_whole(4, 4), "8 bytes at 0")
    texts = [at for at in range(4, 0x1C4, 64) if at != 0x84 or c.capability & 1 << 8]
    texts = [at for at in texts if at != 0x184 or c.capability & 1]
    last = texts[-1] + 64 if len(texts) == 7 else 0x84
    joined = c.read_whole(0, 4) + b"".join(c.rd(at, 64) for at in range(4, last, 64))
    c.same(c.rd(0, last), joined, f"{last} bytes at 0")


@check(
    "GENCP-RD-004", "both halves of the 8-byte registers", "the halves of the 8-byte read",
    "GenCP 1.3 4.4.1; Aravis 0.8.26 reads so",
)  # fmt: skip
def halves(c: Context) -> None:
    registers = [0x1C4, 0x1D0, 0x1D8, c.sbrm + 0x04, c.sbrm + 0x0C]
    registers += [c.sbrm + 0x20, c.sirm + SI_REQUIRED_PAYLOAD] if c.u3vcp & 1 else []
    registers += [c.sbrm + 0x2C] if c.u3vcp & 2 else []
    registers += [c.sbrm + 0x38] if c.u3vcp & 4 else []
    for address in registers:
        whole = c.read_whole(address, 8)
        c.same(c.read_whole(address, 4) + c.read_whole(address + 4, 4), whole, f"halves of {address:#x}")


@check("GENCP-RD-005", "64 bytes of the manifest", "in one command", "Aravis reads an entry at once")
def entry_at_once(c: Context) -> None:
    c.read_whole(c.number(ABRM_MANIFEST, 8) + 8, 64)


@check("GENCP-RD-006", "MaxAck - 12 bytes of the XML", "all of them", "USB3 Vision 1.0, SBRM")
def longest(c: Context) -> None:
    count = min(c.max_ack - HEAD_BYTES, c.xml.entry.size, 0xFFFF)
    c.same(c.read_whole(c.xml.entry.address, count), c.xml.stored[:count], f"{count} bytes of the XML")


@check("GENCP-RD-007", "MaxAck - 11 bytes of the XML", "error 8002", "USB3 Vision 1.0, SBRM", SHOULD)
def too_long(c: Context) -> None:
    count = c.max_ack - HEAD_BYTES + 1
    if count > 0xFFFF or count > c.xml.entry.size:
        c.skip(f"a read of {count} bytes cannot be asked for")
    c.refused(
        c.exchange(readmem(c.next_id(), c.xml.entry.address, count), room=c.max_ack + 1024), INVALID_PARAMETER
    )


@check("GENCP-RD-008", "READMEM of 0 bytes", "error 8002, or 0 bytes", "GenCP 1.3 4.4.1", SHOULD)
def nothing(c: Context) -> None:
    ack = c.read(0, 0)
    if not (ack.ok and not ack.scd):
        c.refused(ack, INVALID_PARAMETER)


@check("GENCP-RD-009", "READMEM of 65535 bytes at 0", "error 8002 or 8003", "USB3 Vision 1.0, SBRM")
def far_too_long(c: Context) -> None:
    if c.max_ack >= 65547:
        c.skip("the camera's acknowledges may be that long")
    c.refused(c.exchange(readmem(c.next_id(), 0, 0xFFFF), room=70_000), INVALID_PARAMETER, INVALID_ADDRESS)


@check(
    "GENCP-RD-010", "READMEM where no memory is", "error 8003", "GenCP 1.3 table 6; pylon reads E0000000 at open",
)  # fmt: skip
def nowhere(c: Context) -> None:
    for address, count in NOWHERE:
        c.refused(c.read(address, count), INVALID_ADDRESS)


@check(
    "GENCP-RD-011", "READMEM of 4 bytes at the last address", "error 8003 or 8002", "no wrap of the address",
)  # fmt: skip
def wraps(c: Context) -> None:
    c.refused(c.read(0xFFFFFFFFFFFFFFFF, 4), INVALID_ADDRESS, INVALID_PARAMETER)


@check(
    "GENCP-RD-012", "64 bytes, of which the XML has 1", "error 8003, or 64 bytes; never fewer with status 0",
    "GenCP 1.3 4.4.2",
)  # fmt: skip
def over_the_end(c: Context) -> None:
    ack = c.read(c.xml.entry.address + c.xml.entry.size - 1, 64)
    if not ack.ok:
        return c.refused(ack, INVALID_ADDRESS)
    c.same(len(ack.scd), 64, "bytes with status 0")


@check(
    "GENCP-RD-013", "READMEM of Timestamp_Latch", "error 8006 (success is noted)", "GenCP 1.3 5.4.17: write-only",
    SHOULD,
)  # fmt: skip
def write_only(c: Context) -> None:
    if not c.capability & 8:
        c.skip("the camera has no timestamp")
    ack = c.read(LATCH, 4)
    if ack.ok:
        c.note(f"readable: {ack.scd.hex(' ')}")
        c.same(ack.scd, bytes(4), "what is read")
    else:
        c.refused(ack, ACCESS_DENIED)


@check(
    "GENCP-RD-014", "READMEM in the reserved space of the ABRM", "error 8003 or 8006", "GenCP 1.3 5.4: no access",
    INFO,
)  # fmt: skip
def reserved_space(c: Context) -> None:
    answers = {address: c.read(address, 4) for address in (0x250, 0x8000, 0xFFFC)}
    held = [f"{address:#x}" for address, ack in answers.items() if ack.ok]
    c.expect(not held, f"readable: {', '.join(held)}")
    for ack in answers.values():
        c.refused(ack, INVALID_ADDRESS, ACCESS_DENIED)


@check(
    "GENCP-RD-015", "64 bytes at SIRM + 8", "served or 8003 (noted)", "old Aravis reads so", INFO, needs="str",
)  # fmt: skip
def spanning_sirm(c: Context) -> None:
    c.note(str(c.read(c.sirm + 8, 64)))


@check("GENCP-RD-016", "static registers again and again", "the same bytes", "consistency with itself")
def static(c: Context) -> None:
    first = c.rd(0, 0x84)
    for i in range(c.count(250, 1000)):
        c.same(c.rd(0, 0x84), first, f"the ABRM, reading {i + 2}")


@check(
    "GENCP-RD-017", "the XML in pieces of 4, 64, MaxAck - 12; its first bytes singly", "the same bytes",
    "GenCP 1.3 4.4.1",
)  # fmt: skip
def pieces(c: Context) -> None:
    address, stored = c.xml.entry.address, c.xml.stored
    long = c.max_ack_bytes - HEAD_BYTES
    spans = (
        [(4, 256), (64, 4096), (long, len(stored))]
        if c.count(0, 1) == 0
        else [(s, len(stored)) for s in (4, 64, long)]
    )
    spans += [(1, 256), (7, 256)]
    for size, most in spans:
        ends = range(0, min(most, len(stored)), size)
        for at in [*ends, len(stored) - len(stored) % size if len(stored) % size else len(stored) - size]:
            count = min(size, len(stored) - at)
            c.same(c.read_whole(address + at, count), stored[at : at + count], f"{count} bytes at {at}")


@check(
    "GENCP-RD-018", "SBRM, manifest, strings while the stream is on", "as without it", "consistency with itself",
    needs="str",
)  # fmt: skip
def while_streaming(c: Context) -> None:
    manifest = c.number(ABRM_MANIFEST, 8)
    places = ((0, 0x84), (c.sbrm, 0x2C), (manifest, 72))
    before = [c.rd(*place) for place in places]
    with streaming(camera_of(c)) as stream:
        for _ in range(3):
            stream.shots(1)
            c.same([c.rd(*place) for place in places], before, "registers while streaming")
