"""USB-DESC: the device descriptor and the qualifier (USB 3.2 clause 9.6.1, USB 2.0 clause 9.6.2)."""

from u3v.host.conformance.context import Context
from u3v.host.conformance.declare import INFO, MUST, SHOULD, Failed, check
from u3v.host.conformance.endpoint0 import CONFIGURATION, DEVICE, OTHER_SPEED, QUALIFIER
from u3v.host.conformance.layout import walk
from u3v.host.conformance.route import known_of

MISCELLANEOUS_IAD = bytes.fromhex("ef 02 01")


@check(
    "USB-DESC-001", "GET_DESCRIPTOR(device), 18 bytes", "exactly 18 bytes: bLength 18, bDescriptorType 1",
    "USB 3.2 9.6.1; CV TD9.1",
)  # fmt: skip
def is_whole(c: Context) -> None:
    raw = c.got(c.descriptor(DEVICE, 0, 18), 18)
    c.same(raw[:2], b"\x12\x01", "bLength, bDescriptorType")


@check(
    "USB-DESC-002", "bcdUSB against the link's speed",
    "a release of USB: SuperSpeed 0x0300, 0x0310, 0x0320; High-Speed 0x0200, 0x0201, 0x0210",
    "USB 3.2 9.6.1; CV TD9.1",
)  # fmt: skip
def version_fits_link(c: Context) -> None:
    version = int.from_bytes(c.device[2:4], "little")
    released = (0x0300, 0x0310, 0x0320) if c.speed == "SS" else (0x0200, 0x0201, 0x0210)
    c.expect(version in released, f"bcdUSB {version:#06x} on a link of {c.speed}")


@check(
    "USB-DESC-003", "device class, subclass, protocol", "EF 02 01",
    "USB 3.2 9.6.1 and the IAD note; Aravis compares it",
)  # fmt: skip
def class_of_associations(c: Context) -> None:
    c.same(c.device[4:7], MISCELLANEOUS_IAD, "device class")


@check(
    "USB-DESC-004", "bMaxPacketSize0", "SuperSpeed 9 (2^9); High-Speed 64", "USB 3.2 9.6.1; Linux: ep0 maxpacket",
)  # fmt: skip
def packet_size_0(c: Context) -> None:
    c.same(c.device[7], 9 if c.speed == "SS" else 64, "bMaxPacketSize0")


@check(
    "USB-DESC-005", "idVendor, idProduct",
    "idVendor neither 0 nor 0xFFFF; with class and bcdDevice as whoever enumerated the device has read them",
    "CV TD9.1; USB 3.2 9.6.1",
)  # fmt: skip
def vendor_id(c: Context) -> None:
    vendor, product = (int.from_bytes(c.device[at : at + 2], "little") for at in (8, 10))
    c.note(f"{vendor:04x}:{product:04x}")
    c.expect(vendor not in (0, 0xFFFF), f"idVendor {vendor:#06x}")
    if c.route.enumerated:
        c.same(
            known_of(c.device),
            c.route.enumerated,
            "class, ids, bcdDevice, bNumConfigurations (and as enumerated)",
        )


@check(
    "USB-DESC-006", "iManufacturer, iProduct, iSerialNumber", "all non-zero, readable, not empty",
    "USB 3.2 9.6.1; Aravis falls back to them", SHOULD,
)  # fmt: skip
def strings_named(c: Context) -> None:
    for name, at in (("iManufacturer", 14), ("iProduct", 15), ("iSerialNumber", 16)):
        c.expect(c.device[at], f"{name} is 0")
        c.expect(c.string(c.device[at]).strip(), f"{name} {c.device[at]} is an empty string")


@check(
    "USB-DESC-007", "bNumConfigurations",
    "at least 1, each readable (a second one is noted: hosts use the first alone)",
    "USB 3.2 9.6.1; Linux: no configurations",
)  # fmt: skip
def configurations(c: Context) -> None:
    count = c.device[17]
    c.expect(count, "bNumConfigurations 0")
    if count > 1:
        c.note(f"{count} configurations")
    for number in range(count):
        c.got(c.descriptor(CONFIGURATION, number, 9), 9)


def prefixes(
    c: Context, kind: int, whole: bytes, lengths: tuple[int, ...], number: int = 0, language: int = 0
) -> None:
    """GET_DESCRIPTOR of each length answers min(length, whole) bytes, a prefix of the whole one. Raises Failed."""
    for length in lengths:
        if length == 65535 and "raw0" not in c.route.abilities:
            continue
        raw = c.got(c.descriptor(kind, number, length, language))
        if raw != whole[:length]:
            raise Failed(f"asked for {length} bytes: {len(raw)} came, {raw[:32].hex(' ')}")


@check(
    "USB-DESC-008", "GET_DESCRIPTOR(device) of 1, 2, 8, 9, 17 bytes", "exactly so many, a prefix", "USB 3.2 9.4.3",
)  # fmt: skip
def short_reads(c: Context) -> None:
    prefixes(c, DEVICE, c.device, (1, 2, 8, 9, 17))


@check(
    "USB-DESC-009", "GET_DESCRIPTOR(device) of 19, 64, 255, 4096, 65535 bytes",
    "18 bytes; the transfer ends by itself", "USB 3.2 9.4.3; usbtest case 10",
)  # fmt: skip
def long_reads(c: Context) -> None:
    prefixes(c, DEVICE, c.device, (19, 64, 255, 4096, 65535))


@check(
    "USB-DESC-010", "GET_DESCRIPTOR(device) of 0 bytes", "succeeds without a data stage", "USB 2.0 9.3.5", SHOULD,
)  # fmt: skip
def no_data_stage(c: Context) -> None:
    c.got(c.descriptor(DEVICE, 0, 0), 0)


@check(
    "USB-DESC-011", "GET_DESCRIPTOR(device), index 1", "STALL, or the descriptor (noted)", "USB 3.2 9.4.3", INFO,
)  # fmt: skip
def foreign_index(c: Context) -> None:
    reply = c.descriptor(DEVICE, 1, 18)
    c.note(str(reply))
    c.expect(reply.stalled or reply.data == c.device, f"{reply}: {reply.data.hex(' ')}")


@check(
    "USB-DESC-012", "GET_DESCRIPTOR(device) 100 times, also unconfigured", "the same bytes each time", "CV TD9.1",
    MUST, trace="r",
)  # fmt: skip
def constant(c: Context) -> None:
    for i in range(100):
        c.same(c.got(c.descriptor(DEVICE, 0, 18)), c.device, f"device descriptor, reading {i + 1}")
    with c.unconfigured():
        c.same(c.got(c.descriptor(DEVICE, 0, 18)), c.device, "device descriptor of the unconfigured device")


@check(
    "USB-DESC-013", "GET_DESCRIPTOR(device qualifier)",
    "SuperSpeed: STALL. High-Speed: 10 bytes, type 6, bMaxPacketSize0 8..64, a configuration, bReserved 0",
    "CV TD9.19; USB 2.0 9.6.2; usbtest case 9",
)  # fmt: skip
def qualifier(c: Context) -> None:
    reply = c.descriptor(QUALIFIER, 0, 10)
    if c.speed == "SS":
        return c.stalls(reply)
    raw = c.got(reply, 10)
    c.same(raw[:2], b"\x0a\x06", "bLength, bDescriptorType")
    c.expect(raw[7] in (8, 16, 32, 64), f"bMaxPacketSize0 {raw[7]}")
    c.expect(raw[8] and not raw[9], f"bNumConfigurations {raw[8]}, bReserved {raw[9]}")
    if raw[4:7] != MISCELLANEOUS_IAD:
        c.note(f"class at full speed: {raw[4:7].hex(' ')}")


@check(
    "USB-DESC-014", "GET_DESCRIPTOR(other speed configuration), then whole",
    "SuperSpeed: STALL. High-Speed, with a qualifier: type 7, well-formed, bLength 9",
    "USB 2.0 9.6.4; CV aborts without it; usbtest case 9",
)  # fmt: skip
def other_speed(c: Context) -> None:
    head = c.descriptor(OTHER_SPEED, 0, 9)
    if c.speed == "SS":
        return c.stalls(head)
    if not c.descriptor(QUALIFIER, 0, 10).ok:
        c.skip("there is no qualifier")
    raw = c.got(head, 9)
    c.same(raw[:2], b"\x09\x07", "bLength, bDescriptorType")
    total = int.from_bytes(raw[2:4], "little")
    _, broken = walk(c.got(c.descriptor(OTHER_SPEED, 0, total), total))
    c.expect(not broken, broken)


@check("USB-DESC-015", "bcdDevice", "every nibble at most 9", "USB 2.0 9.6.1 (BCD)", INFO)
def release(c: Context) -> None:
    number = int.from_bytes(c.device[12:14], "little")
    c.note(f"bcdDevice {number:04x}")
    c.expect(f"{number:04x}".isdecimal(), f"bcdDevice {number:04x} is no BCD number")
