"""The options that describe a virtual camera, shared by all commands that make one."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from gadget.budget.bus import parse_bus
from gadget.budget.power import Supply
from gadget.cli.completion import SCENE, SETTING
from gadget.cli.numbers import Finite
from gadget.faults.scenario import find_scenario, parse_faults
from gadget.feature_text import parse_camera, parse_cameras, parse_defects, parse_settings
from gadget.gpio import parse_wire
from gadget.runner import DEFAULT_SCENE, CameraSpec
from gadget.time.simulated import CLOCKS
from u3v.errors import Mistake
from u3v.model import load_file, model_names
from u3v.wire.usb import Speed

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_MODEL = "acA4096-40um"
SECTIONS = {
    "Which camera": ("model_file", "settings", "serial", "name", "state"),
    "What it sees": ("scene", "defects", "seed"),
    "Bus and time": ("bus", "speed", "pacing", "clock", "strict"),
    "Supply and heat": ("port_ma", "supply_v", "cable_ohm", "load_ma", "ambient"),
    "What goes wrong": ("faults", "scenarios"),
    "This machine": ("threads", "scene_cache", "gpio", "pcap", "control"),
    "How it went": ("report", "fail_on_drops"),
}


class CameraCommand(click.Command):
    """A command with the options of a virtual camera: its help lists them by what they are about."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        section_of = {name: title for title, names in SECTIONS.items() for name in names}
        rows: dict[str, list[tuple[str, str]]] = {title: [] for title in ("Options", *SECTIONS)}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if row is not None:
                rows[section_of.get(parameter.name or "", "Options")].append(row)
        for title, listed in rows.items():
            if listed:
                with formatter.section(title):
                    formatter.write_dl(listed)


bus_option = click.option(
    "--bus",
    metavar="BUS[,other=RATE]",
    help="What all cameras share: 5gbps, 10gbps, 480mbps (USB), 1gbe, 100mbe (GigE models; "
    "packet=1500 without jumbo packets), with other traffic such as other=100MB/s. Default: "
    "each camera has a bus of its own.",
)


def supply_options(command: F) -> F:
    """The options that describe a camera's supply and surroundings."""
    for option in reversed(
        (
            click.option(
                "--port-ma",
                type=click.IntRange(0, 5000),
                metavar="MA",
                help="Current the port supplies; default: 900 (super), 500 (high).",
            ),
            click.option(
                "--supply-v",
                type=Finite(0, 60),
                metavar="V",
                help="Supply voltage at the other end of the cable; default: the data sheet's (USB: 5 V).",
            ),
            click.option(
                "--cable-ohm",
                type=Finite(0, 100),
                default=0.0,
                show_default=True,
                metavar="OHM",
                help="Resistance of the cable, both wires: below 4.45 V a USB camera drops off the bus.",
            ),
            click.option(
                "--load-ma",
                type=Finite(0, 5000),
                default=0.0,
                show_default=True,
                metavar="MA",
                help="Current drawn from the camera's own supply pin by something else.",
            ),
            click.option(
                "--ambient",
                type=Finite(-60, 150),
                default=25.0,
                show_default=True,
                metavar="C",
                help="Temperature of the air around the camera, which warms up above it.",
            ),
        )
    ):
        command = option(command)
    return command


def supply(options: dict[str, Any]) -> Supply:
    """What the options of `supply_options` say."""
    return Supply(
        supply_v=options["supply_v"],
        cable_ohm=options["cable_ohm"],
        port_ma=options["port_ma"],
        ambient_c=options["ambient"],
        load_ma=options["load_ma"],
    )


def model_file_option(command: F) -> F:
    """The option that adds models of one's own."""
    return click.option(
        "--model-file",
        "model_file",
        multiple=True,
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="A model file of your own; MODEL is then the name in it. May be given often, and MODEL left out "
        "where there is one.",
    )(command)


def camera_options(command: F) -> F:
    """The options that describe a camera."""
    for option in reversed(
        (
            click.option(
                "--scene",
                type=SCENE,
                default="",
                metavar="NAME[:key=value,...]",
                help="What the camera sees (see `u3v scenes`).",
            ),
            click.option(
                "--defects",
                default="",
                metavar="KEY=VALUE,...",
                help="What the sensor has beyond its data sheet: hot (pixels), hot_e_per_s, row and column "
                "(noise, e-), such as hot=200,row=0.5.",
            ),
            click.option(
                "--set",
                "settings",
                type=SETTING,
                multiple=True,
                metavar="FEATURE=VALUE",
                help="A feature's value from the start on, for all cameras (see `u3v features MODEL`); may be "
                "given often. For one camera: MODEL:FEATURE=VALUE.",
            ),
            click.option(
                "--serial",
                default="",
                metavar="TEXT",
                help="Serial number; several cameras count on from it. Default: 40000001.",
            ),
            click.option(
                "--name",
                default="",
                metavar="TEXT",
                help="Name that hosts show for the camera (DeviceUserID).",
            ),
            click.option(
                "--seed",
                type=int,
                metavar="N",
                help="Seed of noise and fixed pattern; default: from the serial number.",
            ),
            click.option(
                "--speed",
                type=click.Choice(["super", "high"]),
                help="Speed of the USB port: super (5 Gbit/s) or high (480 Mbit/s); default: super, or that of --bus.",
            ),
            click.option(
                "--clock",
                type=click.Choice(CLOCKS),
                default="real",
                show_default=True,
                help="Time the camera lives in. real: the wall's. simulated: jumps to the next thing that happens: "
                "the same frames, timestamps and counters as fast as the machine can (`grab MODEL`: bit for bit "
                "the same each time). lockstep: moves only when the host asks, by writing nanoseconds to the "
                "feature VirtualClockAdvance (`grab`: 1 ms at a time while it waits).",
            ),
            click.option(
                "--pacing/--no-pacing",
                default=True,
                help="Frames at the camera's real rate, or as fast as the host reads.  [default: pacing]",
            ),
            click.option(
                "--threads",
                type=click.IntRange(1, 64),
                default=1,
                show_default=True,
                metavar="N",
                help="Processors that share the rendering of each frame. One is enough for the camera's own rate.",
            ),
            click.option(
                "--scene-cache",
                type=click.IntRange(1, 256),
                metavar="N",
                help="For machines too slow to render each frame: render N frames (again after each change of "
                "settings), then repeat their pixels in turn. Ids, timestamps and chunks stay each frame's own; "
                "noise and motion repeat.",
            ),
            click.option(
                "--gpio",
                "gpio",
                multiple=True,
                metavar="LINE=CHIP:PIN",
                help="A line of the camera on a pin of this board, such as Line1=gpiochip0:17: an input takes its "
                "level there, an output gives it. May be given often.",
            ),
            click.option(
                "--strict/--lenient",
                default=False,
                help="Refuse what the standard calls wrong in the SI registers (how a host wants frames cut into "
                "transfers), or be as patient as most cameras.  [default: lenient]",
            ),
            click.option(
                "--state",
                type=click.Path(path_type=Path, dir_okay=False),
                metavar="FILE",
                help="Keep what UserSetSave stores here between runs, for one camera. Processes may share it.",
            ),
            click.option(
                "--fault",
                "faults",
                multiple=True,
                metavar="NAME[:KEY=VALUE,...]",
                help="What goes wrong on purpose (see `u3v faults`), such as lost-trailer:frame=3, "
                "eproto:nth=10,times=5 or preset:NAME; may be given often.",
            ),
            click.option(
                "--scenario",
                "scenarios",
                multiple=True,
                metavar="FILE|NAME",
                help="Several faults from a file (TOML), or one of the field cases that `u3v faults` lists.",
            ),
            click.option(
                "--pcap",
                type=click.Path(path_type=Path, dir_okay=False),
                metavar="FILE",
                help="Record the traffic (USB, or Ethernet with --wire gige) for Wireshark or tshark.",
            ),
        )
    ):
        command = option(command)
    return model_file_option(supply_options(bus_option(command)))


def the_model(cameras: tuple[str, ...], files: tuple[Path, ...]) -> tuple[str, ...]:
    """The cameras that were meant: where none was named, the one of the only --model-file. Raises Mistake."""
    if cameras:
        return cameras
    if len(files) != 1:
        raise Mistake(f"MODEL is missing: one of {', '.join(model_names())}")
    return (load_file(files[0]).name,)


def usual_model(files: tuple[Path, ...]) -> str:
    """The camera of a command that can do without MODEL: that of the --model-file, else the usual one."""
    return the_model((), files)[0] if files else DEFAULT_MODEL


def refuse_camera_options(ctx: click.Context, address: str, others: Iterable[str]) -> None:
    """Raises Mistake for an option that describes a virtual camera where a camera is asked by its address; `others`
    are the command's own."""
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if name not in others and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise Mistake(
                f"{parameter.opts[0]} describes a virtual camera and has no effect on {address}: say it where that "
                "camera is made"
            )


def check_files_used(files: Iterable[Path], names: Iterable[str]) -> None:
    """Raises Mistake for a --model-file whose camera is none of `names`: it would be ignored."""
    wanted = {name.lower() for name in names}
    for path in files:
        if (own := load_file(path).name).lower() not in wanted:
            raise Mistake(f"--model-file {path}: its camera {own} is not used; give MODEL {own}")


def the_cameras(texts: Iterable[str], files: tuple[Path, ...]) -> tuple[str, ...]:
    """The cameras that were meant, with their settings, of a command without the options of `camera_options`. Raises
    Mistake where there is none, or where a --model-file has no use."""
    cameras = the_model(tuple(filter(None, texts)), files)
    check_files_used(files, [parse_camera(text)[0] for text in cameras])
    return cameras


def specs(cameras: tuple[str, ...], options: dict[str, Any]) -> list[CameraSpec]:
    """Camera descriptions from what was typed. Raises Mistake where a part of it would have no effect."""
    files = tuple(options["model_file"])
    wanted = parse_cameras(the_model(cameras, files))
    check_files_used(files, [name for name, _ in wanted])
    wires = tuple(parse_wire(text) for text in options["gpio"])
    if wires and len(wanted) > 1:
        raise Mistake("--gpio wires one camera: give one model")
    if options["state"] is not None and len(wanted) > 1:
        raise Mistake("--state keeps the user sets of one camera: give one model")
    serials = _serials(options["serial"], len(wanted))
    if not options["name"].isascii() or len(options["name"]) > 63:
        raise Mistake("--name takes up to 63 ASCII characters")
    settings = parse_settings(options["settings"])
    speed = Speed.HIGH if options["speed"] == "high" else Speed.SUPER
    bus = parse_bus(options["bus"]) if options["bus"] else None
    if bus is not None:
        if not options["pacing"]:
            raise Mistake("--bus is about real rates: it does not go with --no-pacing")
        if options["speed"] is not None and bus.speed is not speed:
            right = "a High-Speed camera has other wires: use --bus 480mbps"
            if bus.speed is Speed.HIGH:
                right = "all its ports are High-Speed: leave --speed super out"
            raise Mistake(f"--bus {bus.name}: {right}")
        speed = bus.speed
    faults = tuple(fault for text in options["faults"] for fault in parse_faults(text))
    faults += tuple(fault for name in options["scenarios"] for fault in find_scenario(name).faults)
    return [
        CameraSpec(
            model=model,
            serial=each,
            name=options["name"],
            scene=options["scene"] or DEFAULT_SCENE,
            seed=options["seed"],
            speed=speed,
            paced=options["pacing"],
            strict=options["strict"],
            offered_ma=options["port_ma"],
            bus=bus,
            clock=options["clock"],
            supply=supply(options),
            state=options["state"],
            settings=settings | own,
            defects=parse_defects(options["defects"]),
            threads=options["threads"],
            scene_cache=options["scene_cache"] or 0,
            gpio=wires,
            faults=faults,
            model_files=files,
        )
        for (model, own), each in zip(wanted, serials, strict=True)
    ]


def _serials(first: str, count: int) -> list[str]:
    """The serial numbers of several cameras, counted on from the first: "0009", "0010". Empty: the default ones."""
    if not first.isascii() or len(first) > 63:
        raise Mistake("--serial takes up to 63 ASCII characters")
    if not first or count == 1:
        return [first] * count
    if not first.isdigit():
        raise Mistake(f"--serial {first!r}: several cameras count on from a number; give digits")
    return [str(int(first) + index).zfill(len(first)) for index in range(count)]


def as_arguments(options: Mapping[str, Any]) -> list[str]:
    """What was parsed by `camera_options`, as words for another `u3v`."""
    arguments = []
    for name, value in options.items():
        option = {"faults": "--fault", "scenarios": "--scenario", "settings": "--set"}.get(
            name, "--" + name.replace("_", "-")
        )
        if name == "pacing":
            arguments.append("--pacing" if value else "--no-pacing")
        elif name == "strict":
            arguments.append("--strict" if value else "--lenient")
        elif isinstance(value, tuple):
            arguments += [part for each in value for part in (option, str(each))]
        elif value not in (None, "", ()):
            arguments += [option, str(value)]
    return arguments
