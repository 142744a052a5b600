import pytest

from gadget.loopback import LoopbackBus
from tests.gadget.toy import Toy
from u3v.errors import U3VError
from u3v.function import InTransfer
from u3v.host import bus
from u3v.host.bus import HostBus, UsbGone, UsbOverflow, UsbStall, UsbTimeout
from u3v.wire.usb import CONTROL_IN, CONTROL_OUT, EVENT_IN, STREAM_IN, Speed

MIB = 1 << 20


class Ticker(Toy):
    """A toy that sends an event every second."""

    def __init__(self) -> None:
        super().__init__()
        self.due_ns = 10**9
        self.events = 0

    def tick(self, now_ns: int) -> None:
        self.due_ns += 10**9
        self.events += 1

    def next_wakeup_ns(self) -> int | None:
        return self.due_ns

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        if endpoint == EVENT_IN and self.events:
            self.events -= 1
            return InTransfer(memoryview(b"tick"))
        return super().transfer_in(endpoint, now_ns)


@pytest.fixture
def usb() -> LoopbackBus:
    made = LoopbackBus(Toy())
    bus.set_configuration(made, 1)
    return made


def test_standard_requests(usb: LoopbackBus) -> None:
    as_bus: HostBus = usb
    assert bus.get_device_descriptor(as_bus) == usb.device.descriptors.device
    assert bus.get_configuration_descriptor(as_bus) == usb.device.descriptors.configuration
    assert bus.get_string(as_bus, 2) == "Toy One"
    assert bus.get_configuration(as_bus) == 1
    bus.set_interface(as_bus, 2, 0)
    with pytest.raises(UsbStall, match="endpoint 0x80 stalled"):
        bus.get_descriptor(as_bus, 0x22)


def test_high_speed() -> None:
    assert LoopbackBus(Toy(), Speed.HIGH).device.descriptors.device[2:4] == b"\x10\x02"


def test_echo(usb: LoopbackBus) -> None:
    message = bytearray(b"hello")
    assert usb.bulk_out(CONTROL_OUT, message) == 5
    message[:] = b"-----"  # the caller's buffer is the caller's again
    buffer = bytearray(64)
    assert usb.bulk_in_into(CONTROL_IN, buffer) == 5
    assert buffer[:5] == b"hello"


def test_timeout_takes_exactly_its_time(usb: LoopbackBus) -> None:
    began_ns = usb.now_ns
    with pytest.raises(UsbTimeout, match="endpoint 0x82: no answer in 250 ms"):
        usb.bulk_in_into(EVENT_IN, bytearray(64), 250)
    assert usb.now_ns == began_ns + 250_000_000
    usb.bulk_out(CONTROL_OUT, b"x")
    with pytest.raises(UsbTimeout, match="endpoint 0x82"):
        usb.bulk_in_into(EVENT_IN, bytearray(64), 0)  # for ever, but nothing will ever happen


def test_the_clock_jumps_to_the_deadline() -> None:
    usb = LoopbackBus(Ticker())
    bus.set_configuration(usb, 1)
    buffer = bytearray(64)
    for second in (1, 2, 3):
        assert usb.bulk_in_into(EVENT_IN, buffer, 5000) == 4
        assert usb.now_ns == second * 10**9
    with pytest.raises(UsbTimeout):
        usb.bulk_in_into(EVENT_IN, buffer, 999)
    assert usb.bulk_in_into(EVENT_IN, buffer, 1) == 4


def test_the_link_takes_time(usb: LoopbackBus) -> None:
    assert usb.bulk_in_into(STREAM_IN, bytearray(MIB)) == MIB
    assert usb.now_ns == int(MIB * 1e9 / 479e6)


def test_run_lets_time_pass() -> None:
    toy = Ticker()
    usb = LoopbackBus(toy)
    usb.run(10_500_000_000)
    assert usb.now_ns == 10_500_000_000
    assert toy.events == 10


def test_queued_reads(usb: LoopbackBus) -> None:
    buffers = [bytearray(8) for _ in range(3)]
    handles = [usb.submit_in(CONTROL_IN, buffer) for buffer in buffers]
    with pytest.raises(UsbTimeout):
        usb.wait_in(handles[0], 10)
    usb.cancel_in(handles[1])
    usb.bulk_out(CONTROL_OUT, b"a")
    usb.bulk_out(CONTROL_OUT, b"bc")
    assert [usb.wait_in(handles[2]), usb.wait_in(handles[0])] == [2, 1]
    assert [bytes(buffer[:2]) for buffer in buffers] == [b"a\0", b"\0\0", b"bc"]
    with pytest.raises(U3VError, match="handle 1 is not of a queued read"):
        usb.wait_in(handles[0])
    usb.cancel_in(handles[0])


def test_errors(usb: LoopbackBus) -> None:
    with pytest.raises(UsbStall):
        usb.bulk_out(CONTROL_OUT, b"stall")
    bus.clear_halt(usb, CONTROL_OUT)
    usb.bulk_out(CONTROL_OUT, b"12345678")
    with pytest.raises(UsbOverflow, match="more than 5 bytes"):
        usb.bulk_in_into(CONTROL_IN, bytearray(5))
    handle = usb.submit_in(EVENT_IN, bytearray(8))
    usb.close()
    with pytest.raises(UsbGone):
        usb.wait_in(handle)
    with pytest.raises(UsbGone):
        usb.bulk_out(CONTROL_OUT, b"x")


def test_a_device_that_never_advances() -> None:
    class Stuck(Toy):
        def next_wakeup_ns(self) -> int | None:
            return 0

    with pytest.raises(RuntimeError, match="the same instant again and again"):
        LoopbackBus(Stuck()).run(1)
