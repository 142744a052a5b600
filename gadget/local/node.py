"""A device at an address of the bus, as all its openers share it: claims, memory, requests.

Here is also what the state machine of one open file (`usbfs`) and its connection say to each other: the steps of an
ioctl. State of a `Node`: who claims which interface. Always true: an interface has at most one claimant.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gadget.local import abi
from gadget.usb.device import UsbDevice
from gadget.usb.endpoint0 import GET_DESCRIPTOR, SET_CONFIGURATION
from gadget.usb.in_pipe import Urb

MAX_OUT_BYTES = 16 << 20
"""What all clients' OUT requests may hold until they are reaped: Linux' usbfs_memory_mb as it comes. Where a
program may have more, it is for what it reads, which costs this process nothing before it arrives."""


class Read(NamedTuple):
    """`length` bytes of the client at `address` are needed."""

    address: int
    length: int


class Wait(NamedTuple):
    """Resume when a request of this file completes, or at `until_ns`."""

    until_ns: int | None


class Answer(NamedTuple):
    """The ioctl's result (negative: -errno), after these writes to the client's memory."""

    result: int
    writes: tuple[tuple[int, list[memoryview]], ...] = ()


Steps = Generator[Read | Wait, tuple[bytes, int], Answer]


@dataclass(slots=True)
class Memory:
    """Linux's usbfs_memory_mb: the bytes all requests of all files may take (0: no limit for IN requests)."""

    limit_bytes: int = 0
    used_bytes: int = 0
    out_bytes: int = 0

    def take(self, length_bytes: int, is_out: bool) -> bool:
        """Charge a request. False, and nothing is charged: there is no room for it."""
        limit_bytes = self.limit_bytes
        if is_out and self.out_bytes + length_bytes > min(limit_bytes or MAX_OUT_BYTES, MAX_OUT_BYTES):
            return False
        if limit_bytes and self.used_bytes + length_bytes > limit_bytes:
            return False
        self.used_bytes += length_bytes
        self.out_bytes += length_bytes if is_out else 0
        return True

    def give_back(self, length_bytes: int, is_out: bool) -> None:
        self.used_bytes -= length_bytes
        self.out_bytes -= length_bytes if is_out else 0


class File(Protocol):
    """A client's open file, as its node and its requests see it."""

    @property
    def alive(self) -> Callable[[], bool]:
        """Asks whether the client still holds it."""

    def completes(self, request: "Request") -> None:
        """The device has answered (or gave the request up)."""

    def kill_interface(self, interface: int, now_ns: int) -> None:
        """End the file's requests on an interface that it has lost."""


@dataclass(slots=True, eq=False)
class Request:
    """A request and where its answer goes. `user_urb` 0: the file itself waits for it."""

    handle: "File"
    user_urb: int
    buffer: int
    urb: Urb
    interface: int = -1
    flags: int = 0
    charge_bytes: int = 0
    done: bool = False

    @property
    def is_out(self) -> bool:
        direction = self.urb.setup[0] if self.urb.setup else self.urb.endpoint
        return not direction & 0x80


class Node:
    """A device at an address of the bus, and the files open on it."""

    def __init__(self, device: UsbDevice, bus: int, number: int, port: int, memory: Memory) -> None:
        self.device = device
        self.bus = bus
        self.number = number
        self.port = port
        self.memory = memory
        self.handles: list[File] = []
        self.claims: dict[int, File] = {}
        self.on_configured: Callable[[], None] = lambda: None
        self.interfaces = device.descriptors.configuration[4]
        self.interface_of = {
            endpoint: interface
            for interface in range(self.interfaces)
            for endpoint in device.ep0.endpoints_of(interface)
        }
        device.on_complete = self._completed

    @property
    def gone(self) -> bool:
        return self.device.unplugged

    @property
    def descriptors(self) -> bytes:
        """What a read of the node (and sysfs `descriptors`) gives: the device, then its configuration."""
        return self.device.descriptors.device + self.device.descriptors.configuration

    def control(self, setup: bytes, now_ns: int, data: bytes = b"") -> Urb:
        """A control request of the host itself, answered at once."""
        length = abi.SETUP.unpack(setup)[4]
        urb = Urb(0, length, memoryview(data), setup)
        self.device.submit(urb, now_ns)
        return urb

    def enumerate(self, now_ns: int) -> None:
        """What a host asks a new device, ending with SET_CONFIGURATION 1, which it may refuse."""
        for kind, lengths in ((1, (18,)), (15, (5, 512)), (2, (9, 512)), (3, (255,))):
            for length in lengths:
                self.control(abi.SETUP.pack(0x80, GET_DESCRIPTOR, kind << 8, 0, length), now_ns)
        for index in sorted(self.device.descriptors.strings):
            self.control(abi.SETUP.pack(0x80, GET_DESCRIPTOR, 3 << 8 | index, 0x0409, 255), now_ns)
        self.configure(1, now_ns)

    def configure(self, value: int, now_ns: int) -> int:
        """SET_CONFIGURATION; 0 or -errno."""
        status = self.control(abi.SETUP.pack(0, SET_CONFIGURATION, value, 0, 0), now_ns).status
        self.on_configured()
        return status

    def _completed(self, urb: Urb) -> None:
        request = urb.tag
        if isinstance(request, Request):
            request.handle.completes(request)
