"""VirtualCamera and Bench: what a person gets from the front door of the package."""

import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from gadget import Bench, CameraError, CameraSpec, CameraTimeout, VirtualCamera
from gadget.tools.grab import GrabOptions, grab
from gadget.tools.targets import open_target
from u3v.wire.usb import Speed

SMALL = {"Width": 64, "Height": 32}


@pytest.fixture
def camera() -> Iterator[VirtualCamera]:
    with VirtualCamera("acA4096-40um", scene="uniform:photons=500000", **SMALL) as made:
        yield made


def test_importing_the_package_costs_nothing() -> None:
    program = "import sys, gadget; print(sorted({'numpy', 'click', 'u3v', 'frames'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_names_of_the_package_are_what_they_say() -> None:
    import gadget

    assert {getattr(gadget, name).__name__ for name in gadget.__all__} == set(gadget.__all__)
    assert set(gadget.__all__) <= set(dir(gadget))
    with pytest.raises(AttributeError, match="VirtualCam"):
        _ = gadget.VirtualCam  # type: ignore[attr-defined]


def test_s9_a_frame_crosses_the_wire_with_all_that_is_known_of_it(camera: VirtualCamera) -> None:
    camera.features["ExposureTime"] = 2000
    frame = camera.grab()
    assert (frame.pixels.shape, frame.pixels.dtype) == ((32, 64), np.uint8)
    assert (frame.block_id, frame.status, frame.complete, frame.pixel_format) == (
        0,
        "complete",
        True,
        "Mono8",
    )
    assert frame.settings["ExposureTime"] == 2000
    assert frame.settings["Width"] == 64
    assert "64 x 32 Mono8" in repr(frame)


def test_twelve_bits_come_unpacked_and_unscaled(camera: VirtualCamera) -> None:
    camera.features.PixelFormat = "Mono12p"
    camera.features.ExposureTime = 100_000
    frame = camera.grab()
    assert frame.pixels.dtype == np.uint16
    assert frame.pixels.max() == 4095
    assert frame.pixels.shape == (32, 64)


def test_rgb_pixels_have_three_colours_and_bayer_pixels_one() -> None:
    with VirtualCamera("U3V-Color:PixelFormat=RGB8", Width=64, Height=32) as camera:
        assert camera.grab().pixels.shape == (32, 64, 3)
        camera.features.PixelFormat = "BayerRG12p"
        frame = camera.grab()
        assert (frame.pixels.shape, frame.pixels.dtype) == ((32, 64), np.uint16)
        assert (frame.picture().shape, frame.picture().dtype) == ((32, 64, 3), np.uint8)


def test_frames_of_one_acquisition_are_in_order_and_the_same_each_time() -> None:
    def run() -> list[tuple[int, int, bytes]]:
        with VirtualCamera(**SMALL) as camera:
            return [(f.block_id, f.timestamp_ns, f.pixels.tobytes()) for f in camera.grab(4)]

    first = run()
    assert [block for block, _, _ in first] == [0, 1, 2, 3]
    assert len({at for _, at, _ in first}) == 4
    assert first == run()


def test_pixels_are_the_callers_own(camera: VirtualCamera) -> None:
    first = camera.grab()
    before = first.pixels.copy()
    camera.grab(5)
    assert np.array_equal(first.pixels, before)
    first.pixels[:] = 0


def test_leaving_an_iteration_stops_the_acquisition(camera: VirtualCamera) -> None:
    ids = []
    for frame in camera:
        ids.append(frame.block_id)
        if len(ids) == 3:
            assert camera.state()["state"] == "acquiring"
            break
    assert ids == [0, 1, 2]
    assert camera.state()["state"] == "configured"
    camera.features.Width = 128
    assert camera.grab().pixels.shape == (32, 128)


def test_a_frames_settings_are_those_it_was_exposed_with(camera: VirtualCamera) -> None:
    with camera.acquire() as frames:
        first = frames.next()
        camera.features.ExposureTime = 500
        later = [frames.next() for _ in range(4)]
    assert first.settings["ExposureTime"] == 10000
    exposed = [frame.settings["ExposureTime"] for frame in later]
    assert exposed == sorted(exposed, reverse=True)
    assert exposed[-1] == 500
    bright = [frame.pixels.mean() for frame in later if frame.settings["ExposureTime"] == 500]
    assert all(mean < first.pixels.mean() / 2 for mean in bright)


def test_an_acquisition_of_two_frames_ends_after_two(camera: VirtualCamera) -> None:
    camera.features.AcquisitionMode = "SingleFrame"
    with camera.acquire(timeout_s=1) as frames:
        assert len(list(frames)) == 1
        with pytest.raises(CameraError, match="the acquisition is over"):
            frames.next()


def test_a_trigger_starts_a_frame_and_without_one_the_error_says_why(camera: VirtualCamera) -> None:
    camera.features.set("TriggerMode", "On", TriggerSelector="FrameStart")
    assert camera.features.get("TriggerMode", TriggerSelector="FrameStart") == "On"
    with pytest.raises(CameraTimeout, match="TriggerMode of FrameStart is On, and no trigger came"):
        camera.grab()
    with camera.acquire() as frames:
        camera.features.execute("TriggerSoftware")
        assert frames.next().block_id == 0


MISTAKES = {
    "camera.features['Widht']": "acA4096-40um has no feature 'Widht', did you mean 'Width'?",
    "camera.features.Widht": "did you mean 'Width'?",
    "camera.features.set('Width', 65)": "Width = 65: must be 8 to 4112 px in steps of 4",
    "camera.features.set('Width', [])": "not a number, a text or true or false",
    "camera.features.set('PixelFormat', 'Mono12P')": "did you mean 'Mono12p'?",
    "camera.features.set('PayloadSize', 1)": "PayloadSize cannot be set: it is read-only",
    "camera.features.set('AcquisitionStart', 1)": "AcquisitionStart is a command: execute it",
    "camera.features.get('AcquisitionStart')": "AcquisitionStart is a command",
    "camera.features.execute('Width')": "Width is no command",
    "camera.features.limits('PixelFormat')": "PixelFormat is no number",
    "camera.features.entries('Width')": "Width is no enumeration",
    "camera.features.get('TriggerMode', TriggerSelecto='FrameStart')": "did you mean 'TriggerSelector'?",
    "camera.features.get('TriggerMode', TriggerSelector='FrameStrat')": "did you mean 'FrameStart'?",
    "camera.scene('unifrom')": "did you mean 'uniform'?",
    "camera.scene(5)": "a scene is a text, an array or a function, not int",
    "camera.supply(volts=-1)": "volts = -1: must be a number from 0 to 60",
    "camera.ambient('hot')": "ambient_c = 'hot': must be a number",
    "camera.wait_for('ExposureEnt')": "did you mean 'ExposureEnd'?",
    "camera.wait_for('frame x')": "which frame? such as 'frame 10'",
    "camera.advance('soon')": "'soon' is no duration",
    "camera.run([])": "no command to run",
    "camera.run(['nosuch'])": "nosuch: command not found",
    "camera._ask('unplgu')": "no verb 'unplgu', did you mean 'unplug'?",
    "camera._ask('unplug', now=1)": "unplug takes nothing, not now",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake: str, camera: VirtualCamera) -> None:
    with pytest.raises(CameraError) as error:
        eval(mistake, {"camera": camera})
    assert MISTAKES[mistake] in str(error.value)
    assert "\n" not in str(error.value)


def test_wrong_keywords_are_told() -> None:
    with pytest.raises(TypeError, match="no such keyword 'scen', did you mean 'scene'"):
        VirtualCamera(scen="bar")
    with pytest.raises(CameraError, match=r"Width = 65: must be 8 to 4112 px in steps of 4"):
        VirtualCamera(Width=65)
    with pytest.raises(ValueError, match="speed 'hgih': must be super or high, did you mean 'high'"):
        VirtualCamera(speed="hgih")


def test_s8_a_feature_is_written_with_a_hosts_rules(camera: VirtualCamera) -> None:
    camera.features.DeviceUserID = "left"
    assert camera.state()["name"] == "left"
    assert camera.features.set("AcquisitionFrameRateEnable", True) is True
    with camera.acquire(), pytest.raises(CameraError, match="Width is locked now") as error:
        camera.features.Width = 128
    assert error.value.status == "ACCESS_DENIED"


def test_features_explain_themselves(camera: VirtualCamera) -> None:
    features = camera.features
    assert features.limits("Width") == (8, 4112, 4, "px")
    assert features.limits("ExposureTime").unit == "us"
    assert "Mono12p" in features.entries("PixelFormat")
    assert features.describe("Width")["tooltip"]
    assert features.describe("TriggerMode")["selectors"] == ["TriggerSelector"]
    assert "Width" in features
    assert "Widht" not in features
    assert not hasattr(features, "Widht")
    assert {"Width", "ExposureTime", "limits"} <= set(dir(features))
    assert len(list(features)) == len(features) > 50


def test_a_scene_is_a_text_a_picture_or_a_function(camera: VirtualCamera) -> None:
    assert camera.scene() == "uniform:photons=500000"
    camera.features.ExposureTime = 100
    dark = camera.grab().pixels.mean()
    assert camera.scene("uniform:photons=60000000") == "uniform:photons=60000000"
    assert camera.grab().pixels.mean() > 2 * dark + 10
    camera.scene(np.zeros((20, 20), np.uint8))
    assert camera.grab().pixels.mean() < 10
    camera.scene(lambda time_s, width, height: np.full((height, width), 6e7, np.float32))
    assert camera.grab().pixels.mean() > 2 * dark + 10


def test_a_picture_may_be_given_from_the_start_and_is_kept_when_served() -> None:
    picture = np.zeros((100, 100), np.uint8)
    with VirtualCamera(scene=picture, ExposureTime=10000, **SMALL) as camera:
        assert camera.grab().pixels.max() < 10
        with camera.serve():
            assert camera.scene() == "a picture of 100x100"
        assert camera.grab().pixels.max() < 10


def test_a_bad_cable_browns_the_camera_out_and_the_host_hears_why(camera: VirtualCamera) -> None:
    assert camera.supply()["fault"] == ""
    with camera.acquire() as frames:
        frames.next()
        assert "brown-out" in camera.supply(cable_ohm=3)["fault"]
        with pytest.raises(CameraError, match="brown-out"):
            for _ in frames:
                pass
    assert camera.wait_for("unplugged")["what"] == "unplugged"
    camera.supply(volts=3)
    camera.advance("1s")
    with pytest.raises(CameraError, match="is not on the bus"):
        camera.grab()
    camera.supply(volts=5, cable_ohm=0)
    camera.replug()
    assert camera.grab().complete
    assert camera.counters()["bus_drops"] == 1


def test_unplug_replug_and_reset(camera: VirtualCamera) -> None:
    camera.grab()
    camera.unplug()
    camera.unplug()
    assert camera.state()["state"] == "unplugged"
    with pytest.raises(CameraError, match="not on the bus"):
        camera.grab()
    camera.replug()
    assert camera.features.Width == 4096, "it has lost its power, and so its settings"
    camera.features.Width = 64
    camera.features.Height = 32
    camera.reset()
    assert camera.features.Width == 4096
    camera.features.Width, camera.features.Height = 64, 32
    assert camera.grab().complete


def test_heat_takes_its_time_and_that_costs_none_of_ours(camera: VirtualCamera) -> None:
    camera.ambient(80)
    happened = camera.wait_for("CriticalTemperature", timeout_s=36_000)
    assert happened["at_ns"] > 60e9
    assert camera.ambient()["camera_c"] == pytest.approx(74.5, abs=0.1)


def test_waiting_for_frames_and_states(camera: VirtualCamera) -> None:
    with pytest.raises(CameraTimeout, match="no acquiring within 2 s of its time"):
        camera.wait_for("acquiring", timeout_s=2)
    assert camera.state()["now_ns"] == 2_000_000_000
    camera.grab(3)
    assert camera.wait_for("frame 3") == {"what": "frame 3"}


def test_the_account_adds_up_and_what_nobody_missed_is_not_lost(camera: VirtualCamera) -> None:
    camera.grab(3)
    counters = camera.counters()
    assert counters["offered"] == counters["delivered"] + counters["discarded"] + counters["held"]
    assert counters["delivered"] >= 3
    assert counters["lost"] == 0
    camera.features.Width, camera.features.Height = 1024, 512
    with camera.acquire() as frames:
        frames.next()
        camera.advance("2s")
    assert camera.counters()["lost"] > 20


def test_history_tells_what_was_seen(camera: VirtualCamera) -> None:
    camera.grab()
    history = camera.history()
    assert any(line.endswith(" s FrameStart (block 0)") for line in history["happenings"])
    writes = [line.split(" s ", 1)[1] for line in history["writes"]]
    assert writes.index("SI_Control = 1") < writes.index("AcquisitionStart") < writes.index("AcquisitionStop")


def test_a_camera_is_served_over_usbip_and_stays_the_same_camera(camera: VirtualCamera) -> None:
    camera.features.ExposureTime = 1234
    camera.grab()
    assert camera.address == ""
    with camera.serve() as address:
        assert camera.address == address
        with pytest.raises(CameraError, match="served to other programs now"):
            camera.grab()
        with pytest.raises(CameraError, match="one way at a time"), camera.serve():
            pass
        bus = open_target(address)
        result = grab(bus, GrabOptions(3, settings={"Gain": "6"}))
        bus.close()
        assert (result.delivered, result.width) == (3, 64)
        assert camera.wait_for("frame 4")["what"] == "frame 4", "with the one before"
        assert (camera.features.ExposureTime, camera.features.Gain) == (1234, 6)
        with pytest.raises(CameraError, match="Widht"):
            _ = camera.features.Widht
        camera.unplug()
        with pytest.raises(CameraTimeout, match=r"no plugged within 0\.05 s"):
            camera.wait_for("plugged", timeout_s=0.05)
    frame = camera.grab()
    assert frame.settings["Width"] == 4096, "unplugged"


def test_calls_from_many_threads_reach_a_served_camera(camera: VirtualCamera) -> None:
    wrong: list[object] = []

    def work(gain: float) -> None:
        for _ in range(20):
            if camera.features.set("Gain", gain) not in (1.0, 2.0, 3.0):
                wrong.append(gain)

    with camera.serve():
        threads = [threading.Thread(target=work, args=(gain,)) for gain in (1.0, 2.0, 3.0)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_a_program_sees_the_camera_without_a_kernel() -> None:
    client = "import os; print(sorted(k for k in os.environ if k in ('LD_PRELOAD', 'U3V_LOCAL_DIR', 'MINE')))"
    with VirtualCamera(clock="simulated", **SMALL) as camera:
        done = camera.run([sys.executable, "-c", client], timeout_s=60, env={"MINE": "1"})
        assert done.stdout == "['LD_PRELOAD', 'MINE', 'U3V_LOCAL_DIR']\n", done.stderr
        assert camera.child_env == {}
        with camera.environment() as environment:
            assert camera.child_env is environment
            assert camera.state()["state"] == "configured", "the local transport does what a kernel does"


def test_a_bench_has_several_cameras_on_one_bus_and_one_clock() -> None:
    with Bench("acA4096-40um", "acA4096-40um:Width=128,Height=32", bus="5gbps", Width=64, Height=32) as bench:
        left, right = bench
        assert len(bench) == 2
        assert bench[1] is right
        assert left.grab().pixels.shape == (32, 64)
        assert right.grab().pixels.shape == (32, 64), "keywords count for all"
        assert left.state()["serial"] != right.state()["serial"]
        assert left.state()["now_ns"] == right.state()["now_ns"] > 0
        with bench.serve() as addresses:
            assert len(set(addresses)) == 2
            assert right.address == addresses[1]
        with right.serve() as address:
            assert address.endswith("/1-2")


def test_the_whole_of_a_spec_can_be_said(tmp_path: object) -> None:
    with VirtualCamera("acA4096-40um:Gain=3", speed="high", serial="77", name="left", ambient_c=40) as camera:
        assert camera.state()["serial"] == "77"
        assert camera.features.Gain == 3
        assert camera.ambient()["ambient_c"] == 40
        assert "77" in repr(camera)
    with Bench(CameraSpec("IDS-IMX412", speed=Speed.HIGH)) as bench:
        assert bench[0].state()["maker"] == "IDS"
    with pytest.raises(CameraError, match="a bench needs a camera"):
        Bench()


def test_a_frame_that_lost_its_trailer_says_what_is_missing() -> None:
    with VirtualCamera(faults=["lost-trailer:frame=2"], **SMALL) as camera:
        frames = camera.grab(4)
    assert [frame.complete for frame in frames].count(False) == 1
    broken = next(frame for frame in frames if not frame.complete)
    assert "trailer" in broken.status
    assert broken.pixels.shape == (32, 64)


def test_a_closed_camera_says_so(camera: VirtualCamera) -> None:
    camera.close()
    camera.close()
    with pytest.raises(CameraError, match="is closed"):
        camera.grab()
    with pytest.raises(CameraError, match="is closed"), camera.serve():
        pass
