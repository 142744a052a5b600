"""The camera core on a wire that is not USB: a toy of some hundred lines with registers, frames and events.

It proves the split (S1): `u3v.camera` is composed here without a USB function, and nothing of `u3v.usb3v` is imported.
The wire keeps the camera's name in its own register, carries register reads and writes as calls, and frames as one
message of pixels with a head.
"""

import struct
import subprocess
import sys
from dataclasses import dataclass

import pytest

from tests.u3v.rig import MODEL, MS, Painted, PlainTiming, Room, picture
from u3v.camera import USER_ID, Camera
from u3v.errors import GenCPError
from u3v.happenings import Happening
from u3v.memory import Register
from u3v.wire_traits import Link, WireTraits

NAME_AT, STREAM_AT, FEATURES_AT = 0x40, 0x80, 0x1000
TOY = WireTraits(
    tl_type=("Custom", 0),
    name_space="None",
    features_address=FEATURES_AT,
    identity={USER_ID: (NAME_AT, 32)},
)


@dataclass
class Message:
    """What the toy wire sends for a frame: block id, timestamp, and the bytes."""

    block_id: int
    timestamp_ns: int
    data: bytes
    whole: bool


class ToyWire:
    """A wire with two registers and one queue. Also the sink of events."""

    dropped = 0

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.enabled = True
        self.has_room = True
        self.events: list[tuple[int, int]] = []
        self._region = camera.memory.add_region("toy", 0, 0x100)
        self._region.add(Register("Name", NAME_AT, 32, "RW", written=self._renamed))
        self._region.add(Register("Stream", STREAM_AT, 4, "RW", written=self._switched))
        camera.use_link(Link(100_000_000, 12_000_000.0))
        camera.notifications.send_through(self)
        camera.happenings.listen(lambda *_: self._power_up(), Happening.DEVICE_RESET)
        camera.configure(True, 0)

    def send(self, event_id: int, timestamp_ns: int, data: bytes) -> bool:
        self.events.append((event_id, struct.unpack("<Q", data)[0]))
        return True

    def read(self, address: int, count: int) -> bytes:
        return self.camera.memory.host_read(address, count)

    def write(self, address: int, data: bytes, now_ns: int) -> None:
        self.camera.tick(now_ns)
        self.camera.memory.host_write(address, data)

    def receive(self, now_ns: int) -> Message | None:
        """The next frame, whole, if there is one."""
        self.camera.tick(now_ns)
        frame = self.camera.frames.next_frame()
        if frame is None or frame.data is None:
            return None
        exposure = frame.exposure
        message = Message(exposure.block_id, exposure.timestamp_ns, bytes(frame.data), not frame.is_cut)
        self.camera.frames.finish(frame, len(message.data), whole=message.whole, now_ns=now_ns)
        return message

    def _renamed(self) -> None:
        raw = self._region.read(NAME_AT, 32)
        self.camera.rename(raw.rstrip(b"\0").decode())

    def _switched(self) -> None:
        if any(self._region.read(STREAM_AT, 4)):
            self.camera.frames.open()
        else:
            self.camera.frames.close()

    def _power_up(self) -> None:
        self._region.write(STREAM_AT, bytes(4))


@pytest.fixture
def wire() -> ToyWire:
    camera = Camera(MODEL, PlainTiming(), Room(), TOY)
    for name, value in (("Width", 40), ("Height", 30), ("ExposureTime", 100.0)):
        camera.features.host_set(name, value)
    Painted(camera)
    return ToyWire(camera)


def press(wire: ToyWire, command: str, now_ns: int) -> None:
    wire.write(wire.camera.features.address[command], b"\1\0\0\0", now_ns)


def test_frames_without_usb(wire: ToyWire) -> None:
    wire.write(STREAM_AT, b"\1\0\0\0", 0)
    press(wire, "AcquisitionStart", 0)
    got = [message for now_ns in range(0, 2 * MS, MS // 10) if (message := wire.receive(now_ns)) is not None]
    assert [m.block_id for m in got] == list(range(len(got))) and len(got) > 5
    assert all(m.data == picture(m.block_id, 1200) and m.whole for m in got)
    press(wire, "AcquisitionStop", 2 * MS)
    frames = wire.camera.frames
    assert frames.offered == frames.delivered + frames.discarded + frames.in_flight


def test_what_differs_by_wire_comes_from_the_wire(wire: ToyWire) -> None:
    features = wire.camera.features
    assert features.get("DeviceTLType") == "Custom"
    assert features.get("DeviceLinkSpeed") == 12_500_000
    assert features.get("DeviceModelName") == MODEL.name  # a register of the camera's own
    assert features.get("DeviceSerialNumber") == "40000001"
    assert features.address[USER_ID] == NAME_AT
    features.host_set(USER_ID, "left")
    assert wire.read(NAME_AT, 5) == b"left\0"
    assert wire.camera.user_defined_name == "left"


def test_its_link_is_the_budget(wire: ToyWire) -> None:
    wire.camera.features.host_set("DeviceLinkThroughputLimitMode", "Off")
    wire.camera.use_link(Link(10_000_000, 1_200_000.0))
    assert wire.camera.features.get("ResultingFrameRate") == pytest.approx(1000)


def test_events_take_the_wires_way_out(wire: ToyWire) -> None:
    features = wire.camera.features
    features.set("EventNotification", "On", EventSelector="FrameStart")
    wire.write(STREAM_AT, b"\1\0\0\0", 0)
    press(wire, "AcquisitionStart", 0)
    wire.receive(MS)
    assert [frame_id for _, frame_id in wire.events] == list(range(len(wire.events))) and wire.events


def test_a_reset_reaches_the_wire(wire: ToyWire) -> None:
    wire.write(STREAM_AT, b"\1\0\0\0", 0)
    press(wire, "DeviceReset", MS)
    assert wire.read(STREAM_AT, 4) == bytes(4)
    assert not wire.camera.frames.enabled and wire.camera.reset_requested


def test_bad_accesses_are_refused_as_on_any_wire(wire: ToyWire) -> None:
    with pytest.raises(GenCPError):
        wire.read(0x900000, 4)
    with pytest.raises(GenCPError):
        wire.write(wire.camera.features.address["Width"], b"\7\0\0\0", 0)


def test_the_core_needs_no_usb_wire() -> None:
    """Importing the camera imports no part of the USB3 Vision wire."""
    code = "import sys, u3v.camera; print([m for m in sys.modules if m.startswith('u3v.usb3v')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
