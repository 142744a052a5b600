"""Cameras on one bus: real cores and features, painted pixels, a simulated clock, hosts that always ask."""

from dataclasses import dataclass, field

import pytest

from frames.sensor import load_sensor
from gadget.device import UsbDevice
from gadget.link import parse_bus
from gadget.loopback import LoopbackBus, SimulatedTime
from gadget.pending import Urb
from gadget.power import PowerModel
from u3v.camera import Camera
from u3v.errors import Status
from u3v.host.client import U3VClient
from u3v.host.nodes import DeviceNodes
from u3v.host.registers import SI_CONTROL
from u3v.host.stream import StreamReader
from u3v.model import load_model
from u3v.wire.stream import Trailer
from u3v.wire.usb import EVENT_IN, STREAM_IN, InTransfer

SECOND = 10**9
MODEL = "acA4096-40um"
BLANK = memoryview(bytes(64 << 20))


class Blank(Camera):
    """A camera whose pictures are all zeros, at once."""

    def _fill(self) -> None:
        for exposure in self.take_exposures():
            self.deliver(exposure, BLANK[: exposure.payload_bytes], self.now_ns)

    def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None:
        super().transfer_out(endpoint, data, now_ns)
        self._fill()

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        transfer = super().transfer_in(endpoint, now_ns)
        self._fill()
        return transfer

    def tick(self, now_ns: int) -> None:
        super().tick(now_ns)
        self._fill()


@dataclass
class Eager:
    """A host that posts a new request for each one that ends. Keeps what the small pieces said."""

    camera: Camera
    host: LoopbackBus
    client: U3VClient
    nodes: DeviceNodes
    sizes: list[int]
    payload_bytes: int = 0
    statuses: list[int] = field(default_factory=list)
    block_ids: list[int] = field(default_factory=list)
    _next: int = 0
    _ended: list[Urb] = field(default_factory=list)

    def start(self) -> None:
        self.host.device.on_complete = self._completed
        for _ in range(4 * len(self.sizes)):
            self._post()
        self.host.device.on_complete = self.host._completed
        self.nodes.execute("AcquisitionStart")
        self.host.device.on_complete = self._completed

    def _post(self) -> None:
        urb = Urb(STREAM_IN, self.sizes[self._next])
        self._next = (self._next + 1) % len(self.sizes)
        self.host.device.submit(urb, self.host.now_ns)

    def _completed(self, urb: Urb) -> None:
        if urb.endpoint != STREAM_IN:
            self.host._completed(urb)
            return
        data = b"".join(urb.take_chunks()) if urb.actual <= 1024 else b""
        if data[:4] == b"U3VT":
            trailer = Trailer.parse(data)
            self.statuses.append(trailer.status)
            self.block_ids.append(trailer.block_id)
        self.payload_bytes += urb.actual
        self._post()


def rig(models: list[str], bus_text: str, **settings: float) -> tuple[SimulatedTime, list[Eager]]:
    time = SimulatedTime()
    spec = parse_bus(bus_text)
    bus = spec.bus()
    hosts = []
    for name in models:
        model = load_model(name)
        camera = Blank(model, load_sensor(model.sensor).timing, PowerModel(model))
        host = LoopbackBus.to(UsbDevice(camera, speed=spec.speed, bus=bus), time)
        client = U3VClient(host)
        client.open()
        nodes = DeviceNodes(client)
        for feature, value in settings.items():
            nodes.set(feature, value)
        reader = StreamReader(client)
        client.write_u32(reader._sirm_address + SI_CONTROL, 0)
        raw = reader.setup.registers()
        for at in range(0, len(raw), 4):
            client.write(reader._sirm_address + reader.setup.register_offset + at, raw[at : at + 4])
        client.write_u32(reader._sirm_address + SI_CONTROL, 1)
        setup = reader.setup
        sizes = [setup.leader_size, *(n for n in setup.plan.sizes() if n), setup.trailer_size]
        hosts.append(Eager(camera, host, client, nodes, sizes))
    for eager in hosts:
        eager.start()
    return time, hosts


def counts_add_up(eager: Eager) -> None:
    stream = eager.camera.stream
    assert stream.offered == stream.delivered + stream.discarded + stream.in_flight
    held = eager.camera.acquisition._index - stream.offered
    assert held == 0, "every exposure was offered"
    whole = [b for b, status in zip(eager.block_ids, eager.statuses, strict=True) if status == Status.SUCCESS]
    assert eager.block_ids == sorted(set(eager.block_ids))
    assert len(whole) in (stream.delivered, stream.delivered - 1)  # the last trailer may be on its way


def test_one_camera_has_its_printed_rate_on_a_bus_of_its_own() -> None:
    time, (one,) = rig([MODEL], "5gbps", DeviceLinkThroughputLimitMode="Off")  # type: ignore[arg-type]
    time.advance(2 * SECOND)
    assert one.camera.stream.discarded == 0
    assert one.camera.stream.offered / 2 == pytest.approx(42.7, abs=0.5)
    counts_add_up(one)


def test_two_cameras_get_half_a_bus_each() -> None:
    time, hosts = rig([MODEL, MODEL], "5gbps")
    time.advance(2 * SECOND)
    before = [host.payload_bytes for host in hosts]
    lost = [host.camera.stream.discarded for host in hosts]
    offered = [host.camera.stream.offered for host in hosts]
    time.advance(4 * SECOND)
    for host, first, gone, had in zip(hosts, before, lost, offered, strict=True):
        stream = host.camera.stream
        assert (host.payload_bytes - first) / 4 == pytest.approx(479e6 / 2, rel=0.01)
        assert (stream.offered - had) / 4 == pytest.approx(360e6 / 8880128, abs=0.5)
        expected = (360e6 - 479e6 / 2) / 8880128
        assert (stream.discarded - gone) / 4 == pytest.approx(expected, abs=0.5)
        counts_add_up(host)
    one, other = (host.camera.stream for host in hosts)
    assert abs(one.delivered - other.delivered) <= 1


def test_a_full_camera_says_so() -> None:
    time, hosts = rig([MODEL, MODEL], "5gbps")
    host = hosts[0]
    host.nodes.set("EventSelector", "FrameBufferOverrun")
    host.nodes.set("EventNotification", "On")
    host.client.write_u32(host.client.sbrm.eirm_address, 1)
    event = bytearray(1024)
    length = host.host.bulk_in_into(EVENT_IN, event, 2000)
    first_lost = int.from_bytes(event[24:length], "little")
    assert host.camera.stream.discarded == 1
    time.advance(2 * SECOND)
    assert first_lost not in host.block_ids and first_lost - 1 in host.block_ids
    discarded = host.camera.stream.discarded
    assert discarded > 0
    gaps = host.block_ids[-1] + 1 - len(host.block_ids)
    assert 0 < gaps <= discarded  # a gap shows when a later frame comes
    stream = host.camera.stream
    assert stream.offered - len(host.block_ids) - stream.in_flight - discarded in (0, 1)
    assert host.camera.stream.in_flight >= 6
    assert set(host.statuses) == {Status.SUCCESS}


def test_other_traffic_and_a_faster_bus() -> None:
    time, hosts = rig([MODEL, MODEL], "10gbps")
    time.advance(SECOND)
    assert [host.camera.stream.discarded for host in hosts] == [0, 0]
    time, hosts = rig([MODEL], "5gbps,other=200MB/s")
    time.advance(SECOND)
    first = hosts[0].payload_bytes
    time.advance(2 * SECOND)
    assert (hosts[0].payload_bytes - first) / 2 == pytest.approx(279e6, rel=0.01)


def test_a_stop_in_a_crowd_is_accounted_for() -> None:
    time, hosts = rig([MODEL] * 3, "5gbps")
    time.advance(SECOND)
    for host in hosts:
        host.host.device.on_complete = host.host._completed
        host.nodes.execute("AcquisitionStop")
        host.host.device.on_complete = host._completed
    time.advance(SECOND)
    for host in hosts:
        assert host.camera.stream.in_flight == 0
        counts_add_up(host)


def test_two_runs_are_the_same() -> None:
    def run() -> list[object]:
        time, hosts = rig([MODEL] * 3, "5gbps,other=50MB/s", Height=1000)
        time.advance(SECOND)
        return [(h.payload_bytes, h.block_ids, h.camera.stream.discarded) for h in hosts]

    assert run() == run()
