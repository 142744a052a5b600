"""User sets: what is saved, loaded, kept over power cycles, and refused."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from tests.u3v.rig import MODEL, Host, Refused, make_camera
from u3v.camera import Options
from u3v.features import Command, Value
from u3v.host import bus as usb
from u3v.usb3v.bootstrap import xml_text

Sets = dict[str, dict[str, Any]]


class Disk:
    """All that `save_user_sets` had got, after each time."""

    def __init__(self) -> None:
        self.saved: list[Sets] = []
        self.full = False

    def save(self, sets: Mapping[str, Mapping[str, Any]]) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        before = self.saved[-1] if self.saved else {}
        self.saved.append(before | copy.deepcopy({k: dict(v) for k, v in sets.items()}))


def power_on(disk: Disk | None = None, sets: Sets | None = None) -> Host:
    """A camera with the last sets on disk, or these."""
    disk = disk or Disk()
    stored = sets if sets is not None else copy.deepcopy(disk.saved[-1]) if disk.saved else {}
    camera = make_camera(Options(user_sets=stored, save_user_sets=disk.save))
    camera.reset()  # undoes the small region of interest of the tests
    return Host(camera)


def select(host: Host, name: str) -> None:
    host.set("UserSetSelector", name)


CHANGES: dict[str, Value] = {
    "Gain": 6.5,
    "ExposureTime": 1234.5,
    "Width": 1000,
    "OffsetX": 12,
    "PixelFormat": "Mono12p",
    "ReverseY": True,
    "AcquisitionFrameRate": 12.5,
    "TriggerSelector": "FrameBurstStart",
}


def change(host: Host) -> None:
    for name, value in CHANGES.items():
        host.set(name, value)
    host.set("TriggerDelay", 99.0, TriggerSelector="FrameStart")


def changed(host: Host) -> bool:
    """Whether all changes are in force; neither some of them."""
    values = [host.get(name) == value for name, value in CHANGES.items()]
    values.append(host.get("TriggerDelay", TriggerSelector="FrameStart") == 99.0)
    assert all(values) or not any(values), values
    return all(values)


def test_save_and_load() -> None:
    host = power_on()
    change(host)
    select(host, "UserSet2")
    host.run("UserSetSave")
    select(host, "Default")
    host.run("UserSetLoad")
    assert not changed(host)
    select(host, "UserSet2")
    host.run("UserSetLoad")
    assert changed(host)
    select(host, "UserSet3")  # never saved: the factory's values
    host.run("UserSetLoad")
    assert not changed(host)


def test_sets_survive_a_power_cycle() -> None:
    disk = Disk()
    host = power_on(disk)
    change(host)
    select(host, "UserSet1")
    host.run("UserSetSave")
    again = power_on(disk)
    assert not changed(again)  # UserSetDefault still says Default
    select(again, "UserSet1")
    again.run("UserSetLoad")
    assert changed(again)
    again.set("UserSetDefault", "UserSet1")
    third = power_on(disk)
    assert third.get("UserSetDefault") == "UserSet1"
    assert changed(third)
    third.set("UserSetDefault", "Default")
    assert not changed(power_on(disk))


def test_what_is_saved() -> None:
    """Every persistent value, each combination of selectors by itself; no selector positions of commands."""
    disk = Disk()
    host = power_on(disk)
    select(host, "UserSet1")
    host.run("UserSetSave")
    saved = disk.saved[-1]["UserSet1"]
    assert saved["TriggerMode[FrameStart]"] == saved["TriggerMode[FrameBurstStart]"] == "Off"
    assert saved["Width"] == 4096
    for feature in host.camera.features:
        assert (feature.name in {key.partition("[")[0] for key in saved}) == (
            feature.persistent and feature.read is None
        ), feature.name
        assert not (feature.persistent and isinstance(feature, Command))


def test_default_cannot_be_overwritten() -> None:
    disk = Disk()
    host = power_on(disk)
    with pytest.raises(Refused, match="0x8006"):
        host.run("UserSetSave")
    assert disk.saved == []


def test_locked_while_acquiring() -> None:
    host = power_on()
    select(host, "UserSet1")
    host.run("AcquisitionStart")
    for command in ("UserSetSave", "UserSetLoad"):
        with pytest.raises(Refused, match="0x8006"):
            host.run(command)
    host.run("AcquisitionStop")
    host.run("UserSetSave")


def test_a_set_that_cannot_be_stored_is_not_remembered() -> None:
    disk = Disk()
    host = power_on(disk)
    select(host, "UserSet1")
    host.run("UserSetSave")
    change(host)
    disk.full = True
    with pytest.raises(Refused, match="0x8fff"):
        host.run("UserSetSave")
    with pytest.raises(Refused, match="0x8fff"):
        host.set("UserSetDefault", "UserSet1")
    assert host.get("UserSetDefault") == "Default"
    disk.full = False
    host.run("UserSetLoad")
    assert not changed(host)
    assert list(disk.saved[-1]) == ["UserSet1"]
    assert host.get("UserSetSave") == 0


def test_the_name_survives_a_power_cycle() -> None:
    """DeviceUserID is kept by itself, in no user set; it is on the bus after the next plugging in."""
    disk = Disk()
    host = power_on(disk)
    host.write(0x184, b"left".ljust(64, b"\0"))
    host.run("UserSetLoad")
    again = power_on(disk)
    assert again.read(0x184, 5) == b"left\0"
    assert usb.get_string(again.bus, 8) == "left"
    disk.full = True
    with pytest.raises(Refused, match="0x8fff"):
        again.write(0x184, b"right".ljust(64, b"\0"))
    assert again.read(0x184, 6) == b"left\0\0"
    for wrong in ({"name": 3}, {}, {"name": "Straße" * 40}):
        assert xml_text(power_on(sets={"DeviceUserID": wrong}).camera)


def test_reset_loads_the_startup_set() -> None:
    host = power_on()
    change(host)
    select(host, "UserSet1")
    host.run("UserSetSave")
    host.set("UserSetDefault", "UserSet1")
    host.set("Gain", 0.0)
    host.write_int(0x30000, 1)
    host.start()
    host.run("DeviceReset")
    assert changed(host)
    assert (host.read_int(0x20004), host.read_int(0x30000)) == (0, 0)
    assert not host.camera.acquisition.active
    assert host.camera.reset_requested


@pytest.mark.parametrize(
    "wrong",
    [
        {"Width": 100_000},
        {"Width": 42},
        {"Width": 4112, "OffsetX": 4},
        {"BinningHorizontal": 4},
        {"Width": -8},
        {"Width": 2**40},
        {"Width": "wide"},
        {"Width": None},
        {"Width": [1]},
        {"ExposureTime": -1.0},
        {"ExposureTime": float("nan")},
        {"ExposureTime": "long"},
        {"PixelFormat": "RGB8"},
        {"PixelFormat": 8},
        {"TriggerMode[FrameStart]": "Maybe"},
        {"DeviceLinkThroughputLimit": 0},
    ],
)
def test_a_set_with_an_impossible_value_is_not_loaded(wrong: dict[str, Any]) -> None:
    """A file that somebody edited: all of the set's values are the factory's then, not some of them."""
    sets: Sets = {"UserSetDefault": {"name": "UserSet1"}, "UserSet1": {"Gain": 6.5, **wrong}}
    host = power_on(sets=sets)
    assert host.get("Gain") == 0.0
    assert (host.get("Width"), host.get("OffsetX")) == (4096, 0)
    assert host.get("ExposureTime") == MODEL.number("exposure_default_us")
    host.start(1 << 20)


def test_unknown_and_missing_values() -> None:
    sets: Sets = {"UserSetDefault": {"name": "UserSet1"}, "UserSet1": {"Gain": 6.5, "Telescope": 3}}
    host = power_on(sets=sets)
    assert (host.get("Gain"), host.get("Width")) == (6.5, 4096)


@pytest.mark.parametrize("startup", [{"name": "UserSet9"}, {"name": "UserSet2"}, {"name": None}, {}])
def test_a_startup_set_that_is_none(startup: dict[str, Any]) -> None:
    host = power_on(sets={"UserSetDefault": startup, "UserSet1": {"Gain": 6.5}})
    assert (host.get("UserSetDefault"), host.get("Gain")) == ("Default", 0.0)
