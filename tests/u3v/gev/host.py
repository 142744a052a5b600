"""A GigE Vision host in bytes, on a fake clock; written from the packet layouts, without `u3v.wire`."""

import struct
from dataclasses import dataclass

from tests.u3v.rig import MS, Painted, PlainTiming, Room
from u3v.camera import Camera, Options
from u3v.gev.bootstrap import GIGE_VISION, Address
from u3v.gev.clock import Domain
from u3v.gev.control import Datagram
from u3v.gev.function import GevFunction
from u3v.gev.stream import apart
from u3v.model import load_model

HOST = ("10.0.0.5", 40000)
STRANGER = ("10.0.0.6", 40000)
CCP, HEARTBEAT, SCP, SCPS, SCPD, SCDA, SCSP = 0xA00, 0x938, 0xD00, 0xD04, 0xD08, 0xD18, 0xD1C
STREAM_PORT = 50000


@dataclass
class Packet:
    """A GVSP packet, apart: `kind` 1 leader, 2 trailer, 3 data."""

    status: int
    block: int
    kind: int
    number: int
    data: bytes


class Host:
    """One host and one camera. `now_ns` goes on only by `wait`."""

    def __init__(
        self,
        model: str = "acA4096-11gm",
        *,
        paced: bool = False,
        domain: Domain | None = None,
        serial: str = "40000001",
        address: Address | None = None,
    ) -> None:
        options = Options(paced=paced, serial=serial)
        self.camera = Camera(load_model(model), PlainTiming(), Room(), GIGE_VISION, options)
        for name, value in (("Width", 64), ("Height", 30), ("ExposureTime", 100.0)):
            self.camera.features.host_set(name, value)
        self.painted = Painted(self.camera)
        self.function = GevFunction(
            self.camera, address or Address("10.0.0.9", "255.255.255.0"), domain=domain
        )
        self.function.use_ports(41000, 41001)
        self.now_ns = 0
        self._id = 0

    def wait(self, duration_ns: int) -> list[Datagram]:
        """Answers that came meanwhile."""
        self.now_ns += duration_ns
        return self.function.tick(self.now_ns)

    def ask(
        self,
        code: int,
        payload: bytes = b"",
        *,
        peer: tuple[str, int] = HOST,
        flags: int = 1,
        request_id: int = 0,
    ) -> list[bytes]:
        self._id = self._id % 0xFFFF + 1
        head = struct.pack(">BBHHH", 0x42, flags, code, len(payload), request_id or self._id)
        answers = self.function.datagrams([Datagram(head + payload, peer)], self.now_ns)
        assert all(answer.peer == peer for answer in answers)
        return [answer.data for answer in answers]

    def ack(self, code: int, payload: bytes = b"", *, peer: tuple[str, int] = HOST) -> tuple[int, bytes]:
        """Status and payload of the one acknowledge."""
        (answer,) = self.ask(code, payload, peer=peer)
        status, got, length, request_id = struct.unpack_from(">HHHH", answer)
        assert (got, length, request_id) == (code + 1, len(answer) - 8, self._id)
        return status, answer[8:]

    def read(self, *addresses: int, peer: tuple[str, int] = HOST) -> list[int]:
        status, data = self.ack(0x80, struct.pack(f">{len(addresses)}I", *addresses), peer=peer)
        assert status == 0, hex(status)
        return [value for (value,) in struct.iter_unpack(">I", data)]

    def write(self, address: int, value: int, *, peer: tuple[str, int] = HOST) -> int:
        """The status."""
        return self.ack(0x82, struct.pack(">II", address, value), peer=peer)[0]

    def memory(self, address: int, count: int) -> bytes:
        status, data = self.ack(0x84, struct.pack(">IHH", address, 0, count))
        assert status == 0 and data[:4] == struct.pack(">I", address)
        return data[4:]

    def press(self, name: str) -> None:
        """A command feature, whose register is little-endian."""
        assert self.write(self.camera.features.address[name], 0x01000000) == 0

    def start(self) -> None:
        """Control, a stream to STREAM_PORT, AcquisitionStart."""
        assert self.write(CCP, 2) == 0
        assert self.write(SCDA, 0x0A000005) == 0
        assert self.write(SCP, STREAM_PORT) == 0
        self.press("AcquisitionStart")

    def packets(self, most: int = 1000) -> list[Packet]:
        """What the stream sends now."""
        return [self.split(p.header + bytes(p.data)) for p in apart(self.function.packets(self.now_ns, most))]

    def split(self, data: bytes) -> Packet:
        if data[4] & 0x80:
            status, _, kind, block, number = struct.unpack_from(">HHB3xQI", data)
            return Packet(status, block, kind & 0x7F, number, data[20:])
        status, block, word = struct.unpack_from(">HHI", data)
        return Packet(status, block, word >> 24, word & 0xFFFFFF, data[8:])

    def blocks(self, count: int) -> list[list[Packet]]:
        """So many whole blocks."""
        got: list[list[Packet]] = []
        for _ in range(10_000):
            for packet in self.packets(1):
                if packet.kind == 1:
                    got.append([])
                got[-1].append(packet)
            if len(got) == count and got[-1][-1].kind == 2:
                return got
            if got and len(got) > count:
                break
            self.wait(MS // 20)
        raise AssertionError(f"{len(got)} blocks came")
