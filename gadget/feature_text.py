"""What people type, turned into values: cameras, feature settings, defects of a sensor.

A camera is written one way everywhere: `MODEL`, or `MODEL:Feature=Value,Feature=Value` for one that differs from
its factory settings. Every refusal is a `Mistake` of one line that says what would be right.
"""

from collections.abc import Iterable

from frames.source import Defects
from u3v.camera import Camera
from u3v.did_you_mean import hint
from u3v.errors import Mistake
from u3v.features import Boolean, Command, Enumeration, Feature, Float, Integer, String, Value


def parse_assignment(text: str) -> tuple[str, str]:
    """ "Name=Value"."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Mistake(f"{text!r} is not of the form Feature=Value, such as ExposureTime=5000")
    return name, value


def parse_settings(texts: Iterable[str]) -> dict[str, str]:
    """Values by feature, of "Name=Value" each. One that is given twice is refused: one of both would be ignored."""
    settings: dict[str, str] = {}
    for name, value in map(parse_assignment, texts):
        if name in settings:
            raise Mistake(f"{name} is given twice: {name}={settings[name]} and {name}={value}")
        settings[name] = value
    return settings


def parse_camera(text: str) -> tuple[str, dict[str, str]]:
    """ "MODEL[:Feature=Value,...]": the model's name and the settings."""
    cameras = parse_cameras([text])
    if len(cameras) > 1:
        raise Mistake(f"{text!r} is {len(cameras)} cameras, only one is possible here")
    return cameras[0]


def parse_cameras(texts: Iterable[str]) -> list[tuple[str, dict[str, str]]]:
    """ "MODEL[:Feature=Value,...]" each, or several of them with commas in between: `A:Gain=6,Width=640,B`.

    After a comma, a word with "=" (and no ":" before it) is a setting of the camera at hand, any other a new one.
    """
    cameras: list[tuple[str, list[str]]] = []
    for text in texts:
        parts = text.split(",")
        for index, part in enumerate(parts):
            if not part.strip() or part != part.strip():
                raise Mistake(f"{text!r}: write cameras as A B or as A,B, without a space at the comma")
            name, colon, setting = part.partition(":")
            if "=" in name:
                if not index or not cameras[-1][1]:
                    raise Mistake(f"{text!r}: settings come after a colon: MODEL:{part}")
                cameras[-1][1].append(part)
            elif not name or (colon and not setting):
                raise Mistake(f"{text!r} is not of the form MODEL:Feature=Value, such as acA4096-40um:Gain=6")
            else:
                cameras.append((name, [setting] if colon else []))
    return [(name, parse_settings(settings)) for name, settings in cameras]


def parse_value(camera: Camera, name: str, text: str) -> tuple[Feature, Value]:
    """A writable feature and a value for it."""
    feature = camera.features.declared.get(name)
    if feature is None:
        near = hint(name, camera.features.declared)
        raise Mistake(f"{camera.model.name} has no feature {name!r}{near}")
    if isinstance(feature, Command):
        raise Mistake(f"{name} cannot be set: it is a command, to be executed")
    if "W" not in feature.access:
        raise Mistake(f"{name} cannot be set: it is read-only")
    if isinstance(feature, Boolean):
        value = {"1": True, "0": False, "true": True, "false": False}.get(text.lower())
        if value is None:
            raise Mistake(f"{name} = {text!r}: not 0 or 1")
        return feature, value
    if isinstance(feature, Enumeration):
        if text not in feature.entries:
            entries = ", ".join(feature.entries)
            raise Mistake(f"{name} = {text!r}: not one of {entries}{hint(text, feature.entries)}")
        return feature, text
    if isinstance(feature, Integer | Float):
        try:
            return feature, int(text, 0) if isinstance(feature, Integer) else float(text)
        except ValueError:
            raise Mistake(f"{name} = {text!r}: not a number") from None
    if isinstance(feature, String) and (not text.isascii() or len(text) >= feature.length):
        raise Mistake(f"{name} = {text!r}: not ASCII of at most {feature.length - 1} characters")
    return feature, text


_DEFECTS = {
    "hot": "hot_pixels",
    "hot_e_per_s": "hot_e_per_s",
    "row": "row_noise_e",
    "column": "column_noise_e",
}
MAX_HOT_PIXELS = 100_000
MAX_DEFECT = 1e9


def parse_defects(text: str) -> Defects:
    """ "hot=200,row=0.5"; "" is a sensor without any."""
    values: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        key, equals, number = part.partition("=")
        if key not in _DEFECTS or not equals:
            near = hint(key, _DEFECTS) if key not in _DEFECTS else ""
            raise Mistake(f"defect {part!r}: must be one of {', '.join(_DEFECTS)}, with =NUMBER{near}")
        if key in values:
            raise Mistake(f"defect {key} is given twice")
        try:
            values[key] = float(number)
        except ValueError:
            raise Mistake(f"defect {key} = {number!r}: not a number") from None
        high = MAX_HOT_PIXELS if key == "hot" else MAX_DEFECT
        if not 0 <= values[key] <= high:
            raise Mistake(f"defect {key} = {number}: must be from 0 to {high:.0f}")
    hot = values.setdefault("hot", 0.0)
    if hot != int(hot):
        raise Mistake(f"defect hot = {hot:g}: must be a whole number, it counts pixels")
    if "hot_e_per_s" in values and not hot:
        raise Mistake("defect hot_e_per_s is about hot pixels: say how many, such as hot=200")
    del values["hot"]
    return Defects(hot_pixels=int(hot), **{_DEFECTS[key]: value for key, value in values.items()})
