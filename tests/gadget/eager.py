"""Real camera cores with blank pixels on one simulated clock, and hosts that always ask."""

from dataclasses import dataclass, field

from frames.sensor import load_sensor
from gadget.budget.bus import parse_bus
from gadget.budget.power import PowerModel, Supply
from gadget.loopback import LoopbackBus
from gadget.time.simulated import SimulatedTime
from gadget.usb.device import UsbDevice
from gadget.usb.in_pipe import Urb
from gadget.usb.port import Port
from u3v.camera import Camera
from u3v.exposure import Exposure
from u3v.host.client import U3VClient
from u3v.host.nodes import DeviceNodes
from u3v.host.registers import SI_CONTROL
from u3v.host.stream import StreamReader
from u3v.model import load_model
from u3v.usb3v.bootstrap import USB3_VISION
from u3v.usb3v.function import UsbFunction
from u3v.wire.stream import Trailer
from u3v.wire.usb import STREAM_IN

BLANK = memoryview(bytes(64 << 20))


class Blank:
    """A `PixelSource` whose pictures are all zeros, at once."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        camera.render_with(self)

    def expose(self, exposure: Exposure) -> None:
        self._camera.deliver(exposure, BLANK[: exposure.settings.wire_bytes], self._camera.now_ns)

    def frame_wanted(self) -> None:
        pass


@dataclass
class Eager:
    """A host that posts a new request for each one that ends. Keeps what the small pieces said."""

    camera: Camera
    port: Port
    host: LoopbackBus
    client: U3VClient
    nodes: DeviceNodes
    sizes: list[int]
    payload_bytes: int = 0
    ended_with: int = 0
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
            trailer = Trailer.parse(memoryview(data))
            self.statuses.append(trailer.status)
            self.block_ids.append(trailer.block_id)
        self.payload_bytes += urb.actual
        if urb.status == 0:
            self._post()
        else:
            self.ended_with = urb.status


def rig(
    models: list[str], bus_text: str, supply: Supply | None = None, **settings: float | str
) -> tuple[SimulatedTime, list[Eager]]:
    time = SimulatedTime()
    spec = parse_bus(bus_text)
    bus = spec.bus()
    hosts = []
    for name in models:
        model = load_model(name)
        power = PowerModel(model, speed=spec.speed, supply=supply)
        camera = Camera(model, load_sensor(model.sensor).timing, power, USB3_VISION)
        Blank(camera)
        device = UsbDevice(UsbFunction(camera), speed=spec.speed, bus=bus)
        host = LoopbackBus.to(device, time)
        port = Port(device, camera, power)
        time.services.append(port)
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
        hosts.append(Eager(camera, port, host, client, nodes, sizes))
    for eager in hosts:
        eager.start()
    return time, hosts
