"""ExposureAuto and GainAuto: exposure time and gain from the brightness of the last frames.

Whoever renders a frame measures it (`ImageSettings.meter` says where) and tells the camera. State: none but the
features. A frame counts only where it was exposed with what the features say now, so a change is judged by its own
frames and nothing swings. What is to be brighter by a factor gets it from the quantity that comes first, and what that
cannot give from the other. Gain and exposure time stay within the limits that the host has set.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from u3v.device import Device
from u3v.exposure import Exposure
from u3v.features import Float, limit

EXPOSURE, GAIN = "ExposureAuto", "GainAuto"
TOLERANCE = 0.03
LARGEST_STEP = 4.0
"""Figures of this model (assumed): how near is near enough, and how much brighter or darker one frame may make it."""


@dataclass(frozen=True)
class AutoWords:
    """A maker's words. `target`: the wanted mean, 0 to 1. `exposure_first`: whether exposure time comes before gain.
    `exposure_limits`, `gain_limits`: names of the features. `region`: (column, row, width, height) on the sensor."""

    target: Callable[[Device], float]
    exposure_first: Callable[[Device], bool]
    exposure_limits: tuple[str, str]
    gain_limits: tuple[str, str]
    region: Callable[[Device], tuple[int, int, int, int]]


def is_on(camera: Device) -> bool:
    """Whether anything is to be set by the camera itself."""
    return any(camera.features.get_or(name, "Off") != "Off" for name in (EXPOSURE, GAIN))


def meter(camera: Device, words: AutoWords | None) -> tuple[int, int, int, int] | None:
    """Where in the image brightness is measured: the region as far as it is in the image, or all of it; None: not."""
    if words is None or not is_on(camera):
        return None
    get = camera.features.get
    offset_x, offset_y, width, height = (int(get(name)) for name in ("OffsetX", "OffsetY", "Width", "Height"))
    x, y, region_width, region_height = words.region(camera)
    left, top = max(x - offset_x, 0), max(y - offset_y, 0)
    right = min(x - offset_x + region_width, width)
    bottom = min(y - offset_y + region_height, height)
    if right <= left or bottom <= top:
        return 0, 0, width, height
    return left, top, right - left, bottom - top


def adjust(camera: Device, words: AutoWords, exposure: Exposure, brightness: float) -> None:
    """A frame was as bright as this (0 to 1)."""
    features, settings = camera.features, exposure.settings
    automatic = [name for name in (EXPOSURE, GAIN) if features.get(name) != "Off"]
    exposure_us, gain_db = float(features.get("ExposureTime")), float(features.get("Gain"))
    if (settings.exposure_us, settings.gain_db) != (exposure_us, gain_db) or not automatic:
        return
    target = words.target(camera)
    factor = min(max(target / max(brightness, 1e-6), 1 / LARGEST_STEP), LARGEST_STEP)
    if abs(brightness - target) <= TOLERANCE * target:
        factor = 1.0
    moved = False
    order = (EXPOSURE, GAIN) if words.exposure_first(camera) == (factor > 1) else (GAIN, EXPOSURE)
    for name in order:
        if name not in automatic or factor == 1.0:
            continue
        if name == EXPOSURE:
            new = _within(camera, "ExposureTime", words.exposure_limits, exposure_us * factor)
            factor *= exposure_us / new
            moved = moved or new != exposure_us
            features.set("ExposureTime", new)
        else:
            new = _within(camera, "Gain", words.gain_limits, gain_db + 20 * math.log10(factor))
            factor *= 10 ** ((gain_db - new) / 20)
            moved = moved or new != gain_db
            features.set("Gain", new)
    if not moved:
        for name in automatic:
            if features.get(name) == "Once":
                features.set(name, "Off")


def _within(camera: Device, name: str, limits: tuple[str, str], value: float) -> float:
    """The nearest value that the host's limits, the feature's own and its steps allow."""
    feature = camera.features.declared[name]
    assert isinstance(feature, Float)
    low, high = (float(camera.features.get(bound)) for bound in limits)
    low, high = max(low, limit(camera, feature.min)), min(high, limit(camera, feature.max))
    return feature.rounded(min(max(value, low), high))
