"""Model files: what is in them, and one line for everything that is wrong in one."""

import re
from dataclasses import fields
from importlib import resources

import pytest

from frames.sensor import load_sensor
from tests.u3v.rig import PlainTiming, Room
from u3v.camera import Camera
from u3v.errors import Mistake, ModelError
from u3v.figures import KINDS, Figure
from u3v.model import Figures, load_model, load_text, model_names
from u3v.usb3v.bootstrap import USB3_VISION

TEXT = (resources.files("u3v") / "models" / "aca4096_40um.toml").read_text("utf-8")


def changed(pattern: str, replacement: str) -> str:
    """The file with one thing changed."""
    text, count = re.subn(pattern, replacement, TEXT, count=1, flags=re.MULTILINE)
    assert count == 1, pattern
    return text


def refusal(text: str) -> str:
    with pytest.raises(ModelError) as caught:
        load_text(text, "my.toml")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("my.toml: ")
    return message.removeprefix("my.toml: ")


def test_a_file_is_named_as_its_model() -> None:
    """So that one model is found without reading all of them."""
    files = (file.name for file in (resources.files("u3v") / "models").iterdir())
    named = (name.lower().replace("-", "_") + ".toml" for name in model_names())
    assert sorted(named) == sorted(files)


def test_the_printed_facts() -> None:
    """Basler's data sheet: 4112 x 2176 pixels (default 4096 x 2168), 42.7 fps, 3.6 W."""
    model = load_model("acA4096-40um")
    assert (model.name, model.maker, model.sensor) == ("acA4096-40um", "Basler", "IMX255")
    assert (model.vid, model.pid) == (0x2676, 0xBA02)
    printed = {
        f.name for f in fields(Figures) if (x := getattr(model.figures, f.name)) and x.kind == "printed"
    }
    assert {"width_max_px", "height_max_px", "frame_rate_fps", "power_w"} <= printed
    assert [model.integer(f"{n}_px") for n in ("width_max", "height_max", "width_default", "height_default")] == [
        4112, 2176, 4096, 2168,
    ]  # fmt: skip
    assert (model.number("frame_rate_fps"), model.number("power_w")) == (42.7, 3.6)


@pytest.mark.parametrize("name", model_names())
def test_every_figure_says_how_it_is_known(name: str) -> None:
    model = load_model(name)
    for field in fields(Figures):
        figure: Figure | None = getattr(model.figures, field.name)
        if figure is not None:
            assert figure.kind in KINDS
            assert len(figure.source) > 5, field.name


@pytest.mark.parametrize("name", model_names())
def test_every_model_becomes_a_camera(name: str) -> None:
    model = load_model(name)
    load_sensor(model.sensor)
    camera = Camera(model, PlainTiming(), Room(), USB3_VISION)
    assert camera.features.get("Width") == model.integer("width_default_px")
    assert set(model.pixel_formats) == set(camera.features.declared["PixelFormat"].entries)  # type: ignore[attr-defined]


def test_names_in_any_case_and_the_nearest_one() -> None:
    assert load_model("ACA4096-40UM").name == "acA4096-40um"
    with pytest.raises(Mistake) as caught:
        load_model("acA4096-40uc")
    assert str(caught.value).startswith("acA4096-40uc: no such camera, did you mean 'acA4096-40um'?; known: ")
    with pytest.raises(Mistake, match=r"^xyzzy: no such camera; known: "):
        load_model("xyzzy")


def test_keys_are_strict() -> None:
    extra = changed(
        r"^\[figures\]", '[figures]\nwidth_maximum_px = { value = 1, kind = "printed", source = "x" }'
    )
    assert refusal(extra) == "figures.width_maximum_px: unknown key, did you mean 'width_max_px'?"
    assert refusal('colour = "red"\n' + TEXT) == "colour: unknown key"
    assert refusal(changed(r"^maker", "Maker")) == "Maker: unknown key, did you mean 'maker'?"
    assert refusal(changed(r"^maker.*\n", "")) == "maker: missing"
    assert refusal(changed(r"^power_w .*\n", "")) == "figures.power_w: missing"
    assert refusal(changed(r"^vid.*\n", "")) == "identity.vid: missing"
    assert refusal(changed(r"^\[identity\]\n(.*\n)*?\n", "identity = 3\n")) == "identity: must be a table"


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r"^vid = .*", "vid = 65536", "identity.vid: must be a number from 0 to 0xFFFF"),
        (r"^vid = .*", "vid = -1", "identity.vid: must be a number from 0 to 0xFFFF"),
        (r"^vid = .*", 'vid = "2676"', "identity.vid: must be a number from 0 to 0xFFFF"),
        (r"^vid = .*", "vid = true", "identity.vid: must be a number from 0 to 0xFFFF"),
        (r"^maker = .*", "maker = 7", "maker: must be ASCII text"),
        (r"^maker = .*", 'maker = "Bäsler"', "maker: must be ASCII text"),
        (r"^pixel_formats = .*", "pixel_formats = []", "pixel_formats: must be a list of PFNC names"),
        (r"^pixel_formats = .*", 'pixel_formats = "Mono8"', "pixel_formats: must be a list of PFNC names"),
        (
            r"^pixel_formats = .*",
            'pixel_formats = ["mono12P"]',
            "pixel_formats: unknown format 'mono12P', did you mean 'Mono12p'?",
        ),
        (
            r"^pixel_formats = .*",
            'pixel_formats = [["Mono8"]]',
            "pixel_formats: unknown format ['Mono8'], did you mean 'Mono8'?",
        ),
        (
            r"^width_min_px = { value = \d+",
            "width_min_px = { value = 1100",
            "figures.width_min_px.value: is 1100, above the 1028 that binning leaves",
        ),
        (r"value = 42\.7", 'value = "42.7"', "figures.frame_rate_fps.value: must be a number"),
        (r"value = 42\.7", "value = true", "figures.frame_rate_fps.value: must be a number"),
        (
            r'value = 42\.7, kind = "printed"',
            'value = 42.7, kind = "guessed"',
            "figures.frame_rate_fps.kind: 'guessed' is not one of printed, measured, assumed",
        ),
        (r'value = 42\.7, kind = "printed"', "value = 42.7", "figures.frame_rate_fps.kind: missing"),
        (r"value = 42\.7", "value = 42.7, unit = 1", "figures.frame_rate_fps.unit: unknown key"),
        (r"^frame_rate_fps = .*", "frame_rate_fps = 42.7", "figures.frame_rate_fps: must be a table"),
    ],
)
def test_values_of_the_wrong_kind(pattern: str, replacement: str, message: str) -> None:
    assert refusal(changed(pattern, replacement)) == message


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("figure", ["frame_rate_fps", "width_max_px", "power_w"])
def test_numbers_that_are_none(figure: str, value: str) -> None:
    text = changed(rf"^{figure} = {{ value = [0-9.]+", f"{figure} = {{ value = {value}")
    assert refusal(text).startswith(f"figures.{figure}.value: ")


def test_no_toml() -> None:
    assert refusal("name = ").startswith("not valid TOML: ")


def test_b16_no_two_cameras_have_the_same_guid() -> None:
    serials = ["", "0", "1", "01", "001", "abc", "4294967296", *map(str, range(40000001, 40001001))]
    guids = [load_model(name).identity(serial).guid for name in model_names() for serial in serials]
    assert len(set(guids)) == len(guids)
    assert all(re.fullmatch("[0-9A-F]{12}", guid) for guid in guids)
    assert load_model("acA4096-40um").identity("40000001").guid == "2676BBB6C642"
