from pathlib import Path

import pytest
from PIL import Image

from frames.contact import look, write_contact_sheet
from frames.scene import SCENES, scene_parameters
from frames.sensor import load_sensor


def test_a_sheet_of_all_scenes(tmp_path: Path) -> None:
    path = tmp_path / "scenes.png"
    write_contact_sheet(path)
    with Image.open(path) as sheet:
        width, height = sheet.size
    cells = width // 490 * (height // 390)
    files = [name for name in SCENES if any(p.default is None for p in scene_parameters(name))]
    assert cells >= 2 * (len(SCENES) - len(files))


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
