"""One exposure, and the settings that its pixels depend on. Data only."""

from dataclasses import dataclass, replace
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """What a host has set, as far as pixels and their place in time depend on it. ROI in (binned) output pixels.

    Three sizes: `image_bytes` are pixels, `chunk_bytes` follow them in the same buffer, and `wire_bytes` is both:
    what a frame's payload takes on a wire (SFNC PayloadSize). `corrected`: (column, row) of the defect pixels that the
    camera knows; None: it has no list. `averages`: how many pixels binning averages where it does not add them up.
    `curve`: what becomes of each pixel value of 12 bits, as 4096 numbers of 16 bits, little-endian; empty: nothing.
    `meter`: column, row, width, height of the region whose brightness `Camera.deliver` is to be told; None: none.
    """

    exposure_us: float
    gain_db: float
    black_level_dn12: float
    offset_x: int
    offset_y: int
    width: int
    height: int
    binning_horizontal: int
    binning_vertical: int
    reverse_x: bool
    reverse_y: bool
    pixel_format: str
    image_bytes: int
    chunk_bytes: int
    sensor_rows: int
    defect_correction: bool
    corrected: tuple[tuple[int, int], ...] | None = None
    averages: int = 1
    curve: bytes = b""
    meter: tuple[int, int, int, int] | None = None

    @property
    def wire_bytes(self) -> int:
        return self.image_bytes + self.chunk_bytes

    @property
    def exposure_ns(self) -> int:
        return round(self.exposure_us * 1000)


class WrittenTail(Protocol):
    """What follows the pixels of one frame (chunk data), as it was when the exposure began."""

    @property
    def layout_id(self) -> int:
        """Changes with what the tail consists of."""

    @property
    def has_checksum(self) -> bool:
        """Whether it ends with a CRC-16 of all that is in front of it."""

    def lasting(self, exposure: "Exposure") -> "WrittenTail":
        """The same behind an exposure whose end decides how long it was (TriggerWidth): `exposure` knows it now."""

    def write(self, payload: memoryview, pixels_crc: int | None = None) -> None:
        """Fill the end of a frame's payload (`wire_bytes`), once its pixels are there.

        `pixels_crc`: the CRC-16 (polynomial 0x1021, from 0) of the pixels, where whoever made them has computed it.
        """


@dataclass(frozen=True, slots=True)
class Exposure:
    """One exposure and everything its pixels depend on. Instants in ns.

    `index` counts exposures since power-on (the random stream's number); `block_id` is the stream's. `test_image`:
    0 for the sensor's image, a maker's number or an SFNC name for another one.
    """

    index: int
    block_id: int
    start_ns: int
    readout_start_ns: int
    readout_ns: int
    timestamp_ns: int
    test_image: int | str
    temperature_c: float
    settings: ImageSettings
    tail: WrittenTail | None = None

    @property
    def readout_end_ns(self) -> int:
        return self.readout_start_ns + self.readout_ns

    def lasting(self, exposure_ns: int) -> "Exposure":
        """The same with another end, as a trigger signal gives it: all else stays as it was when it began."""
        settings = replace(self.settings, exposure_us=exposure_ns / 1000)
        ended = replace(self, settings=settings, readout_start_ns=self.start_ns + exposure_ns)
        return ended if self.tail is None else replace(ended, tail=self.tail.lasting(ended))


class PixelSource(Protocol):
    """Whoever makes pixels. The camera tells it of each exposure that has a place in the frame memory."""

    def expose(self, exposure: Exposure) -> None:
        """Make these pixels and hand them to `Camera.deliver`: at once, or later from the camera's own thread."""

    def frame_wanted(self) -> None:
        """The wire has room for a frame whose pixels are not there yet."""


class Tail(Protocol):
    """What follows the pixels in a frame's buffer (chunk data)."""

    def bytes_for(self, settings_version: int) -> int:
        """Bytes that the tail takes with the settings as they are."""

    def begin(self, exposure: Exposure, settings_version: int) -> WrittenTail:
        """The tail of this exposure, which begins now."""
