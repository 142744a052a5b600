"""A `HostBus` to a real (or preloaded) USB device, over pyusb and whatever backend pyusb finds: libusb.

Reads are made one at a time, when `wait_in` asks for them: pyusb has no asynchronous transfers. That is
enough to look at a camera and to take frames that it can hold until they are asked for. A request that the
host controller takes part in (SET_CONFIGURATION, SET_INTERFACE, CLEAR_FEATURE of an endpoint's halt) goes
through libusb's own call for it.
"""

import array
import errno
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import usb.core
import usb.util

from u3v.errors import U3VError
from u3v.host.bus import (
    ReadBuffer,
    UsbError,
    UsbGone,
    UsbOverflow,
    UsbStall,
    UsbTimeout,
    WriteBuffer,
)

_LIBUSB_NO_DEVICE = -4


class UsbBus:
    """One device of pyusb. `open` finds it; handles of `submit_in` are reads that have not begun."""

    def __init__(self, device: Any) -> None:
        self._device = device
        self._queued: dict[int, tuple[int, WriteBuffer]] = {}
        self._next_handle = 1
        self._scratch = array.array("B")
        self._known = {0, *(configuration.bConfigurationValue for configuration in device)}

    @classmethod
    def open(cls, vid: int, pid: int, serial: str = "", backend: Any = None) -> "UsbBus":
        """The first device of these ids (and serial number). Raises UsbGone, U3VError without libusb."""
        name = f"{vid:04x}:{pid:04x}" + (f" with serial number {serial}" if serial else "")
        try:
            found = usb.core.find(find_all=True, idVendor=vid, idProduct=pid, backend=backend)
            for device in found:
                if not serial or usb.util.get_string(device, device.iSerialNumber) == serial:
                    return cls(device)
        except usb.core.NoBackendError as error:
            raise U3VError("usb: needs libusb-1.0 (Debian: apt install libusb-1.0-0)") from error
        except (usb.core.USBError, ValueError) as error:
            raise UsbGone(f"USB device {name} cannot be opened: {error}{_advice(error)}") from error
        raise UsbGone(f"there is no USB device {name} (lsusb shows what there is)")

    @property
    def speed(self) -> int:
        """The link's speed as libusb numbers it: 3 high, 4 super, 0 where it is not known."""
        return self._device.speed or 0

    @property
    def known(self) -> bytes:
        """The system's copy: class, subclass, protocol, idVendor, idProduct, bcdDevice, bNumConfigurations."""
        d = self._device
        ids = struct.pack("<3H", d.idVendor, d.idProduct, d.bcdDevice)
        return (
            bytes((d.bDeviceClass, d.bDeviceSubClass, d.bDeviceProtocol))
            + ids
            + bytes([d.bNumConfigurations])
        )

    def control(self, setup: bytes, data_or_length: bytes | int, timeout_ms: int = 1000) -> bytes:
        kind, request = setup[0], setup[1]
        value, index = int.from_bytes(setup[2:4], "little"), int.from_bytes(setup[4:6], "little")
        with _errors("control request"):
            if (kind, request) == (0x00, 9) and value in self._known:
                usb.util.dispose_resources(
                    self._device
                )  # or the kernel keeps it for whoever has claimed interfaces
                self._device.set_configuration(value)
            elif (kind, request) == (0x01, 11):
                self._device.set_interface_altsetting(index, value)
            elif (kind, request, value) == (0x02, 1, 0):
                self._device.clear_halt(index)
            else:
                answer = self._device.ctrl_transfer(kind, request, value, index, data_or_length, timeout_ms)
                return bytes(answer) if kind & 0x80 else b""
        return b""

    def bulk_out(self, endpoint: int, data: ReadBuffer, timeout_ms: int = 1000) -> int:
        with _errors(f"endpoint {endpoint:#04x}"):
            return int(self._device.write(endpoint, bytes(data), timeout_ms))

    def bulk_in_into(self, endpoint: int, buffer: WriteBuffer, timeout_ms: int = 1000) -> int:
        view = memoryview(buffer).cast("B")
        if len(self._scratch) != len(view):  # pyusb reads into an array of exactly the length asked for
            self._scratch = array.array("B", bytes(len(view)))
        with _errors(f"endpoint {endpoint:#04x}"):
            length = int(self._device.read(endpoint, self._scratch, timeout_ms))
        view[:length] = memoryview(self._scratch)[:length]
        return length

    def submit_in(self, endpoint: int, buffer: WriteBuffer) -> int:
        handle = self._next_handle
        self._next_handle += 1
        self._queued[handle] = (endpoint, buffer)
        return handle

    def wait_in(self, handle: int, timeout_ms: int = 1000) -> int:
        if handle not in self._queued:
            raise U3VError(f"handle {handle} is not of a queued read")
        endpoint, buffer = self._queued[handle]
        try:
            length = self.bulk_in_into(endpoint, buffer, timeout_ms)
        except UsbTimeout:
            raise
        except UsbError:
            del self._queued[handle]
            raise
        del self._queued[handle]
        return length

    def cancel_in(self, handle: int) -> None:
        self._queued.pop(handle, None)

    def close(self) -> None:
        usb.util.dispose_resources(self._device)

    def __enter__(self) -> "UsbBus":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


@contextmanager
def _errors(where: str) -> Iterator[None]:
    try:
        yield
    except usb.core.USBTimeoutError as error:
        raise UsbTimeout(f"{where}: no answer in time") from error
    except usb.core.USBError as error:
        number = error.errno or errno.EIO
        if number == errno.EPIPE:
            raise UsbStall(f"{where} stalled") from error
        if number == errno.EOVERFLOW:
            raise UsbOverflow(f"{where} sent more than the buffer holds") from error
        if number == errno.ENODEV or error.backend_error_code == _LIBUSB_NO_DEVICE:
            raise UsbGone(f"{where}: the device is gone") from error
        raise UsbError(f"{where}: {error.strerror or error}{_advice(error)}", -number) from error


def _advice(error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EACCES:
        return " (a udev rule has to allow it, or run it as root)"
    if number == errno.EBUSY:
        return " (another program has the camera open)"
    return ""
