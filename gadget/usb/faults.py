"""Faults on purpose: things that go wrong between a camera and its host, each named, each repeatable.

A fault is a wrapper that passes everything on but the one thing it spoils, so neither the camera nor the
transports know of it. There are two places to stand. Between the function and the device (`FunctionWrapper`) a fault
sees what the camera sends: leaders, payload, trailers, acknowledges. Between the device and the transport
(`RequestWrapper`, in `gadget.usb.device`) it sees the host's requests (URBs) and their answers.

`parse_fault("lost-trailer:frame=3")` gives a `Fault`, which is only a description. `wrap_function` and
`wrap_requests` make its wrapper, one for each camera:

    faults = [parse_fault("lost-trailer:frame=3"), parse_fault("eproto:endpoint=0x83,nth=10")]
    device = UsbDevice(wrap_function(function, faults))
    wrap_requests(device, faults)

State of a wrapper: what it counts. Always true: a fault strikes by what it counts, never by chance or by the
clock, so the same run fails the same way again.
"""

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from gadget.usb.device import RequestWrapper, UsbDevice
from gadget.usb.in_pipe import EPROTO, OK, Urb
from u3v.did_you_mean import hint
from u3v.errors import Mistake
from u3v.function import Function, InTransfer
from u3v.wire.stream import TRAILER_MAGIC
from u3v.wire.usb import STREAM_IN, Descriptors, Speed

_HEAD = struct.Struct("<I4xQ")
"""Of a leader or trailer: magic and block id."""


class FunctionWrapper:
    """A `Function` in front of another that it passes everything on to."""

    def __init__(self, inner: Function) -> None:
        self.inner = inner

    def descriptors(self, speed: Speed) -> Descriptors:
        return self.inner.descriptors(speed)

    def configure(self, value: int, now_ns: int) -> None:
        self.inner.configure(value, now_ns)

    def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None:
        self.inner.transfer_out(endpoint, data, now_ns)

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        return self.inner.transfer_in(endpoint, now_ns)

    def set_halt(self, endpoint: int, now_ns: int) -> None:
        self.inner.set_halt(endpoint, now_ns)

    def clear_halt(self, endpoint: int, now_ns: int) -> None:
        self.inner.clear_halt(endpoint, now_ns)

    def tick(self, now_ns: int) -> None:
        self.inner.tick(now_ns)

    def next_wakeup_ns(self) -> int | None:
        return self.inner.next_wakeup_ns()


class PassThrough:
    """A `RequestWrapper` that does nothing."""

    def submitted(self, urb: Urb, now_ns: int) -> int:
        return OK

    def completed(self, urb: Urb, now_ns: int) -> None:
        pass


class LostTrailer(FunctionWrapper):
    """The trailer of the frame with block id `frame` never leaves the camera; the next leader comes instead."""

    def __init__(self, inner: Function, frame: int) -> None:
        super().__init__(inner)
        self._frame = frame

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        transfer = self.inner.transfer_in(endpoint, now_ns)
        if transfer is not None and endpoint == STREAM_IN and self._is_lost(transfer.data):
            return self.inner.transfer_in(endpoint, now_ns)
        return transfer

    def _is_lost(self, data: memoryview) -> bool:
        return len(data) >= _HEAD.size and _HEAD.unpack_from(data) == (TRAILER_MAGIC, self._frame)


class ProtocolError(PassThrough):
    """The `nth` request on `endpoint` (the first is 1) ends with -EPROTO, as where a cable is bad: a host
    controller gives up after three tries. Nothing of it reaches the camera, which keeps what it has to send."""

    def __init__(self, endpoint: int, nth: int) -> None:
        self._endpoint = endpoint
        self._left = nth

    def submitted(self, urb: Urb, now_ns: int) -> int:
        if urb.endpoint != self._endpoint:
            return OK
        self._left -= 1
        return EPROTO if self._left == 0 else OK


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of fault: what it does, in words, its parameters with their defaults, and how it is made.

    One of the two makers is there: for a function, or for the requests.
    """

    doc: str
    defaults: Mapping[str, int]
    of_function: Callable[..., Function] | None = None
    of_requests: Callable[..., RequestWrapper] | None = None


FAULTS: dict[str, Kind] = {
    "lost-trailer": Kind(
        "the trailer of the frame with block id FRAME is not sent", {"frame": 0}, of_function=LostTrailer
    ),
    "eproto": Kind(
        "the NTH request on an endpoint ends with a protocol error",
        {"endpoint": STREAM_IN, "nth": 1},
        of_requests=ProtocolError,
    ),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault as a person asks for it: its name in `FAULTS` and all its parameters."""

    name: str
    parameters: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        return f"{self.name}:{','.join(f'{key}={value}' for key, value in self.parameters)}"


def parse_fault(text: str) -> Fault:
    """ "NAME" or "NAME:KEY=NUMBER,...", such as "lost-trailer:frame=3". Raises Mistake."""
    name, _, rest = text.partition(":")
    kind = FAULTS.get(name)
    if kind is None:
        raise Mistake(f"fault {name!r}: there is {', '.join(FAULTS)}{hint(name, FAULTS)}")
    parameters = dict(kind.defaults)
    for part in rest.split(",") if rest else ():
        key, _, number = part.partition("=")
        if key not in parameters:
            known = f"{name} takes {', '.join(kind.defaults)}"
            raise Mistake(f"fault {text!r}: {known}, not {key!r}{hint(key, kind.defaults)}")
        parameters[key] = _number(text, key, number)
    return Fault(name, tuple(parameters.items()))


def wrap_function(function: Function, faults: Iterable[Fault]) -> Function:
    """`function` behind the faults that spoil what it sends; the last one is outermost, next to the device."""
    for fault in faults:
        make = FAULTS[fault.name].of_function
        if make is not None:
            function = make(function, **dict(fault.parameters))
    return function


def wrap_requests(device: UsbDevice, faults: Iterable[Fault]) -> None:
    """Put the faults that spoil requests in front of `device`, the first one next to the transport."""
    for fault in faults:
        make = FAULTS[fault.name].of_requests
        if make is not None:
            device.wrappers.append(make(**dict(fault.parameters)))


def _number(text: str, key: str, number: str) -> int:
    try:
        value = int(number, 0)
    except ValueError:
        value = -1
    if value < 0:
        raise Mistake(f"fault {text!r}: {key} is a whole number from 0, such as {key}=3, not {number!r}")
    return value
