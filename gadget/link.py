"""The USB link as a budget of time: when has a piece of data crossed the wire? Pure: instants in and out.

A SuperSpeed bulk packet of 1024 bytes takes 1056 byte times (framing, link commands) of the 500 MB/s that
8b/10b coding leaves of 5 Gbit/s; with skip ordered sets 479 MB/s of payload are the ceiling. High-Speed
carries at most 13 bulk packets of 512 bytes per 125 us microframe: 53.2 MB/s (USB 2.0 table 5-10).
"""

from u3v.wire.usb import Speed

PAYLOAD_BYTES_PER_S = {Speed.SUPER: 479_000_000.0, Speed.HIGH: 13 * 512 * 8000.0}


PACKET_BYTES = 1024


class Link:
    """A wire of `bytes_per_s` (0: not paced). Pieces cross one after another, each whole.

    Pieces of one packet (acknowledges, events, leaders) slip in between the bursts of a long piece, as the
    host controller's round robin lets them.
    """

    def __init__(self, bytes_per_s: float = 0.0) -> None:
        self.bytes_per_s = bytes_per_s
        self._free_ns = 0

    def reserve(self, length_bytes: int, ready_ns: int, asked_ns: int) -> int:
        """When a piece that exists from `ready_ns` on, asked for at `asked_ns`, has crossed (ns)."""
        if not self.bytes_per_s:
            return ready_ns
        if length_bytes <= PACKET_BYTES:
            return max(ready_ns, asked_ns)
        start_ns = max(self._free_ns, asked_ns)
        self._free_ns = max(ready_ns, start_ns + int(length_bytes * 1e9 / self.bytes_per_s))
        return self._free_ns
