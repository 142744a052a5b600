"""What stands between a camera and its host and passes everything on but what it spoils.

On USB there are two places (the one on Ethernet is in `gadget.faults.packets`). Between the function and the device
(`FunctionWrapper`) a fault sees what the camera sends: leaders, payload, trailers, acknowledges, descriptors. Between
the device and the transport (`PassThrough`, a `RequestWrapper` of `gadget.usb.device`) it sees the host's requests
(URBs) and their answers. `StreamFault` and `ControlFault` know what passes, and ask `strikes` whether to spoil it.

State of a wrapper: what it has counted, and transfers that it still has to send. Always true: a fault strikes by
what it counts, by the camera's time and by chances drawn from a seed, so the same run fails the same way again.
"""

import random
import struct
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from gadget.faults.declaration import Fault, Kind
from gadget.usb.device import UsbDevice
from gadget.usb.in_pipe import OK, Urb
from gadget.usb.port import Port
from u3v.camera import Camera
from u3v.errors import Malformed, Mistake
from u3v.function import Function, InTransfer
from u3v.gev.function import Datagrams
from u3v.wire import gencp
from u3v.wire.stream import LEADER_MAGIC, TRAILER_MAGIC
from u3v.wire.usb import CONTROL_IN, CONTROL_OUT, STREAM_IN, Descriptors, Speed

MS = 1_000_000
USB, ETHERNET = "USB", "Ethernet"
"""What a fault stands on. One without is about the camera, whatever its wire is."""
_HEAD = struct.Struct("<IHHQ")
"""Of a leader or trailer: magic, reserved, size, block id."""


class Strikes:
    """When a fault strikes (`SELECTORS`). `seen`: how often it could have; `struck`: how often it did."""

    def __init__(self, fault: Fault, kind: Kind, now_ns: int | None = None) -> None:
        given: dict[str, Any] = dict(fault.given)
        self.frame: int | None = given.get("frame")
        self.after_ns: int | None = round(given["at_ms"] * MS) if "at_ms" in given else None
        self.nth: int = given.get("nth", 1)
        self.times: int = given.get("times", 0 if kind.from_start else kind.times)
        self.seen = self.struck = 0
        self.random = random.Random(given.get("seed", 0))
        self._p: float = given.get("p", 1.0)
        self._origin_ns = now_ns

    @property
    def is_over(self) -> bool:
        return bool(self.times) and self.struck >= self.times

    def due_ns(self) -> int | None:
        """When it may strike; None: nobody knows yet, or it is not a matter of time."""
        if self.after_ns is None or self._origin_ns is None:
            return None
        return self._origin_ns + self.after_ns

    def begin(self, now_ns: int) -> None:
        """Time passes from here on, if it did not before."""
        if self._origin_ns is None:
            self._origin_ns = now_ns

    def __call__(self, now_ns: int, frame: int | None = None) -> bool:
        """A chance to strike, now, in the frame with this block id: taken or not."""
        self.begin(now_ns)
        if self.is_over or (self.frame is not None and (frame is None or frame < self.frame)):
            return False
        due_ns = self.due_ns()
        if due_ns is not None and now_ns < due_ns:
            return False
        self.seen += 1
        if self.seen < self.nth or (self._p < 1 and self.random.random() >= self._p):
            return False
        self.struck += 1
        return True


@dataclass(slots=True)
class Victim:
    """Whom faults are done to. A bare function has no camera, no device and no port; only on Ethernet can a camera
    `move` to another address."""

    function: Function | Datagrams
    camera_or_none: Camera | None = None
    device_or_none: UsbDevice | None = None
    port_or_none: Port | None = None
    move: Callable[[str], None] = field(default=lambda _ip: None)

    @property
    def camera(self) -> Camera:
        if self.camera_or_none is None:
            raise Mistake("this fault needs a camera")
        return self.camera_or_none

    @property
    def device(self) -> UsbDevice:
        if self.device_or_none is None:
            raise Mistake("this fault needs a device")
        return self.device_or_none

    @property
    def port(self) -> Port:
        if self.port_or_none is None:
            raise Mistake("this fault needs a camera on a port")
        return self.port_or_none


class FunctionWrapper:
    """A `Function` in front of another that it passes everything on to."""

    def __init__(self, inner: Function) -> None:
        self.inner = inner

    def descriptors(self, speed: Speed) -> Descriptors:
        return self.inner.descriptors(speed)

    def use_speed(self, speed: Speed) -> None:
        self.inner.use_speed(speed)

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


class FunctionFault(FunctionWrapper):
    """A fault between function and device. `values`: its own parameters."""

    wire = USB

    def __init__(self, inner: Function, strikes: Strikes, values: dict[str, Any], victim: Victim) -> None:
        super().__init__(inner)
        self.strikes = strikes
        self.values = values
        self.victim = victim

    def end(self, now_ns: int) -> None:
        """The fault is taken away: whatever it changed elsewhere is put back."""


class RequestFault(PassThrough):
    """A fault between device and transport. `values`: its own parameters."""

    wire = USB

    def __init__(self, strikes: Strikes, values: dict[str, Any]) -> None:
        self.strikes = strikes
        self.values = values


class CameraFault:
    """A fault of the camera itself, on any wire. `values`: its own parameters."""

    wire = ""

    def __init__(self, strikes: Strikes, values: dict[str, Any], victim: Victim) -> None:
        self.strikes = strikes
        self.values = values
        self.victim = victim

    def end(self, now_ns: int) -> None:
        """The fault is taken away: whatever it changed elsewhere is put back."""


class QueueFault(FunctionFault):
    """A fault that may answer an endpoint with several transfers instead of one."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.queues: dict[int, deque[InTransfer]] = {}

    def configure(self, value: int, now_ns: int) -> None:
        self.queues.clear()
        self.inner.configure(value, now_ns)

    def set_halt(self, endpoint: int, now_ns: int) -> None:
        self.queues.pop(endpoint, None)
        self.inner.set_halt(endpoint, now_ns)

    def clear_halt(self, endpoint: int, now_ns: int) -> None:
        self.queues.pop(endpoint, None)
        self.inner.clear_halt(endpoint, now_ns)

    def queued(self, endpoint: int) -> InTransfer | None:
        """What is still to be sent there, and good."""
        queue = self.queues.get(endpoint)
        while queue:
            transfer = queue.popleft()
            if transfer.lease is None or not transfer.lease.ended:
                return transfer
        return None

    def put(self, endpoint: int, transfers: Iterable[InTransfer]) -> None:
        self.queues.setdefault(endpoint, deque()).extend(transfers)


class StreamFault(QueueFault):
    """Sees frames: decides at each leader whether to strike, and then asks `leader`, `payload` and `trailer`, each of
    which answers with what is sent instead."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.block_id: int | None = None
        self.hit = False
        self.at_byte = 0
        """Where in the payload the next transfer begins."""

    def configure(self, value: int, now_ns: int) -> None:
        self.block_id = None
        super().configure(value, now_ns)

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        if endpoint != STREAM_IN:
            return self.inner.transfer_in(endpoint, now_ns)
        while True:
            if (waiting := self.queued(endpoint)) is not None:
                return waiting
            transfer = self.inner.transfer_in(endpoint, now_ns)
            if transfer is None:
                return None
            self.put(endpoint, self._sent(transfer, now_ns))

    def _sent(self, transfer: InTransfer, now_ns: int) -> Iterable[InTransfer]:
        part, block_id = part_of(transfer.data, self.block_id)
        if part == "leader":
            self.block_id, self.at_byte = block_id, 0
            self.hit = self.strikes(now_ns, block_id)
            return self.leader(transfer, now_ns) if self.hit else (transfer,)
        if part == "trailer":
            self.block_id = None
            return self.trailer(transfer, now_ns) if self.hit else (transfer,)
        sent = self.payload(transfer, now_ns) if self.hit else (transfer,)
        self.at_byte += len(transfer.data)
        return sent

    def leader(self, transfer: InTransfer, now_ns: int) -> Iterable[InTransfer]:
        return (transfer,)

    def payload(self, transfer: InTransfer, now_ns: int) -> Iterable[InTransfer]:
        return (transfer,)

    def trailer(self, transfer: InTransfer, now_ns: int) -> Iterable[InTransfer]:
        return (transfer,)


class ControlFault(QueueFault):
    """Sees commands and acknowledges. `command` is the last one; `hit`: whether the fault strikes at it.

    `refuse` may answer a command itself; `acks` says what is sent instead of an acknowledge.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.command: gencp.Command | None = None
        self.hit = False

    def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None:
        if endpoint != CONTROL_OUT:
            self.inner.transfer_out(endpoint, data, now_ns)
            return
        try:
            self.command = gencp.parse_command(memoryview(bytes(data)))
        except Malformed:
            self.command = None
        self.hit = self.command is not None and self.concerns(self.command) and self.strikes(now_ns)
        if self.hit and self.command is not None:
            answer = self.refuse(self.command, now_ns)
            if answer is not None:
                self.queues.pop(CONTROL_IN, None)
                if answer:
                    self.put(CONTROL_IN, [InTransfer(memoryview(answer))])
                return
        self.inner.transfer_out(endpoint, data, now_ns)

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        if endpoint != CONTROL_IN:
            return self.inner.transfer_in(endpoint, now_ns)
        while True:
            if (waiting := self.queued(endpoint)) is not None:
                return waiting
            transfer = self.inner.transfer_in(endpoint, now_ns)
            if transfer is None:
                return None
            self.put(endpoint, self.acks(transfer, now_ns) if self.hit else (transfer,))

    def concerns(self, command: gencp.Command) -> bool:
        """Whether the fault is about this command at all: `command=read` or `write`, where it has that parameter."""
        wanted = {"read": gencp.READMEM_CMD, "write": gencp.WRITEMEM_CMD}.get(self.values.get("command", ""))
        return wanted in (None, command.command_id)

    def refuse(self, command: gencp.Command, now_ns: int) -> bytes | None:
        """The acknowledge of a command that never reaches the camera; b"": there is none. None: it goes on."""
        return None

    def acks(self, transfer: InTransfer, now_ns: int) -> Iterable[InTransfer]:
        return (transfer,)


def part_of(data: memoryview, open_block: int | None) -> tuple[str, int]:
    """What a transfer of the stream is, "leader", "trailer" (of the open block) or "payload", and its block id."""
    if len(data) >= _HEAD.size:
        magic, _, size, block_id = _HEAD.unpack_from(data)
        if size == len(data):
            if magic == LEADER_MAGIC:
                return "leader", block_id
            if magic == TRAILER_MAGIC and open_block in (None, block_id):
                return "trailer", block_id
    return "payload", 0 if open_block is None else open_block


def changed(transfer: InTransfer, data: bytes | bytearray | memoryview, **others: Any) -> InTransfer:
    """The same transfer with other bytes."""
    return replace(transfer, data=memoryview(data), **others)


def patched(transfer: InTransfer, at: int, new: bytes) -> InTransfer:
    """The same transfer with some bytes replaced."""
    data = bytearray(transfer.data)
    data[at : at + len(new)] = new
    return changed(transfer, data)
