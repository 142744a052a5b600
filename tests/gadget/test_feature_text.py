"""What people type: every mistake is one line that says what would be right."""

import re

import pytest

from frames.source import Defects
from gadget.feature_text import hint, parse_assignment, parse_defects, parse_value
from gadget.runner import set_feature
from tests.u3v.rig import make_camera
from u3v.camera import Camera
from u3v.errors import U3VError


@pytest.fixture(scope="module")
def camera() -> Camera:
    return make_camera()


def test_hints() -> None:
    known = ("Mono8", "Mono12", "Mono12p")
    assert hint("mono12P", known) == ", did you mean 'Mono12p'?"
    assert hint("xyzzy", known) == ""
    assert hint("", ()) == ""


def test_assignments() -> None:
    assert parse_assignment("Gain=6") == ("Gain", "6")
    assert parse_assignment("DeviceUserID=a=b") == ("DeviceUserID", "a=b")
    assert parse_assignment("DeviceUserID=") == ("DeviceUserID", "")
    for wrong in ("Gain", "=6", ""):
        with pytest.raises(ValueError, match="is not of the form Feature=Value, such as ExposureTime=5000"):
            parse_assignment(wrong)


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
        ("PayloadSize", "8", "PayloadSize cannot be set"),
        ("AcquisitionStart", "1", "AcquisitionStart cannot be set"),
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
    with pytest.raises(ValueError) as caught:
        parse_value(camera, name, text)
    assert str(caught.value) == message


def test_too_long_a_name(camera: Camera) -> None:
    with pytest.raises(ValueError, match=r"not ASCII of at most 63 characters$"):
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hott=1", "did you mean 'hot'?"),
        ("hot", "with =NUMBER"),
        ("row=x", "defect row = 'x': not a number"),
        ("hot=1.5", "not a whole number"),
        ("column=-1", "not from 0 to"),
        ("row=nan", "not from 0 to"),
    ],
)
def test_defects_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_defects(text)
