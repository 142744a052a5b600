"""`UsbBus` over pyusb, whose backend is a loopback bus: the way through pyusb is real, the kernel is not."""

import errno

import pytest
import usb.core

from gadget.loopback import LoopbackBus
from gadget.tools.grab import GrabOptions, grab
from gadget.tools.pyusb_backend import BusBackend
from gadget.tools.pyusb_bus import UsbBus
from tests.gadget.toy import Toy
from tests.u3v.host.fake import FakeCamera
from u3v.errors import U3VError
from u3v.host.bus import (
    UsbError,
    UsbGone,
    UsbOverflow,
    UsbStall,
    UsbTimeout,
    clear_halt,
    get_configuration,
    get_device_descriptor,
    is_halted,
    set_configuration,
    set_halt,
    set_interface,
)


@pytest.fixture
def inner() -> LoopbackBus:
    return LoopbackBus(Toy())


@pytest.fixture
def bus(inner: LoopbackBus) -> UsbBus:
    opened = UsbBus.open(0x1209, 0x0001, backend=BusBackend(inner))
    set_configuration(opened, 1)
    return opened


def test_standard_requests(bus: UsbBus) -> None:
    assert get_device_descriptor(bus)[8:12] == b"\x09\x12\x01\x00"
    assert get_configuration(bus) == 1
    set_interface(bus, 2, 0)
    set_halt(bus, 0x83)
    assert is_halted(bus, 0x83)
    with pytest.raises(UsbStall):
        bus.bulk_in_into(0x83, bytearray(1024), 100)
    clear_halt(bus, 0x83)
    assert not is_halted(bus, 0x83)


def test_requests_that_the_controller_takes_part_in_go_through_libusbs_own_calls(
    inner: LoopbackBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    class Spy(BusBackend):
        def set_configuration(self, *arguments: object) -> None:
            calls.append("set_configuration")
            super().set_configuration(*arguments)  # type: ignore[arg-type]

        def clear_halt(self, *arguments: object) -> None:
            calls.append("clear_halt")
            super().clear_halt(*arguments)  # type: ignore[arg-type]

        def set_interface_altsetting(self, *arguments: object) -> None:
            calls.append("set_interface")
            super().set_interface_altsetting(*arguments)  # type: ignore[arg-type]

    bus = UsbBus.open(0x1209, 0x0001, backend=Spy(inner))
    set_configuration(bus, 1)
    clear_halt(bus, 0x81)
    set_interface(bus, 1, 0)
    assert calls == ["set_configuration", "clear_halt", "set_interface"]


def test_transfers_of_any_length(bus: UsbBus) -> None:
    data = bytes(range(256)) * 17
    for length in (0, 1, 64, 1023, 1024, len(data)):
        assert bus.bulk_out(0x01, data[:length], 100) == length
        buffer = bytearray(b"\xff" * 8192)
        assert bus.bulk_in_into(0x81, buffer, 100) == length
        assert buffer == data[:length] + b"\xff" * (8192 - length)


def test_queued_reads_come_in_order(bus: UsbBus) -> None:
    buffers = [bytearray(1024) for _ in range(3)]
    handles = [bus.submit_in(0x81, memoryview(buffer)) for buffer in buffers]
    with pytest.raises(UsbTimeout):
        bus.wait_in(handles[0], 10)
    for text in (b"first", b"second"):
        bus.bulk_out(0x01, text, 100)
    assert [bus.wait_in(handle, 100) for handle in handles[:2]] == [5, 6]
    assert (buffers[0][:5], buffers[1][:6]) == (b"first", b"second")
    bus.cancel_in(handles[2])
    with pytest.raises(U3VError, match=f"handle {handles[2]} is not of a queued read"):
        bus.wait_in(handles[2], 100)


def test_errors(bus: UsbBus, inner: LoopbackBus) -> None:
    with pytest.raises(UsbStall):
        bus.bulk_out(0x01, b"stall", 100)
    clear_halt(bus, 0x01)
    bus.bulk_out(0x01, b"long answer", 100)
    handle = bus.submit_in(0x81, bytearray(3))
    with pytest.raises(UsbOverflow):
        bus.wait_in(handle, 100)
    with pytest.raises(U3VError, match="not of a queued read"):
        bus.wait_in(handle, 100)
    inner.device.unplug(inner.now_ns)
    with pytest.raises(UsbGone):
        bus.bulk_out(0x01, b"x", 100)


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.EACCES, "a udev rule"), (errno.EBUSY, "another program"), (errno.EIO, "endpoint 0x01: no$")],
)
def test_errors_of_the_system_come_with_advice(
    bus: UsbBus, number: int, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise usb.core.USBError("no", -1, number)

    monkeypatch.setattr(bus._device, "write", refuse)
    with pytest.raises(UsbError, match=advice) as error:
        bus.bulk_out(0x01, b"x", 100)
    assert error.value.status == -number


def test_finding(inner: LoopbackBus) -> None:
    backend = BusBackend(inner)
    UsbBus.open(0x1209, 0x0001, "SER1", backend=backend)
    with pytest.raises(UsbGone, match="there is no USB device 1209:0001 with serial number SER2"):
        UsbBus.open(0x1209, 0x0001, "SER2", backend=backend)
    with pytest.raises(UsbGone, match=r"there is no USB device 1209:0002 \(lsusb shows what there is\)"):
        UsbBus.open(0x1209, 0x0002, backend=backend)


def test_frames_by_synchronous_reads() -> None:
    inner = LoopbackBus(FakeCamera())
    with UsbBus.open(0x1209, 0x0001, backend=BusBackend(inner)) as bus:
        result = grab(bus, GrabOptions(frames=10, settings={"Width": "4096"}))
    assert result.ok and result.delivered == 10
