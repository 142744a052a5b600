from pathlib import Path

import pytest
from PIL import Image

from frames.contact import CAPTION, GAP, HEADING, HEIGHT, WIDTH, caption, look, write_contact_sheet
from frames.scene import SCENES, scene_parameters
from frames.sensor import load_sensor


def test_a_sheet_of_all_scenes(tmp_path: Path) -> None:
    path = tmp_path / "scenes.png"
    write_contact_sheet(path)
    with Image.open(path) as sheet:
        width, height = sheet.size
        assert sheet.mode == "RGB"
    columns, rows = (width - GAP) // (WIDTH + GAP), (height - GAP - 2 * HEADING) // (CAPTION + HEIGHT + GAP)
    files = [name for name in SCENES if any(p.default is None for p in scene_parameters(name))]
    assert columns * rows >= 2 * (len(SCENES) - len(files))


def test_u10_no_caption_runs_into_the_next() -> None:
    """U10: whatever the scene is called, its caption is no wider than its picture, and nothing is left out."""
    long = "uniform:photons=9e5,flicker=0.5,flicker_hz=200,vignetting=0.7"
    lines = caption(long, lambda text: 12.0 * len(text)).split("\n")
    assert [12 * len(line) <= WIDTH for line in lines] == [True, True]
    assert "".join(lines) == long
    assert caption("bar", len) == "bar"


def test_colours_look_like_colours_and_grey_like_grey() -> None:
    sensor = load_sensor("imx412")
    chart = look("colours", sensor).astype(int)
    red, green = chart[40, 40], chart[40, 120]
    assert red[0] > red[1] + 30
    assert red[0] > red[2] + 30
    assert green[1] > green[0] + 30
    white = look("uniform", sensor).reshape(-1, 3).mean(axis=0)
    assert white == pytest.approx(white.mean(), abs=3)


def test_a_monochrome_camera_sees_no_colour() -> None:
    chart = look("colours", load_sensor("imx255"))
    assert (chart == chart[:, :, :1]).all()
