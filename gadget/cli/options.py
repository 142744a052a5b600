"""The options that describe a virtual camera, shared by all commands that make one."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from gadget.budget.bus import parse_bus
from gadget.budget.power import Supply
from gadget.feature_text import parse_assignment, parse_defects
from gadget.runner import DEFAULT_SCENE, CameraSpec
from gadget.time.simulated import CLOCKS
from u3v.wire.usb import Speed

F = TypeVar("F", bound=Callable[..., Any])


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
                type=click.FloatRange(0, 60),
                metavar="V",
                help="Supply voltage at the other end of the cable; default: the data sheet's (USB: 5 V).",
            ),
            click.option(
                "--cable-ohm",
                type=click.FloatRange(0, 100),
                default=0.0,
                show_default=True,
                metavar="OHM",
                help="Resistance of the cable, both wires: below 4.45 V a USB camera drops off the bus.",
            ),
            click.option(
                "--load-ma",
                type=click.FloatRange(0, 5000),
                default=0.0,
                metavar="MA",
                help="Current drawn from the camera's own supply pin by something else.",
            ),
            click.option(
                "--ambient",
                type=click.FloatRange(-60, 150),
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
        help="A model file of your own; MODEL is then the name in it. May be given often.",
    )(command)


def camera_options(command: F) -> F:
    """The options that describe a camera."""
    for option in reversed(
        (
            click.option(
                "--scene",
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
                multiple=True,
                metavar="FEATURE=VALUE",
                help="A feature's value from the start on; may be given often.",
            ),
            click.option(
                "--serial",
                default="",
                metavar="TEXT",
                help="Serial number; several cameras count on from it.",
            ),
            click.option("--name", default="", metavar="TEXT", help="User-defined name (DeviceUserID)."),
            click.option(
                "--seed",
                type=int,
                metavar="N",
                help="Seed of noise and fixed pattern; default: from the serial number.",
            ),
            click.option(
                "--speed",
                type=click.Choice(["super", "high"]),
                default="super",
                show_default=True,
                help="Speed of the USB port.",
            ),
            click.option(
                "--clock",
                type=click.Choice(CLOCKS),
                default="real",
                show_default=True,
                help="real: the wall's. simulated: jumps to the next thing that happens, so that everything is as "
                "fast as the machine can, with the same frames, timestamps and counters (`grab MODEL`: bit for "
                "bit the same each time; other commands: as for a host that is never too slow). lockstep: moves "
                "only when the host asks (`grab`: 1 ms at a time while it waits; other programs: by writing "
                "nanoseconds to the feature VirtualClockAdvance).",
            ),
            click.option(
                "--pacing/--no-pacing",
                default=True,
                help="Frames at the camera's real rate, or as fast as the host reads.",
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
                "--strict/--lenient",
                default=False,
                help="Refuse what the standard calls wrong in the SI registers.",
            ),
            click.option(
                "--state",
                type=click.Path(path_type=Path, dir_okay=False),
                metavar="FILE",
                help="Keep user sets here between runs (one camera).",
            ),
            click.option(
                "--pcap",
                type=click.Path(path_type=Path, dir_okay=False),
                metavar="FILE",
                help="Record the USB traffic for Wireshark or tshark.",
            ),
        )
    ):
        command = option(command)
    return model_file_option(supply_options(bus_option(command)))


def specs(models: tuple[str, ...], options: dict[str, Any]) -> list[CameraSpec]:
    """Camera descriptions from what was typed."""
    if options["state"] is not None and len(models) > 1:
        raise ValueError("--state keeps the user sets of one camera: give one model")
    serial = options["serial"]
    serials = [serial] * len(models)
    if serial and len(models) > 1:
        if not serial.isdigit():
            raise ValueError(f"--serial {serial!r}: several cameras count on from a number; give digits")
        serials = [str(int(serial) + index) for index in range(len(models))]
    if not serial.isascii() or len(serial) > 63:
        raise ValueError("--serial takes up to 63 ASCII characters")
    settings = dict(parse_assignment(text) for text in options["settings"])
    speed = Speed.HIGH if options["speed"] == "high" else Speed.SUPER
    bus = parse_bus(options["bus"]) if options["bus"] else None
    if bus is not None:
        if not options["pacing"]:
            raise ValueError("--bus is about real rates: it does not go with --no-pacing")
        if speed is Speed.HIGH and bus.speed is not Speed.HIGH:
            raise ValueError(f"--bus {bus.name}: a High-Speed camera has other wires: use --bus 480mbps")
        speed = bus.speed
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
            settings=settings,
            defects=parse_defects(options["defects"]),
            threads=options["threads"],
            model_files=tuple(options["model_file"]),
        )
        for model, each in zip(models, serials, strict=True)
    ]


def as_arguments(options: Mapping[str, Any]) -> list[str]:
    """What was parsed by `camera_options`, as words for another `u3v`."""
    arguments = []
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if name == "pacing":
            arguments.append("--pacing" if value else "--no-pacing")
        elif name == "strict":
            arguments.append("--strict" if value else "--lenient")
        elif name == "speed":
            arguments += [option, value.label if isinstance(value, Speed) else value]
        elif isinstance(value, tuple):
            arguments += [part for each in value for part in (option, str(each))]
        elif value not in (None, "", ()):
            arguments += [option, str(value)]
    return arguments
