"""What people type, turned into values: feature settings with did-you-mean. Errors are ValueErrors of one line."""

from collections.abc import Iterable
from difflib import get_close_matches

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
