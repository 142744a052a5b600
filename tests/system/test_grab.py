"""`u3v grab` as a person runs it, and how fast its reader is."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from gadget.tools.grab import GrabOptions, grab
from gadget.tools.targets import open_target
from tests.u3v.host.fake import pattern

pytestmark = pytest.mark.patient
REPOSITORY = Path(__file__).parents[2]
U3V = [sys.executable, "-m", "gadget"]
PATIENCE_S = 600
ROI = ["--set", "Width=640", "--set", "Height=480"]


def u3v(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*U3V, *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE_S
    )


def balanced(result: dict[str, Any]) -> bool:
    known = result["delivered"] + result["incomplete"] + result["discarded"]
    return bool(known == result["last_block_id"] + 1 - result["first_block_id"])


def test_images_of_a_virtual_camera(tmp_path: Path) -> None:
    settings = [*ROI, "--set", "PixelFormat=Mono12p"]
    done = u3v("grab", "acA4096-40um", "-n", "4", "-o", str(tmp_path), "--raw", "--json", *settings)
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert result["ok"] and result["delivered"] == 4 and balanced(result)
    assert (result["width"], result["height"], result["pixel_format"]) == (640, 480, "Mono12p")
    assert len(result["files"]) == 4
    stack = []
    for name in result["files"]:
        with Image.open(name) as png:
            stack.append(np.asarray(png))
    assert {frame.shape for frame in stack} == {(480, 640)}
    assert 0 < max(frame.max() for frame in stack) < 4096
    # Noise: no two frames are alike, and all show the same scene.
    assert not np.array_equal(stack[0], stack[1])
    assert np.corrcoef(stack[0].ravel(), stack[1].ravel())[0, 1] > 0.5


def test_formats_agree(tmp_path: Path) -> None:
    """A test image has no noise: the same numbers come out of every pixel format and file format."""
    seen = {}
    for pixel_format in ("Mono12", "Mono12p"):
        for kind in ("png", "tiff", "raw"):
            out = tmp_path / pixel_format / kind
            settings = ["--set", f"PixelFormat={pixel_format}", "--set", "TestImageSelector=Testimage1"]
            done = u3v("grab", "acA4096-40um", "-o", str(out), "--format", kind, "--raw", *ROI, *settings)
            assert done.returncode == 0, done.stderr
            (path,) = out.iterdir()
            if kind == "raw":
                assert path.stat().st_size == 640 * 480 * (2 if pixel_format == "Mono12" else 1.5)
            elif kind == "png":
                with Image.open(path) as png:
                    seen[pixel_format, kind] = np.asarray(png)
            else:
                seen[pixel_format, kind] = tifffile.imread(path)
    raw = np.fromfile(next((tmp_path / "Mono12" / "raw").iterdir()), "<u2").reshape(480, 640)
    assert raw.max() > raw.min()
    for pixels in seen.values():
        assert np.array_equal(pixels, raw)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "Exposure=5"], "no feature 'Exposure'"),
        (["--set", "ExposureTime=1"], "ExposureTime = 1: must be 24 to 10000000 us"),
        (["--set", "PixelFormat=Mono13"], "did you mean 'Mono1"),
        (["-n", "0"], "0"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(arguments: list[str], message: str) -> None:
    done = u3v("grab", "acA4096-40um", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "target", ["usb:1234:5678", "usbip://127.0.0.1:1/1-1", "usbip://127.0.0.1:x", "acA4096-40u"]
)
def test_targets_that_are_not_there(target: str) -> None:
    done = u3v("grab", target)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1


def test_by_libusb_under_u3v_run() -> None:
    command = ["grab", "usb:2676:ba02", "-n", "10", *ROI, "--json"]
    done = u3v("run", "acA4096-40um", "--", *U3V, *command)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["ok"] and result["delivered"] == 10 and balanced(result)


@pytest.fixture
def fast() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.system.fast_server", "4096", "2168"]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield f"usbip://127.0.0.1:{server.stdout.readline().strip()}/1-1"
        finally:
            server.communicate("")


@pytest.mark.alone
def test_a_gigabyte_per_second_from_another_process(fast: str) -> None:
    """The reader must not be what limits a camera: five times SuperSpeed, best of three on a shared machine."""
    best_mb_per_s = 0.0
    for _ in range(3):
        bus = open_target(fast)
        try:
            result = grab(bus, GrabOptions(frames=100))
        finally:
            bus.close()
        assert result.ok, result.error
        assert result.last_block_id == 99
        best_mb_per_s = max(best_mb_per_s, result.mb_per_s)
    assert best_mb_per_s > 1000


def test_the_bytes_are_right_at_full_speed(fast: str, tmp_path: Path) -> None:
    bus = open_target(fast)
    try:
        result = grab(bus, GrabOptions(frames=5, output=tmp_path, image_format="raw"))
    finally:
        bus.close()
    assert result.ok and len(result.files) == 5
    for name in result.files:
        assert Path(name).read_bytes() == pattern(0, 4096 * 2168)
