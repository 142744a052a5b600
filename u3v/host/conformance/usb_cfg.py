"""USB-CFG: configuration, interfaces, endpoints, companions (USB 3.2 clause 9.6.3 to 9.6.7)."""

from u3v.host.conformance import layout
from u3v.host.conformance.context import Context
from u3v.host.conformance.declare import SHOULD, check
from u3v.host.conformance.endpoint0 import CONFIGURATION
from u3v.host.conformance.usb_desc import prefixes

KNOWN_TYPES = {
    0x02: "configuration",
    0x04: "interface",
    0x05: "endpoint",
    0x0B: "association",
    0x24: "class",
    0x30: "companion",
}
LEAST_BYTES = 60
"""Configuration, association, control interface with its 0x24 and two endpoints, at High-Speed."""


def total_of(c: Context) -> int:
    return int.from_bytes(c.got(c.descriptor(CONFIGURATION, 0, 9), 9)[2:4], "little")


@check(
    "USB-CFG-001", "GET_DESCRIPTOR(configuration), 9 bytes", "9 bytes: bLength 9, type 2, wTotalLength at least 60",
    "USB 3.2 9.6.3; CV TD9.2",
)  # fmt: skip
def head(c: Context) -> None:
    raw = c.got(c.descriptor(CONFIGURATION, 0, 9), 9)
    c.same(raw[:2], b"\x09\x02", "bLength, bDescriptorType")
    total = int.from_bytes(raw[2:4], "little")
    c.expect(total >= LEAST_BYTES, f"wTotalLength {total}")


@check(
    "USB-CFG-002", "the whole configuration, walked",
    "exactly wTotalLength bytes; the descriptors' lengths add up to it",
    "Linux config.c: excess byte, invalid length",
)  # fmt: skip
def adds_up(c: Context) -> None:
    total = total_of(c)
    raw = c.got(c.descriptor(CONFIGURATION, 0, total), total)
    parts, broken = layout.walk(raw)
    c.expect(not broken, broken)
    c.show("configuration", raw, ", ".join(f"{at}: type {part[1]:02x}" for at, part in parts))


@check(
    "USB-CFG-003", "the configuration in 1, 8, 10, 18, wTotalLength - 1 bytes", "exactly so many, a prefix",
    "CV TD9.2 short and long; usbtest case 10",
)  # fmt: skip
def short_reads(c: Context) -> None:
    whole = c.layout.raw
    prefixes(c, CONFIGURATION, whole, (1, 8, 10, 18, len(whole) - 1))


@check(
    "USB-CFG-004", "the configuration in wTotalLength + 64, 1024, 4096, 65535 bytes", "exactly wTotalLength bytes",
    "CV TD9.2; usbtest case 10",
)  # fmt: skip
def long_reads(c: Context) -> None:
    whole = c.layout.raw
    prefixes(c, CONFIGURATION, whole, (len(whole) + 64, 1024, 4096, 65535))
    c.same(len(whole), total_of(c), "length of the whole configuration")


@check("USB-CFG-005", "configurations past the last one, and 255", "STALL", "CV TD9.2 bad index")
def bad_index(c: Context) -> None:
    for index in (c.device[17], 0xFF):
        c.stalls(c.descriptor(CONFIGURATION, index, 9))


@check(
    "USB-CFG-006", "interface numbers", "bNumInterfaces different ones, 0 and up without a gap",
    "USB 3.2 9.6.5; Linux: has no interface number",
)  # fmt: skip
def interface_numbers(c: Context) -> None:
    numbers = sorted({interface.number for interface in c.layout.interfaces})
    c.same(numbers, list(range(c.layout.raw[4])), "list of bInterfaceNumber")


@check(
    "USB-CFG-007", "endpoints of each interface", "bNumEndpoints is the number of endpoint descriptors that follow",
    "USB 3.2 9.6.5; Linux: different from the interface descriptor's value",
)  # fmt: skip
def endpoint_counts(c: Context) -> None:
    for interface in c.layout.interfaces:
        c.same(
            len(interface.endpoints), interface.raw[4], f"number of endpoints of interface {interface.number}"
        )


@check(
    "USB-CFG-008", "bConfigurationValue", "not 0, and SET_CONFIGURATION takes it", "USB 3.2 9.6.3", trace="r",
)  # fmt: skip
def value_works(c: Context) -> None:
    c.expect(c.layout.value, "bConfigurationValue 0")
    c.got(c.configure(c.layout.value))


@check("USB-CFG-009", "bmAttributes", "bit 7 set, bits 4 to 0 clear", "USB 3.2 9.6.3; usbtest is_good_config")
def attributes(c: Context) -> None:
    bits = c.layout.raw[7]
    c.expect(bits & 0x9F == 0x80, f"bmAttributes {bits:#04x}")


@check("USB-CFG-010", "iConfiguration, every iInterface", "0 or a readable string", "CV TD9.8", SHOULD)
def strings_exist(c: Context) -> None:
    for index in {c.layout.raw[6], *(interface.raw[8] for interface in c.layout.interfaces)} - {0}:
        c.string(index)


@check(
    "USB-CFG-011", "types of the descriptors inside",
    "one 02 at the beginning, then 04, 05, 0B, 24, 30 (others noted), no 01; 24 only behind an interface",
    "USB 3.2 9.4.3; Linux: unexpected descriptor of type",
)  # fmt: skip
def types_inside(c: Context) -> None:
    parts = c.layout.parts
    types = [part[1] for _, part in parts]
    c.expect(
        types and types[0] == 2 and 2 not in types[1:], "not one configuration descriptor, at the beginning"
    )
    c.expect(1 not in types, "a device descriptor inside")
    first = types.index(4) if 4 in types else len(types)
    c.expect(0x24 not in types[:first], "a class descriptor (0x24) before any interface")
    for foreign in sorted(set(types) - KNOWN_TYPES.keys()):
        c.note(f"descriptor of type {foreign:02x}")


@check(
    "USB-CFG-012", "every interface association",
    "bLength 8; its interfaces exist, are contiguous and come behind it; its class is not 0",
    "CV TD9.3; USB 3.2 9.6.4",
)  # fmt: skip
def associations(c: Context) -> None:
    numbers = {interface.number: interface.at for interface in reversed(c.layout.interfaces)}
    for at, raw in c.layout.associations:
        c.same(raw[0], 8, "bLength of an association")
        for number in range(raw[2], raw[2] + raw[3]):
            c.expect(number in numbers, f"an association of interface {number}, which is not there")
            c.expect(numbers[number] > at, f"interface {number} stands before its association")
        c.expect(raw[3] and raw[4], f"an association of {raw[3]} interfaces, class {raw[4]}")


@check(
    "USB-CFG-013", "every interface", "bLength 9; there is an alternate setting 0; no number and setting twice",
    "CV TD9.4; Linux: duplicate descriptor",
)  # fmt: skip
def interfaces(c: Context) -> None:
    found = [(interface.number, interface.alternate) for interface in c.layout.interfaces]
    c.expect(len(set(found)) == len(found), f"an interface twice: {found}")
    for _, part in c.layout.parts:
        c.expect(part[1] != layout.INTERFACE or part[0] == 9, f"an interface descriptor of bLength {part[0]}")
    for number, _ in found:
        c.expect((number, 0) in found, f"interface {number} has no alternate setting 0")


@check(
    "USB-CFG-014", "endpoint addresses", "bLength 7; numbers 1 to 15, bits 6 to 4 clear, none twice",
    "CV TD9.5; Linux: duplicate endpoint",
)  # fmt: skip
def endpoint_addresses(c: Context) -> None:
    found = [endpoint.address for endpoint in c.layout.endpoints]
    c.expect(len(set(found)) == len(found), f"an endpoint twice: {[f'{address:02x}' for address in found]}")
    for endpoint in c.layout.endpoints:
        c.same(endpoint.raw[0], 7, f"bLength of endpoint {endpoint.address:02x}")
        right = endpoint.address & 0x0F and not endpoint.address & 0x70
        c.expect(right, f"bEndpointAddress {endpoint.address:02x}")


@check("USB-CFG-015", "bmAttributes of the USB3 Vision endpoints", "2 (bulk), nothing else", "CV TD9.5")
def bulk_endpoints(c: Context) -> None:
    for interface in c.layout.interfaces:
        for endpoint in interface.endpoints if interface.is_u3v else ():
            c.same(endpoint.raw[3], 2, f"bmAttributes of endpoint {endpoint.address:02x}")


@check(
    "USB-CFG-016", "wMaxPacketSize", "SuperSpeed 1024, High-Speed 512, bits 15 to 11 clear",
    "CV TD9.5; Linux: invalid maxpacket",
)  # fmt: skip
def packet_sizes(c: Context) -> None:
    for endpoint in c.layout.bulk:
        raw = int.from_bytes(endpoint.raw[4:6], "little")
        c.same(raw, c.packet_bytes, f"wMaxPacketSize of endpoint {endpoint.address:02x}")


@check(
    "USB-CFG-017", "bInterval of bulk endpoints", "SuperSpeed 0; High-Speed any (noted)", "CV TD9.5; USB 3.2 9.6.6",
)  # fmt: skip
def intervals(c: Context) -> None:
    for endpoint in c.layout.bulk:
        if c.speed == "SS":
            c.same(endpoint.raw[6], 0, f"bInterval of endpoint {endpoint.address:02x}")
        elif endpoint.raw[6]:
            c.note(f"NAK rate {endpoint.raw[6]} of endpoint {endpoint.address:02x}")


@check(
    "USB-CFG-018", "companion behind each endpoint", "SuperSpeed: directly behind, bLength 6. High-Speed: none",
    "USB 3.2 9.6.7; CV TD9.6; Linux: no SuperSpeed endpoint companion",
)  # fmt: skip
def companions(c: Context) -> None:
    for endpoint in c.layout.endpoints:
        wanted = b"\x06\x30" if c.speed == "SS" else b""
        c.same(endpoint.companion[:2], wanted, f"companion of endpoint {endpoint.address:02x}")
    found = sum(part[1] == layout.COMPANION for _, part in c.layout.parts)
    c.same(found, len(c.layout.endpoints) if c.speed == "SS" else 0, "number of companions")


@check(
    "USB-CFG-019", "fields of the companions", "bMaxBurst 0 to 15; bmAttributes 0; wBytesPerInterval 0",
    "USB 3.2 9.6.7; CV TD9.6",
)  # fmt: skip
def companion_fields(c: Context) -> None:
    for endpoint in c.layout.bulk:
        if endpoint.companion:
            c.expect(
                endpoint.companion[2] <= 15, f"bMaxBurst {endpoint.companion[2]} of {endpoint.address:02x}"
            )
            c.same(
                endpoint.companion[3:6],
                bytes(3),
                f"bmAttributes, wBytesPerInterval of {endpoint.address:02x}",
            )


@check(
    "USB-CFG-020", "the whole configuration 100 times, and after configurations 0 and 1",
    "the same bytes each time", "USB 3.2 9.4.3; the device's consistency with itself", trace="r",
)  # fmt: skip
def constant(c: Context) -> None:
    for i in range(100):
        c.same(c.read_configuration(), c.layout.raw, f"configuration, reading {i + 1}")
    with c.unconfigured():
        c.same(c.read_configuration(), c.layout.raw, "configuration of the unconfigured device")
    c.same(c.read_configuration(), c.layout.raw, "configuration of the device configured again")


@check(
    "USB-CFG-021", "the configuration at SuperSpeed against High-Speed",
    "the same interfaces, protocols and endpoint addresses", "the device's consistency with itself", SHOULD,
    needs="bus", trace="r",
)  # fmt: skip
def other_speed(c: Context) -> None:
    def shape(found: layout.Layout) -> list[tuple[object, ...]]:
        return [
            (i.number, i.alternate, i.raw[5:8], [endpoint.address for endpoint in i.endpoints])
            for i in found.interfaces
        ]

    here, there = c.speed, "HS" if c.speed == "SS" else "SS"
    with c.attached_at(there):
        c.same(
            shape(layout.parse(c.read_configuration())),
            shape(c.layout),
            f"shape at {there}, compared with {here}",
        )


@check(
    "USB-CFG-022",
    "a configuration whose length is a multiple of the packet of endpoint 0, asked for with one byte more",
    "ends by a zero-length packet, not by a time-out", "USB 2.0 5.5.3", needs="HS sim",
)  # fmt: skip
def ends_by_itself(c: Context) -> None:
    whole = c.layout.raw
    if len(whole) % 64:
        c.note(f"wTotalLength {len(whole)} is no multiple of 64: read up to multiples of it instead")
    for wanted in (len(whole) // 64 * 64, len(whole) + 1):
        c.same(c.got(c.descriptor(CONFIGURATION, 0, wanted)), whole[:wanted], f"the first {wanted} bytes")
