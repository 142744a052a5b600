"""U3V-DESC: the USB3 Vision function, its interfaces and its device information descriptor (USB3 Vision 1.0)."""

import string

from u3v.host.conformance.bootstrap import version
from u3v.host.conformance.context import Context
from u3v.host.conformance.declare import INFO, SHOULD, Failed, check, unbuilt
from u3v.host.conformance.layout import CONTROL, DEVICE_INFO, EVENT, INFO_INDEXES, STREAM, Interface, parse

FUNCTION = (0xEF, 0x05, 0x00)
INFO_BYTES = 20
SPEED_BITS = {"HS": 0x04, "SS": 0x08}
TEXT_BYTES = 64
ABRM_TEXTS = {
    "iVendorName": ("Manufacturer_Name", 0x004),
    "iModelName": ("Model_Name", 0x044),
    "iFamilyName": ("Family_Name", 0x084),
    "iDeviceVersion": ("Device_Version", 0x0C4),
    "iManufacturerInfo": ("Manufacturer_Info", 0x104),
    "iSerialNumber": ("Serial_Number", 0x144),
    "iUserDefinedName": ("User_Defined_Name", 0x184),
}
"""Registers of the ABRM that hold what a string of the device information descriptor says (GenCP 1.3, 5.4)."""
FAMILY, USER_NAME = 1 << 8, 1 << 0


def functions(c: Context) -> list[bytes]:
    """The associations EF/05/00."""
    return [raw for _, raw in c.layout.associations if tuple(raw[4:7]) == FUNCTION]


def info(c: Context) -> bytes:
    """The device information descriptor. Skips where there is none to look at."""
    if not c.layout.info:
        c.skip("there is no device information descriptor of 20 bytes behind the control interface")
    return c.layout.info


def named(c: Context, name: str) -> str:
    """The text behind an index of the device information descriptor, "" for index 0. Raises Failed."""
    index = info(c)[INFO_INDEXES[name]]
    return c.string(index) if index else ""


def register_text(c: Context, address: int) -> str:
    return c.rd(address, TEXT_BYTES).split(b"\0")[0].decode("utf-8", "replace")


@check(
    "U3V-DESC-001", "interface associations EF/05/00", "exactly one",
    "USB3 Vision 1.0; cameleon finds the camera by it",
)  # fmt: skip
def one_function(c: Context) -> None:
    c.same(len(functions(c)), 1, "number of associations EF/05/00")


@check(
    "U3V-DESC-002", "its span",
    "begins with the control interface; as many as there are EF/05 interfaces, contiguous",
    "USB3 Vision 1.0; USB 3.2 9.6.4",
)  # fmt: skip
def span(c: Context) -> None:
    if not functions(c):
        c.skip("there is no association EF/05/00")
    raw = functions(c)[0]
    ours = sorted({interface.number for interface in c.layout.interfaces if interface.is_u3v})
    c.same(list(range(raw[2], raw[2] + raw[3])), ours, "list of interfaces of the association")
    control = c.layout.of(CONTROL)
    c.expect(
        control and control[0].number == raw[2], f"bFirstInterface {raw[2]} is not the control interface"
    )


@check("U3V-DESC-003", "iFunction", "0 or readable (noted)", "USB 3.2 9.6.4", INFO)
def function_name(c: Context) -> None:
    for raw in functions(c):
        if raw[7]:
            c.note(c.string(raw[7]))


def channel(c: Context, protocol: int, directions: str, *, least: int, most: int) -> list[Interface]:
    """The interfaces of a protocol: so many of them, with bulk endpoints of these directions. Raises Failed."""
    found = [i for i in c.layout.interfaces if i.is_u3v and i.protocol == protocol]
    plain = [i for i in found if not i.alternate]
    c.expect(least <= len(plain) <= most, f"{len(plain)} interfaces of protocol {protocol}")
    c.expect(len(plain) == len(found), f"protocol {protocol} has alternate settings")
    for interface in plain:
        there = "".join(sorted("I" if endpoint.is_in else "O" for endpoint in interface.endpoints))
        bulk = all(endpoint.is_bulk for endpoint in interface.endpoints)
        c.expect(there == directions and bulk, f"endpoints {there or 'none'} of interface {interface.number}")
    return plain


@check(
    "U3V-DESC-004", "control interface EF/05/00",
    "exactly one, with one bulk OUT and one bulk IN, alternate 0 only", "USB3 Vision 1.0; cameleon",
)  # fmt: skip
def control_interface(c: Context) -> None:
    channel(c, CONTROL, "IO", least=1, most=1)


@check(
    "U3V-DESC-005", "event interface EF/05/01", "none or one, with one bulk IN, alternate 0 only",
    "USB3 Vision 1.0",
)  # fmt: skip
def event_interface(c: Context) -> None:
    channel(c, EVENT, "I", least=0, most=1)


@check(
    "U3V-DESC-006", "stream interfaces EF/05/02", "at least one; one bulk IN each, alternate 0 only",
    "USB3 Vision 1.0",
)  # fmt: skip
def stream_interfaces(c: Context) -> None:
    channel(c, STREAM, "I", least=1, most=255)


@check(
    "U3V-DESC-007", "number of event and stream interfaces", "one each at most",
    "cameleon rejects more; MVTec takes one", SHOULD,
)  # fmt: skip
def one_of_each(c: Context) -> None:
    for protocol, name in ((EVENT, "event"), (STREAM, "stream")):
        c.expect(len(c.layout.of(protocol)) <= 1, f"{len(c.layout.of(protocol))} {name} interfaces")


@check(
    "U3V-DESC-008", "numbers of the control endpoints", "OUT and IN share the number",
    "Aravis up to 0.8.x fails otherwise (Toshiba-Teli sells it)", SHOULD,
)  # fmt: skip
def same_number(c: Context) -> None:
    c.expect(c.control_out and c.control_in, "there is no pair of control endpoints")
    c.same(c.control_in & 0x0F, c.control_out & 0x0F, "number of control IN (OUT's to compare)")


@check(
    "U3V-DESC-009", "place of the device information descriptor",
    "directly behind the control interface's, before its endpoints, exactly one", "USB3 Vision 1.0; NI, cameleon",
)  # fmt: skip
def place_of_info(c: Context) -> None:
    found = [at for at, raw in c.layout.parts if raw[1] == DEVICE_INFO]
    behind = [interface.at + interface.raw[0] for interface in c.layout.of(CONTROL)]
    c.same(found, behind[:1], "position of the descriptors of type 24 (and where one belongs)")


@check(
    "U3V-DESC-010", "length and subtype of the device information descriptor", "bLength 20, bDescriptorSubtype 1",
    "USB3 Vision 1.0; NI wants 20 or more",
)  # fmt: skip
def form_of_info(c: Context) -> None:
    found = [raw for _, raw in c.layout.parts if raw[1] == DEVICE_INFO]
    c.expect(found, "there is no descriptor of type 24")
    c.same(found[0][0], INFO_BYTES, "bLength")
    c.same(found[0][2:3], b"\x01", "bDescriptorSubtype")


def agreeing_version(c: Context, at: int, minors: int, register: int) -> None:
    raw = info(c)[at : at + 4]
    major, minor = version(raw)
    c.expect(major == 1 and minor <= minors, f"version {major}.{minor}")
    c.same(version(c.rd(register, 4)), (major, minor), f"version in the register at {register:#x}")


@check(
    "U3V-DESC-011", "bGenCPVersion", "1.0 to 1.3, and the ABRM's", "GenCP 1.3 5.4.1; consistency with itself",
    SHOULD,
)  # fmt: skip
def gencp_version(c: Context) -> None:
    agreeing_version(c, 3, 3, 0)


@check(
    "U3V-DESC-012", "bU3VVersion", "1.0 to 1.2, and the SBRM's", "USB3 Vision 1.0; consistency with itself", SHOULD,
)  # fmt: skip
def u3v_version(c: Context) -> None:
    agreeing_version(c, 7, 2, c.sbrm)


@check("U3V-DESC-013", "iDeviceGUID", "not 0, readable, not empty", "Aravis opens the wrong camera otherwise")
def guid(c: Context) -> None:
    c.expect(info(c)[INFO_INDEXES["iDeviceGUID"]], "iDeviceGUID is 0")
    c.expect(named(c, "iDeviceGUID").strip(), "the GUID is empty")


def guid_of(c: Context) -> str:
    text = named(c, "iDeviceGUID")
    if not text:
        c.skip("there is no GUID")
    return text


@check(
    "U3V-DESC-014", "form of the GUID", "12 characters 0-9, A-F", "USB3 Vision 1.0; cameras of seven makers",
    SHOULD,
)  # fmt: skip
def guid_form(c: Context) -> None:
    text = guid_of(c)
    c.expect(len(text) == 12 and set(text) <= set(string.digits + "ABCDEF"), f"GUID {text!r}")


@check("U3V-DESC-015", "the GUID's first 4 digits", "idVendor (usual, not always)", "cameras on sale", INFO)
def guid_vendor(c: Context) -> None:
    vendor = int.from_bytes(c.device[8:10], "little")
    c.same(guid_of(c)[:4].upper(), f"{vendor:04X}", "beginning of the GUID")


unbuilt(
    "U3V-DESC-016", "GUIDs of all USB3 Vision cameras found", "no two are equal", "USB3 Vision 1.0",
    "a run sees one camera: compare the GUIDs of two reports", needs="2dev",
)  # fmt: skip


@check(
    "U3V-DESC-017", "iVendorName, iModelName, iDeviceVersion, iManufacturerInfo, iSerialNumber",
    "not 0, and readable", "USB3 Vision 1.0; cameleon skips the device; pylon lists from them",
)  # fmt: skip
def names(c: Context) -> None:
    for name in ("iVendorName", "iModelName", "iDeviceVersion", "iManufacturerInfo", "iSerialNumber"):
        c.expect(info(c)[INFO_INDEXES[name]], f"{name} is 0")
        c.show(name, b"", named(c, name))


@check("U3V-DESC-018", "iFamilyName, iUserDefinedName", "0 or readable", "USB3 Vision 1.0")
def optional_names(c: Context) -> None:
    for name in ("iFamilyName", "iUserDefinedName"):
        c.show(name, b"", named(c, name))


@check(
    "U3V-DESC-019", "strings against the ABRM: vendor, model, family, version, info; the user's name",
    "equal up to 63 characters; the user's name is no other's string",
    "hosts list from descriptors, GenICam from the ABRM; consistency with itself", SHOULD,
)  # fmt: skip
def names_agree(c: Context) -> None:
    for name in ("iVendorName", "iModelName", "iFamilyName", "iDeviceVersion", "iManufacturerInfo"):
        if name == "iFamilyName" and not (c.capability & FAMILY and info(c)[INFO_INDEXES[name]]):
            continue
        register, address = ABRM_TEXTS[name]
        c.same(named(c, name)[:63], register_text(c, address)[:63], f"{name} (with {register})")
    index = info(c)[INFO_INDEXES["iUserDefinedName"]]
    taken = [name for name, at in INFO_INDEXES.items() if info(c)[at] == index and name != "iUserDefinedName"]
    if index and taken and c.capability & USER_NAME:
        register, address = ABRM_TEXTS["iUserDefinedName"]
        c.same(
            c.string(index)[:63], register_text(c, address)[:63], f"{register}, whose string is {taken[0]}'s"
        )


@check(
    "U3V-DESC-020", "serial number: device descriptor, device information, ABRM", "all equal; not the product's name",
    "consistency with itself", SHOULD,
)  # fmt: skip
def serials_agree(c: Context) -> None:
    found = {
        "device descriptor": c.string(c.device[16]) if c.device[16] else "",
        "device information": named(c, "iSerialNumber"),
        "ABRM": register_text(c, ABRM_TEXTS["iSerialNumber"][1]),
    }
    c.expect(
        len({text[:63] for text in found.values()}) == 1, ", ".join(f"{k}: {v!r}" for k, v in found.items())
    )
    c.expect(
        c.device[15] != c.device[16] or not c.device[16], "iProduct and iSerialNumber name the same string"
    )


@check(
    "U3V-DESC-021", "User_Defined_Name written, replug, the string again",
    "the string follows the register (noted)", "consistency with itself", INFO, needs="bus", trace="r",
)  # fmt: skip
def name_follows(c: Context) -> None:
    if not c.capability & USER_NAME:
        c.skip("the camera has no User_Defined_Name")
    address = ABRM_TEXTS["iUserDefinedName"][1]
    before = c.rd(address, TEXT_BYTES)
    try:
        c.wr(address, b"u3v-conform".ljust(TEXT_BYTES, b"\0"))
        c.replug()
        index = parse(c.read_configuration()).info[INFO_INDEXES["iUserDefinedName"]]
        c.expect(index, "iUserDefinedName is 0 although there is a name")
        c.same(c.string(index), "u3v-conform", "the string after a replug")
    finally:
        c.wr(address, before)
        c.replug()


@check(
    "U3V-DESC-022", "bmSpeedSupport", "has the bit of the present speed; bits 7 to 5 and 0 are clear",
    "USB3 Vision 1.0; pylon refuses High-Speed otherwise",
)  # fmt: skip
def speeds(c: Context) -> None:
    bits = info(c)[19]
    c.expect(
        bits & SPEED_BITS[c.speed] and not bits & 0xE1, f"bmSpeedSupport {bits:#04x} on a link of {c.speed}"
    )


@check(
    "U3V-DESC-023", "interfaces that are not EF/05", "none with protocol 0 to 2 (noted)",
    "NI sorts by protocol alone", INFO,
)  # fmt: skip
def foreign_interfaces(c: Context) -> None:
    foreign = [interface for interface in c.layout.interfaces if not interface.is_u3v]
    for interface in foreign:
        c.note(f"interface {interface.number} is {interface.raw[5:8].hex(' ')}")
    c.expect(all(interface.protocol > 2 for interface in foreign), "a foreign interface with protocol 0 to 2")


@check(
    "U3V-DESC-024", "order of the interfaces", "control first; the others' order is noted", "both orders are sold",
    INFO,
)  # fmt: skip
def order(c: Context) -> None:
    names = {CONTROL: "control", EVENT: "event", STREAM: "stream"}
    found = [names.get(i.protocol, "other") for i in c.layout.interfaces if i.is_u3v]
    c.note(", ".join(found))
    if not found or found[0] != "control":
        raise Failed(f"order: {', '.join(found)}")


@check(
    "U3V-DESC-025", "bMaxBurst at SuperSpeed", "stream 1 or more (0 halves the rate); control and event 0",
    "USB3 Vision 1.0; USB 3.2 9.6.7", SHOULD, needs="SS",
)  # fmt: skip
def bursts(c: Context) -> None:
    for protocol in (CONTROL, EVENT, STREAM):
        for interface in c.layout.of(protocol):
            for endpoint in interface.endpoints:
                burst = endpoint.companion[2] if len(endpoint.companion) == 6 else 0
                right = burst >= 1 if protocol == STREAM else burst == 0
                c.expect(right, f"bMaxBurst {burst} of endpoint {endpoint.address:02x}")
