"""ExposureAuto, GainAuto and what belongs to them, in the words of Basler and of Baumer. What they do:
`u3v.auto_brightness`. Of the cameras modelled here none that has colours has an automatic white balance.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from u3v.auto_brightness import EXPOSURE, GAIN, AutoWords
from u3v.device import Device
from u3v.features import Boolean, Enumeration, Feature, Float, Integer
from u3v.model import Model
from u3v.sfnc import acquisition_control, analog_control

MODES = {"Off": 0, "Once": 1, "Continuous": 2}


def set_by_camera(name: str) -> dict[str, Any]:
    """What becomes of a feature that the camera may set itself."""
    return {"locked": lambda camera: bool(camera.features.get(name) != "Off"), "volatile": True}


def _switches() -> list[Feature]:
    return [
        Enumeration(
            name=EXPOSURE,
            tooltip="Whether the camera sets the exposure time itself.",
            category=acquisition_control.CATEGORY,
            entries=MODES,
            volatile=True,
            persistent=True,
        ),
        Enumeration(
            name=GAIN,
            tooltip="Whether the camera sets the gain itself.",
            category=analog_control.CATEGORY,
            entries=MODES,
            volatile=True,
            persistent=True,
        ),
    ]


def _limits(model: Model, names: tuple[str, str, str, str]) -> list[Feature]:
    """The bounds of what the camera sets: exposure time low and high, gain low and high."""
    low, high = model.number("exposure_min_us"), model.number("exposure_max_us")
    gain = model.number("gain_max_db")
    most_us = min(1_000_000.0, high)

    def bound(name: str, tooltip: str, unit: str, least: float, most: float, default: float) -> Feature:
        return Float(
            name=name, tooltip=tooltip, unit=unit, min=least, max=most, default=default, persistent=True
        )

    return [
        bound(names[0], "Shortest exposure time that the camera sets itself.", "us", low, high, low),
        bound(names[1], "Longest exposure time that the camera sets itself.", "us", low, high, most_us),
        bound(names[2], "Lowest gain that the camera sets itself.", "dB", 0.0, gain, 0.0),
        bound(names[3], "Highest gain that the camera sets itself.", "dB", 0.0, gain, gain / 2),
    ]


def _region(model: Model, names: tuple[str, str, str, str], selector: str) -> list[Feature]:
    width, height = model.integer("width_max_px"), model.integer("height_max_px")
    bounds = ((width - 1, 0, 0), (height - 1, 0, 0), (width, width, 1), (height, height, 1))
    tooltips = ("First column", "First row", "Width", "Height")
    return [
        Integer(
            name=name,
            tooltip=f"{tooltip} of the region whose brightness counts.",
            unit="px",
            min=least,
            max=most,
            default=default,
            selectors=(selector,),
            persistent=True,
        )
        for name, tooltip, (most, default, least) in zip(names, tooltips, bounds, strict=True)
    ]


_BASLER_LIMITS = (
    "AutoExposureTimeLowerLimit",
    "AutoExposureTimeUpperLimit",
    "AutoGainLowerLimit",
    "AutoGainUpperLimit",
)
_BASLER_REGION = (
    "AutoFunctionROIOffsetX",
    "AutoFunctionROIOffsetY",
    "AutoFunctionROIWidth",
    "AutoFunctionROIHeight",
)


def basler(model: Model) -> list[Feature]:
    """As Basler calls them."""
    own: list[Feature] = [
        Float(
            name="AutoTargetBrightness",
            tooltip="Mean pixel value that the camera aims at, as a share of the largest.",
            default=0.50196,
            min=0.19608,
            max=0.80392,
            persistent=True,
        ),
        Enumeration(
            name="AutoFunctionProfile",
            tooltip="What stays small where both exposure time and gain could grow.",
            entries={"MinimizeGain": 0, "MinimizeExposureTime": 1},
            persistent=True,
        ),
        *_limits(model, _BASLER_LIMITS),
        Enumeration(
            name="AutoFunctionROISelector",
            tooltip="The region that the others are about.",
            entries={"ROI1": 0, "ROI2": 1},
        ),
        *_region(model, _BASLER_REGION, "AutoFunctionROISelector"),
        Boolean(
            name="AutoFunctionROIUseBrightness",
            tooltip="Whether this region's brightness counts; the first one that does is taken.",
            selectors=("AutoFunctionROISelector",),
            defaults={"ROI1": True},
            persistent=True,
        ),
    ]
    return [*_switches(), *(replace(feature, category="AutoFunctionControl") for feature in own)]


def _basler_region(area: str, use: str) -> Callable[[Device], tuple[int, int, int, int]]:
    """What the first of two regions says that is in `use`. `area`: what they are called, ROI or AOI."""
    selector = f"AutoFunction{area}Selector"
    names = [name.replace("ROI", area) for name in _BASLER_REGION]

    def region(camera: Device) -> tuple[int, int, int, int]:
        get = camera.features.get
        used = [one for one in (f"{area}1", f"{area}2") if get(use, **{selector: one})]
        first = used[0] if used else f"{area}1"
        x, y, width, height = (int(get(name, **{selector: first})) for name in names)
        return x, y, width, height

    return region


BASLER = AutoWords(
    target=lambda camera: float(camera.features.get("AutoTargetBrightness")),
    exposure_first=lambda camera: (
        camera.features.get("AutoFunctionProfile") in ("MinimizeGain", "GainMinimum")
    ),
    exposure_limits=_BASLER_LIMITS[:2],
    gain_limits=_BASLER_LIMITS[2:],
    region=_basler_region("ROI", "AutoFunctionROIUseBrightness"),
)
BASLER_ON_ETHERNET = replace(BASLER, region=_basler_region("AOI", "AutoFunctionAOIUsageIntensity"))

_BAUMER_LIMITS = ("ExposureAutoMinValue", "ExposureAutoMaxValue", "GainAutoMinValue", "GainAutoMaxValue")
_BAUMER_REGION = ("AutoFeatureOffsetX", "AutoFeatureOffsetY", "AutoFeatureWidth", "AutoFeatureHeight")


def baumer(model: Model) -> list[Feature]:
    """As Baumer calls them: BrightnessAutoPriority is printed, the others are as Baumer's programs show them."""
    own: list[Feature] = [
        Enumeration(
            name="BrightnessAutoPriority",
            tooltip="What is changed first where both exposure time and gain are automatic.",
            entries={EXPOSURE: 0, GAIN: 1},
            persistent=True,
        ),
        Float(
            name="BrightnessAutoNominalValue",
            tooltip="Mean pixel value that the camera aims at, in percent of the largest.",
            unit="%",
            default=50.0,
            min=1.0,
            max=99.0,
            persistent=True,
        ),
        *_limits(model, _BAUMER_LIMITS),
        Enumeration(
            name="AutoFeatureRegionSelector",
            tooltip="The region that the others are about.",
            entries={"BrightnessAuto": 0},
        ),
        *_region(model, _BAUMER_REGION, "AutoFeatureRegionSelector"),
    ]
    return [*_switches(), *(replace(feature, category="AutoFunctionControl") for feature in own)]


def _baumer_region(camera: Device) -> tuple[int, int, int, int]:
    x, y, width, height = (int(camera.features.get(name)) for name in _BAUMER_REGION)
    return x, y, width, height


BAUMER = AutoWords(
    target=lambda camera: float(camera.features.get("BrightnessAutoNominalValue")) / 100,
    exposure_first=lambda camera: bool(camera.features.get("BrightnessAutoPriority") == EXPOSURE),
    exposure_limits=_BAUMER_LIMITS[:2],
    gain_limits=_BAUMER_LIMITS[2:],
    region=_baumer_region,
)
