"""The generic colour camera in programs that make pictures of it: Aravis, GStreamer and OpenCV see the right colours.

U9: aravissrc, OpenCV and every viewer have a camera that they understand. The picture is a chart whose first row
is red, green, blue, yellow, magenta and cyan.
"""

import json
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.system.programs import CLIENTS, SYSTEM_PYTHON, lacking, need, need_aravis, with_camera

CAMERA = "U3V-Color"
WIDTH, HEIGHT = 1440, 1080
CHART = ["R", "G", "B", "RG", "RB", "GB"]
LIT_FROM = 0.6
"""Part of a patch's brightest colour from which another is lit, too."""


@pytest.fixture(autouse=True)
def _needs_aravis() -> None:
    need_aravis()


def patch(rgb: np.ndarray, row: int, column: int) -> np.ndarray:
    y, x = row * HEIGHT // 4 + HEIGHT // 8, column * WIDTH // 6 + WIDTH // 12
    mean: np.ndarray = rgb[y - 40 : y + 40, x - 40 : x + 40].reshape(-1, 3).mean(axis=0)
    return mean


def check_chart(rgb: np.ndarray, *, balanced: bool) -> None:
    """`balanced`: white is white already; of raw pixels this makes it so, as their programs do."""
    assert rgb.shape == (HEIGHT, WIDTH, 3)
    white = patch(rgb, 3, 0)
    if balanced:
        assert white == pytest.approx([white.mean()] * 3, rel=0.02)
    for column, bright in enumerate(CHART):
        mean = patch(rgb, 0, column) / white
        lit = {name for name, value in zip("RGB", mean, strict=True) if value > LIT_FROM * mean.max()}
        assert lit == set(bright), (column, mean)


def aravis_frame(path: Path, *settings: str, scene: str = "colours") -> tuple[dict[str, object], bytes]:
    """What Aravis says of a frame, and its bytes."""
    client = [SYSTEM_PYTHON, CLIENTS / "aravis_raw.py", path, *settings]
    done = with_camera(client, "--scene", scene, models=CAMERA)
    return json.loads(done.stdout), path.read_bytes()


@pytest.mark.parametrize(
    ("pixel_format", "code"), [("BayerRG8", 0x01080009), ("BayerRG12p", 0x010C0059), ("RGB8", 0x02180014)]
)
def test_aravis_gets_the_pixels(pixel_format: str, code: int, tmp_path: Path) -> None:
    """Colour bars: white, yellow, cyan, green, magenta, red, blue, black, each an eighth of the width."""
    settings = ("Width=64", "Height=2", f"PixelFormat={pixel_format}", "TestPattern=ColorBar")
    said, data = aravis_frame(tmp_path / "raw", *settings)
    assert (said["status"], said["width"], said["height"], said["pixel_format"]) == ("success", 64, 2, code)
    bars = [[int(digit) for digit in bar] for bar in ["111", "110", "011", "010", "101", "100", "001", "000"]]
    columns = [bar for bar in bars for _ in range(8)]
    if pixel_format == "RGB8":
        assert list(data) == 2 * [255 * part for bar in columns for part in bar]
        return
    rows = [[bar[(x + y) % 2 if y == 0 else 1 + x % 2] for x, bar in enumerate(columns)] for y in (0, 1)]
    depth = 8 if pixel_format == "BayerRG8" else 12
    stream = int.from_bytes(data, "little")
    pixels = [stream >> depth * k & (1 << depth) - 1 for k in range(len(data) * 8 // depth)]
    assert pixels == [(part << depth) - part for row in rows for part in row]


@pytest.mark.parametrize("element", ["bayer2rgb", "none"])
def test_u9_gstreamer_shows_the_colours(element: str, tmp_path: Path) -> None:
    """U9: aravissrc offers Bayer data, which bayer2rgb interpolates, and whole colours."""
    need("gst-launch-1.0", "gst-inspect-1.0")
    file = tmp_path / "frames"
    source = "aravissrc num-buffers=5"
    if element == "none":
        pipeline = f"{source} ! video/x-raw,format=RGB ! filesink location={file}"
    else:
        if subprocess.run(["gst-inspect-1.0", "--exists", element]).returncode:
            lacking(f"GStreamer's {element} (gstreamer1.0-plugins-bad)")
        made = "bayer2rgb ! videoconvert ! video/x-raw,format=RGB"
        pipeline = f"{source} ! video/x-bayer,format=rggb ! {made} ! filesink location={file}"
    done = with_camera(
        ["gst-launch-1.0", "-q", *pipeline.split()], "--scene", "colours:photons=2e6", models=CAMERA
    )
    assert done.stdout == ""
    frames = np.fromfile(file, np.uint8).reshape(-1, HEIGHT, WIDTH, 3)
    assert len(frames) == 5
    for frame in frames:
        check_chart(frame, balanced=element == "none")


def test_u9_opencv_shows_the_colours(tmp_path: Path) -> None:
    """U9: Bayer frames through OpenCV's demosaicing. OpenCV names the RG pattern BG: by the second row's pixels."""
    scene = "colours:photons=2e6"
    _, data = aravis_frame(tmp_path / "bayer", "PixelFormat=BayerRG8", scene=scene)
    raw = np.frombuffer(data, np.uint8).reshape(HEIGHT, WIDTH)
    check_chart(cv2.cvtColor(raw, cv2.COLOR_BayerBG2RGB), balanced=False)
    check_chart(cv2.cvtColor(raw, cv2.COLOR_BayerRGGB2RGB), balanced=False)
    _, data = aravis_frame(tmp_path / "rgb", "PixelFormat=RGB8", scene=scene)
    rgb = np.frombuffer(data, np.uint8).reshape(HEIGHT, WIDTH, 3)
    check_chart(rgb, balanced=True)
    picture = tmp_path / "picture.png"
    cv2.imwrite(str(picture), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    assert np.array_equal(cv2.cvtColor(cv2.imread(str(picture)), cv2.COLOR_BGR2RGB), rgb)
