"""What there is to choose from: `u3v models`, `show`, `features`, `scenes`, `xml`. No camera runs for them."""

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gadget.catalogue import find_model
from gadget.cli.completion import CAMERA
from gadget.cli.options import model_file_option, the_cameras
from gadget.cli.tables import echo_table, number, width
from gadget.feature_text import parse_camera
from gadget.runner import FIRST_SERIAL, CameraSpec, build
from u3v.camera import Camera
from u3v.errors import Mistake
from u3v.features import Command, Enumeration, Feature, Float, Integer, limit
from u3v.model import load_file, load_model, model_names
from u3v.usb3v.bootstrap import xml_text

if TYPE_CHECKING:
    from frames.scene import Parameter

model_argument = click.argument("model", default="", type=CAMERA)


@click.command("models", short_help="List the cameras there are.")
@model_file_option
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
def models_command(model_file: tuple[Path, ...], as_json: bool) -> None:
    """List the cameras there are: the names to give as MODEL, what they are, and their wire."""
    models = [load_model(name) for name in model_names()] + [load_file(path) for path in model_file]
    if as_json:
        rows = [
            {
                "name": m.name,
                "maker": m.maker,
                "family": m.family,
                "sensor": m.sensor,
                "wire": m.wire,
                "wire_text": m.wire_text,
                "width": m.integer("width_default_px"),
                "height": m.integer("height_default_px"),
                "frame_rate_fps": m.number("frame_rate_fps"),
                "pixel_formats": list(m.pixel_formats),
            }
            for m in models
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    echo_table(
        ("MODEL", "MAKER", "PIXELS", "FPS", "SENSOR", "WIRE"),
        [
            (
                m.name,
                m.maker,
                f"{m.integer('width_default_px')}x{m.integer('height_default_px')}",
                number(m.number("frame_rate_fps")),
                m.sensor_text,
                m.wire_text,
            )
            for m in models
        ],
        wrapped=("SENSOR", "WIRE"),
    )


@click.command(
    "show",
    short_help="Print a camera's data sheet.",
    epilog="""\b
Examples:
  u3v show acA4096-40um
  u3v show --model-file mine.toml""",
)
@model_argument
@model_file_option
@click.option("--json", "as_json", is_flag=True, help="One object.")
def show_command(model: str, model_file: tuple[Path, ...], as_json: bool) -> None:
    """Print a camera's data sheet: every figure, who says so, and from where.

    "printed": by the maker; "measured": by somebody; "assumed": by us, for want of both. MODEL may be left out
    where there is one --model-file.
    """
    name, settings = _wanted(model, model_file)
    if settings:
        raise Mistake(f"a data sheet knows no settings: u3v show {name}, or u3v features {model}")
    facts, sensor = find_model(name, model_file)
    sheet = facts.sheet()
    if as_json:
        shown = {
            "name": facts.name,
            "maker": facts.maker,
            "family": facts.family,
            "title": facts.title,
            "wire": facts.wire,
            "wire_text": facts.wire_text,
            "sensor": facts.sensor,
            "pixel_formats": list(facts.pixel_formats),
            "usb": f"{facts.vid:04x}:{facts.pid:04x}",
            "figures": {k: _figure_json(v) for k, v in sheet.items()},
            "sensor_figures": {k: _figure_json(v) for k, v in sensor.figures.items()},
        }
        click.echo(json.dumps(shown, indent=2))
        return
    click.echo(f"{facts.title} ({facts.name}, {facts.family}), USB {facts.vid:04x}:{facts.pid:04x}")
    for line in (facts.wire_text, facts.sensor_text, ", ".join(facts.pixel_formats)):
        click.echo(textwrap.fill(line, width()))
    for title, figures in (("CAMERA", sheet), (f"SENSOR {sensor.name}", dict(sensor.figures))):
        click.echo()
        echo_table(
            (title, "VALUE", "KIND", "SOURCE"),
            [(key, number(f.value), f.kind, f.source) for key, f in figures.items()],
            wrapped=("SOURCE",),
        )


def _figure_json(figure: Any) -> dict[str, Any]:
    return {"value": figure.value, "kind": figure.kind, "source": figure.source}


@click.command(
    "features",
    short_help="List a camera's features, with their limits.",
    epilog="""\b
Examples:
  u3v features acA4096-40um
  u3v features acA4096-40um:BinningVertical=2      (limits as they are then)
  u3v features acA4096-40um --json""",
)
@click.argument("model", default="", type=CAMERA, metavar="MODEL[:FEATURE=VALUE,...]")
@model_file_option
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
def features_command(model: str, model_file: tuple[Path, ...], as_json: bool) -> None:
    """List all features of a camera, by category: type, access, value, limits or entries, and what it is.

    Values and limits are those of a camera just plugged in; settings behind MODEL: change them. The features are
    what `--set` takes. MODEL may be left out where there is one --model-file.
    """
    camera = _camera(model, model_file)
    listed = [feature_json(camera, feature) for feature in camera.features]
    if as_json:
        click.echo(json.dumps(listed, indent=2))
        return
    wide = max(len(f["name"]) for f in listed)
    for category in dict.fromkeys(f["category"] for f in listed):
        click.echo(category)
        for f in listed:
            if f["category"] == category:
                head = f"  {f['name']:{wide}}  {f['type']:11}  {f['access']}  "
                _echo_wrapped(f"{head}{_state(f)}", len(head))
                for line in (_limits(f), f["tooltip"]):
                    if line:
                        _echo_wrapped(f"      {line}", 6)


def feature_json(camera: Camera, feature: Feature) -> dict[str, Any]:
    """What a feature is, in this camera now. None: it has no such thing (a Command has no value)."""
    available = feature.available is None or feature.available(camera)
    shown: dict[str, Any] = {
        "name": feature.name,
        "type": type(feature).__name__,
        "access": feature.access,
        "available": available,
        "locked": feature.locked is not None and feature.locked(camera),
        "value": None,
        "min": None,
        "max": None,
        "inc": None,
        "unit": None,
        "entries": None,
        "selectors": list(feature.selectors),
        "category": feature.category,
        "visibility": feature.visibility,
        "tooltip": feature.tooltip,
    }
    if not isinstance(feature, Command) and "R" in feature.access:
        shown["value"] = camera.features.get(feature.name)
    if isinstance(feature, Integer | Float):
        shown |= {kind: limit(camera, getattr(feature, kind)) for kind in ("min", "max", "inc")}
        shown["unit"] = feature.unit or None
        shown["inc"] = shown["inc"] or None
    if isinstance(feature, Enumeration):
        shown["entries"] = list(feature.entries)
    return shown


def _state(f: dict[str, Any]) -> str:
    value = f["value"]
    text = "" if value is None else number(value) if type(value) in (int, float) else str(value)
    if f["unit"] and text:
        text += f" {f['unit']}"
    return text if f["available"] else f"{text} (not available now)".strip()


def _limits(f: dict[str, Any]) -> str:
    """ "34 to 10,000,000 us", "Off, On"; nothing for what nobody can set."""
    if "W" not in f["access"]:
        return ""
    if f["entries"]:
        text = ", ".join(f["entries"])
    elif f["min"] is not None:
        steps = f" in steps of {number(f['inc'])}" if f["inc"] not in (None, 1) else ""
        text = f"{number(f['min'])} to {number(f['max'])}{steps}"
    else:
        text = ""
    of = f"one for each {' and '.join(f['selectors'])}" if f["selectors"] else ""
    return "; ".join(filter(None, (text, of)))


@click.command("xml", short_help="Print a camera's GenICam XML.")
@model_argument
@model_file_option
def xml_command(model: str, model_file: tuple[Path, ...]) -> None:
    """Print a camera's GenICam XML, as a host reads it from the device.

    MODEL may be left out where there is one --model-file.
    """
    click.echo(xml_text(_camera(model, model_file)), nl=False)


def _camera(text: str, files: tuple[Path, ...]) -> Camera:
    """A camera as it is just plugged in, with the settings that were typed behind its name."""
    name, settings = _wanted(text, files)
    return build(CameraSpec(name, settings=settings, model_files=files), str(FIRST_SERIAL)).camera


def _wanted(text: str, files: tuple[Path, ...]) -> tuple[str, dict[str, str]]:
    """The camera that was meant, and its settings."""
    name, settings = parse_camera(the_cameras((text,), files)[0])
    return name, settings


@click.command(
    "scenes",
    short_help="List what a camera can see, for --scene.",
    epilog="""\b
Examples:
  u3v scenes
  u3v scenes -o scenes.png
  u3v grab acA4096-40um --scene bar:speed=2000 -o out""",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write a picture of all scenes (PNG, JPEG or TIFF) instead.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="One object: the scenes, and the keys that all of them take."
)
def scenes_command(output: Path | None, as_json: bool) -> None:
    """List what a camera can see, and the keys of each scene: `--scene NAME:key=value,key=value`."""
    from frames.scene import SCENES, common_parameters, scene_doc, scene_parameters

    if output is not None:
        from frames.contact import write_contact_sheet

        try:
            write_contact_sheet(output)
        except (OSError, ValueError) as error:
            raise Mistake(f"{output}: {getattr(error, 'strerror', None) or error}") from None
        click.echo(f"wrote {output}", err=True)
        return
    if as_json:
        scenes = {
            name: {"doc": scene_doc(name), "keys": [_key_json(p) for p in scene_parameters(name)]}
            for name in SCENES
        }
        common = [_key_json(p) for p in common_parameters()]
        click.echo(json.dumps({"scenes": scenes, "keys_of_all": common}, indent=2))
        return
    for name in SCENES:
        _echo_wrapped(f"{name:12} {scene_doc(name)}", 13)
        for parameter in scene_parameters(name):
            _echo_key(parameter)
    click.echo("all scenes")
    for parameter in common_parameters():
        _echo_key(parameter)


def _key_json(p: "Parameter") -> dict[str, Any]:
    return {
        "name": p.name,
        "doc": p.doc,
        "default": p.default,
        "choices": list(p.choices) or None,
        "min": p.low,
        "max": p.high,
    }


def _echo_key(p: "Parameter") -> None:
    """ "    speed: pixels per second (default 600; 0 to 100,000)"."""
    facts = [] if p.default in (None, "") else [f"default {_shown(p.default)}"]
    if p.choices:
        facts.insert(0, " or ".join(p.choices))
    elif p.low is not None and p.high is not None:
        facts.append(f"{number(p.low)} to {number(p.high)}")
    if p.default is None:
        facts.append("must be given")
    told = f" ({'; '.join(facts)})" if facts else ""
    _echo_wrapped(f"    {p.name}: {p.doc}{told}", 8)


def _shown(value: float | str | None) -> str:
    return number(value) if isinstance(value, float | int) else str(value)


def _echo_wrapped(line: str, indent: int) -> None:
    click.echo(textwrap.fill(line, width(), subsequent_indent=" " * indent).rstrip())
