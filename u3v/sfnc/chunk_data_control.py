"""SFNC ChunkDataControl: what cameras say about each frame behind its pixels, and how hosts switch it on.

Ids of chunks are not published: they are numbered here in the order of `CHUNK_NAMES` (assumed), the same for all
cameras.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from u3v.chunks import IMAGE, Chunk, ChunkValue
from u3v.device import Device
from u3v.exposure import Exposure
from u3v.features import (
    Boolean,
    Enumeration,
    Feature,
    Float,
    Integer,
    while_acquiring,
)
from u3v.model import Model
from u3v.wire.pfnc import PIXEL_FORMATS

CATEGORY = "ChunkDataControl"
CHUNK_NAMES = (
    "Image OffsetX OffsetY Width Height PixelFormat Timestamp FrameID ExposureTime Gain BlackLevel LineStatusAll"
    " CounterValue SequencerSetActive Binning DeviceTemperature ImageControl PayloadCRC16"
    " DynamicRangeMax DynamicRangeMin Stride Framecounter Triggerinputcounter GainAll SequenceSetIndex"
)
FIRST_ID = 0x0000_1000
COUNTERS = ("Counter1", "Counter2")


def chunks(model: Model, names: str) -> list[Chunk]:
    """The chunks of these names (blank-separated)."""
    known = CHUNK_NAMES.split()
    return [
        Chunk(name, FIRST_ID + known.index(name), tuple(_values(model, name)), name == "PayloadCRC16")
        for name in names.split()
    ]


def features(declared: Sequence[Chunk], selectable_image: bool = False) -> list[Feature]:
    """All features of the category, for cameras with these chunks. `selectable_image`: ChunkSelector has an entry for
    the pixels, which are always there."""
    entries = {c.name: c.chunk_id - FIRST_ID for c in declared if selectable_image or c.name != IMAGE}
    found: list[Feature] = [
        Boolean(
            name="ChunkModeActive",
            tooltip="Whether frames come with chunks.",
            locked=while_acquiring,
            persistent=True,
        ),
        Enumeration(name="ChunkSelector", tooltip="The chunk that ChunkEnable is about.", entries=entries),
        Boolean(
            name="ChunkEnable",
            tooltip="Whether the selected chunk is in the frames.",
            selectors=("ChunkSelector",),
            locked=while_acquiring,
            written=_keep_the_image,
            may_differ=selectable_image,
            defaults={IMAGE: True},
            persistent=True,
        ),
    ]
    return [replace(feature, category=CATEGORY) for feature in found]


def _keep_the_image(camera: Device) -> None:
    """The pixels stay, whoever switches them off. (Aravis switches all chunks off before it switches some on, and
    gives up where one refuses.)"""
    if camera.features.get("ChunkSelector") == IMAGE:
        camera.features.set("ChunkEnable", True)


def _values(model: Model, name: str) -> list[ChunkValue]:
    if name == IMAGE:
        return []
    if name == "Binning":
        return [
            _integer(f"Binning{way}", f"Binning, {way.lower()}.", _setting(f"binning_{way.lower()}"))
            for way in ("Horizontal", "Vertical")
        ]
    return [_VALUES[name](model)]


def _pixel_format(model: Model) -> ChunkValue:
    entries = {name: PIXEL_FORMATS[name].code for name in model.pixel_formats}
    feature = Enumeration(
        name="ChunkPixelFormat",
        tooltip="Format of the frame's pixels.",
        category=CATEGORY,
        access="RO",
        entries=entries,
    )
    return ChunkValue(feature, _setting("pixel_format"))


def _counters(_model: Model) -> ChunkValue:
    value = _integer("CounterValue", "The counter when the exposure began.", _zero)
    selector = Enumeration(
        name="ChunkCounterSelector",
        tooltip="The counter that ChunkCounterValue shows.",
        category=CATEGORY,
        entries={name: index for index, name in enumerate(COUNTERS)},
    )
    feature = replace(value.feature, selectors=(selector.name,))
    each = [_feature("CounterValue", CounterSelector=name) for name in COUNTERS]
    return ChunkValue(feature, each=each, selector=selector)


def _crc(_model: Model) -> ChunkValue:
    return _integer("PayloadCRC16", "CRC-16 of everything in front of it.", _zero, most=0xFFFF)


def _integer(
    name: str, tooltip: str, read: Any, *, bits: int = 32, unit: str = "", most: int = 0
) -> ChunkValue:
    feature = Integer(
        name=f"Chunk{name}",
        tooltip=tooltip,
        category=CATEGORY,
        access="RO",
        bits=bits,
        unit=unit,
        max=most or 2 ** (bits - 1) - 1,
    )
    return ChunkValue(feature, read)


def _float(name: str, tooltip: str, unit: str, read: Any, least: float = 0.0) -> ChunkValue:
    feature = Float(
        name=f"Chunk{name}", tooltip=tooltip, category=CATEGORY, access="RO", unit=unit, min=least
    )
    return ChunkValue(feature, read)


def _setting(name: str) -> Callable[[Device, Exposure], Any]:
    return lambda _camera, exposure: getattr(exposure.settings, name)


def _feature(name: str, **selected: str) -> Callable[[Device, Exposure], Any]:
    """What a feature says; 0 where the camera has none of it."""
    return lambda camera, _exposure: camera.features.get_or(name, 0, **selected)


def _zero(_camera: Device, _exposure: Exposure) -> int:
    return 0


def _stride(_camera: Device, exposure: Exposure) -> int:
    return exposure.settings.image_bytes // exposure.settings.height


def _image_control(_camera: Device, exposure: Exposure) -> int:
    """Bits of what was done to the pixels (assumed: Baumer has not published them)."""
    settings = exposure.settings
    flags = (settings.reverse_x, settings.reverse_y, settings.defect_correction, bool(exposure.test_image))
    return sum(1 << bit for bit, flag in enumerate(flags) if flag)


def _plain(name: str, tooltip: str, setting: str) -> Callable[[Model], ChunkValue]:
    return lambda _model: _integer(name, tooltip, _setting(setting), unit="px")


_VALUES: dict[str, Callable[[Model], ChunkValue]] = {
    "OffsetX": _plain("OffsetX", "Columns left of the image.", "offset_x"),
    "OffsetY": _plain("OffsetY", "Rows above the image.", "offset_y"),
    "Width": _plain("Width", "Width of the image.", "width"),
    "Height": _plain("Height", "Height of the image.", "height"),
    "PixelFormat": _pixel_format,
    "Timestamp": lambda _model: _integer(
        "Timestamp",
        "When the exposure began.",
        lambda _camera, exposure: exposure.timestamp_ns,
        bits=64,
        unit="ns",
    ),
    "FrameID": lambda _model: _integer(
        "FrameID", "The frame's number.", lambda _camera, exposure: exposure.block_id, bits=64
    ),
    "ExposureTime": lambda _model: replace(
        _float("ExposureTime", "Exposure time.", "us", _setting("exposure_us")), at_end=True
    ),
    "Gain": lambda _model: _float("Gain", "Gain of the frame.", "dB", _setting("gain_db"), -100.0),
    "BlackLevel": lambda _model: _float(
        "BlackLevel", "Black level of the frame, in steps of 12 bits.", "DN", _setting("black_level_dn12")
    ),
    "LineStatusAll": lambda _model: _integer(
        "LineStatusAll", "Levels of all lines when the exposure began.", _feature("LineStatusAll"), bits=64
    ),
    "CounterValue": _counters,
    "SequencerSetActive": lambda _model: _integer(
        "SequencerSetActive", "The sequencer set of the frame.", _feature("SequencerSetActive")
    ),
    "DeviceTemperature": lambda _model: _float(
        "DeviceTemperature",
        "Temperature in the device.",
        "C",
        lambda _camera, exposure: round(exposure.temperature_c),
        -273.15,
    ),
    "ImageControl": lambda _model: _integer(
        "ImageControl", "What was done to the pixels: bits for mirroring, correction, test.", _image_control
    ),
    "PayloadCRC16": _crc,
    # the words of Basler's GigE firmware, older than SFNC 2
    "DynamicRangeMax": lambda _model: _integer(
        "DynamicRangeMax", "The highest value of a pixel.", _feature("PixelDynamicRangeMax")
    ),
    "DynamicRangeMin": lambda _model: _integer(
        "DynamicRangeMin", "The lowest value of a pixel.", _feature("PixelDynamicRangeMin")
    ),
    "Stride": lambda _model: _integer("Stride", "Bytes from one row to the next.", _stride, unit="B"),
    "Framecounter": lambda _model: _integer(
        "Framecounter", "Frames exposed before this one.", lambda _camera, exposure: exposure.index
    ),
    "Triggerinputcounter": lambda _model: _integer(
        "Triggerinputcounter",
        "Counter1 when the exposure began: it counts frame triggers, unless it is set up for something else.",
        _feature("CounterValue", CounterSelector="Counter1"),
    ),
    "GainAll": lambda _model: _integer("GainAll", "GainRaw of the frame.", _feature("GainRaw")),
    "SequenceSetIndex": lambda _model: _integer(
        "SequenceSetIndex", "The sequencer set of the frame.", _feature("SequencerSetActive")
    ),
}
