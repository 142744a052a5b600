"""What there is to choose from: `u3v models`, `show`, `xml`, `scenes`. They make no camera that runs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gadget.catalogue import find_model
from gadget.cli.options import model_file_option
from gadget.runner import CameraSpec, build
from u3v.model import load_file, load_model, model_names
from u3v.usb3v.bootstrap import xml_text

if TYPE_CHECKING:
    from frames.scene import Parameter


@click.command("models")
@model_file_option
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
def models_command(model_file: tuple[Path, ...], as_json: bool) -> None:
    """List the cameras there are, with their wire."""
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
    for m in models:
        size = f"{m.integer('width_default_px')}x{m.integer('height_default_px')}"
        click.echo(
            f"{m.name:16} {m.maker:8} {m.sensor_text}; {size}, {m.number('frame_rate_fps')} fps; {m.wire_text}"
        )


@click.command("show")
@click.argument("model", default="")
@model_file_option
@click.option("--json", "as_json", is_flag=True, help="One object.")
def show_command(model: str, model_file: tuple[Path, ...], as_json: bool) -> None:
    """Print a camera's data sheet: every figure, who says so, and from where.

    MODEL may be left out where there is one --model-file.
    """
    facts, sensor = find_model(_name(model, model_file), model_file)
    sheet = facts.sheet()
    if as_json:
        click.echo(
            json.dumps(
                {
                    "name": facts.name,
                    "maker": facts.maker,
                    "family": facts.family,
                    "title": facts.title,
                    "wire": facts.wire,
                    "wire_text": facts.wire_text,
                    "sensor": facts.sensor,
                    "pixel_formats": list(facts.pixel_formats),
                    "usb": f"{facts.vid:04x}:{facts.pid:04x}",
                    "figures": {
                        k: {"value": v.value, "kind": v.kind, "source": v.source} for k, v in sheet.items()
                    },
                    "sensor_figures": {
                        k: {"value": v.value, "kind": v.kind, "source": v.source}
                        for k, v in sensor.figures.items()
                    },
                },
                indent=2,
            )
        )
        return
    click.echo(
        f"{facts.title} ({facts.name}, {facts.family}), USB {facts.vid:04x}:{facts.pid:04x}\n{facts.wire_text}"
    )
    click.echo(f"{facts.sensor_text}; {', '.join(facts.pixel_formats)}\n")
    for title, rows in (("Camera", sheet), (f"Sensor {sensor.name}", dict(sensor.figures))):
        click.echo(title)
        for key, figure in rows.items():
            click.echo(f"  {key:36} {figure.value:>12g}  {figure.kind:8}  {figure.source}")
        click.echo()


@click.command("xml")
@click.argument("model", default="")
@model_file_option
def xml_command(model: str, model_file: tuple[Path, ...]) -> None:
    """Print a camera's GenICam XML, as a host reads it from the device."""
    spec = CameraSpec(_name(model, model_file), model_files=model_file)
    click.echo(xml_text(build(spec, "40000001").camera), nl=False)


def _name(model: str, files: tuple[Path, ...]) -> str:
    """The model that was meant: the one of the only file, where nothing else was said."""
    if model:
        return model
    if len(files) != 1:
        raise ValueError(f"Missing argument 'MODEL': one of {', '.join(model_names())}")
    return load_file(files[0]).name


@click.command("scenes")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write a picture of all scenes (PNG, JPEG or TIFF) instead.",
)
def scenes_command(output: Path | None) -> None:
    """List what a camera can see, for --scene."""
    from frames.scene import SCENES, common_parameters, scene_doc, scene_parameters

    if output is not None:
        from frames.contact import write_contact_sheet

        try:
            write_contact_sheet(output)
        except (OSError, ValueError) as error:
            raise click.ClickException(f"{output}: {error}") from None
        return
    for name in SCENES:
        click.echo(f"{name:12} {scene_doc(name)}")
        for parameter in scene_parameters(name):
            _echo_parameter(parameter)
    click.echo("all scenes")
    for parameter in common_parameters():
        _echo_parameter(parameter)


def _echo_parameter(parameter: "Parameter") -> None:
    default = parameter.default
    shown = f"{default:g}" if isinstance(default, float | int) else default
    click.echo(f"    {parameter.name}: {parameter.doc}{'' if default is None else f' (default {shown})'}")
