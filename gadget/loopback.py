"""A `HostBus` to a `Function` in the same process, on a clock of its own: no thread, no kernel, no waiting.

A request the device cannot answer yet lets the clock jump to the device's next deadline, again and again,
until it is answered or its time is over. Hours of camera time pass in seconds and every run is the same.
`run(duration_ns)` lets time pass without a request.

Several devices share one `SimulatedTime`: whatever waits on one bus lets the time of all pass, deadline by
deadline. In lockstep a request never moves the clock: it stands until somebody calls `advance` (or `run`).
"""

from gadget.time.simulated import SimulatedTime
from gadget.usb.device import UsbDevice
from gadget.usb.in_pipe import EOVERFLOW, EPIPE, ESHUTDOWN, Urb
from u3v.errors import U3VError
from u3v.function import Function
from u3v.host.bus import (
    ReadBuffer,
    UsbError,
    UsbGone,
    UsbOverflow,
    UsbStall,
    UsbTimeout,
    WriteBuffer,
)
from u3v.wire.usb import Speed

_NO_BUFFER = memoryview(b"")


class LoopbackBus:
    """A host with one device. `device` and `now_ns` are there to look at and to play with."""

    def __init__(
        self,
        function: Function,
        speed: Speed = Speed.SUPER,
        *,
        paced: bool = True,
        time: SimulatedTime | None = None,
    ) -> None:
        self._join(UsbDevice(function, speed=speed, paced=paced), time)

    @classmethod
    def to(cls, device: UsbDevice, time: SimulatedTime | None = None) -> "LoopbackBus":
        """A host for a device that is there already, on the clock it shares with others."""
        made = cls.__new__(cls)
        made._join(device, time)
        return made

    def _join(self, device: UsbDevice, time: SimulatedTime | None) -> None:
        self.device = device
        device.on_complete = self._completed
        self.time = time or SimulatedTime()
        self.time.services.append(device)
        self._buffers: dict[Urb, memoryview] = {}
        self._handles: dict[int, Urb] = {}
        self._next_handle = 1

    @property
    def now_ns(self) -> int:
        return self.time.now_ns

    @now_ns.setter
    def now_ns(self, now_ns: int) -> None:
        self.time.now_ns = now_ns

    def control(self, setup: bytes, data_or_length: bytes | int, timeout_ms: int = 1000) -> bytes:
        if isinstance(data_or_length, int):
            buffer = memoryview(bytearray(data_or_length))
            urb = Urb(0x80, data_or_length, setup=setup)
            return bytes(buffer[: self._transfer(urb, buffer, timeout_ms)])
        urb = Urb(0, len(data_or_length), memoryview(data_or_length), setup)
        self._transfer(urb, _NO_BUFFER, timeout_ms)
        return b""

    def bulk_out(self, endpoint: int, data: ReadBuffer, timeout_ms: int = 1000) -> int:
        # The device may keep what it is given: the caller's buffer stays the caller's.
        urb = Urb(endpoint, len(data), memoryview(bytes(data)))
        return self._transfer(urb, _NO_BUFFER, timeout_ms)

    def bulk_in_into(self, endpoint: int, buffer: WriteBuffer, timeout_ms: int = 1000) -> int:
        view = memoryview(buffer).cast("B")
        return self._transfer(Urb(endpoint, len(view)), view, timeout_ms)

    def submit_in(self, endpoint: int, buffer: WriteBuffer) -> int:
        view = memoryview(buffer).cast("B")
        handle, urb = self._next_handle, Urb(endpoint, len(view), tag=False)
        self._next_handle += 1
        self._handles[handle] = urb
        self._submit(urb, view)
        return handle

    def wait_in(self, handle: int, timeout_ms: int = 1000) -> int:
        urb = self._handles.get(handle)
        if urb is None:
            raise U3VError(f"handle {handle} is not of a queued read")
        self._wait(urb, timeout_ms)
        del self._handles[handle]
        return _result(urb)

    def cancel_in(self, handle: int) -> None:
        urb = self._handles.pop(handle, None)
        if urb is not None:
            self._take_back(urb)

    def close(self) -> None:
        self.device.unplug(self.now_ns)

    def run(self, duration_ns: int) -> None:
        """Let time pass, deadline by deadline."""
        self.time.advance(duration_ns)

    def _transfer(self, urb: Urb, buffer: memoryview, timeout_ms: int) -> int:
        self._submit(urb, buffer)
        try:
            self._wait(urb, timeout_ms)
        except UsbTimeout:
            self._take_back(urb)
            raise
        return _result(urb)

    def _submit(self, urb: Urb, buffer: memoryview) -> None:
        urb.tag = False
        self._buffers[urb] = buffer
        self.device.submit(urb, self.now_ns)

    def _take_back(self, urb: Urb) -> None:
        if not urb.tag:
            self.device.cancel(urb, self.now_ns)
            self._buffers.pop(urb, None)

    def _wait(self, urb: Urb, timeout_ms: int) -> None:
        time = self.time
        end_ns = time.now_ns + timeout_ms * 1_000_000 if timeout_ms else None
        while not urb.tag:
            at_ns = time.next_wakeup_ns()
            if time.lockstep and not (at_ns is not None and at_ns <= time.now_ns):
                if not time.step_ns or (end_ns is not None and time.now_ns >= end_ns):
                    raise UsbTimeout(f"endpoint {urb.endpoint:#04x}: the clock stands at {time.now_ns} ns")
                time.advance(time.step_ns)
                continue
            if at_ns is None or (end_ns is not None and at_ns > end_ns):
                if end_ns is not None:
                    time.now_ns = end_ns
                raise UsbTimeout(f"endpoint {urb.endpoint:#04x}: no answer in {timeout_ms} ms")
            time.step(at_ns)

    def _completed(self, urb: Urb) -> None:
        buffer = self._buffers.pop(urb, _NO_BUFFER)
        at = 0
        for chunk in urb.chunks:
            buffer[at : at + len(chunk)] = chunk
            at += len(chunk)
        urb.chunks.clear()  # the memory behind them is the device's again
        urb.tag = True


def _result(urb: Urb) -> int:
    where = f"endpoint {urb.endpoint:#04x}"
    if urb.status == 0:
        return urb.actual
    if urb.status == EPIPE:
        raise UsbStall(f"{where} stalled")
    if urb.status == EOVERFLOW:
        raise UsbOverflow(f"{where} sent more than {urb.length} bytes")
    if urb.status == ESHUTDOWN:
        raise UsbGone(f"{where}: the device was reset or is gone")
    raise UsbError(f"{where} failed with status {urb.status}", urb.status)
