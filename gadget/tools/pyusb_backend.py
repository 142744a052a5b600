"""A pyusb backend over any `HostBus`: `usb.core.find(backend=BusBackend(bus))` needs no libusb and no kernel.

One bus is one device. Descriptors are asked of the device and grouped as libusb does: what stands before the
first interface belongs to the configuration, what follows an interface or endpoint belongs to that one.
"""

import array
import errno
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import usb.backend
import usb.core

from u3v.errors import Malformed
from u3v.host import bus as host
from u3v.host.bus import HostBus
from u3v.host.descriptors import DT_ENDPOINT, DT_INTERFACE, walk

_DEVICE = struct.Struct("<BBHBBBBHHHBBBB")
_CONFIGURATION = struct.Struct("<BBHBBBBB")
_INTERFACE = struct.Struct("<9B")
_ENDPOINT = struct.Struct("<BBBBHB")
_DEVICE_FIELDS = (
    "bLength bDescriptorType bcdUSB bDeviceClass bDeviceSubClass bDeviceProtocol bMaxPacketSize0 idVendor "
    "idProduct bcdDevice iManufacturer iProduct iSerialNumber bNumConfigurations"
)
_CONFIGURATION_FIELDS = (
    "bLength bDescriptorType wTotalLength bNumInterfaces bConfigurationValue iConfiguration bmAttributes "
    "bMaxPower"
)
_INTERFACE_FIELDS = (
    "bLength bDescriptorType bInterfaceNumber bAlternateSetting bNumEndpoints bInterfaceClass "
    "bInterfaceSubClass bInterfaceProtocol iInterface"
)
_ENDPOINT_FIELDS = "bLength bDescriptorType bEndpointAddress bmAttributes wMaxPacketSize bInterval"
_LIBUSB_SPEED_SUPER, _LIBUSB_SPEED_HIGH = 4, 3
_LIBUSB_IO, _LIBUSB_NO_DEVICE, _LIBUSB_TIMEOUT, _LIBUSB_OVERFLOW, _LIBUSB_PIPE = -1, -4, -7, -8, -9


class BusBackend(usb.backend.IBackend):  # type: ignore[misc]
    """The devices behind `buses`, as bus 1 address 1, 2, ... Closing a device leaves its bus open."""

    def __init__(self, *buses: HostBus) -> None:
        self._buses = buses

    def enumerate_devices(self) -> Iterator[HostBus]:
        return iter(self._buses)

    def get_parent(self, dev: HostBus) -> None:
        return None

    def get_device_descriptor(self, dev: HostBus) -> SimpleNamespace:
        with _errors():
            fields = _named(_DEVICE_FIELDS, _DEVICE, host.get_device_descriptor(dev))
        fields.bus, fields.address = 1, self._buses.index(dev) + 1
        fields.port_number, fields.port_numbers = fields.address, (fields.address,)
        fields.speed = _LIBUSB_SPEED_SUPER if fields.bcdUSB >= 0x0300 else _LIBUSB_SPEED_HIGH
        return fields

    def get_configuration_descriptor(self, dev: HostBus, config: int) -> SimpleNamespace:
        if config:
            raise IndexError(f"Invalid configuration index {config}")
        with _errors():
            return _parse(host.get_configuration_descriptor(dev, config))

    def get_interface_descriptor(self, dev: HostBus, intf: int, alt: int, config: int) -> SimpleNamespace:
        found: list[list[SimpleNamespace]] = self.get_configuration_descriptor(dev, config).interfaces
        return found[intf][alt]

    def get_endpoint_descriptor(
        self, dev: HostBus, ep: int, intf: int, alt: int, config: int
    ) -> SimpleNamespace:
        found: list[SimpleNamespace] = self.get_interface_descriptor(dev, intf, alt, config).endpoints
        return found[ep]

    def open_device(self, dev: HostBus) -> HostBus:
        return dev

    def close_device(self, dev_handle: HostBus) -> None: ...

    def claim_interface(self, dev_handle: HostBus, intf: int) -> None: ...

    def release_interface(self, dev_handle: HostBus, intf: int) -> None: ...

    def is_kernel_driver_active(self, dev_handle: HostBus, intf: int) -> bool:
        return False

    def set_configuration(self, dev_handle: HostBus, config_value: int) -> None:
        with _errors():
            host.set_configuration(dev_handle, config_value)

    def get_configuration(self, dev_handle: HostBus) -> int:
        with _errors():
            return host.get_configuration(dev_handle)

    def set_interface_altsetting(self, dev_handle: HostBus, intf: int, altsetting: int) -> None:
        with _errors():
            host.set_interface(dev_handle, intf, altsetting)

    def clear_halt(self, dev_handle: HostBus, ep: int) -> None:
        with _errors():
            host.clear_halt(dev_handle, ep)

    def reset_device(self, dev_handle: HostBus) -> None:
        """A bus has no port to reset: unconfigure and configure again, which stops everything too."""
        with _errors():
            value = host.get_configuration(dev_handle)
            host.set_configuration(dev_handle, 0)
            host.set_configuration(dev_handle, value)

    def bulk_write(
        self, dev_handle: HostBus, ep: int, intf: int, data: "array.array[int]", timeout: int
    ) -> int:
        with _errors():
            return dev_handle.bulk_out(ep, data.tobytes(), timeout)

    def bulk_read(
        self, dev_handle: HostBus, ep: int, intf: int, buff: "array.array[int]", timeout: int
    ) -> int:
        with _errors():
            return dev_handle.bulk_in_into(ep, memoryview(buff).cast("B"), timeout)

    def ctrl_transfer(
        self,
        dev_handle: HostBus,
        bmRequestType: int,
        bRequest: int,
        wValue: int,
        wIndex: int,
        data: "array.array[int]",
        timeout: int,
    ) -> int:
        length = len(data) * data.itemsize
        setup = host.setup_packet(bmRequestType, bRequest, wValue, wIndex, length)
        with _errors():
            if not bmRequestType & 0x80:
                dev_handle.control(setup, data.tobytes(), timeout)
                return length
            answer = dev_handle.control(setup, length, timeout)
        memoryview(data).cast("B")[: len(answer)] = answer
        return len(answer)


@contextmanager
def _errors() -> Iterator[None]:
    """The errors of a bus as pyusb's, with the codes of libusb."""
    try:
        yield
    except host.UsbTimeout as error:
        raise usb.core.USBTimeoutError(str(error), _LIBUSB_TIMEOUT, errno.ETIMEDOUT) from error
    except host.UsbStall as error:
        raise usb.core.USBError(str(error), _LIBUSB_PIPE, errno.EPIPE) from error
    except host.UsbOverflow as error:
        raise usb.core.USBError(str(error), _LIBUSB_OVERFLOW, errno.EOVERFLOW) from error
    except host.UsbGone as error:
        raise usb.core.USBError(str(error), _LIBUSB_NO_DEVICE, errno.ENODEV) from error
    except host.UsbError as error:
        raise usb.core.USBError(str(error), _LIBUSB_IO, -error.status) from error
    except Malformed as error:
        raise usb.core.USBError(str(error), _LIBUSB_IO, errno.EIO) from error


def _named(names: str, layout: struct.Struct, raw: bytes) -> SimpleNamespace:
    if len(raw) < layout.size:
        raise Malformed(f"descriptor {raw.hex(' ')} is shorter than {layout.size} bytes")
    fields = dict(zip(names.split(), layout.unpack_from(raw), strict=True))
    return SimpleNamespace(**fields, extra_descriptors=[])


def _parse(raw: bytes) -> SimpleNamespace:
    first, *others = [*walk(raw)] or [b""]
    configuration = current = _named(_CONFIGURATION_FIELDS, _CONFIGURATION, first)
    by_number: dict[int, list[SimpleNamespace]] = {}
    interface = SimpleNamespace(endpoints=[])
    for descriptor in others:
        if descriptor[1] == DT_INTERFACE:
            current = interface = _named(_INTERFACE_FIELDS, _INTERFACE, descriptor)
            interface.endpoints = []
            by_number.setdefault(interface.bInterfaceNumber, []).append(interface)
        elif descriptor[1] == DT_ENDPOINT:
            current = _named(_ENDPOINT_FIELDS, _ENDPOINT, descriptor)
            current.bRefresh = current.bSynchAddress = 0
            interface.endpoints.append(current)
        else:
            current.extra_descriptors += descriptor
    configuration.interfaces = list(by_number.values())
    return configuration
