"""BOOT-SBRM, BOOT-SIRM, BOOT-EIRM: the bootstrap registers of USB3 Vision 1.0."""

import struct

from u3v.host.conformance.bootstrap import SIRM_READ_ONLY, SIRM_READ_WRITE, has, sbrm, version
from u3v.host.conformance.camera import camera_of
from u3v.host.conformance.context import (
    EI_CONTROL,
    LONGEST_PACKET,
    SI_CONTROL,
    SI_INFO,
    SI_MAX_LEADER,
    SI_REQUIRED_PAYLOAD,
    Context,
)
from u3v.host.conformance.declare import INFO, SHOULD, Phase, check
from u3v.host.conformance.layout import EVENT, STREAM
from u3v.host.conformance.streaming import CHUNK_TRAILER_BYTES, streaming

CAPABILITY, CONFIGURATION, MAX_COMMAND, MAX_ACK, CHANNELS = 0x04, 0x0C, 0x14, 0x18, 0x1C
SIRM, SIRM_LENGTH, EIRM, EIRM_LENGTH, IIDC, SPEED = 0x20, 0x28, 0x2C, 0x34, 0x38, 0x40
REQUIRED_LEADER, REQUIRED_TRAILER, EVENT_LENGTH, EVENT_TEST = 0x10, 0x14, 0x04, 0x08
SPEEDS = {"HS": 0x04, "SS": 0x08}
ACCESS_DENIED = 0x8006
LEADER_BYTES, TRAILER_BYTES, EVENT_BYTES = 52, 32, 24
"""The shortest image leader, image trailer and event (USB3 Vision 1.0)."""
MOST_MARK_BYTES = 65536
"""Leaders and trailers say their size in 16 bits."""
SIRM_BYTES, MOST_SIRM = 0x30, 0x100
"""The eleven registers of a SIRM, and how far it is looked at."""
MOST_BYTES = 1 << 20
"""A host makes buffers of what the camera says; a packet's own length field ends at 65535."""
TEXT_WRITE_BYTES, TEXT_READ_BYTES = 84, 76
"""Command and acknowledge that carry a string register of 64 bytes."""


def static(c: Context) -> dict[str, bytes]:
    return {name: c.rd(address, size) for name, address, size in sbrm(c)}


@check("BOOT-SBRM-001", "U3V_Version", "major 1, minor 0 to 2", "USB3 Vision 1.0, SBRM")
def u3v_version(c: Context) -> None:
    major, minor = version(c.rd(c.sbrm, 4))
    c.expect(major == 1 and minor <= 2, f"U3V_Version {major}.{minor}")


@check("BOOT-SBRM-002", "U3VCP_Capability", "bits 3 to 63 clear", "USB3 Vision 1.0, SBRM", SHOULD)
def capability(c: Context) -> None:
    bits = c.number(c.sbrm + CAPABILITY, 8)
    c.expect(not bits >> 3, f"U3VCP_Capability {bits:#x}")


def all_or_none(c: Context, bit: int, register: int, protocol: int, what: str) -> None:
    """Capability bit, address and interface of a channel belong together. Raises Failed."""
    set_ = bool(c.number(c.sbrm + CAPABILITY, 8) >> bit & 1)
    ack = c.read(c.sbrm + register, 8)
    pointer = bool(ack.ok and any(ack.scd))
    interface = c.layout.pipe(protocol) is not None
    c.expect(
        set_ == pointer == interface, f"{what}: bit {bit} {set_}, address {pointer}, interface {interface}"
    )


@check(
    "BOOT-SBRM-003", "bit 0, SIRM_Address, stream interface", "all three or none", "NI and cameleon gate on it",
)  # fmt: skip
def stream_agrees(c: Context) -> None:
    all_or_none(c, 0, SIRM, STREAM, "stream")


@check(
    "BOOT-SBRM-004", "bit 1, EIRM_Address, event interface", "all three or none", "consistency with itself",
)  # fmt: skip
def events_agree(c: Context) -> None:
    all_or_none(c, 1, EIRM, EVENT, "events")


@check(
    "BOOT-SBRM-005", "bit 1 against ABRM capability bit 2", "equal (Basler has 1 and 0)", "GenCP 1.3 5.4.9", INFO,
)  # fmt: skip
def message_channel(c: Context) -> None:
    c.same(has(c, 2), bool(c.u3vcp & 2), "ABRM capability bit 2")


@check("BOOT-SBRM-006", "bit 2 against IIDC2_Address", "both or none", "USB3 Vision 1.0, SBRM", SHOULD)
def iidc2(c: Context) -> None:
    ack = c.read(c.sbrm + IIDC, 8)
    pointer = int.from_bytes(ack.scd, "little") if ack.ok else 0
    c.same(bool(pointer), bool(c.u3vcp & 4), "that there is an IIDC2_Address")
    if pointer:
        c.read_whole(pointer, 4)


@check(
    "BOOT-SBRM-007", "U3VCP_Configuration", "readable, 0, takes 0", "USB3 Vision 1.0, SBRM", INFO, trace="r",
)  # fmt: skip
def configuration(c: Context) -> None:
    c.same(c.number(c.sbrm + CONFIGURATION, 8), 0, "U3VCP_Configuration")
    c.wr_number(c.sbrm + CONFIGURATION, 0, 8)


def transfer_length(c: Context, register: int, least: int, wanted: int) -> None:
    length = c.number(c.sbrm + register)
    c.expect(least <= length <= MOST_BYTES, f"{length} bytes, not {least} to {MOST_BYTES}")
    if length < wanted:
        c.note(f"{length} bytes do not carry a string register ({wanted})")


@check(
    "BOOT-SBRM-008", "Maximum_Command_Transfer_Length", "28 bytes to 1 MiB (below 84 is noted)",
    "USB3 Vision 1.0, SBRM",
)  # fmt: skip
def command_length(c: Context) -> None:
    transfer_length(c, MAX_COMMAND, 28, TEXT_WRITE_BYTES)


@check(
    "BOOT-SBRM-009", "Maximum_Acknowledge_Transfer_Length", "20 bytes to 1 MiB (below 76 is noted)",
    "USB3 Vision 1.0, SBRM",
)  # fmt: skip
def ack_length(c: Context) -> None:
    transfer_length(c, MAX_ACK, 20, TEXT_READ_BYTES)


@check(
    "BOOT-SBRM-010", "Number_of_Stream_Channels", "the number of stream interfaces", "consistency with itself",
)  # fmt: skip
def channels(c: Context) -> None:
    c.same(c.number(c.sbrm + CHANNELS), len(c.layout.of(STREAM)), "Number_of_Stream_Channels")


@check(
    "BOOT-SBRM-011", "SIRM_Length, EIRM_Length", "0x30 and 0x0C or more, multiples of 4", "USB3 Vision 1.0, SBRM",
)  # fmt: skip
def lengths(c: Context) -> None:
    for bit, register, least, name in (
        (1, SIRM_LENGTH, 0x30, "SIRM_Length"),
        (2, EIRM_LENGTH, 0x0C, "EIRM_Length"),
    ):
        if c.u3vcp & bit:
            length = c.number(c.sbrm + register)
            c.expect(length >= least and not length % 4, f"{name} {length:#x}")


@check("BOOT-SBRM-012", "Current_Speed", "one bit: the link as the host sees it", "USB3 Vision 1.0, SBRM")
def speed(c: Context) -> None:
    c.same(c.number(c.sbrm + SPEED), SPEEDS[c.speed], "Current_Speed")


@check(
    "BOOT-SBRM-013", "Current_Speed at the other speed", "follows", "consistency with itself", needs="bus",
    trace="r",
)  # fmt: skip
def speed_follows(c: Context) -> None:
    with c.attached_at("HS" if c.speed == "SS" else "SS"):
        c.same(c.number(c.sbrm + SPEED), SPEEDS[c.speed], f"Current_Speed at {c.speed}")


@check(
    "BOOT-SBRM-014", "all SBRM registers at the beginning and at the end", "the same bytes",
    "consistency with itself", at_start=static, phase=Phase.END,
)  # fmt: skip
def constant(c: Context) -> None:
    for name, value in static(c).items():
        c.same(value, c.kept[c.check].get(name), name)


@check(
    "BOOT-SIRM-001", "SI_Info", "bits 23 to 0 clear; exponent at most 31", "USB3 Vision 1.0, SIRM", needs="str",
)  # fmt: skip
def si_info(c: Context) -> None:
    value = c.number(c.sirm + SI_INFO)
    c.expect(not value & 0xFFFFFF and value >> 24 <= 31, f"SI_Info {value:#010x}")


@check(
    "BOOT-SIRM-002", "the alignment against the packet size", "at most a packet", "Aravis' last transfer breaks",
    SHOULD, needs="str",
)  # fmt: skip
def alignment(c: Context) -> None:
    step = 1 << (c.number(c.sirm + SI_INFO) >> 24 & 31)
    c.expect(step <= c.packet_bytes, f"alignment {step}, packets of {c.packet_bytes} bytes")


def control_now(c: Context) -> int:
    return c.number(c.sirm + SI_CONTROL)


@check(
    "BOOT-SIRM-003", "SI_Control at open; what lies behind the eleven registers, up to SIRM_Length", "0",
    "USB3 Vision 1.0, SIRM", SHOULD, needs="str", at_start=control_now,
)  # fmt: skip
def off_at_open(c: Context) -> None:
    c.same(c.kept[c.check], 0, "SI_Control at open")
    for at in range(SIRM_BYTES, min(c.number(c.sbrm + SIRM_LENGTH), MOST_SIRM), 4):
        ack = c.read(c.sirm + at, 4)
        c.expect(not ack.ok or not any(ack.scd), f"SIRM+{at:#x}, which is reserved, reads {ack.scd.hex(' ')}")


def payload_feature(c: Context) -> int:
    """PayloadSize through the node map, read anew. Skips without the reference implementation."""
    camera = camera_of(c)
    return int(camera.get("PayloadSize"))


@check(
    "BOOT-SIRM-004", "SI_Required_Payload_Size", "more than 0, and the feature PayloadSize",
    "USB3 Vision 1.0, SIRM; hosts use either", needs="str",
)  # fmt: skip
def required_payload(c: Context) -> None:
    size = c.number(c.sirm + SI_REQUIRED_PAYLOAD, 8)
    c.expect(size, "SI_Required_Payload_Size is 0")
    if "gapi" in c.route.abilities:
        c.same(payload_feature(c), size, "PayloadSize")


@check(
    "BOOT-SIRM-005", "SI_Required_Payload_Size after changes of region and format",
    "follows at once, and is PayloadSize still", "USB3 Vision 1.0, SIRM", needs="str gapi", trace="r",
)  # fmt: skip
def payload_follows(c: Context) -> None:
    camera = camera_of(c)
    with camera.keep("PixelFormat", "Height", "Width"):
        before = c.number(c.sirm + SI_REQUIRED_PAYLOAD, 8)
        for name in ("Width", "Height"):
            info = camera.info(name)
            camera.set(name, info.minimum or 0)
            now = c.number(c.sirm + SI_REQUIRED_PAYLOAD, 8)
            c.expect(
                now < before or info.minimum == info.maximum,
                f"{now} bytes, {before} before {name} was changed",
            )
            c.same(payload_feature(c), now, f"PayloadSize after {name}")
            before = now
        for entry in camera.info("PixelFormat").entries:
            camera.set("PixelFormat", entry)
            c.same(
                c.number(c.sirm + SI_REQUIRED_PAYLOAD, 8),
                payload_feature(c),
                f"required payload with {entry}",
            )


@check(
    "BOOT-SIRM-006", "SI_Required_Leader_Size", "52 bytes to 64 KiB", "USB3 Vision 1.0, SIRM", SHOULD, needs="str",
)  # fmt: skip
def required_leader(c: Context) -> None:
    size = c.number(c.sirm + REQUIRED_LEADER)
    c.expect(LEADER_BYTES <= size <= MOST_MARK_BYTES, f"{size} bytes")


@check(
    "BOOT-SIRM-007", "SI_Required_Trailer_Size", "32 bytes or more, 36 with chunks on, at most 64 KiB",
    "USB3 Vision 1.0, SIRM", SHOULD, needs="str", trace="r",
)  # fmt: skip
def required_trailer(c: Context) -> None:
    size = c.number(c.sirm + REQUIRED_TRAILER)
    c.expect(TRAILER_BYTES <= size <= MOST_MARK_BYTES, f"{size} bytes")
    camera = camera_of(c)
    if camera.can_use_nodes() and camera.writable("ChunkModeActive"):
        with camera.settings(ChunkModeActive=True):
            size = c.number(c.sirm + REQUIRED_TRAILER)
        c.expect(CHUNK_TRAILER_BYTES <= size <= MOST_MARK_BYTES, f"{size} bytes with chunks on")


@check(
    "BOOT-SIRM-008", "the six writable registers, aligned values, written and read", "equal",
    "USB3 Vision 1.0, SIRM; cameleon", needs="str", trace="r",
)  # fmt: skip
def writable(c: Context) -> None:
    for index, (name, at, size) in enumerate(SIRM_READ_WRITE[1:]):
        with c.restoring(c.sirm + at, size):
            wanted = 5 if name.endswith("Count") else (index + 2) * 1024
            c.wr_number(c.sirm + at, wanted)
            c.same(c.number(c.sirm + at), wanted, name)


@check("BOOT-SIRM-009", "all registers with the stream off", "readable", "USB3 Vision 1.0, SIRM")
def readable(c: Context) -> None:
    for name, at, size in (*SIRM_READ_ONLY, *SIRM_READ_WRITE):
        ack = c.read(c.sirm + at, size)
        c.expect(ack.ok and len(ack.scd) == size, f"{name}: {ack}")


@check(
    "BOOT-SIRM-010", "Width written while the stream is on", "SI_Required_Payload_Size stays",
    "USB3 Vision 1.0, SIRM", needs="str gapi", trace="r",
)  # fmt: skip
def payload_frozen(c: Context) -> None:
    camera = camera_of(c)
    address, size = camera.register("Width")
    least = int(camera.info("Width").minimum or 0).to_bytes(size, "little")
    with camera.keep("Width"), streaming(camera, depth=1) as stream:
        stream.shots(1)
        before = c.number(c.sirm + SI_REQUIRED_PAYLOAD, 8)
        raw = c.rd(c.sirm + SI_MAX_LEADER, 24)
        c.note(f"Width while streaming: {c.write(address, least)}")
        c.same(c.number(c.sirm + SI_REQUIRED_PAYLOAD, 8), before, "SI_Required_Payload_Size")
        c.same(c.rd(c.sirm + SI_MAX_LEADER, 24), raw, "the six writable registers")


def events_now(c: Context) -> int:
    return c.number(c.eirm + EI_CONTROL)


@check(
    "BOOT-EIRM-001", "EI_Control at open", "0", "USB3 Vision 1.0, EIRM", SHOULD, needs="evt", at_start=events_now,
)  # fmt: skip
def events_off_at_open(c: Context) -> None:
    c.same(c.kept[c.check], 0, "EI_Control at open")


@check(
    "BOOT-EIRM-002", "Maximum_Event_Transfer_Length", "24 bytes to as many as an event's header can tell, 65547",
    "USB3 Vision 1.0, EIRM; GenCP 1.3 4.2", needs="evt",
)  # fmt: skip
def event_length(c: Context) -> None:
    length = c.number(c.eirm + EVENT_LENGTH)
    c.expect(EVENT_BYTES <= length <= LONGEST_PACKET, f"{length} bytes")


@check("BOOT-EIRM-003", "EI_Control 1, then 0", "reads back", "USB3 Vision 1.0, EIRM", needs="evt", trace="r")
def events_switch(c: Context) -> None:
    for value in (1, 0):
        c.wr_number(c.eirm + EI_CONTROL, value)
        c.same(c.number(c.eirm + EI_CONTROL), value, "EI_Control")


@check(
    "BOOT-EIRM-004", "Event_Test_Control read", "0 or error 8006", "Toshiba-Teli's register header", SHOULD,
    needs="evt",
)  # fmt: skip
def event_test(c: Context) -> None:
    ack = c.read(c.eirm + EVENT_TEST, 4)
    if ack.ok:
        c.same(ack.scd, struct.pack("<I", 0), "Event_Test_Control")
    else:
        c.refused(ack, ACCESS_DENIED)
