"""The state file of a camera: written whole or not at all, and refused in one line where it is none."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gadget.user_set_file import UserSetFile
from tests.u3v.rig import Host, make_camera
from u3v.camera import Options


def store(path: Path, model: str = "acA4096-40um") -> UserSetFile:
    return UserSetFile(path, model)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    file = store(tmp_path / "left.json")
    assert file.load() == {}
    sets: dict[str, dict[str, Any]] = {
        "UserSet1": {"Gain": 6.5, "Width": 8, "ReverseX": True, "PixelFormat": "Mono8"}
    }
    file.save(sets)
    assert store(tmp_path / "left.json").load() == sets
    file.save({})
    assert file.load() == {}
    assert [p.name for p in tmp_path.iterdir()] == ["left.json"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", '"x"', "null", "{}", '{"model": "acA4096-40um"}', '{"user_sets": {}}',
     '{"model": "acA4096-40um", "user_sets": 3}', '{"model": "acA4096-40um", "user_sets": {"a": 3}}',
     '{"model": "acA4096-40um", "user_sets": null}', '{"model": "acA4096-40um", "user_sets": [["a", 1]]}'],
)  # fmt: skip
def test_what_is_no_state_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(text)
    with pytest.raises(ValueError) as caught:
        store(path).load()
    assert str(caught.value) == f"{path}: is no state file of a virtual camera; delete it or name another"
    assert path.read_text() == text


def test_binary_is_no_state_file(tmp_path: Path) -> None:
    path = tmp_path / "frame.raw"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(ValueError, match="is no state file of a virtual camera"):
        store(path).load()


def test_brackets_without_end_are_no_state_file(tmp_path: Path) -> None:
    path = tmp_path / "left.json"
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match="is no state file of a virtual camera"):
        store(path).load()


def test_the_file_of_another_model(tmp_path: Path) -> None:
    path = tmp_path / "left.json"
    store(path, "Other").save({})
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: belongs to Other, not acA4096-40um$"):
        store(path).load()


def test_paths_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no such folder$"):
        store(tmp_path / "nowhere" / "left.json").load()
    with pytest.raises(ValueError, match=r"Is a directory$"):
        store(tmp_path).load()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "left.json"
    file = store(path)
    file.save({"UserSet1": {"Gain": 1.0}})
    (tmp_path / "left.json.new").mkdir()  # in the way
    with pytest.raises(OSError):
        file.save({"UserSet1": {"Gain": 2.0}})
    assert json.loads(path.read_text())["user_sets"] == {"UserSet1": {"Gain": 1.0}}


def test_a_camera_that_is_switched_off_and_on(tmp_path: Path) -> None:
    path = tmp_path / "left.json"

    def power_on() -> Host:
        file = store(path)
        camera = make_camera(Options(user_sets=file.load(), save_user_sets=file.save))
        camera.reset()
        return Host(camera)

    host = power_on()
    host.set("UserSetSelector", "UserSet1")
    host.set("Gain", 12.0)
    host.run("UserSetSave")
    host.set("UserSetDefault", "UserSet1")
    assert power_on().get("Gain") == 12.0
