"""Reads what a host has set into `ImageSettings`, through typed handles on the features, once for each change."""

import math
import struct

from u3v.auto_brightness import meter
from u3v.device import Device
from u3v.exposure import ImageSettings, Tail
from u3v.family import Family
from u3v.feature_set import FeatureSet
from u3v.wire.pfnc import PIXEL_FORMATS


class SettingsReader:
    """State: the settings last read and their version. `tail`: what follows the pixels, or None."""

    def __init__(self, camera: Device, features: FeatureSet, family: Family, tail: Tail | None) -> None:
        self._camera = camera
        self._family = family
        self._tail = tail
        self._known: tuple[int, ImageSettings] | None = None
        self._exposure_us = features.handle("ExposureTime", float)
        self._black_level = features.handle("BlackLevel", float, 0.0)
        self._offset_x = features.handle("OffsetX", int)
        self._offset_y = features.handle("OffsetY", int)
        self._width = features.handle("Width", int)
        self._height = features.handle("Height", int)
        self._binning_horizontal = features.handle("BinningHorizontal", int)
        self._binning_vertical = features.handle("BinningVertical", int)
        self._reverse_x = features.handle("ReverseX", bool)
        self._reverse_y = features.handle("ReverseY", bool)
        self._pixel_format = features.handle("PixelFormat", str)
        self._defect_correction = features.handle("DefectPixelCorrection", bool, False)
        self._gamma = features.handle("Gamma", float, 1.0)
        self._features = features
        self._defects: tuple[tuple[bytes, ...], tuple[tuple[int, int], ...]] = ((), ())
        self._curve: tuple[tuple[float, str], bytes] = ((1.0, ""), b"")

    def read(self, version: int) -> ImageSettings:
        """The settings as they are. `version` changes whenever one of them may have."""
        if self._known is None or self._known[0] != version:
            self._known = (version, self._read(version))
        return self._known[1]

    def _read(self, version: int) -> ImageSettings:
        width, height = self._width.get(), self._height.get()
        pixel_format, binning_vertical = self._pixel_format.get(), self._binning_vertical.get()
        rows = self._camera.acquisition.timing.rows_read(height, binning_vertical)
        return ImageSettings(
            exposure_us=self._exposure_us.get(),
            gain_db=self._family.gain_db(self._camera),
            black_level_dn12=self._black_level.get(),
            offset_x=self._offset_x.get(),
            offset_y=self._offset_y.get(),
            width=width,
            height=height,
            binning_horizontal=self._binning_horizontal.get(),
            binning_vertical=binning_vertical,
            reverse_x=self._reverse_x.get(),
            reverse_y=self._reverse_y.get(),
            pixel_format=pixel_format,
            image_bytes=PIXEL_FORMATS[pixel_format].payload_bytes(width, height),
            chunk_bytes=0 if self._tail is None else self._tail.bytes_for(version),
            sensor_rows=min(rows, self._camera.model.integer("height_max_px")),
            defect_correction=self._defect_correction.get(),
            corrected=self._corrected(),
            averages=self._averages(),
            curve=self._curve_now(),
            meter=meter(self._camera, self._family.auto),
        )

    def _corrected(self) -> tuple[tuple[int, int], ...] | None:
        """The active entries of the defect pixel list; taken apart only where a byte of it has changed."""
        features = self._features
        if "DefectPixelListIndex" not in features:
            return None
        raw = tuple(features.raw(f"DefectPixelListEntry{name}") for name in ("Active", "PosX", "PosY"))
        if self._defects[0] != raw:
            active, x, y = ([row[at : at + 4] for at in range(0, len(row), 8)] for row in raw)
            entries = zip(active, x, y, strict=True)
            number = int.from_bytes
            listed = tuple((number(px, "little"), number(py, "little")) for on, px, py in entries if any(on))
            self._defects = raw, listed
        return self._defects[1]

    def _averages(self) -> int:
        ways = ("Horizontal", "Vertical")
        modes = (self._features.get_or(f"Binning{way}Mode", "Sum") for way in ways)
        sizes = (int(self._features.get(f"Binning{way}")) for way in ways)
        return math.prod(size for size, mode in zip(sizes, modes, strict=True) if mode == "Average")

    def _curve_now(self) -> bytes:
        """The look-up table, and then gamma."""
        features = self._features
        table = features.get("LUTValueAll") if features.get_or("LUTEnable", False) else ""
        gamma = self._gamma.get()
        if self._curve[0] != (gamma, table):
            self._curve = (gamma, table), tone_curve(bytes.fromhex(table), gamma)
        return self._curve[1]


def tone_curve(table: bytes, gamma: float) -> bytes:
    """What becomes of 12-bit pixel values: `table` (4096 numbers of 16 bits, little-endian; empty: none), then
    x ** gamma of the whole range. Empty where nothing becomes of them."""
    if gamma == 1.0:
        return table
    values = struct.unpack("<4096H", table) if table else range(4096)
    return struct.pack("<4096H", *(round(4095 * (value / 4095) ** gamma) for value in values))
