"""A camera served through GadgetFS: from nothing to a device on the bus, and back.

The kernel answers requests for device and configuration descriptors; all other requests on endpoint 0 come here, and
the camera's `UsbDevice` answers them. State: the mounted GadgetFS, the descriptor of endpoint 0, those of the other
endpoints while a host has configured the device. Always true: endpoints are opened when a host configures the device,
and closed, with all that was queued, when it resets it, for their settings end there.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

from gadget.gadgetfs.descriptors import (
    EVENT,
    EndpointFile,
    Event,
    Told,
    choose_files,
    device_blob,
    endpoint_blob,
    events,
)
from gadget.time.loop import READ, Loop
from gadget.udc import mounts
from gadget.udc.controllers import Controller
from gadget.udc.endpoint_files import EndpointFiles
from gadget.udc.threads import Threads
from gadget.usb.device import UsbDevice
from gadget.usb.endpoint0 import SET_CONFIGURATION, SET_INTERFACE, Setup
from gadget.usb.in_pipe import OK, Urb
from u3v.errors import U3VError
from u3v.wire.usb import Descriptors, Speed

_READ_BYTES = 5 * EVENT.size
_GIVEN_UP = (errno.EIDRM, errno.EL2HLT)
"""The host had waited too long for the answer, or has asked for something else meanwhile."""
_GONE = (*_GIVEN_UP, errno.ESRCH, errno.EAGAIN, errno.ESHUTDOWN, errno.EINVAL)


class GadgetFs:
    """`open` raises U3VError where it cannot be."""

    def __init__(self, loop: Loop, device: UsbDevice, controller: Controller) -> None:
        self.notes: list[str] = []
        self._loop = loop
        self._device = device
        self._controller = controller
        self._point = mounts.RUN / "gadgetfs"
        self._ep0 = -1
        self._endpoints = EndpointFiles(loop, device, Threads, stream_depth=2)
        self._endpoints.before = self._events
        self._high: Descriptors = device.descriptors
        self._chosen: dict[int, EndpointFile] = {}

    def open(self) -> None:
        """Be there for the host. Raises U3VError, one line."""
        self._remove()
        self._high = self._device.function.descriptors(Speed.HIGH)
        make_ready(self._point)
        try:
            chip = the_file(self._point)
            if not self._controller.name.startswith(chip.name):
                raise U3VError(
                    f"GadgetFS takes the first free controller, {chip.name}, not {self._controller.name}: give --udc "
                    "for that one, or the backend functionfs"
                )
            self._chosen = {address: EndpointFile("", address) for address in self._device.ep0.endpoints}
            while not self._bind(chip):
                os.close(self._ep0)
            self._loop.watch(self._ep0, READ, lambda _mask: self._events())
            self._events()  # from the first read on requests come here
        except OSError as error:
            self._remove()
            raise mounts.explained(error, f"gadget at {self._controller.name}", "see dmesg") from error
        except BaseException:
            self._remove()
            raise

    def close(self) -> None:
        """Be gone, for good."""
        self.drop()
        self._endpoints.close()

    def drop(self) -> None:
        """Be gone from the bus; `open` comes back."""
        self._unconfigure()
        self._remove()

    def _remove(self) -> None:
        if self._ep0 >= 0:
            self._loop.unwatch(self._ep0)
            os.close(self._ep0)
            self._ep0 = -1
        mounts.unmount(self._point)
        if self._point.is_dir():
            self._point.rmdir()

    def _bind(self, chip: Path) -> bool:
        """Show the device to the host. False: the controller's endpoints, which are known only now, have other
        numbers."""
        shown = [file.address for file in self._chosen.values()]
        self._ep0 = os.open(chip, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        os.write(self._ep0, device_blob(self._high, self._chosen))
        names = [path.name for path in self._point.iterdir() if path != chip]
        self._chosen = {address: choose_files(names, self._chosen)[address] for address in self._chosen}
        return shown == [file.address for file in self._chosen.values()]

    def _events(self) -> None:
        while self._ep0 >= 0:
            try:
                raw = os.read(self._ep0, _READ_BYTES)
            except OSError as error:
                if error.errno == errno.EAGAIN:
                    return
                if error.errno not in _GIVEN_UP:
                    raise
                self._leave()
                continue
            for told in events(raw):
                self._happened(told)

    def _happened(self, told: Told) -> None:
        if told.kind == Event.DISCONNECT:
            self._unconfigure()
        elif told.kind == Event.SETUP:
            self._setup(told.setup)

    def _setup(self, raw: bytes) -> None:
        setup = Setup.parse(raw)
        if not setup.request_type & 0x7F and setup.request == SET_CONFIGURATION:
            self._unconfigure()
            if setup.value and not self._configure():
                return self._stall(setup)
            return self._acknowledge()
        if setup.request_type == 1 and setup.request == SET_INTERFACE and self._device.configuration:
            self._unconfigure()
            return self._acknowledge() if self._configure() else self._stall(setup)
        if (
            setup.length and not setup.device_to_host
        ):  # there is none that takes data; it cannot be refused any more
            self._go(lambda: os.read(self._ep0, setup.length))
            return
        urb = Urb(0, setup.length, setup=raw)
        self._device.submit(urb, self._loop.now_ns())
        if urb.status != OK:
            self._stall(setup)
        elif setup.device_to_host:
            self._answer(b"".join(urb.take_chunks()))
        else:
            self._acknowledge()

    def _configure(self) -> bool:
        """Open the endpoints and serve them. False, and one line on stderr: the controller does not let them be."""
        for address, file in self._chosen.items():
            try:
                self._endpoints.open(address, self._point / file.name)
                os.write(self._endpoints.files[address], endpoint_blob(self._high, address, file))
            except OSError as error:
                what = f"endpoint {address:#04x} ({file.name}) of {self._controller.name}"
                print(f"u3v: {what} cannot be opened: {error.strerror}", file=sys.stderr, flush=True)
                self._endpoints.close_files()
                return False
        self._endpoints.queues.configured(Speed.HIGH, self._loop.now_ns())
        return True

    def _unconfigure(self) -> None:
        """End what is queued, close the endpoints."""
        self._endpoints.queues.unconfigured(self._loop.now_ns())
        self._endpoints.settle()
        self._endpoints.close_files()

    def _answer(self, data: bytes) -> None:
        self._go(lambda: os.write(self._ep0, data))

    def _acknowledge(self) -> None:
        self._go(lambda: os.read(self._ep0, 0))

    def _stall(self, setup: Setup) -> None:
        """Going the other way refuses a request."""
        self._go(lambda: os.read(self._ep0, 0) if setup.device_to_host else os.write(self._ep0, b""))

    def _go(self, do: Callable[[], object]) -> None:
        """One step of a request that the host may have given up by now."""
        try:
            do()
        except OSError as error:
            if error.errno not in _GONE:
                raise
            if error.errno in (errno.EIDRM, errno.EAGAIN):
                self._leave()

    def _leave(self) -> None:
        """Have done with a request that the host has given up. The kernel (6.1, 6.12) takes whatever comes next for
        its answer, and tells of no other one before."""
        with contextlib.suppress(OSError):
            os.read(self._ep0, 0)


def make_ready(point: Path) -> None:
    """Root and a mounted GadgetFS. Raises U3VError, one line."""
    mounts.need_root()
    if not mounts.knows("gadgetfs"):
        mounts.load("gadgetfs")
    if not mounts.knows("gadgetfs"):
        raise U3VError("this kernel has no GadgetFS: `modprobe gadgetfs` fails (CONFIG_USB_GADGETFS)")
    for other in mounts.mounted("gadgetfs"):
        if other != point:
            raise U3VError(f"GadgetFS is in use: it is mounted at {other}; there is one, for one device")
    point.mkdir(parents=True, exist_ok=True)
    try:
        mounts.mount("gadgetfs", "none", point)
    except OSError as error:
        remedy = "is another controller free? `u3v gadget --check` lists them"
        raise mounts.explained(error, "GadgetFS finds no free controller", remedy) from None


def the_file(point: Path) -> Path:
    """The only file of a GadgetFS that nobody uses yet is named after its controller."""
    found = list(point.iterdir())
    if len(found) != 1:
        raise U3VError(
            f"GadgetFS at {point} has {len(found)} files before its use: somebody else is using it"
        )
    return found[0]
