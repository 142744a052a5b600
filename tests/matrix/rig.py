"""Cameras that are wrong by construction: a mutant is our camera with exactly one change, made by a small wrapper.

    Mutant("any index answered", "USB-CFG-005", answer((0x80, 6, ...), lambda data, urb: data or CONFIGURATION))

Wrappers stand where faults stand: `describe` changes descriptors, `answer` what endpoint 0 answers (`usb_rig`), `Acks`
commands and acknowledges, `Frames` leaders, payloads and trailers, `Events` event messages. The camera knows nothing
of it.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from frames.source import FrameSource
from gadget.faults.declaration import Fault, Kind
from gadget.faults.registers import find_register, xml_patches, zipped
from gadget.faults.wrappers import (
    FunctionWrapper,
    QueueFault,
    StreamFault,
    Strikes,
    Victim,
    changed,
)
from gadget.runner import FIRST_SERIAL, BuiltCamera, CameraSpec, build
from gadget.tools.conformance.routes import InProcess, in_process
from u3v.errors import Malformed
from u3v.function import Function, InTransfer
from u3v.usb3v.bootstrap import xml_text
from u3v.wire import bootstrap as boot
from u3v.wire import gencp
from u3v.wire.usb import CONTROL_IN, CONTROL_OUT, EVENT_IN, Speed

Spoil = Callable[[BuiltCamera], None]
ALWAYS = Kind("", "", object, "", times=0)


@dataclass(frozen=True)
class Mutant:
    """`expected`: the checks that name it, all of which fail. `also`: others that may; "*": any."""

    name: str
    expected: str
    spoil: Spoil
    also: str = ""
    speed: Speed = Speed.SUPER
    settings: dict[str, str] = field(default_factory=dict)
    strict: bool = False

    @property
    def ids(self) -> list[str]:
        return self.expected.split()

    def spec(self) -> CameraSpec:
        return CameraSpec("acA4096-40um", speed=self.speed, settings=self.settings, strict=self.strict)


@cache
def _source(model: str) -> FrameSource:
    return build(CameraSpec(model), str(FIRST_SERIAL)).pixels.source


@contextmanager
def bench(spec: CameraSpec) -> Iterator[InProcess]:
    """A camera in this process. The scene and the maps of the sensor, which cost more than most runs, are drawn once
    for all cameras of a model: a frame is a function of number and settings, whoever renders it."""
    with in_process(spec) as route:
        pixels = route.built.pixels
        own, pixels.source = pixels.source, _source(spec.model)
        try:
            yield route
        finally:
            pixels.source = own


def always() -> Strikes:
    return Strikes(Fault("mutant"), ALWAYS, 0)


def wrap(built: BuiltCamera, make: Callable[[Function], FunctionWrapper]) -> Any:
    """Put a wrapper next to the host."""
    built.faults.function.inner = wrapper = make(built.faults.function.inner)
    return wrapper


def several(*spoils: Spoil) -> Spoil:
    def spoil(built: BuiltCamera) -> None:
        for each in spoils:
            each(built)

    return spoil


def put(raw: bytes, at: int, new: bytes) -> bytes:
    return raw[:at] + new + raw[at + len(new) :]


# -- the control channel ----------------------------------------------------------------------------------------


class Acks(QueueFault):
    """`refuse(command, packet)` answers instead of the camera (None: it does not); `change(ack, command, now_ns)` gives
    what is sent instead of an acknowledge: bytes, InTransfers, or nothing."""

    def __init__(
        self,
        inner: Function,
        change: Callable[..., Iterable[bytes | InTransfer]] | None = None,
        refuse: Callable[..., bytes | None] | None = None,
        victim: Victim | None = None,
    ) -> None:
        super().__init__(inner, always(), {}, victim or Victim(inner))
        self._change, self._refuse = change, refuse
        self.command: gencp.Command | None = None
        self.packet = b""
        self.count = 0

    def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None:
        if endpoint == CONTROL_OUT:
            self.packet = bytes(data)
            self.count += 1
            try:
                self.command = gencp.parse_command(memoryview(self.packet))
            except Malformed:
                self.command = None
            if self._refuse is not None:
                mine = self._refuse(self.command, self.packet)
                if mine is not None:
                    self.queues.pop(CONTROL_IN, None)
                    if mine:
                        self.put(CONTROL_IN, [InTransfer(memoryview(mine))])
                    return
        self.inner.transfer_out(endpoint, data, now_ns)

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        if endpoint != CONTROL_IN or self._change is None:
            return self.queued(endpoint) or self.inner.transfer_in(endpoint, now_ns)
        while True:
            if (waiting := self.queued(endpoint)) is not None:
                return waiting
            transfer = self.inner.transfer_in(endpoint, now_ns)
            if transfer is None:
                return None
            made = self._change(bytes(transfer.data), self.command, now_ns)
            self.put(
                endpoint, [each if isinstance(each, InTransfer) else changed(transfer, each) for each in made]
            )


def acks(change: Callable[[bytes, gencp.Command | None, int], Iterable[bytes | InTransfer]]) -> Spoil:
    return lambda built: wrap(built, lambda inner: Acks(inner, change))


def ack_bytes(
    change: Callable[[bytearray, gencp.Command], None], when: Callable[..., bool] | None = None
) -> Spoil:
    """Change the bytes of acknowledges (those for which `when(ack, command)`)."""

    def each(ack: bytes, command: gencp.Command | None, now_ns: int) -> Iterable[bytes]:
        data = bytearray(ack)
        if command is not None and (when is None or when(ack, command)):
            change(data, command)
        return [bytes(data)]

    return acks(each)


def refusing(refuse: Callable[[gencp.Command | None, bytes], bytes | None]) -> Spoil:
    """`refuse(command, packet)`: an acknowledge of its own (b"": none), or None to let the camera answer."""
    return lambda built: wrap(built, lambda inner: Acks(inner, None, refuse))


def rewriting(change: Callable[[bytes], bytes]) -> Spoil:
    """The camera gets other commands than were sent."""

    class Rewriter(FunctionWrapper):
        def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None:
            packet = change(bytes(data)) if endpoint == CONTROL_OUT else bytes(data)
            self.inner.transfer_out(endpoint, memoryview(packet), now_ns)

    return lambda built: wrap(built, Rewriter)


def about(command: gencp.Command | None) -> tuple[int, int, int]:
    """(command id, address, bytes) of a command; zeros where it says none."""
    if command is None or len(command.scd) < 8:
        return (command.command_id if command else 0), 0, 0
    address = struct.unpack_from("<Q", command.scd)[0]
    if command.command_id == gencp.READMEM_CMD:
        count = struct.unpack_from("<H", command.scd, 10)[0] if len(command.scd) >= 12 else 0
        return command.command_id, address, count
    return command.command_id, address, len(command.scd) - 8


def ok(ack: bytes) -> bool:
    return len(ack) >= 12 and ack[4:6] == b"\0\0"


def register(name: str, value: int | bytes) -> Spoil:
    """A register reads as this value."""

    def spoil(built: BuiltCamera) -> None:
        address, size = find_register(name, built.camera)
        raw = value if isinstance(value, bytes) else (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
        overlay({address: raw})(built)

    return spoil


def overlay(patches: dict[int, bytes]) -> Spoil:
    """Reads see these bytes at these addresses."""

    def each(ack: bytes, command: gencp.Command | None, now_ns: int) -> Iterable[bytes]:
        kind, first, count = about(command)
        data = bytearray(ack)
        if kind == gencp.READMEM_CMD and ack[6:8] == b"\x01\x08":
            inside = any(a <= first and first + count <= a + len(new) for a, new in patches.items())
            if ack[4:6] == b"\x03\x80" and inside:
                data = bytearray(gencp.pack_ack(0, gencp.READMEM_ACK, command.request_id, bytes(count)))  # type: ignore[union-attr]
            if ok(bytes(data)):
                for address, new in patches.items():
                    for at in range(max(first, address), min(first + count, address + len(new))):
                        data[12 + at - first] = new[at - address]
        return [bytes(data)]

    return acks(each)


def xml(old: str, new: str, count: int = 1) -> Spoil:
    """The GenICam file with some text replaced; size and SHA-1 in the manifest fit it."""

    def changed_text(text: str) -> str:
        if old not in text:
            raise ValueError(f"the XML has no {old!r}")
        return text.replace(old, new, count)

    return xml_text_changed(changed_text)


def xml_text_changed(change: Callable[[str], str]) -> Spoil:
    """As `xml`, with a function of the whole text."""

    def spoil(built: BuiltCamera) -> None:
        file = zipped(change(xml_text(built.camera)).encode(), built.model.name, "")
        form = struct.unpack("<I", built.camera.memory.device_read(boot.MANIFEST_ADDRESS + 12, 4))[0]
        overlay(xml_patches(file, form))(built)

    return spoil


# -- stream and events ------------------------------------------------------------------------------------------


class Frames(StreamFault):
    """`parts`: for "leader", "payload", "trailer" a function (bytes, wrapper) -> what is sent instead."""

    parts: dict[str, Callable[..., Iterable[bytes]]]
    frame = -1

    def leader(self, transfer: InTransfer, now_ns: int) -> Iterable[InTransfer]:
        self.frame += 1
        return self._made("leader", transfer)

    def payload(self, transfer: InTransfer, now_ns: int) -> Iterable[InTransfer]:
        return self._made("payload", transfer)

    def trailer(self, transfer: InTransfer, now_ns: int) -> Iterable[InTransfer]:
        return self._made("trailer", transfer)

    def _made(self, name: str, transfer: InTransfer) -> Iterable[InTransfer]:
        change = self.parts.get(name)
        if change is None:
            return (transfer,)
        made = list(change(bytes(transfer.data), self))
        return [
            changed(transfer, each, taken=transfer.taken if n == len(made) - 1 else None)
            if len(each) == len(transfer.data)
            else changed(transfer, each, ends=True, taken=transfer.taken if n == len(made) - 1 else None)
            for n, each in enumerate(made)
        ]


def frames(**parts: Callable[[bytes, Any], Iterable[bytes]]) -> Spoil:
    def spoil(built: BuiltCamera) -> None:
        def make(inner: Function) -> FunctionWrapper:
            made = Frames(inner, always(), {}, Victim(inner, built.camera, built.device, built.port))
            made.parts = parts
            return made

        wrap(built, make)

    return spoil


def leader_bytes(at: int, new: bytes) -> Spoil:
    return frames(leader=lambda raw, _: [put(raw, at, new)])


def trailer_bytes(at: int, new: bytes) -> Spoil:
    return frames(trailer=lambda raw, _: [put(raw, at, new)])


class Events(QueueFault):
    def __init__(self, inner: Function, change: Callable[[bytes, int], Iterable[bytes]]) -> None:
        super().__init__(inner, always(), {}, Victim(inner))
        self._change = change
        self._number = -1

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        if endpoint != EVENT_IN:
            return self.inner.transfer_in(endpoint, now_ns)
        while True:
            if (waiting := self.queued(endpoint)) is not None:
                return waiting
            transfer = self.inner.transfer_in(endpoint, now_ns)
            if transfer is None:
                return None
            self._number += 1
            self.put(
                endpoint,
                [changed(transfer, each) for each in self._change(bytes(transfer.data), self._number)],
            )


def events(change: Callable[[bytes, int], Iterable[bytes]]) -> Spoil:
    """`change(message, number)`: the messages that are sent instead."""
    return lambda built: wrap(built, lambda inner: Events(inner, change))
