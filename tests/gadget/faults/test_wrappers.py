"""Faults: what they spoil, that they spoil nothing else, and what a person who mistypes one reads."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from frames.sensor import load_sensor
from gadget.budget.power import PowerModel
from gadget.faults.catalogue import FAULTS, parse_fault
from gadget.faults.declaration import Fault, Value
from gadget.faults.live import LiveFaults
from gadget.faults.packets import PacketFault
from gadget.faults.wrappers import (
    ETHERNET,
    CameraFault,
    FunctionFault,
    FunctionWrapper,
    PassThrough,
    RequestFault,
)
from gadget.loopback import LoopbackBus
from gadget.time.simulated import SimulatedTime
from gadget.usb.device import UsbDevice
from gadget.usb.in_pipe import EPROTO, OK, Urb
from gadget.usb.pcap import PcapWriter
from tests.gadget.eager import Blank
from tests.gadget.toy import Toy
from u3v.camera import Camera
from u3v.function import Function, InTransfer
from u3v.host.assembler import Frame
from u3v.host.bus import UsbError, set_configuration
from u3v.host.client import U3VClient
from u3v.host.nodes import DeviceNodes
from u3v.host.stream import StreamReader
from u3v.model import load_model
from u3v.usb3v.bootstrap import USB3_VISION
from u3v.usb3v.function import UsbFunction
from u3v.wire.stream import Leader, Trailer
from u3v.wire.usb import CONTROL_IN, CONTROL_OUT, STREAM_IN


class Frames(Toy):
    """Sends leader, one piece of payload and trailer, for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces = [
            piece
            for n in range(5)
            for piece in (
                Leader(n, 0, 0x01080001, 8, 8).pack(),
                b"U3VT" + bytes(60),
                Trailer(n, 0, 64, 8).pack(),
            )
        ]

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        if endpoint == STREAM_IN and self.pieces:
            return InTransfer(memoryview(self.pieces.pop(0)))
        return super().transfer_in(endpoint, now_ns) if endpoint != STREAM_IN else None


def wrap_function(function: Function, faults: Iterable[Fault]) -> Function:
    return LiveFaults(function, None, faults).function


def wrap_requests(device: UsbDevice, faults: Iterable[Fault]) -> None:
    LiveFaults(device.function, None, faults).attach(device)


def sent(function: Function) -> list[bytes]:
    pieces = []
    while (transfer := function.transfer_in(STREAM_IN, 0)) is not None:
        pieces.append(bytes(transfer.data))
    return pieces


def test_s7_a_lost_trailer_is_lost_and_nothing_else() -> None:
    whole = sent(Frames())
    spoiled = sent(wrap_function(Frames(), [parse_fault("lost-trailer:frame=3")]))
    assert spoiled == [piece for piece in whole if piece != Trailer(3, 0, 64, 8).pack()]
    assert len(spoiled) == len(whole) - 1


def test_the_last_trailer_may_be_lost_too() -> None:
    spoiled = sent(wrap_function(Frames(), [parse_fault("lost-trailer:frame=4")]))
    assert spoiled == sent(Frames())[:-1]


def test_s7_a_real_camera_sends_the_next_leader_instead(camera: Function) -> None:
    host = LoopbackBus(wrap_function(camera, [parse_fault("lost-trailer:frame=1")]))
    nodes, reader = opened(host)
    reader.start([bytearray(reader.buffer_bytes)])  # takes frame 0
    nodes.execute("AcquisitionStart")
    buffer, heads = bytearray(64 * 64), []
    for _ in range(5):
        length = host.bulk_in_into(STREAM_IN, buffer)
        if length != len(buffer):
            heads.append((buffer[:4].decode(), int.from_bytes(buffer[8:16], "little")))
    assert heads == [("U3VL", 1), ("U3VL", 2), ("U3VT", 2)]


def test_s7_the_nth_request_ends_with_eproto() -> None:
    device = UsbDevice(Toy(), paced=False)
    wrap_requests(device, [parse_fault("eproto:endpoint=0x83,nth=3")])
    host = LoopbackBus.to(device)
    set_configuration(host, 1)
    statuses = []
    for _ in range(5):
        try:
            assert host.bulk_in_into(STREAM_IN, bytearray(1024)) == 1024
            statuses.append(OK)
        except UsbError as error:
            statuses.append(error.status)
    assert statuses == [OK, OK, EPROTO, OK, OK]


def test_a_spoiled_request_takes_nothing_from_the_camera() -> None:
    toy = Toy()
    device = UsbDevice(toy, paced=False)
    wrap_requests(
        device, [parse_fault(f"eproto:endpoint={CONTROL_OUT},nth=1"), parse_fault("eproto:endpoint=0x81")]
    )
    host = LoopbackBus.to(device)
    set_configuration(host, 1)
    with pytest.raises(UsbError):
        host.bulk_out(CONTROL_OUT, b"lost")
    assert not toy.echo
    host.bulk_out(CONTROL_OUT, b"kept")
    buffer = bytearray(64)
    with pytest.raises(UsbError):
        host.bulk_in_into(CONTROL_IN, buffer)
    assert host.bulk_in_into(CONTROL_IN, buffer) == 4 and buffer[:4] == b"kept"


def test_each_camera_has_counters_of_its_own() -> None:
    faults = [parse_fault("eproto:nth=1")]
    for _ in range(2):
        device = UsbDevice(Toy(), paced=False)
        wrap_requests(device, faults)
        device.submit(urb := Urb(STREAM_IN, 64), 0)
        assert urb.status == EPROTO


def test_s7_several_observers_hear_of_a_spoiled_request(tmp_path: Path) -> None:
    device = UsbDevice(Toy(), paced=False)
    heard: list[tuple[str, int]] = []
    with (
        PcapWriter(tmp_path / "a.pcap", epoch_ns=0) as first,
        PcapWriter(tmp_path / "b.pcap", epoch_ns=0) as second,
    ):
        first.attach(device)
        second.attach(device)
        device.observers.append(lambda kind, urb, now_ns: heard.append((kind, urb.status)))
        wrap_requests(device, [parse_fault("eproto:nth=1")])
        device.submit(Urb(STREAM_IN, 64), 0)
    assert heard == [("S", OK), ("C", EPROTO)]
    assert len(device.observers) == 1, "a capture that is closed leaves the others alone"
    recorded = [(tmp_path / name).read_bytes() for name in ("a.pcap", "b.pcap")]
    assert recorded[0] == recorded[1] and len(recorded[0]) > 24 + 2 * 80


def test_a_wrapper_may_change_an_answer() -> None:
    class Shorter(PassThrough):
        def completed(self, urb: Urb, now_ns: int) -> None:
            urb.actual -= 1

    device = UsbDevice(Toy(), paced=False)
    device.wrappers.append(Shorter())
    device.submit(Urb(0, 0, setup=bytes.fromhex("0009010000000000")), 0)
    device.submit(urb := Urb(STREAM_IN, 1024), 0)
    assert urb.actual == 1023


def test_wrappers_that_spoil_nothing_change_nothing(make_camera: Callable[[], Function]) -> None:
    """The same session through both wrappers and without, byte for byte."""
    plain, time = grabbed(LoopbackBus(make_camera()), 3), SimulatedTime()
    device = UsbDevice(FunctionWrapper(make_camera()))
    device.wrappers.append(PassThrough())
    wrapped = grabbed(LoopbackBus.to(device, time), 3)
    assert [described(f) for f in wrapped] == [described(f) for f in plain]


def test_a_wrapped_function_is_asked_for_everything() -> None:
    toy = Toy()
    wrapped = wrap_function(toy, [parse_fault("lost-trailer")])
    device = UsbDevice(wrapped, paced=False)
    device.submit(Urb(0, 0, setup=bytes.fromhex("0009010000000000")), 0)
    device.submit(Urb(0, 0, setup=bytes.fromhex("0203000083000000")), 0)
    device.submit(Urb(0, 0, setup=bytes.fromhex("0201000083000000")), 0)
    assert (toy.configured, toy.halts) == ([1], [("set", 0x83), ("clear", 0x83)])
    assert wrapped.next_wakeup_ns() is None


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("lost-trailer", {}),
        ("lost-trailer:frame=3", {"frame": 3}),
        ("eproto:endpoint=0x81,nth=2", {"endpoint": 0x81, "nth": 2}),
        ("late-ack:delay_ms=5,p=0.5,seed=3", {"delay_ms": 5, "p": 0.5, "seed": 3}),
        ("xml:how=raw", {"how": "raw"}),
        ("timestamp-jump:by_ms=-2.5,at_ms=100", {"by_ms": -2.5, "at_ms": 100.0}),
    ],
)
def test_faults_in_words(text: str, given: dict[str, Value]) -> None:
    fault = parse_fault(text)
    assert dict(fault.given) == given
    assert parse_fault(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "lost-trialer",
            "fault 'lost-trialer': no such fault as 'lost-trialer'; u3v faults lists them, "
            "did you mean 'lost-trailer'?",
        ),
        ("", "fault '': no such fault as ''; u3v faults lists them"),
        ("yank:frame=1,frame=2", "fault 'yank:frame=1,frame=2': frame is given twice"),
        (
            "eproto:endpiont=3",
            "fault 'eproto:endpiont=3': eproto takes endpoint, frame, at_ms, nth, times, p, seed, not 'endpiont', "
            "did you mean 'endpoint'?",
        ),
        (
            "lost-trailer:frame=last",
            "fault 'lost-trailer:frame=last': frame is a whole number from 0, such as frame=3, not 'last'",
        ),
        (
            "lost-trailer:frame",
            "fault 'lost-trailer:frame': frame is a whole number from 0, such as frame=3, not ''",
        ),
        ("eproto:nth=0", "fault 'eproto:nth=0': nth is a whole number from 1, such as nth=3, not '0'"),
        ("eproto:p=2", "fault 'eproto:p=2': p is a number from 0 to 1, such as p=1.0, not '2'"),
        ("eproto:p=nan", "fault 'eproto:p=nan': p is a number from 0 to 1, such as p=1.0, not 'nan'"),
        (
            "bad-ack:what=lenght",
            "fault 'bad-ack:what=lenght': what is short, prefix, length, command, id, not 'lenght', "
            "did you mean 'length'?",
        ),
    ],
)
def test_a_mistyped_fault_is_one_line(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_fault(text)
    assert str(error.value) == message


def test_every_fault_has_one_place_to_stand_and_says_what_a_host_should_do() -> None:
    for name, kind in FAULTS.items():
        places = (FunctionFault, RequestFault, PacketFault, CameraFault)
        for maker in (kind.make, kind.also or kind.make):
            assert sum(issubclass(maker, place) for place in places) == 1, name
        assert kind.doc and kind.host_should, name
        assert kind.fails or kind.make.wire == ETHERNET, name  # conformance checks are those of USB3 Vision
        assert parse_fault(name) == Fault(name)


def make() -> Function:
    model = load_model("acA4096-40um")
    camera = Camera(model, load_sensor(model.sensor).timing, PowerModel(model), USB3_VISION)
    Blank(camera)
    return UsbFunction(camera)


@pytest.fixture
def make_camera() -> Callable[[], Function]:
    return make


@pytest.fixture
def camera() -> Function:
    return make()


def opened(host: LoopbackBus) -> tuple[DeviceNodes, StreamReader]:
    client = U3VClient(host)
    client.open()
    nodes = DeviceNodes(client)
    nodes.set("Width", 64)
    nodes.set("Height", 64)
    return nodes, StreamReader(client)


def grabbed(host: LoopbackBus, count: int) -> list[Frame]:
    nodes, reader = opened(host)
    reader.start([bytearray(reader.buffer_bytes) for _ in range(3)])
    nodes.execute("AcquisitionStart")
    frames = []
    for _ in range(count):
        frames.append(frame := reader.next_frame(1000))
        reader.release(frame)
    return frames


def described(frame: Frame) -> tuple[object, ...]:
    return frame.block_id, frame.leader, frame.trailer, bytes(frame.payload), frame.complete, frame.reason
