"""USB-STR: string descriptors (USB 3.2 clause 9.6.9)."""

from u3v.host.conformance.context import Context
from u3v.host.conformance.declare import INFO, SHOULD, Failed, check
from u3v.host.conformance.endpoint0 import OTHER_SPEED, STRING
from u3v.host.conformance.layout import ASSOCIATION, INFO_INDEXES, parse
from u3v.host.conformance.usb_desc import prefixes

ENGLISH = 0x0409


def indexes(c: Context) -> list[int]:
    """Every string index that a descriptor names."""
    named = {*c.device[14:17], c.layout.raw[6]}
    named |= {interface.raw[8] for interface in c.layout.interfaces}
    named |= {raw[7] for _, raw in c.layout.associations if raw[1] == ASSOCIATION and len(raw) == 8}
    named |= {c.layout.info[at] for at in INFO_INDEXES.values()} if c.layout.info else set()
    other = c.descriptor(OTHER_SPEED, 0, 4096)
    there = parse(other.data) if other.ok and len(other.data) >= 9 else None
    named |= {there.raw[6], *(interface.raw[8] for interface in there.interfaces)} if there else set()
    return sorted(named - {0})


@check(
    "USB-STR-001", "GET_DESCRIPTOR(string 0): the languages", "even length of 4 or more, type 3, one is 0x0409",
    "USB 3.2 9.6.9; CV TD9.8; Linux: string descriptor 0 malformed",
)  # fmt: skip
def languages(c: Context) -> None:
    raw = c.got(c.descriptor(STRING, 0, 255))
    c.expect(len(raw) >= 4 and not len(raw) % 2 and raw[:2] == bytes((len(raw), 3)), f"bytes {raw.hex(' ')}")
    known = [int.from_bytes(raw[at : at + 2], "little") for at in range(2, len(raw), 2)]
    c.expect(ENGLISH in known, f"languages {[f'{language:04x}' for language in known]}")


@check(
    "USB-STR-002", "each string that a descriptor names", "bLength is what came, even, 4 or more; type 3; UTF-16LE",
    "USB 3.2 9.6.9; CV TD9.8; cameleon wants them readable",
)  # fmt: skip
def readable(c: Context) -> None:
    for index in indexes(c):
        raw = c.got(c.descriptor(STRING, index, 255, ENGLISH))
        right = len(raw) >= 4 and not len(raw) % 2 and raw[:2] == bytes((len(raw), 3))
        c.expect(right, f"string {index}: bytes {raw[:32].hex(' ')}")
        try:
            raw[2:].decode("utf-16-le")
        except UnicodeDecodeError as error:
            raise Failed(f"string {index} is no UTF-16: {error}") from None


@check(
    "USB-STR-003", "the same strings", "no control characters, not blank, at most 63 characters",
    "USB3 Vision 1.0; NI's driver cuts at 64", SHOULD,
)  # fmt: skip
def printable(c: Context) -> None:
    for index in indexes(c):
        text = c.string(index)
        c.expect(text.isprintable() and text.strip(), f"string {index} is {text!r}")
        c.expect(len(text) <= 63, f"string {index} has {len(text)} characters")


@check("USB-STR-004", "a string in 2, 4, 254, 4096 bytes", "a prefix, at most bLength", "USB 3.2 9.4.3")
def lengths(c: Context) -> None:
    for index in indexes(c):
        raw = c.got(c.descriptor(STRING, index, 255, ENGLISH))
        prefixes(c, STRING, raw, (2, 4, 254, 4096), index, ENGLISH)


@check("USB-STR-005", "strings that no descriptor names", "STALL; alive", "USB 3.2 9.6.9; CV TD9.8")
def unknown(c: Context) -> None:
    for index in (max(indexes(c), default=0) + 1, 0xFE):
        c.stalls(c.descriptor(STRING, index, 255, ENGLISH))
    c.alive()


@check(
    "USB-STR-006", "string 0xEE (Microsoft's), 18 bytes", "STALL, or a descriptor of 18 bytes with MSFT100",
    "Microsoft OS 1.0 descriptors", INFO,
)  # fmt: skip
def microsoft(c: Context) -> None:
    reply = c.descriptor(STRING, 0xEE, 18, 0)
    c.note(str(reply))
    right = len(reply.data) == 18 and reply.data[2:16].decode("utf-16-le", "replace") == "MSFT100"
    c.expect(reply.stalled or right, f"{reply}: {reply.data.hex(' ')}")


@check(
    "USB-STR-007", "a string in languages that the device has not",
    "STALL or a well-formed string, never a time-out", "USB 3.2 9.6.9", INFO,
)  # fmt: skip
def foreign_language(c: Context) -> None:
    index = indexes(c)[0]
    for language in (0x0C0C, 0):
        reply = c.descriptor(STRING, index, 255, language)
        right = reply.stalled or (len(reply.data) >= 4 and reply.data[:2] == bytes((len(reply.data), 3)))
        c.expect(right, f"{reply}: {reply.data.hex(' ')}")


@check(
    "USB-STR-008", "iSerialNumber after a replug", "the same as before",
    "CV: serial numbers; Aravis and pylon address a camera by it", SHOULD, needs="bus", trace="r",
)  # fmt: skip
def serial_stays(c: Context) -> None:
    before = c.string(c.device[16])
    c.replug()
    c.same(c.string(c.got(c.descriptor(1, 0, 18), 18)[16]), before, "serial number after a replug")
