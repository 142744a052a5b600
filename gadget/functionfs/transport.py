"""A camera served through FunctionFS: from nothing to a bound gadget, and back.

State: the gadget in configfs, the mounted FunctionFS, its descriptors. Always true: there is all of it or nothing; what
a killed process has left under the same name is removed before. The camera drops off the bus by removing all, and comes
back by making it anew, so its strings may be others then.
"""

import errno
import fcntl
import os
import struct
from pathlib import Path

from gadget import configfs
from gadget.functionfs.descriptors import (
    Event,
    Told,
    endpoint_order,
    events,
    function_blob,
    strings_blob,
)
from gadget.time.loop import READ, Loop
from gadget.udc import mounts
from gadget.udc.aio import Aio
from gadget.udc.controllers import Controller
from gadget.udc.endpoint_files import EndpointFiles
from gadget.usb.device import UsbDevice
from u3v.errors import U3VError
from u3v.wire.usb import CONTROL_IN, CONTROL_OUT, Descriptors, Identity, Speed, build_descriptors

ENDPOINT_DESC = 0x80096782  # FUNCTIONFS_ENDPOINT_DESC
_READ_BYTES = 12 * 8
DUMMY_PADS = 3
"""dummy_hcd has endpoints of fixed numbers, ep1in and then ep2out, ep7out, ep12out, ep1out: behind three others the
control channel has the same number in both directions, without which Aravis before 0.9.2 does not find it."""


class Refused(U3VError):
    """This kernel's FunctionFS does not take the U3V device information descriptor (0x24)."""


class FunctionFs:
    """`with_info`: give hosts the descriptor 0x24. `open` raises `Refused` where the kernel takes it not."""

    def __init__(
        self,
        loop: Loop,
        device: UsbDevice,
        controller: Controller,
        max_speed: Speed,
        *,
        with_info: bool = True,
    ) -> None:
        self.notes: list[str] = []
        self._loop = loop
        self._device = device
        self._controller = controller
        self._max_speed = max_speed
        self._with_info = with_info
        self._pads = DUMMY_PADS if controller.name.startswith("dummy_udc") else 0
        self._gadget = configfs.Gadget(f"u3v.{controller.name}")
        self._point = mounts.RUN / self._gadget.name
        self._ep0 = -1
        self._files = EndpointFiles(loop, device, Aio)
        self._files.before = self._events
        self._looked = False

    def open(self) -> None:
        """Be there for the host. Raises U3VError, one line."""
        self._remove()
        function = self._device.function
        high, super_ = function.descriptors(Speed.HIGH), function.descriptors(Speed.SUPER)
        try:
            self._make(high, super_)
            self._describe(high, super_)
            self._gadget.bind(self._controller.name)
        except OSError as error:
            self._remove()
            raise mounts.explained(error, f"gadget at {self._controller.name}", "see dmesg") from error
        except BaseException:
            self._remove()
            raise

    def close(self) -> None:
        """Be gone, for good."""
        self.drop()
        self._files.close()

    def drop(self) -> None:
        """Be gone from the bus; `open` comes back."""
        if self._ep0 >= 0:
            self._loop.unwatch(self._ep0)
            self._files.queues.unconfigured(self._loop.now_ns())
            self._files.settle()
        self._remove()

    def _make(self, high: Descriptors, super_: Descriptors) -> None:
        make_ready()
        strings = super_.strings
        device = super_.device
        power = max(
            high.configuration[8] * Speed.HIGH.power_unit_ma,
            super_.configuration[8] * Speed.SUPER.power_unit_ma,
        )
        vid, pid, bcd = struct.unpack_from("<3H", device, 8)
        attributes = {
            "idVendor": f"{vid:#06x}",
            "idProduct": f"{pid:#06x}",
            "bcdDevice": f"{bcd:#06x}",
            "bDeviceClass": f"{device[4]:#04x}",
            "bDeviceSubClass": f"{device[5]:#04x}",
            "bDeviceProtocol": f"{device[6]:#04x}",
        }
        if self._max_speed is Speed.HIGH:
            attributes["max_speed"] = "high-speed"
        self._gadget.make(attributes, (strings[1], strings[2], strings[3]), power)

    def _describe(self, high: Descriptors, super_: Descriptors) -> None:
        """Mount FunctionFS, tell it the descriptors, open its files."""
        self._point.mkdir(parents=True, exist_ok=True)
        mounts.mount("functionfs", self._gadget.name, self._point)
        self._ep0 = os.open(self._point / "ep0", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(self._ep0, function_blob(high, super_, device_info=self._with_info, pads=self._pads))
        except OSError as error:
            if error.errno == errno.EINVAL and self._with_info:
                raise Refused("this kernel's FunctionFS refuses the descriptor 0x24 of USB3 Vision") from None
            raise
        os.write(self._ep0, strings_blob(super_.strings))
        order = enumerate(endpoint_order(super_.configuration), self._pads + 1)
        for number, address in order:
            self._files.open(address, self._point / f"ep{number}", os.O_NONBLOCK)
        self._loop.watch(self._ep0, READ, lambda _mask: self._events())

    def _remove(self) -> None:
        self._files.close_files()
        if self._ep0 >= 0:
            self._loop.unwatch(self._ep0)
            os.close(self._ep0)
            self._ep0 = -1
        remove_left(self._gadget, self._point)

    def _events(self) -> None:
        while self._ep0 >= 0:
            try:
                raw = os.read(self._ep0, _READ_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EIDRM, errno.EINTR):  # a setup request that the host has given up
                    continue
                raise
            for told in events(raw):
                self._happened(told)

    def _happened(self, told: Told) -> None:
        now_ns, queues = self._loop.now_ns(), self._files.queues
        if told.kind is Event.ENABLE:
            self._look_at_endpoints()
            queues.configured(self._controller.current_speed or self._max_speed, now_ns)
        elif told.kind in (Event.DISABLE, Event.UNBIND):
            queues.unconfigured(now_ns)
        elif told.kind is Event.SETUP:
            self._stall(told.setup)

    def _stall(self, setup: bytes) -> None:
        """USB3 Vision has no requests on endpoint 0: going the other way refuses one."""
        try:
            if setup[0] & 0x80:
                os.read(self._ep0, 0)
            else:
                os.write(self._ep0, b"")
        except OSError as error:
            if error.errno not in (errno.EL2HLT, errno.EIDRM, errno.ESRCH, errno.EAGAIN):
                raise

    def _look_at_endpoints(self) -> None:
        """Once: which numbers the kernel has given the control channel."""
        if self._looked:
            return
        self._looked = True
        numbers = {self._number(CONTROL_IN), self._number(CONTROL_OUT)}
        if len(numbers) == 2:
            self.notes.append(
                f"the controller {self._controller.name} gives the control channel endpoint "
                f"{self._number(CONTROL_IN)} IN and {self._number(CONTROL_OUT)} OUT: Aravis before 0.9.2 needs equal"
            )

    def _number(self, address: int) -> int:
        raw = fcntl.ioctl(self._files.files[address], ENDPOINT_DESC, bytes(9))
        return raw[2] & 0x0F


def make_ready() -> None:
    """Root, configfs, libcomposite. Raises U3VError, one line each."""
    mounts.need_root()
    if not mounts.knows("configfs"):
        mounts.load("configfs")
    if not configfs.ROOT.is_dir():
        mounts.load("libcomposite")
    if not configfs.ROOT.parent.is_dir() or not os.path.ismount(configfs.ROOT.parent):
        try:
            mounts.mount("configfs", "none", configfs.ROOT.parent)
        except OSError as error:
            raise mounts.explained(
                error,
                f"configfs at {configfs.ROOT.parent}",
                "this kernel has no configfs (CONFIG_CONFIGFS_FS)",
            ) from None
    if not configfs.ROOT.is_dir():
        raise U3VError(
            "this kernel makes no gadgets: `modprobe libcomposite` fails (CONFIG_USB_CONFIGFS, CONFIG_USB_GADGET)"
        )


def remove_left(gadget: configfs.Gadget, point: Path) -> None:
    """What there is of a gadget and its FunctionFS, whoever made it."""
    mounts.unmount(point)
    if gadget.root.is_dir():
        gadget.remove()
    if point.is_dir():
        point.rmdir()


def accepts_device_info(identity: Identity, controller: Controller) -> bool:
    """Try it: a gadget that no host sees. Raises U3VError where there is no FunctionFS."""
    gadget = configfs.Gadget(f"u3v-try.{controller.name}")
    point = mounts.RUN / gadget.name
    make_ready()
    remove_left(gadget, point)
    high, super_ = (build_descriptors(identity, speed) for speed in (Speed.HIGH, Speed.SUPER))
    try:
        try:
            gadget.make({}, ("", "", ""), 0)
            point.mkdir(parents=True, exist_ok=True)
            mounts.mount("functionfs", gadget.name, point)
        except OSError as error:
            remedy = "`modprobe usb_f_fs` fails (CONFIG_USB_CONFIGFS_F_FS)"
            raise mounts.explained(error, "this kernel has no FunctionFS", remedy) from None
        ep0 = os.open(point / "ep0", os.O_RDWR | os.O_CLOEXEC)
        try:
            os.write(ep0, function_blob(high, super_))
        except OSError as error:
            if error.errno == errno.EINVAL:
                return False
            raise
        finally:
            os.close(ep0)
        return True
    finally:
        remove_left(gadget, point)
