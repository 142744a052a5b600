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

    def row_time_ns(self, row: int, height_rows: int) -> int:
        """When row `row` of `height_rows` has been read, from the start of readout."""
        return self.readout_ns(height_rows) - math.floor((height_rows - 1 - row) * self.line_time_ns)

    def frame_period_ns(
        self, height_rows: int, exposure_ns: int, link_ns: int, *, overlap: bool = True
    ) -> int:
        """Shortest period of free-running frames for these rows, this exposure and this link time."""
        return frame_period_ns(
            self.readout_ns(height_rows),
            exposure_ns,
            link_ns,
            overhead_ns=math.ceil(self.exposure_overhead_ns),
            overlap=overlap,
        )


def link_ns(payload_bytes: int, bytes_per_s: float) -> int:
    """Time a payload takes on a link. Raises ValueError unless the rate is above zero."""
    if not bytes_per_s > 0:
        raise ValueError(f"link rate is {bytes_per_s} bytes/s, must be above zero")
    return math.ceil(payload_bytes * 1e9 / bytes_per_s - 1e-6)


def frame_period_ns(
    readout_ns: int, exposure_ns: int, link_ns: int, *, overhead_ns: int = 0, overlap: bool = True
) -> int:
    """Period from its three stages. Without overlap, exposure and readout follow each other."""
    exposing_ns = exposure_ns + overhead_ns
    if overlap:
        return max(readout_ns, link_ns, exposing_ns)
    return max(exposing_ns + readout_ns, link_ns)


def one_buffer_period_ns(readout_ns: int, exposure_ns: int, link_ns: int, *, overhead_ns: int = 0) -> int:
    """Period of triggered frames when the camera's memory holds one image.

    The image goes out while it is read, but the next exposure starts only when its last byte has left. The
    Baumer VCXG-124M prints 9 fps for this at full resolution and 4 ms, where the link alone would do 10.
    """
    return exposure_ns + overhead_ns + max(readout_ns, link_ns)


@dataclass(frozen=True)
class GigeLink:
    """A GigE Vision stream on Ethernet: what of the wire is payload.

    Every packet of at most `packet_bytes` (IP header and up) carries `gvsp_bytes` of stream header (20 with
    64-bit block ids, 8 before GigE Vision 2) in 28 bytes of IP and UDP, and takes 38 more on the wire (MAC
    header, checksum, preamble, gap). A leader and a trailer packet frame each image. `share` is what the
    sender uses of the wire: 1, or less for a reserve.
    """

    packet_bytes: int = 8192
    bits_per_s: float = 1e9
    gvsp_bytes: int = 20
    leader_bytes: int = 36
    trailer_bytes: int = 8
    share: float = 1.0

    @property
    def data_bytes(self) -> int:
        """Image bytes in one packet."""
        return self.packet_bytes - self.gvsp_bytes - 28

    def wire_bytes(self, payload_bytes: int) -> int:
        """All bytes of one image on the wire, with leader and trailer."""
        packets = -(-payload_bytes // self.data_bytes)
        per_packet = self.gvsp_bytes + 28 + 38
        return payload_bytes + self.leader_bytes + self.trailer_bytes + (packets + 2) * per_packet

    def frame_ns(self, payload_bytes: int) -> int:
        """Time one image takes on the wire."""
        return math.ceil(self.wire_bytes(payload_bytes) * 8e9 / (self.bits_per_s * self.share) - 1e-6)

    def payload_bytes_per_s(self, payload_bytes: int) -> float:
        """Payload rate with images of this size back to back."""
        return payload_bytes * 1e9 / self.frame_ns(payload_bytes)
