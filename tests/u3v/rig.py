"""A camera on a fake clock with a host that speaks in bytes: what the protocol's tests stand on.

The host's side is written here from the packet layouts, on purpose without `u3v.wire`: what both sides share,
no pair test can see. `Painted` gives every exposure pixels at once: `picture(index, size)`.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gadget.loopback import LoopbackBus
from u3v.camera import Camera, Options
from u3v.edges import Edge
from u3v.exposure import Exposure
from u3v.features import Value
from u3v.function import Function
from u3v.host import bus as usb
from u3v.model import Model, load_model
from u3v.usb3v.bootstrap import USB3_VISION, WireOptions
from u3v.usb3v.function import UsbFunction
from u3v.wire.usb import Speed

MODEL = load_model("acA4096-40um")
CONTROL_OUT, CONTROL_IN, EVENT_IN, STREAM_IN = 0x01, 0x81, 0x82, 0x83
SBRM, SIRM, EIRM, MANIFEST, XML = 0x10000, 0x20000, 0x30000, 0x34000, 0x100000
SI_CONTROL, SI_REQUIRED_PAYLOAD = SIRM + 0x04, SIRM + 0x08
SI_MAX_LEADER, SI_SIZE, SI_COUNT, SI_FINAL1, SI_FINAL2, SI_MAX_TRAILER = (
    SIRM + n for n in range(0x18, 0x30, 4)
)
EI_CONTROL, EVENT_TEST = EIRM, EIRM + 8
MS = 1_000_000
WIDTH, HEIGHT = 40, 30
"""The tests' region of interest: 1200 bytes of Mono8, one packet and a bit at SuperSpeed."""
PAYLOAD = WIDTH * HEIGHT

_RAMP = bytes(range(251)) * 80_000


def picture(index: int, size: int) -> bytes:
    """The pixels of exposure `index`: a ramp with a period of 251 that starts elsewhere for each one."""
    return bytes(_picture(index, size))


def _picture(index: int, size: int) -> memoryview:
    first = index * 7 % 251
    return memoryview(_RAMP)[first : first + size]


@dataclass
class PlainTiming:
    """10 us for each sensor row, 1 us of overhead between two exposures."""

    row_ns: int = 10_000
    overhead_ns: int = 1_000

    def rows_read(self, height: int, binning_vertical: int) -> int:
        return height * binning_vertical

    def readout_ns(self, height_rows: int) -> int:
        return height_rows * self.row_ns

    def frame_period_ns(self, height_rows: int, exposure_ns: int, link_ns: int) -> int:
        return max(self.readout_ns(height_rows), exposure_ns + self.overhead_ns, link_ns)


@dataclass
class Room:
    """Surroundings of constant temperature that remember the load they were told of."""

    loads: list[tuple[int, bool, float]] = field(default_factory=list)
    celsius: float = 41.0

    def temperature_c(self, now_ns: int) -> float:
        return self.celsius

    def current_ma(self, now_ns: int) -> float:
        return 400.0

    def reaches_ns(self, temperature_c: float, now_ns: int) -> int | None:
        return None

    def load(self, now_ns: int, *, configured: bool, bytes_per_s: float) -> None:
        self.loads.append((now_ns, configured, bytes_per_s))


class Painted:
    """A `PixelSource` that has pixels for every exposure at once. `exposures` keeps them all."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.exposures: list[Exposure] = []
        self.paints = True
        camera.render_with(self)

    def expose(self, exposure: Exposure) -> None:
        self.exposures.append(exposure)
        if self.paints:
            settings = exposure.settings
            pixels = _picture(exposure.index, settings.image_bytes)
            if settings.chunk_bytes:
                pixels = memoryview(bytearray(pixels) + bytes(settings.chunk_bytes))
            self.camera.deliver(exposure, pixels, self.camera.now_ns)

    def frame_wanted(self) -> None:
        pass


def make_camera(
    options: Options | None = None, settings: Mapping[str, Value] | None = None, model: Model = MODEL
) -> Camera:
    """A camera of 40 x 30 pixels, unless `settings` say otherwise; of other models one of full size."""
    camera = Camera(model, PlainTiming(), Room(), USB3_VISION, options)
    small = {"Width": WIDTH, "Height": HEIGHT, "ExposureTime": 100.0} if model == MODEL else {}
    for name, value in {**small, **(settings or {})}.items():
        camera.features.set(name, value)
    return camera


def line_edge(camera: Camera, line: str, edge: Edge, now_ns: int) -> None:
    """A line's edge, whatever its volts; the camera may have no sheet of that line."""
    camera.lines.tell_edge(line, edge is Edge.RISING, now_ns)
    camera.inputs.signal(line, now_ns, edge)


def on_usb(camera: Camera) -> Camera:
    """A camera with its USB3 Vision registers, for tests that read them without a host."""
    UsbFunction(camera)
    return camera


@dataclass
class Ack:
    """An acknowledge, taken apart by hand."""

    status: int
    command: int
    request_id: int
    scd: bytes

    @classmethod
    def parse(cls, raw: bytes) -> "Ack":
        assert raw[:4] == b"U3VC"
        status, command, length, request_id = struct.unpack_from("<HHHH", raw, 4)
        assert length == len(raw) - 12, raw.hex(" ")
        return cls(status, command, request_id, raw[12:])


class Refused(Exception):
    """The camera answered with an error status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status:#06x}")
        self.status = status


def readmem(address: int, count: int, request_id: int = 1) -> bytes:
    return struct.pack("<4sHHHHQHH", b"U3VC", 0x4000, 0x0800, 12, request_id, address, 0, count)


def writemem(address: int, data: bytes, request_id: int = 1) -> bytes:
    return struct.pack("<4sHHHHQ", b"U3VC", 0x4000, 0x0802, 8 + len(data), request_id, address) + data


class Host:
    """The host's end of the control, event and stream channels over a loopback bus."""

    def __init__(
        self,
        camera: Camera | None = None,
        *,
        speed: Speed = Speed.SUPER,
        paced: bool = True,
        configured: bool = True,
        function: UsbFunction | None = None,
        wire: WireOptions | None = None,
        wrap: Callable[[Function], Function] = lambda function: function,
    ) -> None:
        self.function = function or UsbFunction(camera or make_camera(), wire)
        self.camera = self.function.camera
        self.painted = Painted(self.camera)
        self.bus = LoopbackBus(wrap(self.function), speed, paced=paced)
        self.request_id = 0
        if configured:
            usb.set_configuration(self.bus, 1)

    # control

    def send(self, packet: bytes) -> None:
        self.bus.bulk_out(CONTROL_OUT, packet)

    def receive(self, length: int = 1024, timeout_ms: int = 2000) -> bytes:
        buffer = bytearray(length)
        return bytes(buffer[: self.bus.bulk_in_into(CONTROL_IN, buffer, timeout_ms)])

    def command(self, packet: bytes, length: int = 1024) -> Ack:
        self.send(packet)
        return Ack.parse(self.receive(length))

    def exchange(self, packet: str, length: int = 1024) -> str:
        """Command and acknowledge in hex."""
        self.send(bytes.fromhex(packet))
        return self.receive(length).hex(" ")

    def read(self, address: int, count: int) -> bytes:
        """Raises Refused. Posts exactly the bytes of the answer, as hosts do."""
        self.request_id = self.request_id % 0xFFFF + 1
        ack = self.command(readmem(address, count, self.request_id), 12 + count)
        if ack.status:
            raise Refused(ack.status)
        assert (ack.command, ack.request_id, len(ack.scd)) == (0x0801, self.request_id, count)
        return ack.scd

    def write(self, address: int, data: bytes) -> None:
        """Raises Refused."""
        self.request_id = self.request_id % 0xFFFF + 1
        ack = self.command(writemem(address, data, self.request_id), 16)
        if ack.status:
            raise Refused(ack.status)
        assert (ack.command, ack.request_id) == (0x0803, self.request_id)
        assert ack.scd == struct.pack("<HH", 0, len(data))

    def read_int(self, address: int, size: int = 4) -> int:
        return int.from_bytes(self.read(address, size), "little")

    def write_int(self, address: int, value: int, size: int = 4) -> None:
        self.write(address, value.to_bytes(size, "little"))

    def address(self, name: str, **selected: str) -> int:
        features = self.camera.features
        return features._where(features.declared[name], selected)

    def set(self, name: str, value: Value, **selected: str) -> None:
        """Write a feature over the wire. Raises Refused."""
        feature = self.camera.features.declared[name]
        self.write(self.address(name, **selected), feature.encode(value))

    def get(self, name: str, **selected: str) -> Any:
        feature = self.camera.features.declared[name]
        return feature.decode(self.read(self.address(name, **selected), feature.size))

    def run(self, name: str) -> None:
        """Execute a command feature. Raises Refused."""
        self.write_int(self.address(name), 1)

    # stream

    def plan(self, size: int, count: int, final1: int = 0, final2: int = 0, leader: int = 1024) -> None:
        """Write the SI registers."""
        for address, value in zip(
            (SI_MAX_LEADER, SI_SIZE, SI_COUNT, SI_FINAL1, SI_FINAL2, SI_MAX_TRAILER),
            (leader, size, count, final1, final2, leader),
            strict=True,
        ):
            self.write_int(address, value)

    def start(self, size: int = 1024, count: int | None = None, final1: int | None = None) -> None:
        """Announce transfers for the payload, enable the stream and start the acquisition."""
        payload = self.read_int(SI_REQUIRED_PAYLOAD, 8)
        count = payload // size if count is None else count
        rest = payload - size * count if final1 is None else final1
        self.plan(size, count, -(-rest // 4) * 4)
        self.write_int(SI_CONTROL, 1)
        self.run("AcquisitionStart")

    def transfer(self, length: int, endpoint: int = STREAM_IN, timeout_ms: int = 1000) -> bytes:
        buffer = bytearray(length)
        return bytes(buffer[: self.bus.bulk_in_into(endpoint, buffer, timeout_ms)])

    def frame(self, sizes: list[int] | None = None, timeout_ms: int = 1000) -> "Received":
        """One frame: leader, payload pieces of the announced `sizes`, trailer."""
        if sizes is None:
            size, count, final1, final2 = (
                self.read_int(at) for at in (SI_SIZE, SI_COUNT, SI_FINAL1, SI_FINAL2)
            )
            sizes = [n for n in [size] * count + [final1, final2] if n]
        leader = self.transfer(1024, timeout_ms=timeout_ms)
        pieces = [self.transfer(n, timeout_ms=timeout_ms) for n in sizes]
        return Received(leader, pieces, self.transfer(1024, timeout_ms=timeout_ms))

    def event(self, timeout_ms: int = 1) -> "Event":
        return Event.parse(self.transfer(1024, EVENT_IN, timeout_ms))

    def halt(self, endpoint: int) -> None:
        usb.set_halt(self.bus, endpoint)

    def clear(self, endpoint: int) -> None:
        usb.clear_halt(self.bus, endpoint)


@dataclass
class Received:
    """A frame as its transfers arrived."""

    leader: bytes
    pieces: list[bytes]
    trailer: bytes

    def __post_init__(self) -> None:
        assert self.leader[:4] == b"U3VL", self.leader[:16].hex(" ")
        assert self.trailer[:4] == b"U3VT", self.trailer[:16].hex(" ")
        assert self.leader[8:16] == self.trailer[8:16]

    @property
    def payload(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def block_id(self) -> int:
        return int(struct.unpack_from("<Q", self.leader, 8)[0])

    @property
    def timestamp(self) -> int:
        return int(struct.unpack_from("<Q", self.leader, 20)[0])

    @property
    def status(self) -> int:
        return int(struct.unpack_from("<H", self.trailer, 16)[0])

    @property
    def valid(self) -> int:
        return int(struct.unpack_from("<Q", self.trailer, 20)[0])

    @property
    def size_y(self) -> int:
        return int(struct.unpack_from("<I", self.trailer, 28)[0])


@dataclass
class Event:
    """An event message, taken apart by hand."""

    request_id: int
    event_id: int
    timestamp: int
    data: bytes
    raw: bytes

    @classmethod
    def parse(cls, raw: bytes) -> "Event":
        prefix, flags, command, length, request_id = struct.unpack_from("<4sHHHH", raw)
        assert (prefix, flags, command, length) == (b"U3VE", 0, 0x0C00, len(raw) - 12), raw.hex(" ")
        reserved, event_id, timestamp = struct.unpack_from("<HHQ", raw, 12)
        assert reserved == 0
        return cls(request_id, event_id, timestamp, raw[24:], raw)

    @property
    def frame_id(self) -> int:
        return int.from_bytes(self.data, "little")
