"""Devices that describe themselves in unusual ways, or wrongly. Set from the start: a host reads descriptors once."""

from collections.abc import Mapping
from dataclasses import replace

from gadget.faults.wrappers import FunctionFault
from gadget.usb.descriptors import ENDPOINT, INTERFACE, walk
from u3v.function import InTransfer
from u3v.wire.usb import CONTROL_IN, Descriptors, Speed

_ASSOCIATION = 0x0B
_STREAM_PROTOCOL = 2
_VIDEO = (
    bytes((8, _ASSOCIATION, 0, 1, 0x0E, 0x03, 0x00, 0)),  # its first interface's number is filled in
    bytes((9, INTERFACE, 0, 0, 0, 0x0E, 0x01, 0x00, 0)),
)
Groups = list[list[bytes]]


class DescriptorFault(FunctionFault):
    """`spoil` changes the descriptors. It strikes once, at the start."""

    def descriptors(self, speed: Speed) -> Descriptors:
        self.strikes.struck = max(1, self.strikes.struck)
        return self.spoil(self.inner.descriptors(speed))

    def spoil(self, descriptors: Descriptors) -> Descriptors:
        raise NotImplementedError


class NoStreamInterface(DescriptorFault):
    """The configuration has no stream interface."""

    def spoil(self, descriptors: Descriptors) -> Descriptors:
        head, groups = _split(descriptors.configuration)
        return replace(
            descriptors, configuration=_join(head, [g for g in groups if g[0][7] != _STREAM_PROTOCOL])
        )


class StreamFirst(DescriptorFault):
    """The stream interface comes before the event interface."""

    def spoil(self, descriptors: Descriptors) -> Descriptors:
        head, groups = _split(descriptors.configuration)
        order = [groups[0], *sorted(groups[1:], key=lambda group: -group[0][7])]
        return replace(descriptors, configuration=_join(head, order))


class Composite(DescriptorFault):
    """The device has a second function, a UVC camera that does nothing."""

    def spoil(self, descriptors: Descriptors) -> Descriptors:
        head, groups = _split(descriptors.configuration)
        number = len(groups)
        association = _VIDEO[0][:2] + bytes((number,)) + _VIDEO[0][3:]
        interface = _VIDEO[1][:2] + bytes((number,)) + _VIDEO[1][3:]
        own = _join(head, groups)
        whole = bytearray(own + association + interface)
        whole[2:4] = len(whole).to_bytes(2, "little")
        whole[4] = number + 1
        return replace(descriptors, configuration=bytes(whole))


class EmptyStrings(DescriptorFault):
    """The GUID is zero (or empty), and all other strings are empty."""

    def spoil(self, descriptors: Descriptors) -> Descriptors:
        guid = _device_info(descriptors.configuration)[12]
        strings: Mapping[int, str] = {
            number: "0" * 12 if number == guid and self.values["guid"] == "zeros" else ""
            for number in descriptors.strings
        }
        return replace(descriptors, strings=strings)


class OddEndpoints(DescriptorFault):
    """The IN endpoint of the control interface has another number than the OUT endpoint."""

    OTHER_IN = 0x84

    def spoil(self, descriptors: Descriptors) -> Descriptors:
        head, groups = _split(descriptors.configuration)
        moved = [
            [
                raw[:2] + bytes((self.OTHER_IN,)) + raw[3:]
                if raw[1] == ENDPOINT and raw[2] == CONTROL_IN
                else raw
                for raw in group
            ]
            for group in groups
        ]
        return replace(descriptors, configuration=_join(head, moved))

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        return self.inner.transfer_in(self._own(endpoint), now_ns)

    def set_halt(self, endpoint: int, now_ns: int) -> None:
        self.inner.set_halt(self._own(endpoint), now_ns)

    def clear_halt(self, endpoint: int, now_ns: int) -> None:
        self.inner.clear_halt(self._own(endpoint), now_ns)

    def _own(self, endpoint: int) -> int:
        return CONTROL_IN if endpoint == self.OTHER_IN else endpoint


class SpeedSupport(DescriptorFault):
    """The device information descriptor says that other speeds are supported."""

    def spoil(self, descriptors: Descriptors) -> Descriptors:
        at = descriptors.configuration.index(_device_info(descriptors.configuration)) + 19
        raw = bytearray(descriptors.configuration)
        raw[at] = self.values["speeds"]
        return replace(descriptors, configuration=bytes(raw))


def _device_info(configuration: bytes) -> bytes:
    return next(raw for raw in walk(configuration) if raw[1] == 0x24)


def _split(configuration: bytes) -> tuple[list[bytes], Groups]:
    """What comes before the first interface, and the interfaces with what belongs to each."""
    head: list[bytes] = []
    groups: Groups = []
    for raw in walk(configuration):
        if raw[1] == INTERFACE:
            groups.append([raw])
        elif groups:
            groups[-1].append(raw)
        else:
            head.append(raw)
    return head, groups


def _join(head: list[bytes], groups: Groups) -> bytes:
    """The configuration again, with numbers and lengths that fit."""
    count = len(groups)
    made = bytearray()
    for raw in head:
        if raw[1] == _ASSOCIATION:
            raw = raw[:3] + bytes((count,)) + raw[4:]
        made += raw
    for number, group in enumerate(groups):
        made += group[0][:2] + bytes((number,)) + group[0][3:] + b"".join(group[1:])
    made[2:4] = len(made).to_bytes(2, "little")
    made[4] = count
    return bytes(made)
