"""What the pixels of one frame depend on, and what a sensor has that EMVA 1288's model has not."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FrameSettings:
    """What the pixels of one frame depend on. The region of interest is in binned pixels.

    `frame` is the index of the random stream, `time_s` the scene's time at the start of exposure,
    `black_level_dn12` in 12-bit DN, binning 1..4 in each direction (sums), `pixel_format` a PFNC name,
    `test_image` 0 (off), 1 .. 6 or a name (see frames.testimages). `corrected`: the (x, y) that defect correction has;
    None: the hottest. `curve`: what becomes of each 12-bit value of the sensor's image, 4096 times u16, little-endian.
    """

    frame: int
    time_s: float
    exposure_us: float
    gain_db: float
    black_level_dn12: float
    offset_x: int
    offset_y: int
    width: int
    height: int
    binning_horizontal: int = 1
    binning_vertical: int = 1
    reverse_x: bool = False
    reverse_y: bool = False
    pixel_format: str = "Mono8"
    test_image: int | str = 0
    temperature_c: float = 45.0
    defect_correction: bool = True
    corrected: tuple[tuple[int, int], ...] | None = None
    curve: bytes = b""
