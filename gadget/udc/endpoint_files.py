"""The endpoint files of a gadget: a `Kernel` for `Queues`, on the descriptors of FunctionFS or GadgetFS."""

import os
from collections.abc import Callable
from pathlib import Path

from gadget.time.loop import READ, Loop
from gadget.udc.aio import Aio
from gadget.udc.queues import READS, REQUEST_BYTES, Queues, Write
from gadget.udc.threads import Threads
from gadget.usb.device import UsbDevice
from u3v.wire.usb import CONTROL_OUT

_SPARE = 16
PATIENCE_S = 2.0


class EndpointFiles:
    """`queues` is this camera's; `files` are descriptors by the camera's own endpoint addresses.

    `mover`: how data get in and out, by so many operations at once. `before()` is called before data are looked at:
    what endpoint 0 has said came first.
    """

    def __init__(
        self, loop: Loop, device: UsbDevice, mover: Callable[[int], Aio | Threads], **sizes: int
    ) -> None:
        self.queues = Queues(device, self, **sizes)
        self.files: dict[int, int] = {}
        self._loop = loop
        self._mover = mover(self.queues.most_writes + READS + _SPARE)
        self._reads: list[_Read] = []
        self.before: Callable[[], None] = lambda: None
        loop.watch(self._mover.eventfd, READ, self._ready)
        loop.services.append(self.queues)

    def open(self, address: int, path: Path, flags: int = 0) -> None:
        """Open an endpoint's file, until `close_files`. Raises OSError."""
        self.files[address] = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags)

    def write(self, write: Write) -> None:
        self._mover.write(self.files[write.endpoint], write.chunks, write)

    def cancel(self, write: Write) -> None:
        self._mover.cancel(write)

    def read(self) -> None:
        read = _Read(bytearray(REQUEST_BYTES))
        self._reads.append(read)
        self._mover.read(self.files[CONTROL_OUT], memoryview(read.buffer), read)

    def cancel_reads(self) -> None:
        for read in reversed(self._reads):
            self._mover.cancel(read)

    def settle(self) -> None:
        """Wait until the kernel has given back all that was cancelled; files can be closed then."""
        while self._mover.in_flight:
            if not self._collect(PATIENCE_S):
                return

    def close_files(self) -> None:
        for fd in self.files.values():
            self._mover.forget(fd)
            os.close(fd)
        self.files.clear()

    def close(self) -> None:
        self._loop.services.remove(self.queues)
        self._loop.unwatch(self._mover.eventfd)
        self.close_files()
        self._mover.close()

    def _ready(self, _mask: int) -> None:
        self.before()
        self._collect(0.0)

    def _collect(self, wait_s: float) -> bool:
        """Tell the queues what has ended. False: nothing did."""
        ended = self._mover.ended(wait_s)
        for tag, result in ended:
            now_ns = self._loop.now_ns()
            if isinstance(tag, Write):
                self.queues.written(tag, result, now_ns)
                continue
            self._reads.remove(tag)
            if result < 0:
                self.queues.not_read(result, now_ns)
            else:
                self.queues.received(memoryview(tag.buffer)[:result], now_ns)
        return bool(ended)


class _Read:
    """A place for one transfer of the host."""

    def __init__(self, buffer: bytearray) -> None:
        self.buffer = buffer
