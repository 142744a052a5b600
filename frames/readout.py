"""How long a frame takes: sensor readout, link and exposure, and which of them rules.

A sensor reads whole rows: t_readout = (rows + extra lines) x line time. Width does not matter, and binning by
the camera's processor still reads every sensor row; only a sensor that bins itself reads fewer. With overlap,
the next exposure runs while the last one is read out, and the slowest of three stages sets the period:

    period = max(t_readout, payload / link rate, exposure + overhead)

Basler acA4096-40um at 4096x2168, Mono8 (8 880 128 bytes): sensor alone 47.6 fps, the printed 42.7 fps is the
link at 379.5 MB/s, and 40.5 fps is the default throughput limit of 360 MB/s. At full width the link rules
above about 282 rows, the sensor below. Pure arithmetic in nanoseconds; no clock, no state.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class ReadoutTiming:
    """Timing constants of one sensor: `line_time_ns` per row, `extra_lines` per frame (not always whole),
    `exposure_overhead_ns`. `binned_in_sensor`: vertical binning reads fewer rows.
    """

    line_time_ns: float
    extra_lines: float
    exposure_overhead_ns: float
    binned_in_sensor: bool = False

    def rows_read(self, height: int, binning_vertical: int = 1) -> int:
        """Rows the sensor reads for an image of `height` (binned) rows."""
        return height if self.binned_in_sensor else height * binning_vertical

    def readout_ns(self, height_rows: int) -> int:
        """Time to read `height_rows` sensor rows."""
        return math.ceil((height_rows + self.extra_lines) * self.line_time_ns - 1e-6)

    def frame_period_ns(self, height_rows: int, exposure_ns: int, link_ns: int) -> int:
        """Shortest period of frames of these rows, this exposure and this link time. Where exposure and readout follow
        each other, `exposure_ns` is the time of both.
        """
        return max(self.readout_ns(height_rows), link_ns, exposure_ns + math.ceil(self.exposure_overhead_ns))
