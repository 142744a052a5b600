"""SFNC AnalogControl: gain and black level."""

from dataclasses import replace

from u3v.features import Enumeration, Feature, Float
from u3v.model import Model

CATEGORY = "AnalogControl"


def features(model: Model) -> list[Feature]:
    """All features of the category."""
    declared = [
        Float(
            name="Gain",
            tooltip="Gain between sensor and pixel values.",
            unit="dB",
            max=model.number("gain_max_db"),
            persistent=True,
        ),
        Float(
            name="BlackLevel",
            tooltip="Offset of all pixel values, in steps of the 12-bit converter.",
            unit="DN",
            max=model.number("black_level_max_dn12"),
            persistent=True,
        ),
        Float(
            name="Gamma",
            tooltip="Exponent of the pixel values, over their whole range.",
            default=1.0,
            max=3.99998,
            persistent=True,
        ),
    ]
    return [replace(feature, category=CATEGORY) for feature in declared]


def selector_of_all(name: str, tooltip: str) -> Feature:
    """A selector of cameras that have one gain, or one black level, for all taps and colours."""
    return Enumeration(name=name, tooltip=tooltip, category=CATEGORY, entries={"All": 0})
