"""S4: image bytes, chunk bytes and wire bytes are three things; the core writes the tail of the renderer's buffer."""

import struct
from dataclasses import dataclass

from tests.u3v.rig import MODEL, PlainTiming, Room
from u3v.camera import Camera
from u3v.exposure import Exposure
from u3v.usb3v.bootstrap import USB3_VISION
from u3v.wire_traits import Link

IMAGE = 40 * 30


class Counted:
    """Eight bytes behind the pixels: the exposure's number."""

    def bytes_for(self, settings_version: int) -> int:
        return 8

    def begin(self, exposure: Exposure, settings_version: int) -> "Written":
        return Written(struct.pack("<Q", exposure.index))


@dataclass
class Written:
    data: bytes
    layout_id: int = 1
    has_checksum: bool = False

    def lasting(self, exposure: Exposure) -> "Written":
        return self

    def write(self, payload: memoryview, pixels_crc: int | None = None) -> None:
        payload[IMAGE:] = self.data


class Grey:
    """A renderer that fills the image and leaves the tail alone."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        camera.render_with(self)

    def expose(self, exposure: Exposure) -> None:
        buffer = bytearray(exposure.settings.wire_bytes)
        buffer[: exposure.settings.image_bytes] = bytes([7]) * exposure.settings.image_bytes
        self._camera.deliver(exposure, memoryview(buffer), self._camera.now_ns)

    def frame_wanted(self) -> None:
        pass


def test_the_tail_follows_the_pixels_in_the_same_buffer() -> None:
    camera = Camera(MODEL, PlainTiming(), Room(), USB3_VISION, tail=Counted())
    camera.use_link(Link(5_000_000_000, 400e6))
    for name, value in (("Width", 40), ("Height", 30), ("ExposureTime", 100.0)):
        camera.features.set(name, value)
    Grey(camera)
    settings = camera.settings
    assert (settings.image_bytes, settings.chunk_bytes, settings.wire_bytes) == (IMAGE, 8, IMAGE + 8)
    assert camera.features.get("PayloadSize") == IMAGE + 8
    camera.configure(True, 0)
    camera.frames.open()
    camera.features.host_set("AcquisitionStart", 1)
    camera.tick(5_000_000)
    for number in range(3):
        frame = camera.frames.next_frame()
        assert frame is not None and frame.data is not None and frame.data.readonly
        assert bytes(frame.data) == bytes([7]) * IMAGE + struct.pack("<Q", number)
        camera.frames.finish(frame, len(frame.data), whole=True, now_ns=camera.now_ns)
    assert camera.frames.delivered == 3
