"""How much of the link the stream uses: size of its packets, delay between them, and Basler's bandwidth manager.

Ethernet takes 38 bytes more for each packet, so small packets carry less. GevSCPD adds a delay to each. GevSCBWR keeps
a share of the link back for what has to be sent again, which delays no frame as long as that lasts; what nobody asks
for adds up, for as many frames as GevSCBWRA says. GevSCBWR is 0 at power-up (assumed: Basler's own default is 10, but
the frame rates that it prints need the whole link). GevSCFTD delays each frame's first packet. The camera hears of all
that, so that it exposes no more than it can send. What is only read here: bytes/s that are assigned to the stream
(GevSCBWA), that the sensor could make (GevSCDMT), that come with the settings as they are (GevSCDCT); and how late a
frame can be because of resends (GevSCFJM), in ticks.
"""

from u3v.camera import Camera
from u3v.gev.bootstrap import TICKS_PER_S, Bootstrap
from u3v.wire import gvsp
from u3v.wire_traits import Link

MOST_RESERVE_PERCENT = 50
MOST_ACCUMULATION = 32
"""Limits of GevSCBWR and GevSCBWRA (assumed)."""


class Bandwidth:
    """Of the stream of `camera`. It has no state but the registers, and what follows from them.

    `data_bytes`: payload of a packet. `is_spaced`: whether the host wants a delay between packets. `reserve`: share of
    the stream that packets may have that a host asks for again.
    """

    def __init__(self, camera: Camera, bootstrap: Bootstrap) -> None:
        self._camera = camera
        self._bootstrap = bootstrap
        self._link = camera.link
        for name in ("SCPD", "GVSP_Configuration"):
            bootstrap.when_written(name, written=self.use)
        bootstrap.on_size = self.use
        bootstrap.when_written("SCBWR", written=lambda: self._clamp("SCBWR", 0, MOST_RESERVE_PERCENT))
        bootstrap.when_written("SCBWRA", written=lambda: self._clamp("SCBWRA", 1, MOST_ACCUMULATION))
        bootstrap.when_read("SCBWA", lambda: round(self._packet_bytes * 1e9 / self._packet_ns))
        bootstrap.when_read("SCDMT", lambda: self._frames(camera.acquisition.sensor_period_ns()))
        bootstrap.when_read("SCDCT", lambda: self._frames(camera.period_ns()))
        bootstrap.when_read("SCFJM", self._jitter)
        self.use()

    def use(self) -> None:
        """Tell the camera how much payload its link carries with the settings as they are."""
        self.data_bytes = self._bootstrap.layout.data_bytes(self._packet_bytes)
        self.is_spaced = self._bootstrap.get("SCPD") > 0
        self.reserve = self._bootstrap.get("SCBWR") / 100
        self._camera.use_link(Link(self._link.bits_per_s, self.data_bytes * 1e9 / self._packet_ns))

    @property
    def frame_delay_ns(self) -> int:
        """From the end of an exposure to the frame's first packet, at least."""
        return self._bootstrap.get("SCFTD") * 1_000_000_000 // TICKS_PER_S

    @property
    def saved_ns(self) -> int:
        """For so long the reserve adds up."""
        frame_ns = self._camera.wire_bytes / self.data_bytes * self._packet_ns
        return round(frame_ns * max(1, self._bootstrap.get("SCBWRA")))

    @property
    def _packet_bytes(self) -> int:
        return self._bootstrap.packet_size

    @property
    def _packet_ns(self) -> float:
        """From one packet to the next."""
        own = self._link
        least_ns = max(
            self.data_bytes * 1e9 / own.payload_bytes_per_s,
            (self._packet_bytes + gvsp.ETHERNET_BYTES) * 8e9 / own.bits_per_s,
        )
        delay_ns = self._bootstrap.get("SCPD") * 1_000_000_000 / TICKS_PER_S
        return (least_ns + delay_ns) * (1 + self.reserve)

    def _frames(self, period_ns: int) -> int:
        """Bytes/s of frames at this distance, headers among them."""
        packets = -(-self._camera.wire_bytes // self.data_bytes)
        headers = packets * (self._packet_bytes - self.data_bytes)
        return min(round((self._camera.wire_bytes + headers) * 1e9 / period_ns), 0xFFFFFFFF)

    def _jitter(self) -> int:
        """As long as it takes to send again what the reserve of so many frames has room for."""
        return min(round(self.saved_ns * self.reserve * TICKS_PER_S / 1e9), 0xFFFFFFFF)

    def _clamp(self, name: str, least: int, most: int) -> None:
        self._bootstrap.set(name, min(max(self._bootstrap.get(name), least), most))
        self.use()
