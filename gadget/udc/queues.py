"""A camera behind a kernel that answers endpoint 0 itself: places in the kernel's queues are its host's requests.

Such a kernel takes data before a host asks for them. So each free place in the queue of an IN endpoint is a request
(`Urb`) to the `UsbDevice`; what answers it goes into the queue at once, as a write of the very views that the camera
made, with an empty one behind it where a packet's end would tell nobody (`ended_by_zero_packet`; not behind
acknowledges, of which hosts ask for just as much as comes). All else is the `UsbDevice`'s, as on every transport. I/O
is a `Kernel`'s: nothing here knows files.

State: for each IN endpoint the request that waits at the device, and the writes that wait in the kernel. Always true:
no more than one request of an endpoint waits, and none while its queue is full; a write whose lease has ended is taken
back before an acknowledge goes out, so a host that has stopped a stream is not sent any more of it; a frame counts
as delivered once the host has its last byte.

Of a host's halts such a kernel says nothing. A host that has died left the stream on; its successor would find features
locked. So a host that looks where the bootstrap registers are, which each does once when it opens a camera, while
nothing has been read from the stream for `IDLE_NS`, is taken to have halted the stream, as most do then.
"""

import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gadget.usb.device import UsbDevice
from gadget.usb.endpoint0 import CLEAR_FEATURE, SET_CONFIGURATION, SET_FEATURE
from gadget.usb.in_pipe import ECONNRESET, OK, Urb, ended_by_zero_packet
from u3v.errors import GenCPError, Malformed
from u3v.function import Lease
from u3v.wire import gencp
from u3v.wire.bootstrap import ABRM
from u3v.wire.usb import CONTROL_IN, CONTROL_OUT, STREAM_IN, Speed

REQUEST_BYTES = 1024
STREAM_BYTES = 256 << 10
"""One request: a kernel without scatter-gather copies it into one piece of memory, and finds large ones rarely."""
DEPTH = 2
STREAM_DEPTH = 8
READS = 4
IDLE_NS = 100_000_000
RETRY_NS = 20_000_000
"""How soon to try again where the kernel refuses: it may be between two settings of its endpoints."""


@dataclass(slots=True, eq=False)
class Write:
    """Something in the queue of an IN endpoint. `urb`: what it answers; None for an empty packet behind it. `lease`:
    until when the device stands by it."""

    endpoint: int
    chunks: Sequence[memoryview]
    length: int
    urb: Urb | None
    lease: Lease | None


class Kernel(Protocol):
    """The queues: whatever ends is told by `Queues.written` or `Queues.received`."""

    def write(self, write: Write) -> None: ...

    def cancel(self, write: Write) -> None: ...

    def read(self) -> None:
        """Have a place for one more transfer on the control endpoint."""

    def cancel_reads(self) -> None: ...


class Queues:
    """A service of the loop. `stream_bytes`, `stream_depth`: how much of the stream may lie in the kernel."""

    def __init__(
        self,
        device: UsbDevice,
        kernel: Kernel,
        *,
        stream_bytes: int = STREAM_BYTES,
        stream_depth: int = STREAM_DEPTH,
    ) -> None:
        self._device = device
        self._kernel = kernel
        self._sizes = {
            endpoint: (stream_bytes, stream_depth) if endpoint == STREAM_IN else (REQUEST_BYTES, DEPTH)
            for endpoint in device.ep0.endpoints
            if endpoint & 0x80
        }
        self._waiting: dict[int, Urb] = {}
        self._queued: dict[int, deque[Write]] = {endpoint: deque() for endpoint in self._sizes}
        self._reads = 0
        self._streamed_ns = 0
        self._has_room = False
        self._not_before_ns = 0
        device.on_complete = self._answered

    @property
    def most_writes(self) -> int:
        """How many may be in flight: each queue full, and an empty one behind the last."""
        return sum(depth + 1 for _, depth in self._sizes.values())

    # -- what the kernel tells

    def configured(self, speed: Speed, now_ns: int) -> None:
        """A host has chosen the configuration, for the first time or anew, on a link of this speed."""
        self.unconfigured(now_ns)
        self._device.unplug(now_ns)
        self._device.change_speed(speed)
        self._device.replug(now_ns)
        self._control(SET_CONFIGURATION, 0, 1, 0, now_ns)
        self._not_before_ns = now_ns
        self._refill(now_ns)

    def unconfigured(self, now_ns: int) -> None:
        """A reset, configuration 0, or the end of the connection."""
        if self._device.configuration:
            self._device.bus_reset(now_ns)
        for queue in self._queued.values():
            for write in reversed(queue):
                self._kernel.cancel(write)
        self._kernel.cancel_reads()

    def received(self, data: memoryview, now_ns: int) -> None:
        """One transfer from the host on the control endpoint."""
        self._reads -= 1
        if now_ns - self._streamed_ns > IDLE_NS and _looks_around(data):
            for request in (SET_FEATURE, CLEAR_FEATURE):
                self._control(request, 2, 0, STREAM_IN, now_ns)
        self._device.submit(Urb(CONTROL_OUT, len(data), data), now_ns)
        self._refill(now_ns)

    def not_read(self, result: int, now_ns: int) -> None:
        """A read has ended without a transfer."""
        self._reads -= 1
        self._ended(result, now_ns)

    def written(self, write: Write, result: int, now_ns: int) -> None:
        """A write has ended: with all its bytes at the host, or with a negative errno."""
        self._queued[write.endpoint].remove(write)
        if result == write.length and write.urb is not None:
            if write.endpoint == STREAM_IN:
                self._streamed_ns = now_ns
            for taken in write.urb.taken:
                taken()
        self._ended(result, now_ns)

    # -- service of a loop

    def next_wakeup_ns(self) -> int | None:
        return self._not_before_ns if self._has_room else None

    def service(self, now_ns: int) -> None:
        """Places have become free."""
        self._take_back()
        self._refill(now_ns)

    # --

    def _ended(self, result: int, now_ns: int) -> None:
        self._has_room = True
        if result < 0 and result != ECONNRESET:
            self._not_before_ns = now_ns + RETRY_NS

    def _refill(self, now_ns: int) -> None:
        """Have a request wait for each queue that has room, and reads for the control endpoint."""
        if now_ns < self._not_before_ns:
            return
        self._has_room = False
        if not self._device.configuration:
            return
        while self._reads < READS:
            self._reads += 1
            self._kernel.read()
        for endpoint, (length, depth) in self._sizes.items():
            while endpoint not in self._waiting and len(self._queued[endpoint]) < depth:
                urb = Urb(endpoint, length, holds=True)
                self._waiting[endpoint] = urb
                self._device.submit(urb, now_ns)
                if urb.status != OK:  # it would be the same at once
                    self._not_before_ns = now_ns + RETRY_NS
                    break

    def _answered(self, urb: Urb) -> None:
        """The device has an answer for a place in a queue."""
        if not urb.endpoint & 0x80 or urb.setup:
            return
        self._waiting.pop(urb.endpoint, None)
        self._has_room = True
        if urb.status != OK:
            return
        self._take_back()
        self._put(Write(urb.endpoint, urb.take_chunks(), urb.actual, urb, urb.lease))
        if (
            urb.actual
            and urb.endpoint != CONTROL_IN
            and ended_by_zero_packet(urb, self._device.speed.max_packet)
        ):
            self._put(Write(urb.endpoint, (), 0, None, urb.lease))

    def _put(self, write: Write) -> None:
        self._queued[write.endpoint].append(write)
        self._kernel.write(write)

    def _take_back(self) -> None:
        """Of what the device does not stand by any more, the last first: nothing of it moves up meanwhile."""
        for queue in self._queued.values():
            for write in reversed(queue):
                if write.lease is not None and write.lease.ended:
                    self._kernel.cancel(write)

    def _control(self, request: int, recipient: int, value: int, index: int, now_ns: int) -> None:
        """A standard request that the kernel has answered, or kept to itself, as the device would have seen it."""
        setup = struct.pack("<BBHHH", recipient, request, value, index, 0)
        self._device.submit(Urb(0, 0, setup=setup), now_ns)


def _looks_around(packet: memoryview) -> bool:
    """Whether this command reads SBRM_Address."""
    try:
        command = gencp.parse_command(packet)
        if command.command_id != gencp.READMEM_CMD:
            return False
        read = gencp.parse_readmem(command.scd)
    except (Malformed, GenCPError):
        return False
    return read.address <= ABRM["SBRM_Address"].offset < read.address + read.count
