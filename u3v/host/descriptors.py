"""Finding the USB3 Vision function in a configuration descriptor, as a careful host does it.

The function is the interface association EF/05/00; its control interface carries the device information
descriptor (type 0x24, subtype 0x01) before its endpoints; every interface is told by its protocol: 0 control,
1 event, 2 stream (USB3 Vision 1.0; USB 3.2 clause 9.6). Foreign interfaces of a composite device are ignored.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from u3v.errors import Malformed

DT_CONFIGURATION, DT_INTERFACE, DT_ENDPOINT, DT_ASSOCIATION, DT_DEVICE_INFO = 0x02, 0x04, 0x05, 0x0B, 0x24
MISCELLANEOUS, U3V_SUBCLASS = 0xEF, 0x05
CONTROL, EVENT, STREAM = 0, 1, 2

_DEVICE_INFO = struct.Struct("<BBBII9B")


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """The device information descriptor. Names ending in `_index` are string indexes, 0: absent."""

    gencp_version: tuple[int, int]
    u3v_version: tuple[int, int]
    guid_index: int
    vendor_index: int
    model_index: int
    family_index: int
    device_version_index: int
    manufacturer_info_index: int
    serial_index: int
    user_defined_name_index: int
    speed_support: int


@dataclass(frozen=True, slots=True)
class Pipe:
    """An endpoint: address with the direction bit, packet size in bytes."""

    address: int
    max_packet: int


@dataclass(frozen=True, slots=True)
class U3VFunction:
    """Where the channels of a USB3 Vision function are. `configuration` is its bConfigurationValue."""

    configuration: int
    control_interface: int
    control_out: Pipe
    control_in: Pipe
    event_interface: int | None
    event_in: Pipe | None
    stream_interface: int | None
    stream_in: Pipe | None
    info: DeviceInfo


def walk(configuration: bytes) -> Iterator[bytes]:
    """The descriptors of a configuration, one after the other. Raises Malformed."""
    at = 0
    while at < len(configuration):
        length = configuration[at]
        if length < 2 or at + length > len(configuration):
            raise Malformed(
                f"descriptor at byte {at} says {length} bytes, {len(configuration) - at} are left"
            )
        yield configuration[at : at + length]
        at += length


def parse_device_info(descriptor: bytes) -> DeviceInfo:
    """Raises Malformed where this is no device information descriptor of 20 bytes."""
    if len(descriptor) < _DEVICE_INFO.size or descriptor[2] != 0x01:
        raise Malformed(f"{descriptor.hex(' ')} is no USB3 Vision device information descriptor")
    _, _, _, gencp, u3v, *indexes = _DEVICE_INFO.unpack_from(descriptor)
    return DeviceInfo((gencp >> 16, gencp & 0xFFFF), (u3v >> 16, u3v & 0xFFFF), *indexes)


def find_function(configuration: bytes) -> U3VFunction:
    """The first USB3 Vision function of a configuration. Raises Malformed, saying what is missing."""
    value = 0
    span = range(0)
    interface = protocol = -1
    info: DeviceInfo | None = None
    numbers: dict[int, int] = {}
    pipes: dict[tuple[int, int], Pipe] = {}
    for descriptor in walk(configuration):
        kind = descriptor[1]
        if kind == DT_CONFIGURATION:
            _need(descriptor, 9)
            value = descriptor[5]
        elif kind == DT_ASSOCIATION and not span:
            _need(descriptor, 8)
            if tuple(descriptor[4:7]) == (MISCELLANEOUS, U3V_SUBCLASS, CONTROL):
                span = range(descriptor[2], descriptor[2] + descriptor[3])
        elif kind == DT_INTERFACE:
            _need(descriptor, 9)
            interface = descriptor[2]
            ours = interface in span and tuple(descriptor[5:7]) == (MISCELLANEOUS, U3V_SUBCLASS)
            protocol = descriptor[7] if ours and descriptor[3] == 0 else -1
            if protocol in (CONTROL, EVENT, STREAM):
                numbers.setdefault(protocol, interface)
        elif kind == DT_DEVICE_INFO and protocol == CONTROL and info is None:
            info = parse_device_info(descriptor)
        elif kind == DT_ENDPOINT and protocol >= 0 and numbers.get(protocol) == interface:
            _need(descriptor, 7)
            if descriptor[3] & 0x03 == 0x02:
                pipe = Pipe(descriptor[2], int.from_bytes(descriptor[4:6], "little") & 0x7FF)
                pipes.setdefault((protocol, pipe.address & 0x80), pipe)
    if not span:
        raise Malformed("no interface association EF/05/00: not a USB3 Vision camera")
    control_out, control_in = pipes.get((CONTROL, 0x00)), pipes.get((CONTROL, 0x80))
    if CONTROL not in numbers or control_out is None or control_in is None:
        raise Malformed("the USB3 Vision function has no control interface with bulk IN and OUT")
    if info is None:
        raise Malformed("the control interface has no device information descriptor (0x24/0x01)")
    return U3VFunction(
        value,
        numbers[CONTROL],
        control_out,
        control_in,
        numbers.get(EVENT),
        pipes.get((EVENT, 0x80)),
        numbers.get(STREAM),
        pipes.get((STREAM, 0x80)),
        info,
    )


def _need(descriptor: bytes, length: int) -> None:
    if len(descriptor) < length:
        raise Malformed(f"descriptor {descriptor.hex(' ')} is shorter than {length} bytes")
