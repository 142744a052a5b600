import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gadget.loopback import LoopbackBus
from gadget.runner import CameraSpec, build
from gadget.time.loop import Loop
from gadget.tools import images
from gadget.tools.grab import GrabOptions, GrabResult, Progress, grab, progress_bar
from gadget.tools.targets import is_address, open_target
from gadget.usb.device import UsbDevice
from gadget.usbip.server import UsbipServer
from gadget.usbip.session import export
from tests.u3v.host.fake import HEIGHT, SIRM, FakeCamera, pattern, trailer
from u3v.errors import GenCPError, U3VError
from u3v.host.bus import UsbGone
from u3v.host.nodes import FeatureError


def loopback_grab(camera: FakeCamera, **options: object) -> GrabResult:
    bus = LoopbackBus(camera)
    return grab(bus, GrabOptions(**options), clock_s=lambda: bus.now_ns / 1e9)  # type: ignore[arg-type]


def accounted(result: GrabResult) -> bool:
    known = result.delivered + result.incomplete + result.discarded
    if result.last_block_id is None:
        return known == 0
    assert result.first_block_id is not None
    return known == result.last_block_id + 1 - result.first_block_id


def test_frames_are_taken_and_the_camera_left_as_it_was() -> None:
    camera = FakeCamera()
    result = loopback_grab(camera, frames=10, settings={"Width": "128", "PixelFormat": "Mono12p"})
    assert (result.delivered, result.incomplete, result.discarded) == (10, 0, 0)
    assert (result.first_block_id, result.last_block_id) == (0, 9)
    assert (result.vendor, result.model, result.serial) == ("Fake Vendor", "Fake One", "SN1")
    assert (result.width, result.height, result.pixel_format) == (128, HEIGHT, "Mono12p")
    assert result.ok and result.error == "" and accounted(result)
    assert not camera.acquiring
    assert camera.number(SIRM + 4) == 0


def test_rates_are_those_of_the_clock() -> None:
    camera = FakeCamera()
    bus = LoopbackBus(camera)
    ticks = iter(range(100))
    result = grab(bus, GrabOptions(frames=5), clock_s=lambda: 10.0 + 0.5 * next(ticks))
    # The first reading is at AcquisitionStart, then one at each frame.
    assert (result.duration_s, result.fps) == (2.5, 2.0)
    assert result.mb_per_s == pytest.approx(2.0 * 64 * HEIGHT / 1e6)


@pytest.mark.parametrize("ring_frames", [2, 3, 100])
@pytest.mark.parametrize("kind", ["png", "tiff", "raw"])
def test_every_frame_is_written_whether_the_ring_holds_them_all_or_not(
    tmp_path: Path, ring_frames: int, kind: str
) -> None:
    size = 64 * HEIGHT
    out = tmp_path / "a" / "b"
    result = loopback_grab(
        FakeCamera(), frames=12, output=out, image_format=kind, ring_bytes=ring_frames * size
    )
    assert result.ok
    assert [Path(name).name for name in result.files] == [f"Fake_One-{n:06d}.{kind}" for n in range(12)]
    assert sorted(out.iterdir()) == [Path(name) for name in result.files]
    for block_id, name in enumerate(result.files):
        if kind == "raw":
            assert Path(name).read_bytes() == pattern(block_id, size)
        elif kind == "png":
            with Image.open(name) as png:
                assert np.asarray(png).tobytes() == pattern(block_id, size)


@pytest.mark.parametrize("ring_frames", [2, 100])
@pytest.mark.parametrize(("keep", "written"), [(1, 1), (3, 3), (40, 30)])
def test_only_the_first_frames_are_kept(tmp_path: Path, ring_frames: int, keep: int, written: int) -> None:
    seen: list[Progress] = []
    options = GrabOptions(
        frames=30, output=tmp_path, keep=keep, image_format="raw", ring_bytes=ring_frames * 64 * HEIGHT
    )
    result = grab(LoopbackBus(FakeCamera()), options, seen.append)
    assert result.ok
    assert [Path(name).stem[-2:] for name in result.files] == [f"{n:02d}" for n in range(written)]
    assert seen[-1] == Progress(30, 0, 0, written, written)


def test_slow_writers_hold_the_camera_back_and_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every buffer at the writers nothing is asked of the camera, and nothing of a held buffer changes."""
    camera = FakeCamera()
    gate = threading.Semaphore(0)
    real = images.write_image

    def slow(*arguments: object, **options: object) -> None:
        assert gate.acquire(timeout=10)
        real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("gadget.tools.grab.write_image", slow)
    asked: list[int] = []

    def progress(seen: Progress) -> None:
        if seen.delivered == 3 and not asked:
            asked.append(camera.block_id)
            for _ in range(100):
                gate.release()

    bus = LoopbackBus(camera)
    options = GrabOptions(frames=20, output=tmp_path, image_format="raw", ring_bytes=3 * 64 * HEIGHT)
    result = grab(bus, options, progress)
    assert asked == [3]
    assert result.ok
    for block_id, name in enumerate(result.files):
        assert Path(name).read_bytes() == pattern(block_id, 64 * HEIGHT)


def test_a_full_disk_is_an_error_that_keeps_the_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object, **__: object) -> None:
        if path.name.endswith("2.raw"):
            raise OSError(28, "No space left on device")
        path.touch()

    monkeypatch.setattr("gadget.tools.grab.write_image", full)
    result = loopback_grab(FakeCamera(), frames=4, output=tmp_path, image_format="raw")
    assert (result.delivered, len(result.files), result.ok) == (4, 3, False)
    assert result.error == "block 2 was not written: No space left on device"


def test_a_file_has_its_name_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.write_bytes
    seen: list[str] = []

    def written(path: Path, data: bytes) -> int:
        seen.append(path.name)
        assert list(tmp_path.glob("*.raw")) == []
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", written)
    result = loopback_grab(FakeCamera(), frames=1, output=tmp_path, image_format="raw")
    assert seen == ["Fake_One-000000.raw.part"]
    assert [str(path) for path in tmp_path.iterdir()] == list(result.files)


@pytest.mark.parametrize("interrupts", [1, 2])
def test_an_interrupt_says_what_is_still_written_and_another_drops_it(
    tmp_path: Path, interrupts: int
) -> None:
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if interrupts == 2:
            raise KeyboardInterrupt

    def progress(seen: Progress) -> None:
        if seen.delivered and not said:
            raise KeyboardInterrupt

    options = GrabOptions(frames=9, output=tmp_path, image_format="raw")
    result = grab(LoopbackBus(FakeCamera()), options, progress, say=say)
    assert said == [
        "interrupted after 1 of 9 frames: 1 of them still to be written, Ctrl-C again drops these"
    ]
    dropped = "; 1 of them not written" if interrupts == 2 else ""
    assert result.error == f"interrupted after 1 of 9 frames{dropped}"
    assert [str(path) for path in tmp_path.iterdir()] == list(result.files)
    assert len(result.files) == 2 - interrupts


def test_a_full_disk_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """U4: of 2000 files to write, one is tried in vain and those that were on their way with it."""
    tried: list[Path] = []

    def full(path: Path, *_: object, **__: object) -> None:
        tried.append(path)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gadget.tools.grab.write_image", full)
    for ring_frames in (4, 4000):  # files are written meanwhile, or afterwards
        tried.clear()
        result = loopback_grab(
            FakeCamera(),
            frames=2000,
            output=tmp_path,
            image_format="raw",
            ring_bytes=ring_frames * 64 * HEIGHT,
        )
        assert result.error == "block 0 was not written: No space left on device"
        assert result.files == () and len(tried) < 10


def test_frames_lost_to_slow_writers_are_an_error_that_names_what_is_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U5: with all buffers at the writers, a camera that goes on discards frames."""
    camera = FakeCamera()

    def slow(path: Path, *_: object, **__: object) -> None:
        camera.mangle_frame = lambda block_id, transfers: [] if 5 <= block_id < 12 else transfers

    monkeypatch.setattr("gadget.tools.grab.write_image", slow)
    for kind, faster in (
        ("png", "take --format tiff or raw"),
        ("tiff", "take --format raw"),
        ("raw", "keep"),
    ):
        camera.mangle_frame = lambda block_id, transfers: transfers
        result = loopback_grab(
            camera, frames=20, output=tmp_path, image_format=kind, ring_bytes=2 * 64 * HEIGHT
        )
        assert (result.delivered, result.discarded, result.ok) == (20, 7, False)
        assert result.error.startswith(f"the camera discarded 7 frames: {kind} files could only be written")
        assert faster in result.error and "AcquisitionFrameRate" in result.error


def test_frames_that_nobody_wrote_are_no_error_of_the_writers() -> None:
    camera = FakeCamera()
    camera.mangle_frame = lambda block_id, transfers: [] if block_id == 3 else transfers
    result = loopback_grab(camera, frames=6)
    assert (result.discarded, result.error, result.ok) == (1, "", True)


def test_acknowledges_that_come_too_late_are_told() -> None:
    camera = FakeCamera()
    late = b"U3VC" + bytes.fromhex("0000 0108 0000 ffff")
    camera.mangle_ack = lambda ack: [late, ack]
    result = loopback_grab(camera)
    assert result.stale_acks > 10 and result.as_json()["stale_acks"] == result.stale_acks
    assert f"{result.stale_acks} acknowledges came too late for their command" in result.lines()


def test_frames_after_the_hosts_stop_are_no_loss() -> None:
    """U11: what the camera exposed while the host was stopping it is counted apart."""
    built = build(CameraSpec("acA4096-40um"), "1")
    with contextlib.closing(built.pixels.source):
        bus = LoopbackBus.to(built.device)
        result = grab(bus, GrabOptions(frames=10, settings={"Width": "640", "Height": "480"}))
    frames = built.camera.frames
    assert result.ok and frames.in_flight == 0
    assert frames.offered > 10
    assert frames.discarded == frames.left_behind == frames.offered - frames.delivered


def test_the_host_counts_what_it_did_not_ask_for_apart() -> None:
    """U11: a camera that never waits fills the requests that are queued behind the last frame."""
    camera = FakeCamera()
    camera.frame_limit = 7
    result = loopback_grab(camera, frames=5)
    assert (result.delivered, result.discarded, result.last_block_id, result.after_stop) == (5, 0, 4, 2)
    assert "5 delivered + 0 incomplete + 0 discarded; 2 more came before the camera had stopped" in "\n".join(
        result.lines()
    )
    camera = FakeCamera()
    camera.frame_limit = 5
    assert loopback_grab(camera, frames=5).as_json()["after_stop"] == 0


def test_gaps_and_incomplete_frames_are_told(tmp_path: Path) -> None:
    camera = FakeCamera()

    def mangle(block_id: int, transfers: list[tuple[bytes, int]]) -> list[tuple[bytes, int]]:
        if block_id in (3, 4):
            return []
        if block_id == 6:
            return [*transfers[:-1], (trailer(6, 64 * HEIGHT, HEIGHT, 0xA100), 1024)]
        return transfers

    camera.mangle_frame = mangle
    result = loopback_grab(camera, frames=8, output=tmp_path, image_format="raw")
    assert (result.delivered, result.incomplete, result.discarded) == (7, 1, 2)
    assert accounted(result) and not result.ok
    assert result.reasons == ((6, "trailer status DATA_DISCARDED (0xa100)"),)
    assert [Path(name).stem[-1] for name in result.files] == list("0125789")
    text = "\n".join(result.lines())
    assert "block ids 0 to 9 = 7 delivered + 1 incomplete + 2 discarded" in text
    assert "block 6: trailer status DATA_DISCARDED (0xa100)" in text
    assert json.loads(json.dumps(result.as_json()))["reasons"] == [
        [6, "trailer status DATA_DISCARDED (0xa100)"]
    ]


def test_a_camera_that_falls_silent_is_told_and_stopped() -> None:
    camera = FakeCamera()
    camera.frame_limit = 3
    result = loopback_grab(camera, frames=5, timeout_s=0.5)
    # 5 ms of exposure come on top
    assert result.error == "nothing came for 0.505 s after 3 of 5 frames"
    assert (result.delivered, result.ok, accounted(result)) == (3, False, True)
    assert not camera.acquiring


def test_no_frame_at_all() -> None:
    camera = FakeCamera()
    camera.frame_limit = 0
    result = loopback_grab(camera, frames=2, timeout_s=0.1)
    assert (result.delivered, result.last_block_id, result.width, result.fps) == (0, None, 0, 0.0)
    assert "no frame came" in "\n".join(result.lines())


def test_an_unplugged_camera_leaves_what_there_is(tmp_path: Path) -> None:
    camera = FakeCamera()
    bus = LoopbackBus(camera)

    def unplug(block_id: int, transfers: list[tuple[bytes, int]]) -> list[tuple[bytes, int]]:
        if block_id == 9:
            camera.acquiring = False
            bus.device.unplugged = True
        return transfers

    camera.mangle_frame = unplug
    result = grab(bus, GrabOptions(frames=50, output=tmp_path, image_format="raw", timeout_s=0.1))
    assert not result.ok and result.error
    assert len(result.files) == result.delivered > 0
    assert accounted(result)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"Widht": "8"}, "the camera has no feature 'Widht', did you mean 'Width'?"),
        ({"Width": "9"}, "Width = 9: must be 8 to 4096 px in steps of 8"),
    ],
)
def test_wrong_settings_are_raised_before_anything_starts(settings: dict[str, str], message: str) -> None:
    camera = FakeCamera()
    with pytest.raises(FeatureError) as error:
        loopback_grab(camera, settings=settings)
    assert str(error.value) == message
    assert not camera.acquiring and camera.number(SIRM + 4) == 0


def test_a_refused_stream_register_is_raised_and_undone() -> None:
    camera = FakeCamera()
    camera.read_only.append(range(SIRM + 0x24, SIRM + 0x28))
    with pytest.raises(GenCPError, match="write of 4 bytes at 0x20024: WRITE_PROTECT"):
        loopback_grab(camera)
    assert camera.number(SIRM + 4) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "0 frames: at least one is needed"),
        ({"keep": 0}, "keep 0 frames: at least one is needed"),
        ({"image_format": "bmp"}, "image format 'bmp': must be one of png, tiff, raw"),
        ({"timeout_s": 0.0}, "a timeout of 0 s: must be more than 0"),
        ({"timeout_s": float("nan")}, "a timeout of nan s: must be more than 0"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GrabOptions(**options)  # type: ignore[arg-type]


def test_progress_ends_with_the_final_counts(tmp_path: Path) -> None:
    seen: list[Progress] = []
    bus = LoopbackBus(FakeCamera())
    grab(bus, GrabOptions(frames=6, output=tmp_path, image_format="raw"), seen.append)
    assert seen[-1] == Progress(6, 0, 0, 6, 6)


def test_no_bar_without_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with progress_bar(3, enabled=True) as show:
        show(Progress(1, 0, 0, 0, 0))
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def served() -> Iterator[str]:
    """The address of a fake camera on a USB/IP server in another thread."""
    loop = Loop()
    device = UsbDevice(FakeCamera(), paced=False)
    loop.services.append(device)
    with UsbipServer(loop, export(device), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=loop.run)
        thread.start()
        try:
            yield f"usbip://127.0.0.1:{server.port}/1-1"
        finally:
            loop.call_threadsafe(loop.stop)
            thread.join()
    loop.close()


def test_over_usbip(served: str, tmp_path: Path) -> None:
    for _ in range(2):
        bus = open_target(served)
        try:
            result = grab(bus, GrabOptions(frames=30, output=tmp_path, settings={"Width": "4096"}))
        finally:
            bus.close()
        assert result.ok, result.error
        assert len(result.files) == 30


def test_targets() -> None:
    assert (
        is_address("usbip://host")
        and is_address("usb:1:2")
        and is_address("ftp://host")
        and not is_address("acA4096-40um")
    )
    for target, message in (
        ("acA4096-40um", "an address here is usbip://HOST:PORT/BUSID or usb:VID:PID"),
        ("ftp://host", "an address here is usbip://HOST:PORT/BUSID or usb:VID:PID"),
        ("usbip://127.0.0.1:x/1-1", "'x' is no TCP port"),
        ("usbip://127.0.0.1:99999", "'99999' is no TCP port"),
        ("usb:2676", "two hexadecimal numbers, such as usb:2676:ba02"),
        ("usb:xyz:1", "two hexadecimal numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            open_target(target)


def test_a_bus_id_nobody_serves(served: str) -> None:
    with pytest.raises(UsbGone, match="importing 9-9"):
        open_target(served.replace("1-1", "9-9"))
    with pytest.raises(U3VError, match=r"no USB/IP server at 127\.0\.0\.1:1"):
        open_target("usbip://127.0.0.1:1")
