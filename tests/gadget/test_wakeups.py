"""A camera on a port asks to be served when something is due, and not when only its host can go on."""

import struct

import pytest

from frames.sensor import load_sensor
from gadget.budget.power import PowerModel
from gadget.usb.device import UsbDevice
from gadget.usb.in_pipe import OK, Urb
from u3v.camera import Camera
from u3v.model import load_model
from u3v.usb3v.bootstrap import USB3_VISION
from u3v.usb3v.function import UsbFunction
from u3v.wire.usb import CONTROL_IN, CONTROL_OUT

READ_GENCP_VERSION = struct.pack("<IHHHHQHH", 0x43563355, 0x4000, 0x0800, 12, 7, 0, 0, 4)


@pytest.fixture
def device() -> UsbDevice:
    model = load_model("acA4096-40um")
    camera = Camera(model, load_sensor(model.sensor).timing, PowerModel(model), USB3_VISION)
    device = UsbDevice(UsbFunction(camera))
    device.submit(Urb(0, 0, setup=bytes((0, 9, 1, 0, 0, 0, 0, 0))), 1)
    assert device.configuration == 1
    return device


def test_an_acknowledge_that_nobody_fetches_keeps_nobody_awake(device: UsbDevice) -> None:
    assert device.next_wakeup_ns() is None
    device.submit(Urb(CONTROL_OUT, len(READ_GENCP_VERSION), memoryview(READ_GENCP_VERSION)), 1000)
    assert device.next_wakeup_ns() is None
    ended: list[Urb] = []
    device.on_complete = ended.append
    device.submit(Urb(CONTROL_IN, 64), 2000)
    assert [(urb.status, urb.actual) for urb in ended] == [(OK, 16)]


def test_a_late_acknowledge_wakes_once(device: UsbDevice) -> None:
    function = device.function
    assert isinstance(function, UsbFunction)
    function.control.extra_delay_ms = 5
    device.submit(Urb(CONTROL_OUT, len(READ_GENCP_VERSION), memoryview(READ_GENCP_VERSION)), 1000)
    due_ns = 1000 + 5_000_000
    assert device.next_wakeup_ns() == due_ns
    device.service(due_ns)
    assert device.next_wakeup_ns() is None
