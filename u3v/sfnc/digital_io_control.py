"""SFNC DigitalIOControl: the camera's lines as a host sets them up and reads them. Electricity is in `u3v.lines`."""

from collections.abc import Sequence
from dataclasses import replace

from u3v.device import Device
from u3v.features import Boolean, Enumeration, Feature, Float, Integer
from u3v.model import Model

CATEGORY = "DigitalIOControl"
_LINE = ("LineSelector",)
_OUTPUT = ("UserOutputSelector",)


def inputs(model: Model) -> list[str]:
    """The lines that can be inputs."""
    return [line.name for line in model.lines if line.can_be_input]


def features(
    model: Model, sources: Sequence[str], user_outputs: Sequence[str] = (), *, debouncer_max_us: float = 0.0
) -> list[Feature]:
    """All features of the category. `sources`: what LineSource offers, the first being the default.

    `user_outputs`: the names of the outputs that a host sets itself.
    """
    names = [line.name for line in model.lines]
    either = {line.name for line in model.lines if line.can_be_input and line.can_be_output}
    output_only = {line.name for line in model.lines if not line.can_be_input}

    def is_output(camera: Device) -> bool:
        line = camera.features.get("LineSelector")
        return line in output_only or (line in either and camera.features.get("LineMode") == "Output")

    def is_fixed(camera: Device) -> bool:
        return camera.features.get("LineSelector") not in either

    def look(camera: Device) -> None:
        camera.lines.look(camera.now_ns)

    formats = {line.name: line.format for line in model.lines}
    declared: list[Feature] = [
        Enumeration(
            name="LineSelector",
            tooltip="The line that the other line features are about.",
            entries={name: index for index, name in enumerate(names)},
        ),
        Enumeration(
            name="LineMode",
            tooltip="Whether the line is an input or an output; opto-coupled lines are what they are.",
            entries={"Input": 0, "Output": 1},
            selectors=_LINE,
            defaults=dict.fromkeys(output_only, "Output"),
            locked=is_fixed,
            written=look,
            persistent=True,
        ),
        Enumeration(
            name="LineFormat",
            tooltip="The line's electrical format.",
            visibility="Expert",
            access="RO",
            entries={"TTL": 2, "OptoCoupled": 5, "OpenDrain": 8},
            selectors=_LINE,
            read=lambda camera: formats[camera.features.get("LineSelector")],
        ),
        Boolean(
            name="LineInverter",
            tooltip="Whether the line's signal is inverted.",
            selectors=_LINE,
            written=look,
            persistent=True,
        ),
        *(
            Float(
                name=name,
                tooltip=f"How long the line must stay {level} before the camera believes it.",
                unit="us",
                max=debouncer_max_us,
                inc=1.0,
                selectors=_LINE,
                locked=is_output,
                persistent=True,
            )
            for name, level in (
                ("LineDebouncerTime", "as it is"),
                ("LineDebouncerHighTimeAbs", "high"),
                ("LineDebouncerLowTimeAbs", "low"),
            )
        ),
        Enumeration(
            name="LineSource",
            tooltip="The signal that the line shows, where it is an output.",
            entries={name: index for index, name in enumerate(sources)},
            selectors=_LINE,
            locked=lambda camera: not is_output(camera),
            written=look,
            persistent=True,
        ),
        Boolean(
            name="LineStatus",
            tooltip="The line's level now.",
            access="RO",
            selectors=_LINE,
            read=lambda camera: camera.lines.level(camera.features.get("LineSelector")),
        ),
        Integer(
            name="LineStatusAll",
            tooltip="The levels of all lines now, a bit for each.",
            visibility="Expert",
            access="RO",
            max=2 ** len(names) - 1,
            representation="HexNumber",
            read=lambda camera: camera.lines.status_all(),
        ),
        Boolean(
            name="LineOverloadStatus",
            tooltip="Whether more current flows through the output than it stands.",
            access="RO",
            visibility="Expert",
            selectors=_LINE,
            read=lambda camera: camera.lines.is_overloaded(camera.features.get("LineSelector")),
        ),
        Enumeration(
            name="UserOutputSelector",
            tooltip="The output that UserOutputValue sets.",
            entries={name: index for index, name in enumerate(user_outputs)},
        ),
        Boolean(
            name="UserOutputValue",
            tooltip="The level of the selected user output.",
            selectors=_OUTPUT,
            changed_by=("UserOutputValueAll",),
            written=lambda camera: _output_written(camera, user_outputs),
        ),
        Integer(
            name="UserOutputValueAll",
            tooltip="The levels of all user outputs, a bit for each.",
            max=2 ** len(user_outputs) - 1,
            representation="HexNumber",
            changed_by=("UserOutputValue",),
            written=lambda camera: _all_outputs_written(camera, user_outputs),
        ),
    ]
    return [replace(feature, category=CATEGORY) for feature in declared]


def _output_written(camera: Device, names: Sequence[str]) -> None:
    values = [camera.features.get("UserOutputValue", UserOutputSelector=name) for name in names]
    camera.features.set("UserOutputValueAll", sum(value << bit for bit, value in enumerate(values)))
    _show(camera, names)


def _all_outputs_written(camera: Device, names: Sequence[str]) -> None:
    value = camera.features.get("UserOutputValueAll")
    for bit, name in enumerate(names):
        camera.features.set("UserOutputValue", bool(value >> bit & 1), UserOutputSelector=name)
    _show(camera, names)


def _show(camera: Device, names: Sequence[str]) -> None:
    for name in names:
        level = camera.features.get("UserOutputValue", UserOutputSelector=name)
        camera.signals.level(name, level, camera.now_ns)
