"""Cameras before anybody opens them, when a host configures them, and when their pixels fail."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from frames.source import FrameSource
from gadget.faults.catalogue import parse_fault
from gadget.faults.stream import LostTrailer
from gadget.faults.wrappers import FunctionWrapper
from gadget.runner import BuiltCamera, CameraSpec, LoopBench, build
from gadget.tools.grab import GrabOptions, grab
from gadget.tools.simulated_host import simulated_host
from gadget.usb.endpoint0 import SET_CONFIGURATION
from gadget.usb.in_pipe import Urb
from u3v.usb3v.function import UsbFunction

MODEL = "acA4096-40um"
IDLE = """
from gadget.runner import LoopBench, CameraSpec
import gc

def resident_mb():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6

with LoopBench([CameraSpec("{model}")] * 2):
    before = resident_mb()
with LoopBench([CameraSpec("{model}")] * 100):
    print((resident_mb() - before) / 98)
"""


def configure(built: BuiltCamera, value: int) -> None:
    built.device.submit(Urb(0, 0, setup=bytes((0, 9, value, 0, 0, 0, 0, 0))), 1)


def until(bench: LoopBench, condition: Callable[[], bool], rounds: int = 2000) -> None:
    for _ in range(rounds):
        if condition():
            return
        bench.loop.step(0.01)
    pytest.fail("it does not happen")


@pytest.mark.parametrize("model", [MODEL, "VCXG-124M", "U3V-Color"])
def test_p1_an_idle_camera_costs_less_than_3_mb(model: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IDLE.format(model=model)], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 3


def test_p1_maps_are_made_when_a_host_configures_it_and_freed_when_it_is_gone() -> None:
    with LoopBench([CameraSpec(MODEL), CameraSpec(MODEL)]) as bench:
        first, second = bench.cameras
        assert first.pixels.source.fixed_pattern is None
        configure(first, 1)
        until(bench, lambda: first.pixels.source.fixed_pattern is not None)
        assert second.pixels.source.fixed_pattern is None
        configure(first, 0)
        until(bench, lambda: first.pixels.source.fixed_pattern is None)


def test_p1_no_frame_is_lost_while_the_pixels_are_made_ready() -> None:
    """A host that starts an acquisition at once waits for its first frame a little, and gets all of them."""
    with LoopBench([CameraSpec(MODEL)]) as bench:
        built = bench.cameras[0]
        configure(built, 1)
        camera = built.camera
        camera.frames.open()
        camera.features.host_set("AcquisitionStart", 1)
        assert camera.acquisition.active and camera.acquisition.exposed == 0
        until(bench, lambda: camera.acquisition.exposed > 0)
        assert built.pixels.source.fixed_pattern is not None
        assert camera.frames.discarded == 0


def test_s7_a_camera_behind_a_fault_counts_what_was_lost() -> None:
    """A trailer that never arrives: its frame is not delivered, and the next ones are."""
    spec = CameraSpec(
        MODEL,
        settings={"Width": "64", "Height": "48"},
        faults=(parse_fault("lost-trailer:frame=1"),),
    )
    with simulated_host(spec) as host:
        result = grab(host, GrabOptions(frames=5), clock_s=lambda: host.now_ns / 1e9)
        function = host.device.function
        assert isinstance(function, FunctionWrapper) and isinstance(function.inner, LostTrailer)
        assert isinstance(function.inner.inner, UsbFunction)
        frames = function.inner.inner.camera.frames
    assert result.delivered < 5 and not result.ok
    assert frames.offered == frames.delivered + frames.discarded + frames.in_flight
    assert frames.discarded >= 1


def test_u2_a_scene_that_raises_is_one_line_and_frames_are_lost(
    tmp_path: object, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path))
    (folder / "brokenscene.py").write_text("def light(time_s, width, height):\n    return 1 / 0\n")
    monkeypatch.chdir(folder)
    small = {"Width": "64", "Height": "48"}
    with LoopBench([CameraSpec(MODEL, scene="python:call=brokenscene:light", settings=small)]) as bench:
        camera = bench.cameras[0].camera
        configure(bench.cameras[0], 1)
        camera.frames.open()
        camera.features.host_set("AcquisitionMode", "MultiFrame")
        camera.features.host_set("AcquisitionFrameCount", 3)
        camera.features.host_set("AcquisitionStart", 1)
        until(bench, lambda: bench.failures >= 3)
    lines = [line for line in capsys.readouterr().err.splitlines() if "could not be rendered" in line]
    assert len(lines) == 1 and "brokenscene.py:2" in lines[0] and "ZeroDivisionError" in lines[0]


def test_a_camera_is_served_when_a_frame_buffer_comes_back() -> None:
    """A host that holds all of them in requests that are done need not ask for anything new (pylon with 24 buffers)."""
    with LoopBench([CameraSpec(MODEL, clock="simulated", paced=False)]) as bench:
        core, woken = bench.cores[0], []
        core.wake = woken.append
        pool = core.pixels._pool
        views = [pool.acquire(10) for _ in range(pool.count)]
        assert pool.acquire(10) is None
        views.pop()
        assert woken == []  # that comes from any thread
        bench.loop.step(0.0)
        assert len(woken) == 1
        views.clear()
        bench.loop.step(0.0)
        assert len(woken) == 1


def test_a_port_that_refuses_a_camera_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with LoopBench([CameraSpec("acA4096-40um", offered_ma=100)]) as bench:
        for _ in range(2):
            setup = bytes((0, SET_CONFIGURATION, 1, 0, 0, 0, 0, 0))
            bench.cameras[0].device.submit(Urb(0, 0, setup=setup), 0)
    assert capsys.readouterr().err.splitlines()[-1:] == [
        "u3v: acA4096-40um 40000001 stays unconfigured: the port offers 100 mA, the camera needs 720 mA"
    ]


@pytest.mark.parametrize("broken", ["FramePool", "UsbFunction"])
def test_a_half_built_camera_leaves_no_source_open(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """A thread of it would be one that the tests' fixture finds."""
    closed: list[FrameSource] = []
    close = FrameSource.close
    monkeypatch.setattr(FrameSource, "close", lambda source: (closed.append(source), close(source)))

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(f"gadget.runner.{broken}", fail)
    with pytest.raises(MemoryError):
        build(CameraSpec(MODEL, threads=2), "1")
    with pytest.raises(MemoryError):
        LoopBench([CameraSpec(MODEL, threads=2)])
    assert len(closed) >= 2 and len(set(map(id, closed))) >= 2
