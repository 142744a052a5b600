"""What of a GigE Vision stream on Ethernet is payload: the frame rates that makers print are judged by it."""

import math
from dataclasses import dataclass


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
