"""Programs written for pyusb, on the toy without a kernel: in process and over USB/IP."""

import array
from collections.abc import Iterator
from dataclasses import replace

import pytest
import usb.core
import usb.util

from gadget.loopback import LoopbackBus
from gadget.tools.pyusb_backend import BusBackend
from gadget.usbip.client import UsbipClient
from tests.gadget.toy import Toy
from tests.gadget.usbip.conftest import Served, served
from u3v.host.bus import HostBus
from u3v.wire.usb import Speed

__all__ = ["served"]


@pytest.fixture(params=["loopback", "usbip"])
def bus(request: pytest.FixtureRequest) -> Iterator[HostBus]:
    if request.param == "loopback":
        yield LoopbackBus(Toy())
        return
    there: Served = request.getfixturevalue("served")
    with UsbipClient.connect(port=there.port) as client:
        yield client


def test_a_pyusb_program(bus: HostBus) -> None:
    device = usb.core.find(backend=BusBackend(bus), idVendor=0x1209, idProduct=0x0001)
    assert (device.product, device.manufacturer, device.serial_number) == ("Toy One", "Toy", "SER1")
    assert (device.bcdUSB, device.speed, device.bus, device.address) == (0x0300, usb.util.SPEED_SUPER, 1, 1)
    device.set_configuration()
    control, event, stream = device.get_active_configuration()
    assert [interface.bInterfaceProtocol for interface in (control, event, stream)] == [0, 1, 2]
    assert [e.bEndpointAddress for e in control] == [0x01, 0x81]
    assert device.write(0x01, b"hello") == 5
    assert device.read(0x81, 64).tobytes() == b"hello"
    buffer = array.array("B", bytes(1024))
    assert stream.endpoints()[0].read(buffer) == 1024
    assert buffer.tobytes() == bytes(range(256)) * 4
    usb.util.dispose_resources(device)


def test_descriptors_are_grouped_as_libusb_does(bus: HostBus) -> None:
    configuration = usb.core.find(backend=BusBackend(bus))[0]
    control, _, stream = configuration
    assert bytes(configuration.extra_descriptors)[:2] == b"\x08\x0b"  # the interface association
    assert bytes(control.extra_descriptors)[:3] == b"\x14\x24\x01"  # the device information
    assert bytes(stream[0].extra_descriptors) == b"\x06\x30\x0f\0\0\0"  # the SuperSpeed companion
    assert "0x83" in str(configuration)


def test_errors_carry_what_libusb_users_look_at(bus: HostBus) -> None:
    device = usb.core.find(backend=BusBackend(bus))
    device.set_configuration(1)
    with pytest.raises(usb.core.USBTimeoutError) as timeout:
        device.read(0x82, 64, 20)
    assert (timeout.value.errno, timeout.value.backend_error_code) == (110, -7)
    with pytest.raises(usb.core.USBError) as stall:
        device.write(0x01, b"stall")
    assert (stall.value.errno, stall.value.backend_error_code) == (32, -9)
    device.clear_halt(0x01)
    device.write(0x01, b"12345678")
    with pytest.raises(usb.core.USBError) as overflow:
        device.read(0x81, 5)
    assert (overflow.value.errno, overflow.value.backend_error_code) == (75, -8)
    device.reset()
    assert device.ctrl_transfer(0x80, 8, 0, 0, 1)[0] == 1
    device.set_interface_altsetting(2, 0)
    bus.close()
    with pytest.raises(usb.core.USBError) as gone:
        device.write(0x01, b"x")
    assert (gone.value.errno, gone.value.backend_error_code) == (19, -4)


def test_several_devices() -> None:
    backend = BusBackend(LoopbackBus(Toy()), LoopbackBus(Toy(), Speed.HIGH))
    one, two = usb.core.find(find_all=True, backend=backend)
    assert (one.address, two.address) == (1, 2)
    assert (one.speed, two.speed) == (usb.util.SPEED_SUPER, usb.util.SPEED_HIGH)
    assert usb.core.find(backend=backend, idVendor=0xDEAD) is None


def test_a_configuration_that_breaks_off_is_an_error() -> None:
    """S13: the walker of `u3v.host.descriptors` is the one that looks, and says what is wrong."""
    toy = Toy()
    whole = toy.descriptors(Speed.SUPER)
    cut = replace(whole, configuration=whole.configuration[:-3])
    toy.descriptors = lambda speed: cut  # type: ignore[method-assign]
    device = usb.core.find(backend=BusBackend(LoopbackBus(toy)))
    with pytest.raises(usb.core.USBError, match=r"descriptor at byte \d+ says 6 bytes, 3 are left"):
        device.set_configuration()
