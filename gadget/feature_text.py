"""What people type, turned into values: feature settings with did-you-mean. Errors are ValueErrors of one line."""

from collections.abc import Iterable
from difflib import get_close_matches

from frames.source import Defects
from u3v.camera import Camera
from u3v.features import Boolean, Command, Enumeration, Feature, Float, Integer, String, Value


def hint(word: str, known: Iterable[str]) -> str:
    """ ", did you mean 'x'?" or nothing."""
    folded = {k.lower(): k for k in known}
    close = get_close_matches(word.lower(), list(folded), 1, 0.5)
    return f", did you mean {folded[close[0]]!r}?" if close else ""


def parse_assignment(text: str) -> tuple[str, str]:
    """ "Name=Value"."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"{text!r} is not of the form Feature=Value, such as ExposureTime=5000")
    return name, value


def parse_value(camera: Camera, name: str, text: str) -> tuple[Feature, Value]:
    """A writable feature and a value for it."""
    feature = camera.features.declared.get(name)
    if feature is None:
        raise ValueError(f"{camera.model.name} has no feature {name!r}{hint(name, camera.features.declared)}")
    if "W" not in feature.access or isinstance(feature, Command):
        raise ValueError(f"{name} cannot be set")
    try:
        if isinstance(feature, Boolean):
            return feature, {"1": True, "0": False, "true": True, "false": False}[text.lower()]
        if isinstance(feature, Enumeration):
            if text not in feature.entries:
                entries = ", ".join(feature.entries)
                raise ValueError(f"{name} = {text!r}: not one of {entries}{hint(text, feature.entries)}")
            return feature, text
        if isinstance(feature, Integer):
            return feature, int(text, 0)
        if isinstance(feature, Float):
            return feature, float(text)
    except KeyError:
        raise ValueError(f"{name} = {text!r}: not 0 or 1") from None
    except ValueError as error:
        if "not one of" in str(error):
            raise
        raise ValueError(f"{name} = {text!r}: not a number") from None
    if isinstance(feature, String) and (not text.isascii() or len(text) >= feature.length):
        raise ValueError(f"{name} = {text!r}: not ASCII of at most {feature.length - 1} characters")
    return feature, text


_DEFECTS = {
    "hot": "hot_pixels",
    "hot_e_per_s": "hot_e_per_s",
    "row": "row_noise_e",
    "column": "column_noise_e",
}
MAX_HOT_PIXELS = 100_000


def parse_defects(text: str) -> Defects:
    """ "hot=200,row=0.5"; "" is a sensor without any."""
    values: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        key, equals, number = part.partition("=")
        if key not in _DEFECTS or not equals:
            raise ValueError(
                f"defect {part!r}: must be one of {', '.join(_DEFECTS)}, with =NUMBER{hint(key, _DEFECTS)}"
            )
        try:
            values[_DEFECTS[key]] = float(number)
        except ValueError:
            raise ValueError(f"defect {key} = {number!r}: not a number") from None
        if not 0 <= values[_DEFECTS[key]] < 1e9:
            raise ValueError(f"defect {key} = {number}: not from 0 to 1e9")
    hot = values.pop("hot_pixels", 0.0)
    if hot != int(hot) or hot > MAX_HOT_PIXELS:
        raise ValueError(f"defect hot = {hot:g}: not a whole number up to {MAX_HOT_PIXELS}")
    return Defects(hot_pixels=int(hot), **values)
