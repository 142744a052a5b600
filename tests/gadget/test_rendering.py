"""The camera joined to its pixels: order, buffers, discarded frames, and one frame from end to end.

Who renders, where, and who hears of it is said when a renderer is made, and cannot be changed later (S10).
"""

import hashlib
import struct
from binascii import crc_hqx

import numpy as np
import pytest

from frames.pool import FramePool
from frames.source import FrameSettings
from gadget import VirtualCamera
from gadget.loopback import LoopbackBus
from gadget.rendering import INLINE, Job, Renderer, Workshop, frame_settings
from gadget.runner import CameraSpec, build
from tests.u3v.rig import MS, PAYLOAD, SI_CONTROL, Host, make_camera, picture
from u3v.camera import Camera, Options
from u3v.features import Enumeration
from u3v.host import bus as usb
from u3v.host.bus import UsbTimeout
from u3v.usb3v.function import UsbFunction


class Painter:
    """In the place of a frame source: the pictures of `tests.u3v.rig`."""

    def __init__(self) -> None:
        self.painted: list[int] = []

    def render_into(self, out: memoryview, settings: FrameSettings) -> None:
        self.painted.append(settings.frame)
        out[:] = picture(settings.frame, len(out))


class Rig(Host):
    """A host of a rendered camera; jobs run when `work` is called, unless inline."""

    def __init__(
        self, camera: Camera | None = None, *, buffers: int = 4, inline: bool = False, paced: bool = True
    ) -> None:
        self.painter = Painter()
        self.jobs: list[tuple[Job, Job]] = []
        self.pool = FramePool(buffers, 4800)
        later = Workshop(lambda render, done, _due_ns: self.jobs.append((render, done)))
        made = camera or make_camera()
        self.renderer = Renderer(made, self.painter, self.pool, INLINE if inline else later)  # type: ignore[arg-type]
        self.camera = made
        self.bus = LoopbackBus(UsbFunction(made), paced=paced)
        self.request_id = 0
        usb.set_configuration(self.bus, 1)

    def work(self, count: int = 1) -> None:
        for _ in range(count):
            render, done = self.jobs.pop(0)
            render()
            done()
            self.bus.device.service(self.bus.now_ns)


@pytest.mark.parametrize("paced", [True, False])
def test_frames_in_order(paced: bool) -> None:
    rig = Rig(make_camera(Options(paced=paced)), inline=True, paced=paced)
    rig.start()
    for block_id in range(20):
        frame = rig.frame()
        assert (frame.block_id, frame.payload) == (block_id, picture(block_id, PAYLOAD))
    assert rig.painter.painted[:20] == list(range(20))


def test_a_frame_waits_for_its_worker() -> None:
    rig = Rig()
    rig.start()
    with pytest.raises(UsbTimeout):
        rig.transfer(1024, timeout_ms=1)
    rig.work()
    assert rig.frame().payload == picture(0, PAYLOAD)


def test_every_buffer_is_out() -> None:
    """No buffer: the exposure waits in the camera's memory; it is rendered once a buffer has come back."""
    rig = Rig(buffers=2)
    rig.start()
    rig.bus.run(MS)
    assert rig.get("VirtualFramesHeld") == 4
    assert len(rig.jobs) == 2
    rig.work(2)
    assert len(rig.jobs) == 0
    rig.run("AcquisitionStop")
    assert [rig.frame().payload for _ in range(2)] == [picture(n, PAYLOAD) for n in range(2)]
    with pytest.raises(UsbTimeout):  # who asks for a frame finds the buffers free again
        rig.transfer(1024, timeout_ms=1)
    rig.work(2)
    assert [rig.frame().payload for _ in range(2)] == [picture(n, PAYLOAD) for n in (2, 3)]
    assert rig.pool.free == 2


def test_what_was_discarded_is_not_rendered() -> None:
    rig = Rig(buffers=1)
    rig.start()
    rig.bus.run(MS)
    rig.write_int(SI_CONTROL, 0)
    rig.work()  # had begun; its pixels are dropped
    assert rig.get("VirtualFramesDiscarded") == rig.get("VirtualFramesOffered")
    rig.write_int(SI_CONTROL, 1)
    rig.bus.run(400_000)
    rig.work()
    frame = rig.frame()
    assert frame.block_id == 0
    assert rig.painter.painted[0] == 0 and rig.painter.painted[1] >= 4


def test_unplugging_forgets_what_waits() -> None:
    rig = Rig(buffers=1)
    rig.start()
    rig.bus.run(MS)
    usb.set_configuration(rig.bus, 1)
    rig.work()
    assert rig.jobs == []
    assert rig.pool.free == 1


def test_many_exposures_at_once() -> None:
    """A host that slept for 0.6 s: 2001 frames of a small region, rendered inline without recursing."""
    rig = Rig(buffers=2500, inline=True)
    rig.start()
    rig.bus.now_ns += 600 * MS
    rig.bus.device.service(rig.bus.now_ns)
    assert rig.painter.painted == list(range(2001))
    assert rig.get("VirtualFramesHeld") == 2001


def test_settings_of_an_exposure() -> None:
    camera = make_camera(
        settings={"Gain": 6.0, "PixelFormat": "Mono12p", "ReverseX": True, "OffsetY": 9, "BlackLevel": 3.5}
    )
    settings = frame_settings(camera.exposure(7, 0, 5 * MS, 5 * MS))
    assert (settings.frame, settings.time_s, settings.exposure_us, settings.gain_db) == (7, 0.005, 100.0, 6.0)
    assert (settings.width, settings.height, settings.offset_x, settings.offset_y) == (40, 30, 0, 9)
    assert (settings.reverse_x, settings.reverse_y, settings.pixel_format) == (True, False, "Mono12p")
    assert (settings.black_level_dn12, settings.temperature_c) == (3.5, 41.0)


def test_a_whole_camera() -> None:
    """Model, sensor, scene, port: the same pixels in every run, what the source renders is what arrives."""
    region = {"Width": "256", "Height": "128", "PixelFormat": "Mono12p"}
    spec = CameraSpec("acA4096-40um", settings=region, paced=False)
    digests = []
    for _ in range(2):
        built = build(spec, "40000001")
        host = Host.__new__(Host)
        host.camera, host.request_id, host.bus = built.camera, 0, LoopbackBus(built.function, paced=False)
        usb.set_configuration(host.bus, 1)
        host.start(16384)
        frames = [host.frame() for _ in range(2)]
        payload = 256 * 128 * 12 // 8
        assert [(f.block_id, f.valid, f.status) for f in frames] == [(0, payload, 0), (1, payload, 0)]
        expected = np.empty(payload, np.uint8)
        built.pixels.source.render_into(
            expected, frame_settings(built.camera.exposure(0, 0, frames[0].timestamp, 0))
        )
        assert frames[0].payload == expected.tobytes()
        assert frames[0].payload != frames[1].payload  # shot noise
        digests.append([hashlib.sha256(f.payload).hexdigest() for f in frames])
        host.run("AcquisitionStop")
        built.pixels.source.close()
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("model", "feature"), [("acA4096-40um", "TestImageSelector"), ("VCXG-124M", "TestPattern")]
)
def test_every_test_image_of_a_camera_is_drawn_instead_of_the_sensors(model: str, feature: str) -> None:
    virtual = build(CameraSpec(model, scene="uniform", settings={"Width": "64", "Height": "48"}), "1")
    features, source = virtual.camera.features, virtual.pixels.source
    entries = features.declared[feature]
    assert isinstance(entries, Enumeration) and len(entries.entries) > 6
    for entry in entries.entries:
        features.set(feature, entry)
        frames = [np.empty(64 * 48, np.uint8) for _ in range(2)]
        for seed, frame in enumerate(frames):
            source.seed = seed
            source.render_into(frame, frame_settings(virtual.camera.exposure(5, 0, 0, 0)))
        noise = (frames[0] != frames[1]).any()
        assert noise == (entry == "Off"), entry
    source.close()


def test_s10_wiring_cannot_be_changed_after_construction() -> None:
    with pytest.raises(AttributeError):
        INLINE.on_frame = print  # type: ignore[misc]
    with pytest.raises(AttributeError):
        Options().paced = False  # type: ignore[misc]
    camera = make_camera(Options(user_sets={"UserSet1": {"Gain": 1.0}}))
    camera.user_sets["UserSet1"] = {}
    assert camera.options.user_sets == {
        "UserSet1": {"Gain": 1.0}
    }  # two cameras share no state through their options


def test_repeated_frames_have_heads_of_their_own() -> None:
    """--scene-cache: pixels come again, block ids and timestamps do not."""
    with VirtualCamera(
        "acA4096-40um:Width=64,Height=32", scene="uniform:photons=20000", scene_cache=2
    ) as camera:
        assert camera.state()["scene_cache"] == 2
        frames = camera.grab(6)
    assert [frame.block_id for frame in frames] == list(range(6))
    stamps = [frame.timestamp_ns for frame in frames]
    assert len(set(stamps)) == 6 and stamps == sorted(stamps)
    pictures = [frame.pixels.tobytes() for frame in frames]
    assert pictures == pictures[:2] * 3 and pictures[0] != pictures[1]


def test_the_checksum_of_the_pixels_comes_from_who_rendered_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Megabytes take long: in the camera's own thread only the chunks behind the pixels are left to do."""
    seen = []

    def counted(data: memoryview, start: int) -> int:
        seen.append(len(data))
        return crc_hqx(data, start)

    monkeypatch.setattr("u3v.chunks.crc_hqx", counted)
    camera = make_camera()
    assert "PayloadCRC16" in {chunk.name for chunk in camera.chunks}
    for name in ("Gain", "PayloadCRC16"):
        camera.features.set("ChunkEnable", True, ChunkSelector=name)
    camera.features.set("ChunkModeActive", True)
    rig = Rig(camera)
    rig.start()
    rig.work()
    payload = rig.frame().payload
    (end,) = struct.unpack("<I", payload[-12:-8])
    assert end == crc_hqx(payload[:-12], 0)
    assert seen == [camera.settings.chunk_bytes - 12]
