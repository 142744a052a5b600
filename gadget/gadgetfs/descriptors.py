"""What GadgetFS is told and tells: descriptors, endpoint files and their names, events.

Layouts: linux/usb/gadgetfs.h and the comments of drivers/usb/gadget/legacy/inode.c. The kernel shows hosts the
configuration as it stands here; it only makes the device USB 2.0 (bcdUSB 0x0200, so nobody asks for a BOS descriptor).
"""

import re
import struct
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import NamedTuple

from gadget.usb.descriptors import ENDPOINT, walk
from u3v.errors import U3VError
from u3v.wire.usb import CONTROL_IN, CONTROL_OUT, Descriptors

EVENT = struct.Struct("<8sI")
"""struct usb_gadgetfs_event: a setup packet, or the speed in its first four bytes; and the kind."""
_FULL_SPEED_PACKET = 64
_NAME = re.compile(r"ep(?:(\d+)|-[a-z])(in|out)?(?:-(bulk|int|iso))?$")


class Event(IntEnum):
    """Kinds of events of endpoint 0."""

    NOP = 0
    CONNECT = 1
    DISCONNECT = 2
    SETUP = 3
    SUSPEND = 4


class Told(NamedTuple):
    """One event; `setup` is there with SETUP."""

    kind: int
    setup: bytes


def events(raw: bytes) -> list[Told]:
    """What a read of endpoint 0 gave."""
    return [
        Told(kind, setup) for setup, kind in EVENT.iter_unpack(raw[: len(raw) // EVENT.size * EVENT.size])
    ]


class EndpointFile(NamedTuple):
    """A file of the controller for one of the camera's endpoints. `address`: the one that hosts see."""

    name: str
    address: int


def choose_files(names: Iterable[str], addresses: Iterable[int]) -> dict[int, EndpointFile]:
    """The controller's files for the camera's endpoints: those with the camera's own numbers, else others that can do
    it.

    A name says what hardware is behind it: ep2in-bulk, ep1out; ep3 (either way); ep-b (any number). Raises U3VError.
    """
    free = {name: match for name in sorted(names) if (match := _NAME.match(name)) is not None}
    chosen: dict[int, EndpointFile] = {}
    numbers: set[int] = set()

    def fitting(address: int) -> list[tuple[str, str | None]]:
        way = "in" if address & 0x80 else "out"
        return [
            (name, match[1])
            for name, match in free.items()
            if match[2] in (way, None) and match[3] in ("bulk", None)
        ]

    for address in sorted(addresses, key=lambda each: (each & 0x0F, each)):
        number = address & 0x0F
        if address == CONTROL_OUT and CONTROL_IN in chosen:
            number = chosen[CONTROL_IN].address & 0x0F
        candidates = fitting(address)
        same = [name for name, fixed in candidates if fixed == str(number)]
        any_number = [name for name, fixed in candidates if fixed is None]
        others = [(name, int(fixed)) for name, fixed in candidates if fixed and int(fixed) not in numbers]
        if same:
            name = same[0]
        elif any_number:
            name = any_number[0]
        elif others:
            name, number = min(others, key=lambda each: each[1])
        else:
            raise U3VError(
                f"the controller has no endpoint left for {address:#04x}: {', '.join(sorted(free))}"
            )
        numbers.add(number)
        del free[name]
        chosen[address] = EndpointFile(name, number | address & 0x80)
    return chosen


def device_blob(high: Descriptors, files: Mapping[int, EndpointFile]) -> bytes:
    """What is written to the controller's file. At Full-Speed there is an interface that says it is too slow."""
    assert high.other_speed is not None
    full = bytes((9, 2)) + high.other_speed[2:]
    configuration = b"".join(
        raw[:2] + bytes((files[raw[2]].address,)) + raw[3:] if raw[1] == ENDPOINT else raw
        for raw in walk(high.configuration)
    )
    return struct.pack("<I", 0) + full + configuration + high.device


def endpoint_blob(high: Descriptors, address: int, file: EndpointFile) -> bytes:
    """What is written to the file of an endpoint before it serves: its descriptors at Full-Speed and High-Speed."""
    raw = next(raw for raw in walk(high.configuration) if raw[1] == ENDPOINT and raw[2] == address)
    high_speed = raw[:2] + bytes((file.address,)) + raw[3:]
    full_speed = high_speed[:4] + struct.pack("<H", _FULL_SPEED_PACKET) + high_speed[6:]
    return struct.pack("<I", 1) + full_speed + high_speed
