"""BOOT-ABRM: the bootstrap registers of GenCP (GenCP 1.3 clauses 5.2 to 5.4)."""

from contextlib import suppress
from itertools import pairwise

from u3v.host.conformance.bootstrap import CONDITIONAL, abrm_read_only, has, version
from u3v.host.conformance.camera import camera_of
from u3v.host.conformance.context import SI_CONTROL, Context
from u3v.host.conformance.declare import INFO, SHOULD, Failed, Phase, Skipped, check
from u3v.host.conformance.streaming import streaming
from u3v.host.conformance.xml_file import ABRM_MANIFEST, ENTRY_BYTES, read_manifest

INVALID_ADDRESS = 0x8003
CAPABILITY, MDRT, SBRM, CONFIGURATION, TIMESTAMP, LATCH, INCREMENT, ENDIANNESS = (
    *(0x1C4, 0x1CC, 0x1D8, 0x1E0, 0x1F0, 0x1F8, 0x1FC, 0x20C),
)  # fmt: skip
STRINGS = {"Manufacturer_Name": 0x004, "Model_Name": 0x044, "Serial_Number": 0x144}
MORE_STRINGS = {"Device_Version": 0x0C4, "Manufacturer_Info": 0x104}
FAMILY_NAME, USER_NAME, TEXT_BYTES = 0x084, 0x184, 64
MESSAGE_CHANNEL_ID = 0x1EC
ENCODINGS = ("ascii", "utf-8", "utf-16-le")
LITTLE = 0xFFFFFFFF
NS_PER_S = 1_000_000_000


def text(c: Context, address: int) -> str:
    """A string register, in the encoding that the camera declares. Raises Failed."""
    raw = c.rd(address, TEXT_BYTES)
    encoding = ENCODINGS[min(c.capability >> 4 & 15, 2)]
    if encoding != "utf-16-le":
        raw = raw.split(b"\0")[0]
    try:
        return raw.decode(encoding).split("\0")[0]
    except UnicodeDecodeError as error:
        raise Failed(f"the string at {address:#x}: {error}") from None


def timestamp(c: Context) -> None:
    if not has(c, 3):
        c.skip("the camera has no timestamp (capability bit 3 is clear)")


def latched(c: Context) -> int:
    """The camera's clock now, ns."""
    c.wr_number(LATCH, 1)
    return c.number(TIMESTAMP, 8)


def static(c: Context) -> dict[str, bytes]:
    """All read-only ABRM registers but the timestamp."""
    return {name: c.rd(at, size) for name, at, size in abrm_read_only(c) if name != "Timestamp"}


def unchanged(
    c: Context, before: dict[str, bytes], now: dict[str, bytes], names: tuple[str, ...] = ()
) -> None:
    for name, value in before.items():
        if not names or name in names:
            c.same(now[name], value, name)


@check(
    "BOOT-ABRM-001", "GenCP_Version", "major 1, minor 0 to 3; constant", "GenCP 1.3 5.4.1", at_start=static,
    phase=Phase.END,
)  # fmt: skip
def gencp_version(c: Context) -> None:
    major, minor = version(c.rd(0, 4))
    c.expect(major == 1 and minor <= 3, f"GenCP_Version {major}.{minor}")
    unchanged(c, c.kept[c.check], static(c), ("GenCP_Version",))


@check(
    "BOOT-ABRM-002", "Manufacturer_Name, Model_Name, Serial_Number",
    "not empty, printable in the declared encoding; constant",
    "GenCP 1.3 5.4; Aravis and pylon list cameras by them", at_start=static, phase=Phase.END,
)  # fmt: skip
def names(c: Context) -> None:
    for name, address in STRINGS.items():
        found = text(c, address)
        c.show(name, b"", found)
        c.expect(found.strip() and found.isprintable(), f"{name} is {found!r}")
    unchanged(c, c.kept[c.check], static(c), tuple(STRINGS))


@check(
    "BOOT-ABRM-003", "Device_Version, Manufacturer_Info", "readable; the version is not empty", "GenCP 1.3 5.4.5",
    SHOULD,
)  # fmt: skip
def version_texts(c: Context) -> None:
    found = {name: text(c, address) for name, address in MORE_STRINGS.items()}
    c.show("texts", b"", str(found))
    c.expect(found["Device_Version"].strip(), "Device_Version is empty")


@check("BOOT-ABRM-004", "what follows the first NUL of each string", "0 to the end", "GenCP 1.3 5.2", SHOULD)
def padding(c: Context) -> None:
    addresses = [*STRINGS.values(), *MORE_STRINGS.values()]
    addresses += [FAMILY_NAME] if has(c, 8) else []
    addresses += [USER_NAME] if has(c, 0) else []
    for address in addresses:
        _, _, rest = c.rd(address, TEXT_BYTES).partition(b"\0")
        c.expect(not any(rest), f"the string at {address:#x} is followed by {rest.hex(' ')}")


@check(
    "BOOT-ABRM-005", "Device_Capability", "bits 15 to 63 clear; encoding 0 to 2", "GenCP 1.3 5.4.9", SHOULD,
)  # fmt: skip
def capability(c: Context) -> None:
    bits = c.number(CAPABILITY, 8)
    c.expect(not bits >> 15, f"Device_Capability {bits:#x}")
    c.expect(bits >> 4 & 15 <= 2, f"string encoding {bits >> 4 & 15}")


@check("BOOT-ABRM-006", "capability bit 9: an SBRM", "set", "pylon demands it; USB3 Vision has an SBRM")
def has_sbrm(c: Context) -> None:
    c.expect(c.number(CAPABILITY, 8) >> 9 & 1, "bit 9 is clear")


@check(
    "BOOT-ABRM-007", "capability bits 3 (timestamp) and 11 (written length)", "set", "all cameras known have both",
    SHOULD,
)  # fmt: skip
def usual_capabilities(c: Context) -> None:
    bits = c.number(CAPABILITY, 8)
    c.expect(bits >> 3 & 1 and bits >> 11 & 1, f"Device_Capability {bits:#x}")


@check("BOOT-ABRM-008", "each conditional register whose capability bit is set", "readable", "GenCP 1.3 5.3")
def conditional_there(c: Context) -> None:
    for name, address, size, bit in CONDITIONAL:
        if has(c, bit):
            ack = c.read(address, size)
            c.expect(ack.ok and len(ack.scd) == size, f"{name} at {address:#x}: {ack}")


@check(
    "BOOT-ABRM-009", "each conditional register whose capability bit is clear", "error 8003", "GenCP 1.3 5.3",
    SHOULD,
)  # fmt: skip
def conditional_absent(c: Context) -> None:
    for name, address, size, bit in CONDITIONAL:
        if not has(c, bit):
            ack = c.read(address, size)
            c.expect(not ack.ok, f"{name} at {address:#x} is readable without its capability bit {bit}")
            c.refused(ack, INVALID_ADDRESS)


@check(
    "BOOT-ABRM-010", "Maximum_Device_Response_Time", "1 to 60000 ms (0 is for ever in cameleon)",
    "GenCP 1.3 5.4.10",
)  # fmt: skip
def response_time(c: Context) -> None:
    ms = c.number(MDRT)
    c.expect(0 < ms <= 60_000, f"{ms} ms")


@check(
    "BOOT-ABRM-011", "Maximum_Device_Response_Time", "at most 300 ms (480, 500, 600 are sold)", "GenCP 1.3 5.4.10",
    SHOULD,
)  # fmt: skip
def short_response_time(c: Context) -> None:
    ms = c.number(MDRT)
    c.expect(ms <= 300, f"{ms} ms")


@check(
    "BOOT-ABRM-012", "Manifest_Table_Address, SBRM_Address",
    "0x10000 or more, multiples of 4; 8 bytes there are readable", "GenCP 1.3 5.4.11",
)  # fmt: skip
def pointers(c: Context) -> None:
    for name, register in (("Manifest_Table_Address", ABRM_MANIFEST), ("SBRM_Address", SBRM)):
        address = c.number(register, 8)
        c.expect(address >= 0x10000 and not address % 4, f"{name} {address:#x}")
        c.read_whole(address, 8)


@check(
    "BOOT-ABRM-013", "extents of ABRM, SBRM, SIRM, EIRM, manifest and files", "no two overlap",
    "consistency with itself",
)  # fmt: skip
def extents(c: Context) -> None:
    manifest = c.number(ABRM_MANIFEST, 8)
    entries = read_manifest(c)
    found = [(0, 0x10000, "ABRM"), (c.sbrm, c.sbrm + 0x44, "SBRM")]
    found.append((manifest, manifest + 8 + ENTRY_BYTES * len(entries), "manifest"))
    if c.u3vcp & 1:
        length = c.number(c.sbrm + 0x28) * max(c.number(c.sbrm + 0x1C), 1)
        found.append((c.sirm, c.sirm + length, "SIRM"))
    if c.u3vcp & 2:
        found.append((c.eirm, c.eirm + c.number(c.sbrm + 0x34), "EIRM"))
    files = sorted({(entry.address, entry.address + entry.size) for entry in entries})
    found += [(begin, end, f"file at {begin:#x}") for begin, end in files]
    for (_, end, name), (begin, _, after) in pairwise(sorted(found)):
        c.expect(end <= begin, f"{name} ends at {end:#x}, {after} begins at {begin:#x}")


@check(
    "BOOT-ABRM-014", "Device_Configuration; Message_Channel_ID, if there is one",
    "reserved bits 0; heartbeat and multi-event bits stay 0 without their capability; 0, for nobody writes it",
    "GenCP 1.3 5.4.13, 5.4.15", SHOULD,
    trace="r",
)  # fmt: skip
def configuration(c: Context) -> None:
    if has(c, 2):
        c.same(c.number(MESSAGE_CHANNEL_ID), 0, "Message_Channel_ID")
    bits = c.number(CONFIGURATION, 8)
    c.expect(not bits >> 2, f"Device_Configuration {bits:#x}")
    with c.restoring(CONFIGURATION, 8):
        for bit, needed in ((0, 1), (1, 12)):
            if not has(c, needed):
                ack = c.write(CONFIGURATION, (1 << bit).to_bytes(8, "little"))
                stored = c.number(CONFIGURATION, 8)
                c.expect(not stored >> bit & 1, f"bit {bit} stays set without capability bit {needed}: {ack}")


@check(
    "BOOT-ABRM-015", "capability bit 1: heartbeat", "clear; else its default is 3000 ms", "USB3 Vision uses none",
    INFO,
)  # fmt: skip
def heartbeat(c: Context) -> None:
    if has(c, 1):
        c.note(f"Heartbeat_Timeout {c.number(0x1E8)} ms")
    c.expect(not has(c, 1), "the camera offers a heartbeat")


@check(
    "BOOT-ABRM-016", "the timestamp latched twice, 0.3 s (level long: 1 s) apart",
    "the difference is the host's time in ns, within 1 % and the reads, and a multiple of Timestamp_Increment",
    "GenCP 1.3 5.4.16, 5.4.18", SHOULD, trace="r",
)  # fmt: skip
def clock_in_ns(c: Context) -> None:
    timestamp(c)
    spans = []
    for pause_ms in (0, c.pause(300, 1000)):
        c.wait_ms(pause_ms)
        began_ns = c.now_ns()
        spans.append((began_ns, latched(c), c.now_ns()))
    (a, first, b), (d, second, e) = spans
    least, most = d - b, e - a
    took = second - first
    c.show("clock", b"", f"camera {took} ns, host {least} to {most} ns")
    c.expect(least * 0.99 <= took <= most * 1.01, f"camera {took} ns, host {least} to {most} ns")
    step = c.number(INCREMENT, 8) or 1
    steps = [latched(c) - first for _ in range(3)]
    c.expect(
        not any(each % step for each in (took, *steps)),
        f"the clock moves by {took} ns, in steps of {step} ns",
    )


@check("BOOT-ABRM-017", "the timestamp read twice without a latch", "equal", "GenCP 1.3 5.4.16", SHOULD)
def latch_holds(c: Context) -> None:
    timestamp(c)
    latched(c)
    first = c.number(TIMESTAMP, 8)
    c.wait_ms(50)
    c.same(c.number(TIMESTAMP, 8), first, "Timestamp 50 ms later")


@check(
    "BOOT-ABRM-018", "Timestamp_Latch written with 0 and with 2", "0 does not latch; 2 is noted",
    "GenCP 1.3 5.4.17: bit 0", INFO, trace="r",
)  # fmt: skip
def latch_bits(c: Context) -> None:
    timestamp(c)
    first = latched(c)
    c.wait_ms(10)
    c.write(LATCH, bytes(4))
    c.same(c.number(TIMESTAMP, 8), first, "Timestamp after 0 was written to its latch")
    ack = c.write(LATCH, b"\x02\0\0\0")
    c.note(f"2: {ack}, {'does not latch' if c.number(TIMESTAMP, 8) == first else 'latches'}")


@check(
    "BOOT-ABRM-019", "Timestamp_Increment", "1 to 10^9; that stamps are multiples is noted", "GenCP 1.3 5.4.18",
)  # fmt: skip
def increment(c: Context) -> None:
    timestamp(c)
    step = c.number(INCREMENT, 8)
    c.expect(1 <= step <= NS_PER_S, f"Timestamp_Increment {step}")
    if latched(c) % step:
        c.note(f"a stamp is no multiple of {step}")


@check(
    "BOOT-ABRM-020", "Timestamp_Increment", "1, or 8 (noted); 125000 is sold, too", "GenCP 1.3 5.4.18", INFO
)
def increment_of_one(c: Context) -> None:
    timestamp(c)
    step = c.number(INCREMENT, 8)
    c.note(f"Timestamp_Increment {step}")
    c.expect(step in (1, 8), f"Timestamp_Increment {step}")


@check(
    "BOOT-ABRM-021", "20 latches, with the stream enabled and disabled between", "never falls",
    "GenCP 1.3 5.4.16: free-running", trace="r",
)  # fmt: skip
def never_back(c: Context) -> None:
    timestamp(c)
    last = latched(c)
    for i in range(20):
        if c.u3vcp & 1 and i % 5 == 0:
            c.write(c.sirm + SI_CONTROL, b"\x01\0\0\0")
            c.write(c.sirm + SI_CONTROL, bytes(4))
        now = latched(c)
        c.expect(now >= last, f"latch {i + 1}: {now} ns after {last} ns")
        last = now


@check(
    "BOOT-ABRM-022", "User_Defined_Name written and read", "equal, padded by NULs; restored", "GenCP 1.3 5.4.8",
    SHOULD, trace="r",
)  # fmt: skip
def user_name(c: Context) -> None:
    if not has(c, 0):
        c.skip("the camera has no User_Defined_Name")
    wanted = b"u3v-conform".ljust(TEXT_BYTES, b"\0")
    with c.restoring(USER_NAME, TEXT_BYTES):
        c.wr(USER_NAME, wanted)
        c.same(c.rd(USER_NAME, TEXT_BYTES), wanted, "User_Defined_Name")


@check(
    "BOOT-ABRM-023", "User_Defined_Name over a power cycle", "kept without being saved", "GenCP 1.3 5.4.8", SHOULD,
    needs="bus", trace="!",
)  # fmt: skip
def user_name_stays(c: Context) -> None:
    if not has(c, 0):
        c.skip("the camera has no User_Defined_Name")
    wanted = b"u3v-conform".ljust(TEXT_BYTES, b"\0")
    with c.restoring(USER_NAME, TEXT_BYTES):
        c.wr(USER_NAME, wanted)
        c.replug()
        c.same(c.rd(USER_NAME, TEXT_BYTES), wanted, "User_Defined_Name after a power cycle")


@check(
    "BOOT-ABRM-024", "Implementation_Endianness, where capability bit 10 offers it", "FFFFFFFF: little",
    "GenCP 1.3 5.4.21", SHOULD,
)  # fmt: skip
def endianness(c: Context) -> None:
    if not has(c, 10):
        c.skip("the camera does not tell it (capability bit 10 is clear)")
    c.same(c.number(ENDIANNESS), LITTLE, "Implementation_Endianness")


@check(
    "BOOT-ABRM-025", "all read-only ABRM registers at the beginning, after an acquisition, at the end",
    "the same bytes", "GenCP 1.3 5.4", at_start=static, phase=Phase.END,
)  # fmt: skip
def constant(c: Context) -> None:
    before: dict[str, bytes] = c.kept[c.check]
    unchanged(c, before, static(c))
    if c.u3vcp & 1:
        camera = camera_of(c)
        with suppress(Failed, Skipped), camera.small(), streaming(camera, depth=1) as stream:
            stream.shots(1)  # whether frames come is a matter of other checks
        unchanged(c, before, static(c))
