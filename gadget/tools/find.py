"""Which cameras there are: on this machine's USB, on its networks. Each by the address that `u3v grab` takes.

USB through pyusb; GigE Vision by a broadcast from each of this machine's IPv4 addresses, loopback among them. What a
camera calls itself may be unreadable: USB strings need the right to open the device.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import usb.core
import usb.util

from gadget.gige.host import discover, own_addresses

U3V_CONTROL_INTERFACE = (0xEF, 0x05, 0x00)
"""Class, subclass, protocol."""


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """`address`: what `u3v grab` takes. `name`: the user's; "" where none is known."""

    address: str
    wire: str
    maker: str
    model: str
    serial: str
    name: str


def usb_cameras(backend: Any = None) -> Iterator[FoundCamera]:
    """Raises usb.core.NoBackendError without libusb."""
    for device in usb.core.find(find_all=True, custom_match=_is_camera, backend=backend):
        maker, model, serial = (
            _string(device, index) for index in (device.iManufacturer, device.iProduct, device.iSerialNumber)
        )
        address = f"usb:{device.idVendor:04x}:{device.idProduct:04x}" + (f":{serial}" if serial else "")
        yield FoundCamera(address, "USB3 Vision", maker, model, serial, "")


def gige_cameras(wait_s: float) -> Iterator[FoundCamera]:
    """Those that answer within `wait_s`."""
    for one in discover(wait_s, own_addresses()):
        yield FoundCamera(
            f"gige://{one.ip}", "GigE Vision", one.manufacturer, one.model, one.serial, one.user_name
        )


def _is_camera(device: Any) -> bool:
    try:
        return any(
            (one.bInterfaceClass, one.bInterfaceSubClass, one.bInterfaceProtocol) == U3V_CONTROL_INTERFACE
            for configuration in device
            for one in configuration
        )
    except usb.core.USBError:  # it went away meanwhile
        return False


def _string(device: Any, index: int) -> str:
    try:
        return usb.util.get_string(device, index) or "" if index else ""
    except (usb.core.USBError, ValueError):  # ValueError: no languages, for the device cannot be opened
        return ""
