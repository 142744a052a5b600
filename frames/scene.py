"""All scenes by name, and their text form "NAME:key=value,...".

The scenes themselves: `frames.light` (what a scene is, the keys all of them take), `frames.patterns` (drawn
once), `frames.motion` (something moves), `frames.media` (from files and other processes), `frames.computed` (from
Python code).
"""

from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

from frames._words import hint
from frames.computed import Function, NamedFunction
from frames.light import WHITE_PHOTONS, Eye, Radiance, Scene, SceneError, Shutter
from frames.media import Array, Folder, Generated, ImageFile, Live, Video
from frames.motion import Charuco, Checkerboard, Dots, Target
from frames.patterns import Bar, ColorChecker, Colours, Conveyor, Edge, Gradient, Lines, Star, Uniform, Wedge

__all__ = [
    "DEFAULT_SCENE",
    "SCENES",
    "WHITE_PHOTONS",
    "Array",
    "Eye",
    "Function",
    "Generated",
    "Parameter",
    "Radiance",
    "Scene",
    "SceneError",
    "Shutter",
    "Uniform",
    "common_parameters",
    "parse_scene",
    "scene_doc",
    "scene_parameters",
]

SCENES: dict[str, type[Scene]] = {
    c.name: c
    for c in (
        *(Target, Bar, Uniform, Gradient, Wedge, Edge, Star, Lines, Colours, ColorChecker, Checkerboard),
        *(Charuco, Dots, Conveyor, ImageFile, Folder, Video, Live, NamedFunction),
    )
}
DEFAULT_SCENE = "target"


@dataclass(frozen=True)
class Parameter:
    """One key of a scene's text form, for listings. `default` is None where a value must be given.

    `choices`: the words it takes, where it takes only some. `low` and `high`: the bounds of a number.
    """

    name: str
    default: float | str | None
    doc: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None


def scene_doc(name: str) -> str:
    """One line on the scene called `name`."""
    return (SCENES[name].__doc__ or "").splitlines()[0]


def scene_parameters(name: str) -> list[Parameter]:
    """The keys of its own that the scene called `name` takes."""
    return [_parameter(f) for f in _parameter_fields(SCENES[name]) if "common" not in f.metadata]


def common_parameters() -> list[Parameter]:
    """The keys that every scene takes."""
    return [_parameter(f) for f in _parameter_fields(Scene)]


def _parameter(f: Field[Any]) -> Parameter:
    facts = f.metadata
    default = None if f.default is MISSING else f.default
    choices = tuple(facts.get("options", ()))
    return Parameter(f.name, default, facts["doc"], choices, facts.get("low"), facts.get("high"))


def parse_scene(description: str) -> Scene:
    """The scene of "NAME" or "NAME:key=value,..."; an empty name is the default scene. Raises SceneError."""
    name, _, rest = description.partition(":")
    name = name.strip() or DEFAULT_SCENE
    if name not in SCENES:
        raise SceneError(f"unknown scene {name!r}{hint(name, SCENES)}")
    known = {f.name: f for f in _parameter_fields(SCENES[name])}
    values: dict[str, Any] = {}
    for item in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals:
            raise SceneError(f"scene {name}: {item!r} must be key=value")
        if key not in known:
            raise SceneError(f"scene {name}: unknown key {key!r}{hint(key, known)}")
        if key in values:
            raise SceneError(f"scene {name}: {key} is given twice")
        values[key] = _value(name, known[key], value)
    for key, parameter in known.items():
        if parameter.default is MISSING and key not in values:
            raise SceneError(f"scene {name}: {key}= is missing ({parameter.metadata['doc']})")
    return SCENES[name](**values)


def _parameter_fields(scene: type[Scene]) -> list[Field[Any]]:
    return [f for f in fields(scene) if f.init and "doc" in f.metadata]


def _value(scene: str, parameter: Field[Any], value: str) -> float | str:
    limits = parameter.metadata
    if "options" in limits:
        if value not in limits["options"]:
            raise SceneError(
                f"scene {scene}: {parameter.name}={value} must be {' or '.join(limits['options'])}"
            )
        return value
    if "low" not in limits:
        return value
    try:
        result = float(value)
    except ValueError:
        raise SceneError(f"scene {scene}: {parameter.name}={value} is not a number") from None
    if not limits["low"] <= result <= limits["high"]:
        raise SceneError(
            f"scene {scene}: {parameter.name}={value} must be in {limits['low']:g} .. {limits['high']:g}"
        )
    return result
