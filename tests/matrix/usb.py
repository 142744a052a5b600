"""Mutants of descriptors, of endpoint 0 and of halts."""

import dataclasses
from itertools import count

from gadget.runner import BuiltCamera
from gadget.usb.in_pipe import Urb
from tests.matrix.rig import Mutant, several
from tests.matrix.usb_rig import (
    accepted,
    answer,
    bos_bytes,
    conf,
    describe,
    descriptor_answer,
    device_bytes,
    of_kind,
    part,
    stalled,
    strings,
)
from u3v.wire.usb import Speed

HS = Speed.HIGH
IFACE, ENDPOINT, IAD, INFO, COMPANION = 4, 5, 0x0B, 0x24, 0x30


def drifting(at: int):  # type: ignore[no-untyped-def]
    """A byte that is another one at each reading."""
    reading = count()

    def change(data: bytes | None, urb: Urb) -> bytes | None:
        if data is None or len(data) <= at:
            return data
        return data[:at] + bytes((next(reading) // 20 & 0x7F,)) + data[at + 1 :]

    return change


def padded(data: bytes | None, urb: Urb) -> bytes | None:
    return None if data is None else data.ljust(min(urb.length, 4096), b"\0")


def insert(at: int, raw: bytes):  # type: ignore[no-untyped-def]
    def change(parts: list[bytearray]) -> None:
        parts.insert(at, bytearray(raw))

    return conf(change)


def move(parts: list[bytearray], start: int, end: int) -> None:
    parts.insert(end, parts.pop(start))


def drop(kind: int, nth: int):  # type: ignore[no-untyped-def]
    def change(parts: list[bytearray]) -> None:
        wanted = of_kind(parts, kind)[nth]
        del parts[next(i for i, p in enumerate(parts) if p is wanted)]

    return conf(change)


def double(kind: int, nth: int):  # type: ignore[no-untyped-def]
    def change(parts: list[bytearray]) -> None:
        wanted = of_kind(parts, kind)[nth]
        at = next(i for i, p in enumerate(parts) if p is wanted)
        parts.insert(at, bytearray(wanted))

    return conf(change)


def second_configuration_stalls(built: BuiltCamera) -> None:
    seen: list[int] = []

    def change(data: bytes | None, urb: Urb) -> bytes | None:
        value = urb.setup[2]
        seen.append(value)
        return None if value and seen[-2:] == [value] * 2 else data

    answer((0, 9, None, None), change)(built)


MUTANTS = [
    Mutant("bLength 17", "USB-DESC-001", device_bytes(0, b"\x11")),
    Mutant("type 0", "USB-DESC-001", device_bytes(1, b"\x00")),
    Mutant("bcdUSB 0x0200 at SS", "USB-DESC-002", device_bytes(2, b"\x00\x02")),
    Mutant("class 00 00 00", "USB-DESC-003", device_bytes(4, b"\0\0\0")),
    Mutant("bMaxPacketSize0 64 at SS", "USB-DESC-004", device_bytes(7, b"\x40")),
    Mutant("idVendor 0", "USB-DESC-005", device_bytes(8, b"\0\0")),
    Mutant("iSerialNumber 0", "USB-DESC-006", device_bytes(16, b"\0")),
    Mutant("bNumConfigurations 0", "USB-DESC-007", device_bytes(17, b"\0")),
    Mutant(
        "short reads answered with too little",
        "USB-DESC-008",
        descriptor_answer(1, 0, lambda d, urb: d[:2] if d is not None and 2 < urb.length < 18 else d),
    ),
    Mutant("pads to wLength", "USB-DESC-009", descriptor_answer(1, 0, padded)),
    Mutant(
        "wLength 0 stalls", "USB-DESC-010", descriptor_answer(1, 0, lambda d, urb: d if urb.length else None)
    ),
    Mutant("bcdDevice drifts", "USB-DESC-012", descriptor_answer(1, 0, drifting(12))),
    Mutant("qualifier answered at SS", "USB-DESC-013", descriptor_answer(6, 0, lambda d, urb: bytes(10))),
    Mutant("qualifier missing at HS", "USB-DESC-013", descriptor_answer(6, 0, lambda d, urb: None), speed=HS),
    Mutant("other-speed missing", "USB-DESC-014", descriptor_answer(7, 0, lambda d, urb: None), speed=HS),
    Mutant("configuration type 1", "USB-CFG-001", part(2, 0, 1, 1)),
    Mutant(
        "wTotalLength + 1",
        "USB-CFG-002",
        describe(
            lambda d: dataclasses.replace(
                d, configuration=d.configuration[:2] + bytes((d.configuration[2] + 1,)) + d.configuration[3:]
            )
        ),
    ),
    Mutant("a bLength 0", "USB-CFG-002", part(COMPANION, 0, 0, 0)),
    Mutant(
        "truncation at 9",
        "USB-CFG-003",
        descriptor_answer(2, 0, lambda d, urb: d[:9] if d is not None and urb.length < 40 else d),
    ),
    Mutant("reads past the end", "USB-CFG-004", descriptor_answer(2, 0, padded)),
    Mutant(
        "any index answered",
        "USB-CFG-005",
        descriptor_answer(2, None, lambda d, urb: bytes((9, 2, 9, 0, 0, 1, 0, 0x80, 0)) if d is None else d),
    ),
    Mutant("bNumInterfaces + 1", "USB-CFG-006", part(2, 0, 4, 4)),
    Mutant("bNumEndpoints 2 with one", "USB-CFG-007", part(IFACE, 2, 4, 2)),
    Mutant("bConfigurationValue 0", "USB-CFG-008", part(2, 0, 5, 0), also="*"),
    Mutant("bmAttributes 0x40", "USB-CFG-009", part(2, 0, 7, 0x40)),
    Mutant("iInterface names a missing string", "USB-CFG-010", part(IFACE, 1, 8, 0x77)),
    Mutant("a device descriptor inside", "USB-CFG-011", insert(5, bytes((18, 1)) + bytes(16))),
    Mutant("bInterfaceCount 4 of 3", "USB-CFG-012 U3V-DESC-002", part(IAD, 0, 3, 4)),
    Mutant("duplicate interface", "USB-CFG-013", part(IFACE, 2, 2, 1)),
    Mutant("stream reuses 0x82", "USB-CFG-014", part(ENDPOINT, 3, 2, 0x82)),
    Mutant("interrupt endpoint", "USB-CFG-015", part(ENDPOINT, 2, 3, 3)),
    Mutant("wMaxPacketSize 512 at SS", "USB-CFG-016", part(ENDPOINT, 3, 5, 2)),
    Mutant("bInterval 1", "USB-CFG-017", part(ENDPOINT, 3, 6, 1)),
    Mutant("companion missing", "USB-CFG-018", drop(COMPANION, 1)),
    Mutant("companion at HS", "USB-CFG-018", insert(5, bytes((6, 0x30, 0, 0, 0, 0))), speed=HS),
    Mutant("bMaxBurst 16", "USB-CFG-019", part(COMPANION, 3, 2, 16)),
    Mutant("32 bulk streams", "USB-CFG-019", part(COMPANION, 3, 3, 5)),
    Mutant("iFunction drifts", "USB-CFG-020", descriptor_answer(2, 0, drifting(16))),
    Mutant("BOS stalls", "USB-BOS-001", descriptor_answer(15, 0, lambda d, urb: None)),
    Mutant("bNumDeviceCaps 3", "USB-BOS-002", bos_bytes(4, b"\x03")),
    Mutant("over-long BOS", "USB-BOS-003", descriptor_answer(15, 0, padded)),
    Mutant("LPM bit clear", "USB-BOS-004", bos_bytes(8, b"\0")),
    Mutant("a reserved bit of LPM", "USB-BOS-004", bos_bytes(8, b"\x9e")),
    Mutant("low speed offered", "USB-BOS-009", bos_bytes(16, b"\x0f")),
    Mutant("bcdUSB 3.01", "USB-DESC-002", device_bytes(2, b"\x01")),
    Mutant("the product is called by its serial number", "U3V-DESC-020", device_bytes(15, b"\x03")),
    Mutant("the user's name is the vendor's", "U3V-DESC-019", part(INFO, 0, 18, 1)),
    Mutant("wSpeedsSupported 0x1E", "USB-BOS-005", bos_bytes(16, b"\x1e")),
    Mutant("bFunctionalitySupport 4", "USB-BOS-006", bos_bytes(18, b"\x04")),
    Mutant("exit latencies 0", "USB-BOS-007", bos_bytes(19, b"\0\0\0")),
    Mutant(
        "container id of 19 bytes",
        "USB-BOS-008",
        describe(
            lambda d: dataclasses.replace(
                d, bos=bytes((5, 15, 22 + 19, 0, 3)) + d.bos[5:] + bytes((19, 16, 4)) + bytes(16)
            )
        ),
    ),
    Mutant("bmSpeedSupport without HS", "USB-BOS-009", part(INFO, 0, 19, 8)),
    Mutant("LANGID table empty", "USB-STR-001", descriptor_answer(3, 0, lambda d, urb: b"\x02\x03")),
    Mutant(
        "bLength 1 too big",
        "USB-STR-002",
        descriptor_answer(3, 2, lambda d, urb: bytes((d[0] + 1,)) + d[1:] if d else d),
    ),
    Mutant("trailing NUL", "USB-STR-003", strings(lambda s: s.update({2: s[2] + "\0"}))),
    Mutant(
        "n ignored",
        "USB-STR-004",
        descriptor_answer(3, None, lambda d, urb: d[:2] if d is not None and 2 < urb.length < 5 else d),
    ),
    Mutant(
        "empty string for unknown index",
        "USB-STR-005",
        descriptor_answer(3, None, lambda d, urb: b"\x02\x03" if d is None else d),
    ),
    Mutant(
        "always configuration 1",
        "USB-CH9-001 USB-CH9-003",
        answer((0x80, 8, None, None), lambda d, urb: b"\1"),
        also="*",
    ),
    Mutant("second SET_CONFIGURATION stalls", "USB-CH9-002", second_configuration_stalls),
    Mutant("any configuration accepted", "USB-CH9-004", accepted(0, 9)),
    Mutant(
        "alternate setting 0xFF",
        "USB-CH9-009",
        answer((0x81, 10, None, None), lambda d, urb: b"\xff" if d is not None else d),
    ),
    Mutant("SET_INTERFACE stalls", "USB-CH9-010", stalled(1, 11, 0)),
    Mutant("alternate 1 accepted", "USB-CH9-011", accepted(1, 11, 1)),
    Mutant("interface index masked", "USB-CH9-012", several(accepted(0x81, 10), accepted(0x81, 0))),
    Mutant("self-powered bit set", "USB-CH9-013", answer((0x80, 0, None, None), lambda d, urb: b"\1\0")),
    Mutant(
        "interface status 0x0100",
        "USB-CH9-014",
        answer((0x81, 0, None, None), lambda d, urb: b"\0\1"[: urb.length] if d is not None else d),
    ),
    Mutant(
        "halt bit in byte 1",
        "USB-CH9-015",
        answer((0x82, 0, None, None), lambda d, urb: b"\0\1" if d == b"\0\0" else d),
    ),
    Mutant("status of any endpoint", "USB-CH9-016", accepted(0x82, 0)),
    Mutant("status is junk to wLength", "USB-CH9-017", answer((0x80, 0, None, None), padded)),
    Mutant("U1 accepted, never reported", "USB-CH9-018", answer((0x80, 0, 0, 0), lambda d, urb: b"\0\0")),
    Mutant("U1 at HS", "USB-CH9-019", several(accepted(0, 3, 48, 0), accepted(0, 1, 48, 0)), speed=HS),
    Mutant("LTM without capability", "USB-CH9-020", several(accepted(0, 3, 50, 0), accepted(0, 1, 50, 0))),
    Mutant(
        "wake-up accepted, not declared", "USB-CH9-021", several(accepted(0, 3, 1, 0), accepted(0, 1, 1, 0))
    ),
    Mutant("unknown feature accepted", "USB-CH9-022", several(accepted(0, 3, 0x66), accepted(0, 1, 0x66))),
    Mutant("function suspend stalls", "USB-CH9-023", stalled(1, 3, 0)),
    Mutant("endpoint selector ignored", "USB-CH9-024", accepted(2, 3, 1)),
    Mutant("SET_SEL stalls", "USB-CH9-025", stalled(0, 0x30)),
    Mutant("SET_SEL of any length", "USB-CH9-026", accepted(0, 0x30)),
    Mutant("SET_ISOCH_DELAY stalls", "USB-CH9-027", stalled(0, 0x31)),
    Mutant("zero bytes instead of STALL", "USB-CH9-028", descriptor_answer(0x42, 0, lambda d, urb: b"")),
    Mutant(
        "interface descriptor served",
        "USB-CH9-029",
        descriptor_answer(4, 0, lambda d, urb: bytes((9, 4)) + bytes(7)),
    ),
    Mutant("undefined request accepted", "USB-CH9-030", accepted(0x80, 0xFF)),
    Mutant("class answer", "USB-CH9-031", accepted(0xA1, 1)),
    Mutant("direction ignored", "USB-CH9-034", accepted(0, 6)),
    Mutant("HALT refused", "USB-EP-001", stalled(2, 3, 0)),
    Mutant("phantom endpoint", "USB-EP-013", several(accepted(2, 3, 0, 0x8F), accepted(2, 1, 0, 0x8F))),
    Mutant("clear halt stalls", "USB-EP-008", stalled(2, 1, 0)),
    Mutant("association missing", "U3V-DESC-001", drop(IAD, 0), also="USB-STR-005"),
    Mutant("association of another class", "U3V-DESC-001", part(IAD, 0, 4, 0x0E)),
    Mutant(
        "third control endpoint",
        "U3V-DESC-004",
        several(part(IFACE, 0, 4, 3), insert(7, bytes((7, 5, 0x85, 2, 0, 4, 0, 6, 0x30, 0, 0, 0, 0)))),
    ),
    Mutant("event endpoint OUT", "U3V-DESC-005", part(ENDPOINT, 2, 2, 0x02)),
    Mutant("two stream interfaces", "U3V-DESC-007", part(IFACE, 1, 7, 2)),
    Mutant("0x24 behind the endpoints", "U3V-DESC-009", conf(lambda p: move(p, 3, 7))),
    Mutant("0x24 with bLength 0x13", "U3V-DESC-010", part(INFO, 0, 0, 0x13)),
    Mutant("GenCP 0.1", "U3V-DESC-011", part(INFO, 0, 5, 0)),
    Mutant("U3V version words swapped", "U3V-DESC-012", several(part(INFO, 0, 7, 1), part(INFO, 0, 9, 0))),
    Mutant("GUID of 11 digits", "U3V-DESC-014", strings(lambda s: s.update({4: s[4][:11]}))),
    Mutant("iUserDefinedName names a missing string", "U3V-DESC-018", part(INFO, 0, 18, 0x77)),
    Mutant(
        "model string differs from Model_Name", "U3V-DESC-019", strings(lambda s: s.update({2: "another"}))
    ),
    Mutant("serial string differs", "U3V-DESC-020", strings(lambda s: s.update({3: "4711"}))),
    Mutant("present speed missing", "U3V-DESC-022", part(INFO, 0, 19, 4)),
    Mutant("stream bMaxBurst 0", "U3V-DESC-025", part(COMPANION, 3, 2, 0)),
]
