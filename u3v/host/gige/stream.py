"""Taking frames from a GigE camera: stream registers, packet size, packets into frames, resends, heartbeat.

State of a `GigeStream`: its blocks, and when the camera was last told that its host lives. No clock: the source of
packets says when they came. The packet size is the largest that a test packet comes through with.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address
from typing import Protocol

from u3v.errors import U3VError
from u3v.host.bus import WriteBuffer
from u3v.host.gige import registers
from u3v.host.gige.blocks import Blocks, GigeFrame
from u3v.host.gige.client import GvcpClient
from u3v.host.stream import StreamLost

PACKET_SIZES = (9000, 1500, 576)
KEEP_ALIVE_NS = 1_000_000_000
_LOOK_MS = 5
_TEST_MS, _TESTS = 20, 3
_IP_UDP_BYTES = 28


class Packets(Protocol):
    """The socket that the stream comes to."""

    ip: str
    port: int

    def receive(self, timeout_ms: int) -> tuple[int, Sequence[memoryview]]:
        """Now, and the datagrams that have come, each valid until the next call; none after `timeout_ms`."""
        ...


class NothingCame(U3VError):
    """No packet within the time."""


class GigeStream:
    """`start()`, then `next_frame()` and `release()` again and again, then `stop()`.

    The caller runs AcquisitionStart after `start()` and AcquisitionStop before `stop()`.
    """

    def __init__(self, client: GvcpClient, packets: Packets, payload_bytes: int) -> None:
        self._client = client
        self._packets = packets
        self.buffer_bytes = payload_bytes
        self.packet_bytes = 0
        self.assembler = Blocks(payload_bytes, PACKET_SIZES[-1])
        self.asked_again = 0
        self.resyncs = self.after_stop = 0
        self._alive_ns = 0

    @property
    def payload_size(self) -> int:
        return self.buffer_bytes

    @property
    def posted(self) -> int:
        """Buffers that frames can come into."""
        return self.assembler.room

    def start(self, buffers: Iterable[WriteBuffer]) -> None:
        """Open the stream, with the largest packets that come through. Raises U3VError where none do."""
        self._client.write_u32(registers.SCDA, int(IPv4Address(self._packets.ip)))
        self._client.write_u32(registers.SCP, self._packets.port)
        self.packet_bytes = self._largest()
        self._client.write_u32(registers.SCPS, self.packet_bytes)
        self.assembler = Blocks(self.buffer_bytes, self.packet_bytes)
        for buffer in buffers:
            self.assembler.add(buffer)
        self._alive_ns, _ = self._packets.receive(0)

    def next_frame(self, timeout_ms: int) -> GigeFrame:
        """The next frame, complete or not. Its buffer is the caller's until `release(frame)`.

        Raises NothingCame where no packet comes in time, StreamLost where the camera is not ours any more.
        """
        now_ns, heard_ns = self._alive_ns, None
        while True:
            frame = self.assembler.take(now_ns)
            if frame is not None:
                return frame
            now_ns, came = self._packets.receive(_LOOK_MS)
            for packet in came:
                self.assembler.packet(packet, now_ns)
            for hole in self.assembler.missing(now_ns):
                self.asked_again += hole.last - hole.first + 1
                self._client.resend(hole.raw_id, hole.first, hole.last, extended=self.assembler.is_extended)
            if now_ns - self._alive_ns > KEEP_ALIVE_NS:
                self._alive_ns = now_ns
                self._keep_alive()
            if came or heard_ns is None:
                heard_ns = now_ns
            elif now_ns - heard_ns > timeout_ms * 1_000_000:
                raise NothingCame(f"no packet came within {timeout_ms} ms")

    def release(self, frame: GigeFrame) -> None:
        """Give a frame's memory back."""
        self.assembler.add(frame.buffer)

    def stop(self) -> None:
        """Close the stream. Blocks that have begun are none of the assembler's any more."""
        self.after_stop = self.assembler.begun
        self._client.write_u32(registers.SCP, 0)

    def _keep_alive(self) -> None:
        try:
            self._client.keep_alive()
        except U3VError as error:
            raise StreamLost(str(error)) from error

    def _largest(self) -> int:
        for size in PACKET_SIZES:
            for _ in range(_TESTS):
                asked = registers.FIRE | registers.DO_NOT_FRAGMENT | size
                self._client.write_u32(registers.SCPS, asked)
                size = self._client.read_u32(registers.SCPS) & 0xFFFF
                _, came = self._packets.receive(_TEST_MS)
                if any(len(packet) == size - _IP_UDP_BYTES for packet in came):
                    return size
        raise U3VError(
            "no test packet of the camera comes through: a firewall, or it is not on a net of this machine"
        )
