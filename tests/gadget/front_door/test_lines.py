"""Lines through the front door: volts, pulses, wires between cameras, an encoder that follows the scene."""

from pathlib import Path

import numpy as np
import pytest

import gadget
from gadget import Bench, CameraError, CameraSpec, VirtualCamera
from gadget.control.client import RemoteCamera
from tests.gadget.control.rig import controlled
from u3v.errors import Mistake

SMALL = {"Width": 64, "Height": 32, "ExposureTime": 1000}
LINE1 = {**SMALL, "TriggerMode": "On", "TriggerSource": "Line1"}


def test_a_pulse_is_a_frame() -> None:
    with VirtualCamera("acA4096-40um", **LINE1) as camera, camera.acquire() as frames:
        for count in range(3):
            camera.lines["Line1"].pulse(us=50, after_us=200)
            assert frames.next().block_id == count
        assert camera.lines["Line1"].volts == 0.0


def test_the_exposure_is_as_long_as_the_pulse() -> None:
    with VirtualCamera("acA4096-40um", scene="uniform", ExposureMode="TriggerWidth", **LINE1) as camera:
        seen = []
        with camera.acquire() as frames:
            for us in (500, 2000):
                camera.lines["Line1"].pulse(us=us)
                seen.append(float(frames.next().pixels.mean()))
        happened = [line.split() for line in camera.history()["happenings"] if "Exposure" in line]
        at_us = [round(float(words[0]) * 1e6) for words in happened]
        assert [at_us[1] - at_us[0], at_us[3] - at_us[2]] == [500, 2000]
        assert 3 < seen[1] / seen[0] < 5


def test_frames_come_as_long_as_the_level_lasts() -> None:
    with VirtualCamera("acA4096-40um", TriggerActivation="LevelHigh", **LINE1) as camera:
        with camera.acquire() as frames:
            camera.lines["Line1"].pulse(us=10_500)
            for _ in range(8):
                frames.next()
        exposed = camera.counters()["exposed"]
        assert 8 <= exposed <= 12


def test_what_is_wrong_is_said_in_one_line() -> None:
    with VirtualCamera("acA4096-40um") as camera, VirtualCamera("VCXG-124M") as vcx:
        wrong = [
            (lambda: camera.lines["Line7"], "acA4096-40um has no line 'Line7': it has Line1, Line2"),
            (lambda: setattr(camera.lines["Line1"], "volts", "high"), "volts = 'high': must be a number"),
            (
                lambda: camera.lines["Line1"].wire(camera.lines["Line3"]),
                "Line1 is an input: a wire leads from",
            ),
            (
                lambda: camera.lines["Line2"].wire(camera.lines["Line2"]),
                "Line2 is an output: a wire leads to",
            ),
            (lambda: vcx.lines["Line0"].pulse(us=1), "us = 1: must be a number from 2"),
        ]
        for do, message in wrong:
            with pytest.raises(CameraError, match=f"^{message}"):
                do()  # type: ignore[no-untyped-call]
        camera.lines["Line1"].volts = 35
        assert camera.lines["Line1"].damaged
        assert camera.lines.troubles == ["Line1: 35 V, above 30 V: damaged"]
        camera.lines["Line1"].repair()
        assert not camera.lines["Line1"].damaged


def test_what_an_undefined_level_is_can_be_said() -> None:
    for undefined, level in (("low", False), ("high", True)):
        with VirtualCamera("acA4096-40um", undefined_level=undefined) as camera:
            camera.lines["Line1"].volts = 1.8
            assert camera.lines["Line1"].level == level
    with pytest.raises(
        Mistake, match=r"^undefined_level 'hihg': one of keep, low, high, or a number, did you mean"
    ):
        VirtualCamera("acA4096-40um", undefined_level="hihg")


def test_one_strobe_triggers_another_camera_at_the_same_instant_plus_its_latency() -> None:
    first = {**SMALL, "AcquisitionFrameRateEnable": True, "AcquisitionFrameRate": 20}
    second = {**SMALL, "TriggerMode": "On", "TriggerSource": "Line0"}
    specs = [
        CameraSpec(model, settings={name: str(value) for name, value in settings.items()})
        for model, settings in (("acA4096-40um", first), ("VCXG-124M", second))
    ]
    with Bench(*specs) as (ace, vcx):
        ace.features.set("LineSource", "ExposureActive", LineSelector="Line2")
        ace.lines["Line2"].wire(vcx.lines["Line0"])
        with vcx.acquire() as triggered, ace.acquire() as free:
            for _ in range(5):
                began, followed = free.next(), triggered.next()
                assert followed.timestamp_ns == (began.timestamp_ns + 97_700) // 8 * 8


def test_an_encoder_that_is_refused_leaves_the_one_that_is_there() -> None:
    with VirtualCamera("acA4096-40um") as camera:
        camera.encoder("Line1", every_px=100, px_per_s=10_000)
        live = camera._bench._live(0)
        there = live._on_line
        for line, every_px in (("Line9", 1), ("Line1", 0), ("Line1", None)):
            with pytest.raises(CameraError, match=r"no line 'Line9'|every_px = "):
                camera.encoder(line, every_px=every_px)
        assert live._on_line is there is not None
        camera.encoder(None)
        assert live._on_line is None


def test_an_encoder_and_its_scene_share_one_motion() -> None:
    """Every 128 px of the belt a frame: the parts are where they were, though the belt changes its speed."""
    settings = {**LINE1, "Width": 256, "Height": 128, "ExposureTime": 50}
    period = 4112  # the scene comes again after a sensor's width
    with VirtualCamera("acA4096-40um", scene="conveyor:speed=100000", **settings) as camera:
        camera.encoder("Line1", every_px=period)
        with camera.acquire() as frames:
            pictures = [frames.next().pixels.astype(float) for _ in range(3)]
            camera.scene("conveyor:speed=250000")
            frames.next()
            pictures += [frames.next().pixels.astype(float) for _ in range(2)]
        with VirtualCamera("acA4096-40um", scene="conveyor:speed=100000", **settings) as other:
            other.encoder("Line1", every_px=1.3 * period)
            with other.acquire() as frames:
                elsewhere = [frames.next().pixels.astype(float) for _ in range(3)]
    spread = np.abs(pictures[0] - np.mean(pictures[1:], axis=0)).mean()
    moved = np.abs(elsewhere[0] - elsewhere[1]).mean()
    assert moved > 3 * spread, (moved, spread)


def test_the_same_over_the_control_socket(tmp_path: Path) -> None:
    settings = {name: str(value) for name, value in LINE1.items()}
    specs = [CameraSpec("acA4096-40um", settings=settings), CameraSpec("VCXG-124M")]
    path = tmp_path / "control.sock"
    with (
        controlled(path, *specs),
        RemoteCamera(path, "40000001") as camera,
        RemoteCamera(path, "40000002") as vcx,
    ):
        assert list(camera.lines) == ["Line1", "Line2", "Line3", "Line4"]
        camera.lines["Line1"].volts = 24
        assert camera.lines["Line1"].level
        camera.lines["Line2"].load(80)
        assert camera.lines["Line2"].state["load_ma"] == 80
        assert vcx.lines["Line0"].state["direction"] == "input"
        with pytest.raises(gadget.CameraError, match="no line 'Lime1'"):
            camera.lines["Lime1"].pulse(us=5)


def test_what_hangs_on_the_lines_goes_where_the_cameras_go() -> None:
    """In this process, served, and in this process again: volts, loads, damage, wires and the encoder."""
    second = {**SMALL, "TriggerMode": "On", "TriggerSource": "Line0"}
    first = {**SMALL, "TriggerMode": "On", "TriggerSource": "Line3"}
    specs = [
        CameraSpec(model, settings={name: str(value) for name, value in settings.items()})
        for model, settings in (("acA4096-40um", first), ("VCXG-124M", second))
    ]

    def check(bench: Bench) -> None:
        (ace, vcx) = bench
        with vcx.acquire() as triggered, ace.acquire() as frames:
            stamps = []
            for _ in range(3):
                began, followed = frames.next(), triggered.next()
                assert followed.timestamp_ns == (began.timestamp_ns + 97_700) // 8 * 8
                stamps.append(began.timestamp_ns)
            assert [b - a for a, b in zip(stamps, stamps[1:], strict=False)] == [10_000_000] * 2
        assert (ace.lines["Line1"].damaged, ace.lines["Line1"].volts) == (True, 5.0)
        assert ace.lines["Line2"].state["load_ma"] == 20.0

    with Bench(*specs) as bench:
        ace, vcx = bench
        ace.features.set("LineSource", "ExposureActive", LineSelector="Line2")
        ace.lines["Line2"].wire(vcx.lines["Line0"])
        ace.lines["Line2"].load(20)
        ace.lines["Line1"].volts = 35
        ace.lines["Line1"].volts = 5
        ace.encoder("Line3", every_px=100, px_per_s=10_000)
        check(bench)
        with bench.serve():
            assert ace.lines["Line1"].damaged
        check(bench)
        ace.encoder(None)
        with bench.serve():
            pass
        assert ace.lines["Line3"].volts is None
