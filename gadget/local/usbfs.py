"""One open file of a usbfs node (/dev/bus/usb/BBB/DDD), as a state machine without I/O.

An ioctl is a generator: it yields `Read` (bytes of the client's memory are needed) or `Wait` (until a request
of this file completes or an instant passes), is resumed with `(bytes, now_ns)` and returns an `Answer`.
The semantics are those of Linux drivers/usb/core/devio.c.

State of a `Handle`, an open file: the requests the device has (`pending`) and those it has answered but the
client has not fetched (`completed`). Always true: a request is in exactly one of the two; after an unplug every
request has completed with -ESHUTDOWN and, those fetched, every call answers -ENODEV.
"""

import errno
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from gadget.local import abi
from gadget.local.node import Answer, Node, Read, Request, Steps, Wait
from gadget.usb.device import MAX_URB_BYTES
from gadget.usb.endpoint0 import (
    CLEAR_FEATURE,
    DEVICE,
    ENDPOINT,
    ENDPOINT_HALT,
    INTERFACE,
    SET_INTERFACE,
)
from gadget.usb.in_pipe import Urb

_NOTHING = memoryview(b"")

MAX_REQUESTS = 8192
"""Requests one file may have open; the kernel bounds only their memory."""

_OVERHEAD_BYTES = 344  # struct async + struct urb, which the kernel adds to usbfs_memory_mb's account


@dataclass(eq=False)
class Handle:
    """An open file. `on_ready(handle)` is called when a request completes.

    `pending` is in the order of submission, `by_address` finds those of one address of the client (a program
    may submit the same one twice). `alive` says whether the client still holds it: the news that it does not may
    still be on its way.
    """

    node: Node
    on_ready: Callable[["Handle"], None]
    writable: bool = True
    alive: Callable[[], bool] = lambda: True
    pending: dict[Request, None] = field(default_factory=dict)
    by_address: dict[int, list[Request]] = field(default_factory=dict)
    completed: deque[Request] = field(default_factory=deque)
    offset: int = 0

    def __post_init__(self) -> None:
        self.node.handles.append(self)

    @property
    def ready(self) -> bool:
        """Is there something to reap?"""
        return bool(self.completed)

    def close(self, now_ns: int) -> None:
        """The last descriptor is closed or the client died: cancel its requests, free its interfaces."""
        for request in reversed(list(self.pending)):  # so that none takes data that the next client is to get
            self.node.device.cancel(request.urb, now_ns)
        for request in (*self.pending, *self.completed):
            self.node.memory.give_back(request.charge_bytes, request.is_out)
            request.urb.tag = None
        self.pending.clear()
        self.by_address.clear()
        self.completed.clear()
        self.node.claims = {i: owner for i, owner in self.node.claims.items() if owner is not self}
        if self in self.node.handles:
            self.node.handles.remove(self)

    def read(self, length: int) -> bytes:
        """The next bytes of the descriptors."""
        chunk = self.node.descriptors[self.offset : self.offset + max(length, 0)]
        self.offset += len(chunk)
        return chunk

    def seek(self, offset: int, whence: int) -> int:
        """The new offset, or -EINVAL."""
        base = {0: 0, 1: self.offset}.get(whence)
        if base is None or base + offset < 0:
            return -errno.EINVAL
        self.offset = base + offset
        return self.offset

    def completes(self, request: Request) -> None:
        """The device has answered (or gave the request up)."""
        if request not in self.pending:
            return
        del self.pending[request]
        same = self.by_address[request.user_urb]
        same.remove(request)
        if not same:
            del self.by_address[request.user_urb]
        request.urb.data = _NOTHING  # the device has it
        request.done = True
        if request.user_urb:
            self.completed.append(request)
        self.on_ready(self)

    def ioctl(self, code: int, argument: int, now_ns: int) -> Steps:
        """Answer one ioctl; see the module. `now_ns` is the instant of its first step."""
        if not self.writable:
            return _refuse(errno.EPERM)
        if code in (abi.REAPURB, abi.REAPURBNDELAY):
            return self._reap(argument, code == abi.REAPURB)
        if self.node.gone:
            return _refuse(errno.ENODEV)
        if code & ~(0x3FFF << 16) == abi.CONNINFO_EX:
            return self._connection_info_ex(argument, code >> 16 & 0x3FFF)
        handler = _HANDLERS.get(code)
        return _refuse(errno.ENOTTY) if handler is None else handler(self, argument, now_ns)

    # Requests

    def _submit(self, argument: int, now_ns: int) -> Steps:
        raw, now_ns = yield Read(argument, abi.URB.size)
        kind, endpoint, _, flags, buffer, length, *_ = abi.URB.unpack(raw)
        if flags & ~abi.KNOWN_FLAGS or not 0 <= length <= MAX_URB_BYTES or (length and not buffer):
            return Answer(-errno.EINVAL)
        setup, interface = b"", -1
        if endpoint & 0x7F:
            interface = self.node.interface_of.get(endpoint, -1)
            if error := self._use_endpoint(endpoint):
                return Answer(error)
            if kind != abi.TYPE_BULK:
                return Answer(-errno.EINVAL)
        else:
            if kind != abi.TYPE_CONTROL or length < 8:
                return Answer(-errno.EINVAL)
            setup, now_ns = yield Read(buffer, 8)
            request_type, _, _, index, wanted = abi.SETUP.unpack(setup)
            if length < wanted + 8:
                return Answer(-errno.EINVAL)
            if error := self._check_recipient(request_type, index):
                return Answer(error)
            buffer, length = buffer + 8, wanted
            endpoint = request_type & 0x80
        urb = Urb(endpoint if not setup else 0, length, setup=setup)
        request = Request(self, argument, buffer, urb, interface, flags, length + _OVERHEAD_BYTES)
        return (yield from self._start(request, now_ns))

    def _start(self, request: Request, now_ns: int) -> Steps:
        """Charge the request, fetch what it sends, and give it to the device."""
        if len(self.pending) + len(self.completed) >= MAX_REQUESTS:
            return Answer(-errno.ENOMEM)
        if not self.node.memory.take(request.charge_bytes, request.is_out):
            return Answer(-errno.ENOMEM)
        started = False
        try:
            if request.urb.length and request.is_out:
                data, now_ns = yield Read(request.buffer, request.urb.length)
                request.urb.data = memoryview(data)
            started = not self.node.gone
        finally:  # a client that dies meanwhile ends this generator
            if not started:
                self.node.memory.give_back(request.charge_bytes, request.is_out)
        if not started:
            return Answer(-errno.ENODEV)
        request.urb.tag = request
        self.pending[request] = None
        self.by_address.setdefault(request.user_urb, []).append(request)
        self.node.device.submit(request.urb, now_ns)
        return Answer(0)

    def _discard(self, argument: int, now_ns: int) -> Steps:
        yield from ()
        found = self.by_address.get(argument)
        if not found:
            return Answer(-errno.EINVAL)
        self._kill(found[0], now_ns)
        return Answer(0)

    def _kill(self, request: Request, now_ns: int) -> None:
        if self.node.device.cancel(request.urb, now_ns):
            request.urb.status = -errno.ENOENT
            self.completes(request)

    def _reap(self, argument: int, blocking: bool) -> Steps:
        while not self.completed:
            if self.node.gone:
                return Answer(-errno.ENODEV)
            if not blocking:
                return Answer(-errno.EAGAIN)
            yield Wait(None)
        request = self.completed.popleft()
        self.node.memory.give_back(request.charge_bytes, request.is_out)
        urb = request.urb
        status = urb.status
        if request.flags & abi.SHORT_NOT_OK and not status and urb.actual < urb.length:
            status = -errno.EREMOTEIO
        at = request.user_urb
        small = (
            (at + abi.STATUS_OFFSET, [memoryview(struct.pack("@i", status))]),
            (at + abi.ACTUAL_OFFSET, [memoryview(struct.pack("@i", urb.actual))]),
            (argument, [memoryview(abi.POINTER.pack(at))]),
        )
        if urb.chunks:
            return Answer(0, ((request.buffer, urb.take_chunks()), *small))
        return Answer(0, small)

    def _control(self, argument: int, now_ns: int) -> Steps:
        raw, now_ns = yield Read(argument, abi.CONTROL_TRANSFER.size)
        *setup, _timeout_ms, buffer = abi.CONTROL_TRANSFER.unpack(raw)
        request_type, _, _, index, length = setup
        if length > 4096:
            return Answer(-errno.EINVAL)
        if error := self._check_recipient(request_type, index):
            return Answer(error)
        data = b""
        if length and not request_type & 0x80:
            data, now_ns = yield Read(buffer, length)
        if self.node.gone:
            return Answer(-errno.ENODEV)
        urb = self.node.control(abi.SETUP.pack(*setup), now_ns, data)
        return Answer(urb.status or urb.actual, ((buffer, urb.take_chunks()),) if urb.chunks else ())

    def _bulk(self, argument: int, now_ns: int) -> Steps:
        raw, now_ns = yield Read(argument, abi.BULK_TRANSFER.size)
        endpoint, length, timeout_ms, buffer = abi.BULK_TRANSFER.unpack(raw)
        if length > MAX_URB_BYTES:
            return Answer(-errno.EINVAL)
        if error := self._use_endpoint(endpoint):
            return Answer(error)
        urb = Urb(endpoint, length)
        interface = self.node.interface_of[endpoint]
        request = Request(self, 0, buffer, urb, interface, charge_bytes=length + _OVERHEAD_BYTES)
        if (answer := (yield from self._start(request, now_ns))).result:
            return answer
        until_ns = now_ns + timeout_ms * 1_000_000 if timeout_ms else None
        try:
            while not request.done:
                _, now_ns = yield Wait(until_ns)
                if until_ns is not None and now_ns >= until_ns and not request.done:
                    self._kill(request, now_ns)
                    break
        finally:
            if request.done:  # else the file is closed and has given it back
                self.node.memory.give_back(request.charge_bytes, request.is_out)
        urb.tag = None
        if urb.status == -errno.ENOENT:
            return Answer(-errno.ETIMEDOUT)
        return Answer(urb.status or urb.actual, ((buffer, urb.take_chunks()),) if urb.chunks else ())

    # Interfaces

    def _claim(self, interface: int) -> int:
        if not 0 <= interface < 64:
            return -errno.EINVAL
        if not self.node.device.configuration or interface >= self.node.interfaces:
            return -errno.ENOENT
        owner = self.node.claims.setdefault(interface, self)
        if owner is self:
            return 0
        if owner.alive():
            return -errno.EBUSY
        self.node.claims[interface] = self
        return 0

    def _use_endpoint(self, endpoint: int) -> int:
        """0 where this file may use the endpoint; like the kernel it claims a free interface on first use."""
        if endpoint & ~0x8F:
            return -errno.EINVAL
        if not self.node.device.configuration:
            return -errno.ESRCH
        interface = self.node.interface_of.get(endpoint)
        return -errno.ENOENT if interface is None else self._claim(interface)

    def _check_recipient(self, request_type: int, index: int) -> int:
        recipient, index = request_type & 0x1F, index & 0xFF
        if request_type & 0x60 == 0x40 or recipient == DEVICE:
            return 0
        if recipient == ENDPOINT and index & 0x7F:
            if not self.node.device.configuration:
                return -errno.ESRCH
            interface = self.node.interface_of.get(index, self.node.interface_of.get(index ^ 0x80))
            return -errno.ENOENT if interface is None else self._claim(interface)
        if recipient == INTERFACE:
            return self._claim(index) if self.node.device.configuration else -errno.EHOSTUNREACH
        return 0

    def _claim_interface(self, argument: int, now_ns: int) -> Steps:
        raw, _ = yield Read(argument, 4)
        return Answer(self._claim(abi.UINT.unpack(raw)[0]))

    def _disconnect_claim(self, argument: int, now_ns: int) -> Steps:
        raw, _ = yield Read(argument, 264)
        interface, flags = struct.unpack_from("@II", raw)
        driver = raw[8:].split(b"\0")[0]
        if interface >= self.node.interfaces or not self.node.device.configuration:
            return Answer(-errno.EINVAL)
        owner = self.node.claims.get(interface)
        if owner is not None and owner is not self:
            unwanted = abi.EXCEPT_DRIVER if driver == b"usbfs" else abi.IF_DRIVER
            if flags & unwanted:
                return Answer(-errno.EBUSY)
            del self.node.claims[interface]
            owner.kill_interface(interface, now_ns)
        return Answer(self._claim(interface))

    def _release_interface(self, argument: int, now_ns: int) -> Steps:
        raw, now_ns = yield Read(argument, 4)
        interface = abi.UINT.unpack(raw)[0]
        if self.node.claims.get(interface) is not self:
            return Answer(-errno.EINVAL)
        del self.node.claims[interface]
        self.kill_interface(interface, now_ns)
        return Answer(0)

    def kill_interface(self, interface: int, now_ns: int) -> None:
        for request in [r for r in reversed(self.pending) if r.interface == interface]:
            self._kill(request, now_ns)

    def _set_interface(self, argument: int, now_ns: int) -> Steps:
        raw, now_ns = yield Read(argument, 8)
        interface, alternate = struct.unpack("@II", raw)
        if error := self._claim(interface):
            return Answer(error)
        if alternate:
            return Answer(-errno.EINVAL)
        self.kill_interface(interface, now_ns)
        setup = abi.SETUP.pack(INTERFACE, SET_INTERFACE, alternate, interface, 0)
        return Answer(self.node.control(setup, now_ns).status)

    def _clear_halt(self, argument: int, now_ns: int) -> Steps:
        raw, now_ns = yield Read(argument, 4)
        endpoint = abi.UINT.unpack(raw)[0]
        if error := self._use_endpoint(endpoint):
            return Answer(error)
        setup = abi.SETUP.pack(ENDPOINT, CLEAR_FEATURE, ENDPOINT_HALT, endpoint, 0)
        return Answer(self.node.control(setup, now_ns).status)

    def _reset_endpoint(self, argument: int, now_ns: int) -> Steps:
        raw, _ = yield Read(argument, 4)  # the host's toggle only: nothing crosses the wire
        return Answer(self._use_endpoint(abi.UINT.unpack(raw)[0]))

    # The device

    def _set_configuration(self, argument: int, now_ns: int) -> Steps:
        raw, now_ns = yield Read(argument, 4)
        value = abi.UINT.unpack(raw)[0]
        if any(owner.alive() for owner in self.node.claims.values()):
            return Answer(-errno.EBUSY)
        if value in (0, 0xFFFFFFFF):
            value = 0
        elif value != 1:
            return Answer(-errno.EINVAL)
        return Answer(self.node.configure(value, now_ns))

    def _reset(self, _argument: int, now_ns: int) -> Steps:
        """A port reset; Linux gives the old configuration back and takes usbfs off the interfaces."""
        yield from ()
        configuration = self.node.device.configuration
        self.node.device.bus_reset(now_ns)
        self.node.claims.clear()
        return Answer(self.node.configure(configuration, now_ns) if configuration else 0)

    def _get_driver(self, argument: int, now_ns: int) -> Steps:
        raw, _ = yield Read(argument, 4)
        if abi.UINT.unpack(raw)[0] not in self.node.claims:
            return Answer(-errno.ENODATA)
        return Answer(0, ((argument + 4, [memoryview(b"usbfs\0")]),))

    def _driver_ioctl(self, argument: int, now_ns: int) -> Steps:
        raw, _ = yield Read(argument, abi.CALL.size)
        interface, code, _data = abi.CALL.unpack(raw)
        if not 0 <= interface < self.node.interfaces:
            return Answer(-errno.EINVAL)
        if code == abi.CONNECT:
            return Answer(-errno.EBUSY if interface in self.node.claims else 0)
        return Answer(-errno.ENODATA if code == abi.DISCONNECT else -errno.ENOTTY)

    def _connection_info(self, argument: int, now_ns: int) -> Steps:
        yield from ()
        return Answer(0, ((argument, [memoryview(struct.pack("@IB3x", self.node.number, 0))]),))

    def _connection_info_ex(self, argument: int, size: int) -> Steps:
        yield from ()
        node = self.node
        speed = abi.SPEED_CODE[node.device.speed]
        info = struct.pack("@IIIIB7B", 24, node.bus, node.number, speed, 1, node.port, *bytes(6))
        if size < 4:
            return Answer(-errno.EINVAL)
        return Answer(0, ((argument, [memoryview(info)[:size]]),))

    def _get_capabilities(self, argument: int, now_ns: int) -> Steps:
        yield from ()
        return Answer(0, ((argument, [memoryview(abi.UINT.pack(abi.CAPABILITIES))]),))

    def _get_speed(self, _argument: int, now_ns: int) -> Steps:
        yield from ()
        return Answer(abi.SPEED_CODE[self.node.device.speed])


def _refuse(number: int) -> Steps:
    yield from ()
    return Answer(-number)


_HANDLERS: dict[int, Callable[[Handle, int, int], Steps]] = {
    abi.SUBMITURB: Handle._submit,
    abi.DISCARDURB: Handle._discard,
    abi.CONTROL: Handle._control,
    abi.BULK: Handle._bulk,
    abi.CLAIMINTERFACE: Handle._claim_interface,
    abi.DISCONNECT_CLAIM: Handle._disconnect_claim,
    abi.RELEASEINTERFACE: Handle._release_interface,
    abi.SETINTERFACE: Handle._set_interface,
    abi.CLEAR_HALT: Handle._clear_halt,
    abi.RESETEP: Handle._reset_endpoint,
    abi.SETCONFIGURATION: Handle._set_configuration,
    abi.RESET: Handle._reset,
    abi.GETDRIVER: Handle._get_driver,
    abi.IOCTL: Handle._driver_ioctl,
    abi.CONNECTINFO: Handle._connection_info,
    abi.GET_CAPABILITIES: Handle._get_capabilities,
    abi.GET_SPEED: Handle._get_speed,
}
