"""The state file of a camera: written whole or not at all, and refused in one line where it is none."""

import fcntl
import json
import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from gadget.runner import CameraSpec, build
from gadget.user_set_file import UserSetFile
from tests.u3v.rig import Host, Refused, make_camera
from u3v.camera import Options
from u3v.errors import Mistake
from u3v.model import model_names


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
    with pytest.raises(Mistake) as caught:
        store(path).load()
    assert str(caught.value) == f"{path}: is no state file of a virtual camera; delete it or name another"
    assert path.read_text() == text


def test_binary_is_no_state_file(tmp_path: Path) -> None:
    path = tmp_path / "frame.raw"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(Mistake, match="is no state file of a virtual camera"):
        store(path).load()


def test_brackets_without_end_are_no_state_file(tmp_path: Path) -> None:
    path = tmp_path / "left.json"
    path.write_text("[" * 100_000)
    with pytest.raises(Mistake, match="is no state file of a virtual camera"):
        store(path).load()


def test_the_file_of_another_model(tmp_path: Path) -> None:
    path = tmp_path / "left.json"
    store(path, "Other").save({})
    with pytest.raises(Mistake, match=f"^{re.escape(str(path))}: belongs to Other, not acA4096-40um$"):
        store(path).load()


def test_paths_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match=r"no such folder$"):
        store(tmp_path / "nowhere" / "left.json").load()
    with pytest.raises(Mistake, match=r"Is a directory$"):
        store(tmp_path).load()


def test_a_folder_that_cannot_be_written_to_is_told_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)  # root may write everywhere
    with pytest.raises(
        Mistake, match=r"left\.json: user sets could not be saved: its folder cannot be written"
    ):
        store(tmp_path / "left.json").load()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "left.json"
    file = store(path)
    file.save({"UserSet1": {"Gain": 1.0}})
    (tmp_path / "left.json.part").mkdir()  # in the way
    with pytest.raises(OSError):
        file.save({"UserSet1": {"Gain": 2.0}})
    assert json.loads(path.read_text())["user_sets"] == {"UserSet1": {"Gain": 1.0}}


def test_b9_two_processes_share_a_file_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "left.json"
    one, two = store(path), store(path)
    assert (one.load(), two.load()) == ({}, {})
    one.save({"UserSet1": {"Gain": 1.0}})
    two.save({"UserSet2": {"Gain": 2.0}})
    one.save({"UserSetDefault": {"name": "UserSet1"}})
    stored = {"UserSet1": {"Gain": 1.0}, "UserSet2": {"Gain": 2.0}, "UserSetDefault": {"name": "UserSet1"}}
    assert store(path).load() == stored
    two.save({"UserSet1": {"Gain": 3.0}})  # whoever saves a set last has it
    assert store(path).load() == stored | {"UserSet1": {"Gain": 3.0}}


def test_b9_a_save_waits_for_another_one(tmp_path: Path) -> None:
    path = tmp_path / "left.json"
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)  # as another process does meanwhile
    saved = threading.Event()

    def save() -> None:
        store(path).save({"UserSet1": {"Gain": 1.0}})
        saved.set()

    saver = threading.Thread(target=save)
    saver.start()
    store(path)._replace({"UserSet2": {"Gain": 2.0}})
    assert not saved.is_set()
    os.close(folder)
    saver.join()
    assert store(path).load() == {"UserSet2": {"Gain": 2.0}, "UserSet1": {"Gain": 1.0}}


def test_b9_a_save_is_on_the_disk_before_it_replaces_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def spy_fsync(file: int) -> None:
        done.append("fsync folder" if Path(f"/proc/self/fd/{file}").is_dir() else "fsync file")
        fsync(file)

    def spy_replace(old: Path, new: Path) -> None:
        done.append("replace")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    store(tmp_path / "left.json").save({})
    assert done == ["fsync file", "replace", "fsync folder"]


@pytest.mark.parametrize(
    ("set_name", "values", "says"),
    [
        ("UserSet1", {"Gain": 6.0, "Width": 641}, "UserSet1: Width = 641: must be 8 to 4112 px in steps of 4"),
        ("UserSet2", {"Gain": 99}, "UserSet2: Gain = 99: must be 0 to 48 dB"),
        ("UserSet1", {"Gain": "six"}, "UserSet1: Gain = 'six': must be a number"),
        ("UserSet1", {"Width": 640.0}, "UserSet1: Width = 640.0: must be a whole number"),
        ("UserSet1", {"ReverseX": 1}, "UserSet1: ReverseX = 1: must be true or false"),
        ("UserSet1", {"PixelFormat": 8}, "UserSet1: PixelFormat = 8: must be text"),
        ("UserSet1", {"PixelFormat": "Mono13"}, "UserSet1: PixelFormat = 'Mono13': the camera has no such value"),
        ("UserSet1", {"Width": 10**30}, f"UserSet1: Width = {10**30}: the camera has no such value"),
        ("UserSet1", {"TriggerMode[Nonsense]": "On"}, "TriggerMode[Nonsense] = 'On': the camera has no such value"),
        ("UserSet1", {"TriggerMode": "On"}, "UserSet1: TriggerMode = 'On': the camera has no such value"),
        ("UserSet1", {"Gian": 6.0}, "UserSet1: acA4096-40um has no feature 'Gian', did you mean 'Gain'?"),
        ("Network", {"Persistent_IP": 2**32}, "Network: Persistent_IP = 4294967296: must be a whole number of 32 bits"),
        ("Network", {"IP_Configuration": -1}, "Network: IP_Configuration = -1: must be a whole number of 32 bits"),
        ("Network", {"Persistent_PI": 1}, "Network: no setting 'Persistent_PI', did you mean 'Persistent_IP'?"),
        ("UserSetDefault", {"name": "UserSet9"}, "UserSetDefault = UserSet9: not one of Default, UserSet1"),
    ],
)  # fmt: skip
def test_b9_a_corrupt_value_is_reported_by_name(
    tmp_path: Path, set_name: str, values: dict[str, Any], says: str
) -> None:
    path = tmp_path / "left.json"
    path.write_text(json.dumps({"model": "acA4096-40um", "user_sets": {set_name: values}}))
    with pytest.raises(Mistake) as caught:
        build(CameraSpec("acA4096-40um", state=path), "1")
    assert str(caught.value).startswith(f"{path}: ") and says in str(caught.value)


@pytest.mark.parametrize("name", model_names())
def test_b9_what_a_camera_saves_it_takes_back(tmp_path: Path, name: str) -> None:
    path = tmp_path / "left.json"
    camera = build(CameraSpec(name), "1").camera
    saved = {set_name: camera.features.snapshot() for set_name in camera.family.user_sets[1:]}
    assert len(saved) > 0 or name == "IDS-IMX412"
    store(path, name).save(saved)
    again = build(CameraSpec(name, state=path), "1").camera
    assert again.user_sets == saved
    assert again.features.snapshot() == camera.features.snapshot()


def test_u13_a_failed_save_says_so_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "left.json"
    host = Host(make_camera(Options(save_user_sets=store(path).save)))
    (tmp_path / "left.json.part").mkdir()  # in the way
    host.set("UserSetSelector", "UserSet1")
    with pytest.raises(Refused):
        host.run("UserSetSave")
    assert capsys.readouterr().err == f"u3v: {path}: user set not saved: Is a directory\n"


def test_u13_a_save_does_not_replace_what_is_no_state_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "left.json"
    file = store(path)
    path.write_text("somebody's notes")
    with pytest.raises(OSError, match="is no state file"):
        file.save({})
    assert "user set not saved: " in capsys.readouterr().err
    assert path.read_text() == "somebody's notes"


def test_u6_a_name_that_is_given_now_wins_over_the_stored_one(tmp_path: Path) -> None:
    path = tmp_path / "left.json"
    store(path).save({"DeviceUserID": {"name": "left"}})
    for name, shown in (("right", "right"), ("", "left")):
        camera = build(CameraSpec("acA4096-40um", state=path, name=name), "1").camera
        assert camera.features.get("DeviceUserID") == shown


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
