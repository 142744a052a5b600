"""Reads what a host has set into `ImageSettings`, through typed handles on the features, once for each change."""

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
        )
