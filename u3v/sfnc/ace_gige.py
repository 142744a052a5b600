"""Basler ace on Ethernet: the names its GigE firmware has, older than SFNC 2. On USB the same camera has SFNC 2's.

The names are those of the public headers of Basler's camera software. The camera itself works with SFNC's features:
they are there and hidden, and the older ones read and write them. What one step of GainRaw and BlackLevelRaw is, is
not published for these sensors (assumed: 0.1 dB, a quarter of a 12-bit step).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from u3v.chunks import Chunk
from u3v.device import Device
from u3v.family import BURST, FRAME, Family
from u3v.features import Boolean, Enumeration, Feature, Float, Integer, Limit, Value, limit
from u3v.happenings import Happening
from u3v.model import Model
from u3v.sfnc import ace, action_control, analog_control, auto_functions, chunk_data_control
from u3v.wire_traits import WireTraits

RENAMED = {
    "ExposureTime": "ExposureTimeAbs",
    "AcquisitionFrameRate": "AcquisitionFrameRateAbs",
    "AcquisitionBurstFrameCount": "AcquisitionFrameCount",
    "ResultingFrameRate": "ResultingFrameRateAbs",
    "SensorReadoutTime": "ReadoutTimeAbs",
    "TriggerDelay": "TriggerDelayAbs",
    "LineDebouncerTime": "LineDebouncerTimeAbs",
    "TimerDuration": "TimerDurationAbs",
    "TimerDelay": "TimerDelayAbs",
    "AutoExposureTimeLowerLimit": "AutoExposureTimeAbsLowerLimit",
    "AutoExposureTimeUpperLimit": "AutoExposureTimeAbsUpperLimit",
    "DeviceTemperatureSelector": "TemperatureSelector",
    "DeviceTemperature": "TemperatureAbs",
    "DeviceTemperatureStatus": "TemperatureState",
    "UserSetDefault": "UserSetDefaultSelector",
}
RAW = {
    "ExposureTime": ("ExposureTimeRaw", 1.0),
    "Gain": ("GainRaw", 10.0),
    "BlackLevel": ("BlackLevelRaw", 4.0),
    "LineDebouncerTime": ("LineDebouncerTimeRaw", 1.0),
    "TimerDuration": ("TimerDurationRaw", 1.0),
    "TimerDelay": ("TimerDelayRaw", 1.0),
    "AutoGainLowerLimit": ("AutoGainRawLowerLimit", 10.0),
    "AutoGainUpperLimit": ("AutoGainRawUpperLimit", 10.0),
    "AutoTargetBrightness": ("AutoTargetValue", 255.0),
}
"""Whole numbers: name, and steps in one unit of the feature."""
_ABSENT = (
    *("DeviceSerialNumber", "DeviceLinkSpeed", "DeviceLinkThroughputLimitMode", "DeviceLinkThroughputLimit"),
    *("DeviceLinkCurrentThroughput", "TimestampLatch", "TimestampLatchValue"),
)
_BURST, _BURST_WAIT = "AcquisitionStart", "AcquisitionTriggerWait"
EVENTS = {
    **{name.replace("FrameBurstStart", _BURST): text for name, text in ace.EVENTS.items()},
    "ActionLate": "An action came after its time.",
}
_ENTRIES = {
    "AcquisitionMode": {"SingleFrame": 0, "Continuous": 2},
    "TriggerSelector": {_BURST: 0, "FrameStart": 1},
    "AutoFunctionProfile": {"GainMinimum": 0, "ExposureMinimum": 1},
    "EventSelector": {event: index for index, event in enumerate(EVENTS)},
}


CHUNKS = (
    "Image OffsetX OffsetY Width Height PixelFormat DynamicRangeMax DynamicRangeMin Stride Timestamp LineStatusAll"
    " Framecounter Triggerinputcounter ExposureTime GainAll SequenceSetIndex PayloadCRC16"
)


def features(model: Model, wire: WireTraits) -> list[Feature]:
    """Every feature of an ace on Ethernet."""
    return [
        *_older(model, wire),
        *chunk_data_control.features(chunks(model)),
        *action_control.features(),
    ]


def chunks(model: Model) -> list[Chunk]:
    """What may follow the pixels."""
    return chunk_data_control.chunks(model, CHUNKS)


def _older(model: Model, wire: WireTraits) -> Iterator[Feature]:
    for feature in ace.features(model, wire):
        name = feature.name
        if name == "AcquisitionFrameCount":  # of MultiFrame; here the name is that of a burst's frames
            continue
        if feature.category == chunk_data_control.CATEGORY:  # other chunks than on USB
            continue
        if name in ("Gain", "BlackLevel"):
            yield analog_control.selector_of_all(f"{name}Selector", f"What {name}Raw is about.")
        if name in RENAMED or name in RAW or name in _ABSENT:
            yield replace(feature, hidden=True)
            if name in RENAMED:
                yield _renamed(feature, RENAMED[name])
            if name in RAW:
                yield _raw(feature, *RAW[name])
        elif name.startswith("AutoFunctionROI"):
            yield _area(feature)
        elif isinstance(feature, Enumeration):
            yield replace(feature, entries=_entries(feature))
        else:
            yield feature


def _area(feature: Feature) -> Feature:
    """Of a region of auto functions: they were called areas of interest."""
    named: dict[str, Any] = {
        "name": feature.name.replace("ROIUseBrightness", "AOIUsageIntensity").replace("ROI", "AOI"),
        "selectors": tuple(selector.replace("ROI", "AOI") for selector in feature.selectors),
    }
    if isinstance(feature, Enumeration):
        named["entries"] = {entry.replace("ROI", "AOI"): value for entry, value in feature.entries.items()}
    if isinstance(feature, Boolean):
        named["defaults"] = {entry.replace("ROI", "AOI"): value for entry, value in feature.defaults.items()}
    return replace(feature, **named)


def _entries(feature: Enumeration) -> Mapping[str, int]:
    entries = _ENTRIES.get(feature.name, feature.entries)
    if feature.name == "TriggerSource":
        return {**entries, "Action1": len(entries)}
    return {entry.replace("FrameBurstTriggerWait", _BURST_WAIT): value for entry, value in entries.items()}


def _renamed(feature: Feature, name: str) -> Feature:
    """The same feature under another name. What it writes, and what follows, is the hidden one's."""
    return replace(
        feature,
        name=name,
        keeps=False,
        volatile=True,
        read=feature.read or partial(_get, feature.name),
        store=None if feature.read is not None else partial(_set, feature.name),
    )


def _raw(feature: Feature, name: str, steps: float) -> Feature:
    """A float as a whole number of steps."""
    assert isinstance(feature, Float)

    def bound(source: Limit, rounds: Callable[[float], int]) -> Limit:
        if callable(source):
            return lambda camera: rounds(round(limit(camera, source) * steps, 2))
        return rounds(round(source * steps, 2))

    return Integer(
        name=name,
        tooltip=f"{feature.tooltip.removesuffix('.')}, in steps of {1 / steps:.4g} {feature.unit}".strip()
        + ".",
        category=feature.category,
        visibility=feature.visibility,
        selectors=feature.selectors,
        locked=feature.locked,
        available=feature.available,
        written=feature.written,
        persistent=feature.persistent,
        min=bound(feature.min, math.ceil),
        max=bound(feature.max, math.floor),
        read=lambda camera: round(camera.features.get(feature.name) * steps),
        store=lambda camera, value: camera.features.set(feature.name, float(value) / steps),
    )


def _get(name: str, camera: Device) -> Value:
    value: Value = camera.features.get(name)
    return value


def _set(name: str, camera: Device, value: Value) -> None:
    camera.features.set(name, value)


FAMILY: Family = replace(
    ace.FAMILY,
    features=features,
    events=EVENTS,
    chunks=chunks,
    event_names={
        Happening.ACQUISITION_START: "",
        Happening.FRAME_BURST_START: _BURST,
        Happening.FRAME_BURST_START_OVERTRIGGER: f"{_BURST}Overtrigger",
    },
    triggers={BURST: _BURST, FRAME: "FrameStart"},
    auto=auto_functions.BASLER_ON_ETHERNET,
    older_names=True,
)
