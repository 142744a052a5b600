"""USB-BOS: the binary device object store and its capabilities (USB 3.2 clause 9.6.2)."""

from u3v.host.conformance.context import Context
from u3v.host.conformance.declare import SHOULD, Failed, check
from u3v.host.conformance.endpoint0 import BOS
from u3v.host.conformance.layout import walk
from u3v.host.conformance.usb_desc import prefixes

SPEED_SUPPORT, SPEED_PLUS_BIT = 19, 0x10
"""Where the device information descriptor has bmSpeedSupport, and its bit for SuperSpeedPlus."""
USB_2_EXTENSION, SUPER_SPEED, CONTAINER_ID, SUPER_SPEED_PLUS = 0x02, 0x03, 0x04, 0x0A


def whole(c: Context) -> bytes:
    """The BOS. Raises Failed; Skipped where a High-Speed device need not have one."""
    head = c.descriptor(BOS, 0, 5)
    if not head.ok and c.speed == "HS" and int.from_bytes(c.device[2:4], "little") < 0x0201:
        c.skip("a device of USB 2.0 has no BOS")
    total = int.from_bytes(c.got(head, 5)[2:4], "little")
    return c.got(c.descriptor(BOS, 0, total), total)


def capability(c: Context, kind: int) -> bytes:
    """The capability descriptor of a type, b"" where there is none."""
    found = [part for _, part in walk(whole(c))[0] if part[1] == 0x10 and len(part) > 2 and part[2] == kind]
    return found[0] if found else b""


def needed(c: Context, kind: int, length: int) -> bytes:
    """A capability that has to be there. Raises Failed."""
    raw = capability(c, kind)
    if len(raw) != length:
        raise Failed(
            f"the capability {kind:02x} has {len(raw)} bytes, not {length}"
            if raw
            else f"no capability {kind:02x}"
        )
    return raw


@check(
    "USB-BOS-001", "GET_DESCRIPTOR(BOS), 5 bytes",
    "5 bytes: bLength 5, type 0F, wTotalLength at least 5; required at SuperSpeed and where bcdUSB is 0x0201 or more",
    "USB 3.2 9.6.2; usbtest case 10; Linux: unable to get BOS",
)  # fmt: skip
def head(c: Context) -> None:
    raw = whole(c)
    c.same(raw[:2], b"\x05\x0f", "bLength, bDescriptorType")
    c.expect(len(raw) >= 5, f"wTotalLength {len(raw)}")


@check(
    "USB-BOS-002", "the whole BOS, walked",
    "bNumDeviceCaps capabilities of type 0x10; their lengths add up to wTotalLength", "USB 3.2 9.6.2; CV TD9.7",
)  # fmt: skip
def adds_up(c: Context) -> None:
    raw = whole(c)
    parts, broken = walk(raw)
    c.expect(not broken, broken)
    c.same([part[1] for _, part in parts[1:]], [0x10] * raw[4], "list of capabilities' types")


@check(
    "USB-BOS-003", "the BOS in 1, 4, 6, total - 1, 255, 4096 bytes", "a prefix, never more than the total",
    "USB 3.2 9.4.3",
)  # fmt: skip
def lengths(c: Context) -> None:
    raw = whole(c)
    prefixes(c, BOS, raw, (1, 4, 6, len(raw) - 1, 255, 4096))


@check(
    "USB-BOS-004", "capability USB 2.0 extension", "7 bytes; LPM (bit 1) set; bits 0, 7 to 5 and 31 to 16 clear",
    "USB 3.2 9.6.2.1; CV TD9.7; usbtest case 9 (Linux' gadgets lack it where their controller has no LPM)", SHOULD,
    needs="SS",
)  # fmt: skip
def usb_2_extension(c: Context) -> None:
    bits = int.from_bytes(needed(c, USB_2_EXTENSION, 7)[3:7], "little")
    c.expect(bits & 0xFFFF00E3 == 2, f"bmAttributes {bits:#x}")
    if bits & 0xFFFC:
        c.note(f"BESL bits in use: {bits:#x}")


@check(
    "USB-BOS-005", "capability SuperSpeed",
    "10 bytes; bmAttributes only bit 1; wSpeedsSupported has bit 3 and none of 15 to 4",
    "USB 3.2 9.6.2.2; CV TD9.7; usbtest case 9", needs="SS",
)  # fmt: skip
def super_speed(c: Context) -> None:
    raw = needed(c, SUPER_SPEED, 10)
    c.expect(not raw[3] & ~2, f"bmAttributes {raw[3]:#x}")
    speeds = int.from_bytes(raw[4:6], "little")
    c.expect(speeds & 8 and not speeds & 0xFFF0, f"wSpeedsSupported {speeds:#x}")


@check(
    "USB-BOS-006", "bFunctionalitySupport",
    "0 to 3, a speed of wSpeedsSupported; at least two speeds are supported",
    "USB 3.2 9.6.2.2; CV: at least 2 speeds", needs="SS",
)  # fmt: skip
def functionality(c: Context) -> None:
    raw = needed(c, SUPER_SPEED, 10)
    speeds, lowest = int.from_bytes(raw[4:6], "little"), raw[6]
    c.expect(lowest <= 3 and speeds >> lowest & 1, f"bFunctionalitySupport {lowest} with speeds {speeds:#x}")
    c.expect((speeds & 0xF).bit_count() >= 2, f"one speed only: wSpeedsSupported {speeds:#x}")


@check(
    "USB-BOS-007", "exit latencies", "bU1DevExitLat at most 0x0A, wU2DevExitLat at most 0x07FF, not both 0",
    "USB 3.2 9.6.2.2; Linux: LPM exit latency is zeroed", SHOULD, needs="SS",
)  # fmt: skip
def exit_latencies(c: Context) -> None:
    raw = needed(c, SUPER_SPEED, 10)
    u1, u2 = raw[7], int.from_bytes(raw[8:10], "little")
    c.expect(u1 <= 0x0A and u2 <= 0x07FF and (u1 or u2), f"bU1DevExitLat {u1}, wU2DevExitLat {u2}")


@check(
    "USB-BOS-008", "other capabilities",
    "container id: 20 bytes, reserved 0; SuperSpeedPlus only with its speed; rest noted",
    "USB 3.2 9.6.2.3; CV TD9.7; usbtest case 9", SHOULD,
)  # fmt: skip
def others(c: Context) -> None:
    for _, part in walk(whole(c))[0][1:]:
        kind = part[2] if len(part) > 2 else -1
        if kind == CONTAINER_ID:
            c.expect(len(part) == 20 and not part[3], f"container id: {part.hex(' ')}")
        elif kind == SUPER_SPEED_PLUS:
            told = bool(c.layout.info) and c.layout.info[SPEED_SUPPORT] & SPEED_PLUS_BIT
            c.expect(told, "SuperSpeedPlus, which bmSpeedSupport has not")
        elif kind not in (USB_2_EXTENSION, SUPER_SPEED):
            c.note(f"capability {kind:02x}, {len(part)} bytes")


@check(
    "USB-BOS-009", "wSpeedsSupported against bmSpeedSupport of the 0x24 descriptor",
    "High-Speed and SuperSpeed agree; no low speed, which has no bulk endpoints",
    "USB3 Vision 1.0, device information; USB 2.0 5.8.3", SHOULD,
)  # fmt: skip
def speeds_agree(c: Context) -> None:
    raw = capability(c, SUPER_SPEED)
    if not raw or not c.layout.info:
        c.skip("there is no SuperSpeed capability, or no device information descriptor")
    speeds, support = int.from_bytes(raw[4:6], "little"), c.layout.info[SPEED_SUPPORT]
    for name, bos_bit, u3v_bit in (("High-Speed", 2, 2), ("SuperSpeed", 3, 3)):
        agree = speeds >> bos_bit & 1 == support >> u3v_bit & 1
        c.expect(agree, f"{name}: wSpeedsSupported {speeds:#x}, bmSpeedSupport {support:#x}")
    c.expect(not speeds & 1, f"wSpeedsSupported {speeds:#x}: low speed has no bulk endpoints")
