"""What people type: every mistake is one line that says what would be right."""

import re

import pytest

from frames._words import hint as frames_hint
from frames.source import Defects
from gadget.feature_text import (
    parse_assignment,
    parse_camera,
    parse_cameras,
    parse_defects,
    parse_settings,
    parse_value,
)
from gadget.runner import set_feature
from tests.u3v.rig import make_camera
from u3v.camera import Camera
from u3v.did_you_mean import hint
from u3v.errors import Mistake, U3VError


@pytest.fixture(scope="module")
def camera() -> Camera:
    return make_camera()


def test_hints() -> None:
    known = ("Mono8", "Mono12", "Mono12p")
    assert hint("mono12P", known) == ", did you mean 'Mono12p'?"
    assert hint("xyzzy", known) == ""
    assert hint("", ()) == ""


@pytest.mark.parametrize("word", ["widht", "WIDTH", "Heigth", "Offset", "Gian", "", "xyzzy", "PixelFormatt"])
def test_s13_both_packages_suggest_the_same_in_the_same_words(word: str) -> None:
    known = ("Width", "Height", "OffsetX", "OffsetY", "Gain", "PixelFormat")
    in_core = hint(word, known)
    assert frames_hint(word, known) == (in_core or f"; known: {', '.join(known)}")


def test_assignments() -> None:
    assert parse_assignment("Gain=6") == ("Gain", "6")
    assert parse_assignment("DeviceUserID=a=b") == ("DeviceUserID", "a=b")
    assert parse_assignment("DeviceUserID=") == ("DeviceUserID", "")
    for wrong in ("Gain", "=6", ""):
        with pytest.raises(Mistake, match="is not of the form Feature=Value, such as ExposureTime=5000"):
            parse_assignment(wrong)


def test_u6_a_feature_that_is_given_twice_is_refused() -> None:
    assert parse_settings(["Gain=1", "Width=8"]) == {"Gain": "1", "Width": "8"}
    with pytest.raises(Mistake, match=r"^Gain is given twice: Gain=1 and Gain=2$"):
        parse_settings(["Gain=1", "Gain=2"])


@pytest.mark.parametrize(
    ("words", "cameras"),
    [
        (["A"], [("A", {})]),
        (["A", "B"], [("A", {}), ("B", {})]),
        (["A,B"], [("A", {}), ("B", {})]),
        (["A:Gain=6,Width=640,B", "C"], [("A", {"Gain": "6", "Width": "640"}), ("B", {}), ("C", {})]),
        (["A:Gain=6,B:Gain=7"], [("A", {"Gain": "6"}), ("B", {"Gain": "7"})]),
        (["A:DeviceUserID=x:y=z"], [("A", {"DeviceUserID": "x:y=z"})]),
    ],
)
def test_u12_one_way_to_write_cameras(words: list[str], cameras: list[tuple[str, dict[str, str]]]) -> None:
    assert parse_cameras(words) == cameras


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("A,", "'A,': write cameras as A B or as A,B, without a space at the comma"),
        ("A, B", "'A, B': write cameras as A B or as A,B, without a space at the comma"),
        ("", "'': write cameras as A B or as A,B, without a space at the comma"),
        ("A:", "'A:' is not of the form MODEL:Feature=Value, such as acA4096-40um:Gain=6"),
        (":Gain=6", "':Gain=6' is not of the form MODEL:Feature=Value, such as acA4096-40um:Gain=6"),
        ("A:Gain", "'Gain' is not of the form Feature=Value, such as ExposureTime=5000"),
        ("A,Gain=6", "'A,Gain=6': settings come after a colon: MODEL:Gain=6"),
        ("Gain=6", "'Gain=6': settings come after a colon: MODEL:Gain=6"),
    ],
)
def test_u12_what_is_no_camera(word: str, message: str) -> None:
    with pytest.raises(Mistake) as caught:
        parse_cameras([word])
    assert str(caught.value) == message


def test_u12_one_camera_where_one_is_possible() -> None:
    assert parse_camera("A:Gain=6") == ("A", {"Gain": "6"})
    with pytest.raises(Mistake, match=r"^'A,B' is 2 cameras, only one is possible here$"):
        parse_camera("A,B")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("Width", "800", 800),
        ("Width", "0x320", 800),
        ("Gain", "6", 6.0),
        ("Gain", "1e1", 10.0),
        ("ReverseX", "1", True),
        ("ReverseX", "False", False),
        ("PixelFormat", "Mono12p", "Mono12p"),
        ("DeviceUserID", "left camera", "left camera"),
        ("DeviceUserID", "a" * 63, "a" * 63),
    ],
)
def test_values(camera: Camera, name: str, text: str, value: object) -> None:
    feature, parsed = parse_value(camera, name, text)
    assert (feature.name, parsed, type(parsed)) == (name, value, type(value))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("widht", "8", "acA4096-40um has no feature 'widht', did you mean 'Width'?"),
        ("Xyzzy", "8", "acA4096-40um has no feature 'Xyzzy'"),
        ("PayloadSize", "8", "PayloadSize cannot be set: it is read-only"),
        ("AcquisitionStart", "1", "AcquisitionStart cannot be set: it is a command, to be executed"),
        ("Width", "wide", "Width = 'wide': not a number"),
        ("Width", "8.5", "Width = '8.5': not a number"),
        ("Width", "", "Width = '': not a number"),
        ("Gain", "six", "Gain = 'six': not a number"),
        ("ReverseX", "2", "ReverseX = '2': not 0 or 1"),
        ("TriggerMode", "on", "TriggerMode = 'on': not one of Off, On, did you mean 'On'?"),
        ("TriggerMode", "7", "TriggerMode = '7': not one of Off, On"),
        ("DeviceUserID", "Müller", "DeviceUserID = 'Müller': not ASCII of at most 63 characters"),
    ],
)
def test_mistakes(camera: Camera, name: str, text: str, message: str) -> None:
    with pytest.raises(Mistake) as caught:
        parse_value(camera, name, text)
    assert str(caught.value) == message


def test_too_long_a_name(camera: Camera) -> None:
    with pytest.raises(Mistake, match=r"not ASCII of at most 63 characters$"):
        parse_value(camera, "DeviceUserID", "a" * 64)


def test_settings_are_checked_as_a_host_is() -> None:
    camera = make_camera(settings={"Width": 4096, "Height": 2168})
    set_feature(camera, "BinningVertical", "2")
    assert camera.features.get("Height") == 1088
    for name, text in (("Width", "42"), ("Gain", "nan"), ("Gain", "-1"), ("ExposureTime", "1e12")):
        before = camera.features.get(name)
        with pytest.raises(U3VError, match=f"^{name} = "):
            set_feature(camera, name, text)
        assert camera.features.get(name) == before


def test_defects() -> None:
    assert parse_defects("") == Defects()
    assert parse_defects("hot=20,row=0.5") == Defects(hot_pixels=20, row_noise_e=0.5)
    assert parse_defects("hot=1,row=1000000000") == Defects(hot_pixels=1, row_noise_e=1e9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hott=1", "did you mean 'hot'?"),
        ("hot", "with =NUMBER"),
        ("row=x", "defect row = 'x': not a number"),
        ("hot=1.5", "defect hot = 1.5: must be a whole number, it counts pixels"),
        ("hot=1000000000", "defect hot = 1000000000: must be from 0 to 100000"),
        ("row=1000000001", "defect row = 1000000001: must be from 0 to 1000000000"),
        ("column=-1", "must be from 0 to"),
        ("row=nan", "must be from 0 to"),
        ("hot=1,hot=2", "defect hot is given twice"),
        ("hot_e_per_s=9", "defect hot_e_per_s is about hot pixels: say how many, such as hot=200"),
    ],
)
def test_u13_defects_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(Mistake, match=re.escape(message)):
        parse_defects(text)
