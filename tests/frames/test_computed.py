"""U2: an error in a person's scene is one line that names file and line."""

import sys
from pathlib import Path

import numpy as np
import pytest

from frames.computed import Function
from frames.media import Generated
from frames.scene import Scene, SceneError, parse_scene

MODULE = """\
import numpy as np


def light(time_s, width, height):
    ramp = np.ones((height, width))
    return ramp / fraction(time_s)


def fraction(time_s):
    return 1 // int(time_s)


def ragged(time_s, width, height):
    return [[1], [1, 2]]


def array(time_s, width, height):
    return np.stack([np.ones((height, width)), np.ones(1)])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("u2_scene", "u2_broken", "u2_typo"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "u2_scene.py").write_text(MODULE)
    return tmp_path


def shown(scene: Scene, time_s: float) -> str:
    with pytest.raises(SceneError) as caught:
        scene.radiance(time_s, 4, 4)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "time_s", "message"),
    [
        ("light", 0.0, "scene python: u2_scene.py:10: ZeroDivisionError: integer division or modulo by zero"),
        (
            "light",
            float("nan"),
            "scene python: u2_scene.py:10: ValueError: cannot convert float NaN to integer",
        ),
        (
            "array",
            0.0,
            "scene python: u2_scene.py:18: ValueError: all input arrays must have the same shape",
        ),
    ],
)
def test_u2_a_scene_that_raises_names_its_line(folder: Path, name: str, time_s: float, message: str) -> None:
    assert shown(parse_scene(f"python:call=u2_scene:{name}"), time_s) == message


def test_u2_a_result_that_is_no_picture_names_the_function(folder: Path) -> None:
    assert shown(parse_scene("python:call=u2_scene:ragged"), 0.0).startswith(
        "scene python: u2_scene.py:13: ValueError: setting an array element with a sequence"
    )


def test_u2_a_scene_that_recovers_goes_on(folder: Path) -> None:
    scene = parse_scene("python:call=u2_scene:light")
    shown(scene, 0.0)
    assert scene.radiance(1.0, 4, 4).photons_per_s().max() == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = x / 0\n", "scene python: u2_broken.py:2: ZeroDivisionError: division by zero"),
        ("def light(:\n", "scene python: u2_broken.py:1: SyntaxError: invalid syntax"),
        ("import nosuchmodule\n", "scene python: call=u2_broken:light: No module named 'nosuchmodule'"),
    ],
)
def test_u2_a_module_that_cannot_be_imported(folder: Path, text: str, message: str) -> None:
    (folder / "u2_broken.py").write_text(text)
    with pytest.raises(SceneError) as caught:
        parse_scene("python:call=u2_broken:light")
    assert str(caught.value) == message


def test_u2_functions_and_generators_given_from_python() -> None:
    def light(time_s: float, width: int, height: int) -> np.ndarray:
        raise RuntimeError("first line\nsecond line")

    def pictures():  # type: ignore[no-untyped-def]
        yield np.ones((2, 2))
        raise KeyError("gone")

    assert shown(Function(light), 0.0).endswith("RuntimeError: first line")
    assert shown(Function(light), 0.0).startswith("scene function: test_computed.py:")
    scene = Generated(pictures(), fps=1)
    scene.radiance(0.0, 4, 4)
    assert shown(scene, 1.5).startswith("scene generated: test_computed.py:")


def test_u6_photons_and_lux_exclude_each_other() -> None:
    message = "^scene uniform: photons and lux both say how bright white is; give one of them$"
    with pytest.raises(SceneError, match=message):
        parse_scene("uniform:photons=1000,lux=5")
    parse_scene("uniform:lux=5,fnumber=2")
