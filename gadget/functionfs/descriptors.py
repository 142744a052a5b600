"""What FunctionFS is told on ep0 before it serves: descriptors, strings; and the events that it tells.

Layouts: linux/usb/functionfs.h. The kernel's composite layer makes device and configuration descriptor itself, gives
interfaces, endpoints and strings their numbers, and renumbers what it knows of: not the strings that the U3V device
information descriptor (0x24) names. They stay right because ours are numbered like the kernel's: 1 to 3 are those of
the gadget, and FunctionFS' follow.
"""

import struct
from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from gadget.usb.descriptors import ENDPOINT, INTERFACE, walk
from u3v.wire.usb import CONTROL_IN, LANGUAGE_EN_US, Descriptors

DESCRIPTORS_MAGIC, STRINGS_MAGIC = 3, 2
HAS_FULL_SPEED, HAS_HIGH_SPEED, HAS_SUPER_SPEED = 1, 2, 4
_FULL_SPEED_PACKET = struct.pack("<H", 64)
DEVICE_INFO = 0x24
_ASSOCIATION, _COMPANION = 0x0B, 0x30
GADGET_STRINGS = 3
"""Manufacturer, product and serial number have the string indices 1 to 3."""
FUNCTION_STRING = 9
"""The name of the function, the last of ours: FunctionFS keeps no more strings than some descriptor it knows names."""
EVENT = struct.Struct("<8sB3x")
"""struct usb_functionfs_event: a setup packet and the kind of event."""


class Event(IntEnum):
    """Kinds of events of ep0."""

    BIND = 0
    UNBIND = 1
    ENABLE = 2
    DISABLE = 3
    SETUP = 4
    SUSPEND = 5
    RESUME = 6


_KINDS = frozenset(Event)


class Told(NamedTuple):
    """One event; `setup` is there with SETUP."""

    kind: Event
    setup: bytes


def events(raw: bytes) -> list[Told]:
    """What a read of ep0 gave. Kinds of later kernels are left out."""
    found = EVENT.iter_unpack(raw[: len(raw) // EVENT.size * EVENT.size])
    return [Told(Event(kind), setup) for setup, kind in found if kind in _KINDS]


def function_blob(
    high: Descriptors, super_: Descriptors, *, device_info: bool = True, pads: int = 0
) -> bytes:
    """Descriptors of all speeds: FunctionFS takes the endpoints' numbers from those of Full-Speed, where there is no
    USB3 Vision, and crashes where they are missing. Without `device_info` the 0x24 is left out, which most hosts will
    not stand.

    `pads`: OUT endpoints of an interface without meaning in front, so that a controller with fixed endpoints has
    the ones before on offer when the camera's turn comes.
    """
    bodies = [_body(each.configuration, device_info, pads) for each in (high, super_)]
    bodies.insert(
        0, [raw[:4] + _FULL_SPEED_PACKET + raw[6:] if raw[1] == ENDPOINT else raw for raw in bodies[0]]
    )
    counts = struct.pack("<3I", *(len(body) for body in bodies))
    body = counts + b"".join(raw for body in bodies for raw in body)
    flags = HAS_FULL_SPEED | HAS_HIGH_SPEED | HAS_SUPER_SPEED
    head = struct.pack("<3I", DESCRIPTORS_MAGIC, 12 + len(body), flags)
    return head + body


def strings_blob(strings: Mapping[int, str]) -> bytes:
    """The strings behind the gadget's own three, in order."""
    texts = [strings[index] for index in range(GADGET_STRINGS + 1, FUNCTION_STRING + 1)]
    body = struct.pack("<H", LANGUAGE_EN_US) + b"".join(text.encode() + b"\0" for text in texts)
    return struct.pack("<4I", STRINGS_MAGIC, 16 + len(body), len(texts), 1) + body


def endpoint_order(configuration: bytes) -> list[int]:
    """Addresses of the camera's endpoints in the order of the files ep1, ep2, ... (`pads` come before)."""
    return [raw[2] for raw in walk(configuration) if raw[1] == ENDPOINT]


def _body(configuration: bytes, device_info: bool, pads: int) -> list[bytes]:
    """The descriptors of one speed, without the configuration descriptor itself."""
    out: list[bytes] = []
    for raw in walk(configuration):
        if raw[1] == _ASSOCIATION:  # its string index is FunctionFS' own, and so is counted from 1
            first = 1 if pads else 0
            raw = raw[:2] + bytes((first,)) + raw[3:7] + bytes((raw[7] - GADGET_STRINGS,))
        elif raw[1] == INTERFACE and pads:
            raw = raw[:2] + bytes((raw[2] + 1,)) + raw[3:]
        elif raw[1] == ENDPOINT:  # numbers are only to be distinct here, the kernel chooses
            raw = raw[:2] + bytes((_moved(raw[2], pads),)) + raw[3:]
        elif raw[1] == DEVICE_INFO and not device_info:
            continue
        out.append(raw)
    return _padding(out[1:], pads) + out[1:]


def _moved(address: int, pads: int) -> int:
    return (address & 0x80) | ((address & 0x0F) + pads)


def _padding(body: list[bytes], pads: int) -> list[bytes]:
    """An interface of a vendor with `pads` OUT endpoints like the camera's."""
    if not pads:
        return []
    like = next(
        index for index, raw in enumerate(body) if raw[1] == ENDPOINT and raw[2] != _moved(CONTROL_IN, pads)
    )
    endpoint, companion = body[like], body[like + 1 : like + 2]
    out = [bytes((9, INTERFACE, 0, 0, pads, 0xFF, 0, 0, 0))]
    for number in range(1, pads + 1):
        out.append(endpoint[:2] + bytes((number,)) + endpoint[3:])
        out += [raw for raw in companion if raw[1] == _COMPANION]
    return out
