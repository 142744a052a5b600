"""Chunk data, judged by the reference GenApi's chunk adapter: what it reads in a frame is what was set."""

import struct
from binascii import crc_hqx
from collections.abc import Iterator
from typing import Any

import pytest

from tests.u3v.genicam_nodes import Nodes, genapi
from tests.u3v.models import ACE, GENERIC, IDS, NAMES, VCX, host_of
from tests.u3v.rig import SI_REQUIRED_PAYLOAD, SIRM, Host, Received, Refused
from u3v.features import Value

WITH_CHUNKS = [name for name in NAMES if name != IDS]
SMALL: dict[str, Value] = {"Width": 64, "Height": 48}
SHEET = (
    "Binning BlackLevel CounterValue DeviceTemperature ExposureTime FrameID Gain Height Image ImageControl"
    " LineStatusAll OffsetX OffsetY PixelFormat SequencerSetActive Timestamp Width"
)
"""Baumer VCXG-124M's data sheet."""


class Watcher:
    """A host whose frames go through GenApi's U3V chunk adapter."""

    def __init__(self, model: str, settings: dict[str, Value] | None = None) -> None:
        self.host = host_of(model, SMALL | (settings or {}))
        self.nodes = Nodes(self.host.camera)
        self.adapter = genapi.ChunkAdapterU3V(self.nodes.map)

    def enable(self, *names: str) -> None:
        for name in names or self.nodes["ChunkSelector"].symbolics:
            self.nodes["ChunkSelector"].value = name
            self.nodes["ChunkEnable"].value = True
        self.nodes["ChunkModeActive"].value = True

    def frame(self) -> Received:
        frame = self.host.frame()
        assert self.adapter.check_buffer_layout(frame.payload, len(frame.payload))
        self.adapter.attach_buffer(frame.payload, len(frame.payload))
        return frame

    def value(self, name: str) -> Any:
        return self.nodes[f"Chunk{name}"].value

    def values(self) -> dict[str, Any]:
        """All that is in the chunks of this camera."""
        declared = [v.feature.name for chunk in self.host.camera.chunks for v in chunk.values]
        return {name.removeprefix("Chunk"): self.nodes[name].value for name in declared}

    def close(self) -> None:
        """The adapter must go before the nodes; left alone it does so when the program ends."""
        self.adapter._finalizer()


@pytest.fixture
def watch() -> Iterator[Any]:
    made: list[Watcher] = []

    def make(*arguments: Any) -> Watcher:
        made.append(Watcher(*arguments))
        return made[-1]

    yield make
    for watcher in made:
        watcher.close()


def test_the_sheets_chunks() -> None:
    nodes = Nodes(host_of(VCX).camera)
    assert sorted(nodes["ChunkSelector"].symbolics) == sorted(SHEET.split())


@pytest.mark.parametrize("name", WITH_CHUNKS)
def test_genapi_reads_every_chunk(watch: Any, name: str) -> None:
    watcher = watch(name, {"ExposureTime": 1234.0, "Gain": 6.0, "OffsetX": 32, "OffsetY": 8})
    watcher.enable()
    watcher.host.start()
    settings = watcher.host.camera.settings
    known = {
        "OffsetX": 32,
        "OffsetY": 8,
        "Width": 64,
        "Height": 48,
        "PixelFormat": settings.pixel_format,
        "ExposureTime": 1234.0,
        "Gain": 6.0,
        "BlackLevel": 0.0,
        "BinningHorizontal": 1,
        "BinningVertical": 1,
        "DeviceTemperature": 41.0,
    }
    for number in range(3):
        frame = watcher.frame()
        values = watcher.values()
        assert values["Timestamp"] == frame.timestamp
        assert values.get("FrameID", number) == frame.block_id == number
        for key in known.keys() & values.keys():
            assert values[key] == known[key], key
        declared = {
            v.feature.name.removeprefix("Chunk") for c in watcher.host.camera.chunks for v in c.values
        }
        assert set(values) == declared
        assert (frame.status, frame.valid, frame.size_y) == (0, len(frame.payload), 48)


def test_a_frame_with_chunks_says_so_in_leader_and_trailer(watch: Any) -> None:
    """Payload type 0x4001 in the leader; a trailer of 36 bytes, which ends with the layout's id."""
    watcher = watch(ACE)
    host: Host = watcher.host
    watcher.enable("Timestamp")
    size = 64 * 48 + 8 + 8 + 8
    assert host.read_int(SI_REQUIRED_PAYLOAD, 8) == host.get("PayloadSize") == size
    assert host.read_int(SIRM + 0x14) >= 36
    host.start()
    frame = host.frame()
    assert frame.leader[18:20] == b"\x01\x40"
    assert (len(frame.trailer), frame.trailer[6:8]) == (36, b"\x24\0")
    ids = [chunk.chunk_id for chunk in host.camera.chunks]
    end = struct.pack("<QII", frame.timestamp, ids[1], 8)
    assert frame.payload[64 * 48 :] == struct.pack("<II", ids[0], 64 * 48) + end
    host.run("AcquisitionStop")
    host.write_int(SIRM + 4, 0)
    watcher.enable("Gain")
    host.start()
    other = host.frame()
    assert other.trailer[32:] != frame.trailer[32:]
    assert len(other.payload) == size + 16


def test_without_chunk_mode_frames_are_plain(watch: Any) -> None:
    watcher = watch(VCX)
    watcher.enable()
    watcher.nodes["ChunkModeActive"].value = False
    watcher.host.start()
    frame = watcher.host.frame()
    assert (frame.leader[18:20], len(frame.trailer), len(frame.payload)) == (b"\x01\x00", 32, 64 * 48)


def test_the_checksum_covers_all_in_front_of_it(watch: Any) -> None:
    """CRC-16 with Basler's "X-modem method": of the pixels and of every other chunk."""
    watcher = watch(ACE)
    watcher.enable()
    watcher.host.start()
    for _ in range(2):
        frame = watcher.frame()
        assert watcher.value("PayloadCRC16") == crc_hqx(frame.payload[:-12], 0) > 0


@pytest.mark.parametrize("name", [VCX, GENERIC])
def test_the_pixels_cannot_be_switched_off(watch: Any, name: str) -> None:
    watcher = watch(name)
    watcher.nodes["ChunkSelector"].value = "Image"
    watcher.nodes["ChunkEnable"].value = False
    assert watcher.host.get("ChunkEnable", ChunkSelector="Image") is True
    watcher.enable("Timestamp")
    watcher.host.start()
    assert watcher.frame().payload[: 64 * 48] != bytes(64 * 48)


def test_chunks_are_fixed_while_frames_come(watch: Any) -> None:
    watcher = watch(ACE)
    watcher.enable("Timestamp")
    watcher.host.run("AcquisitionStart")
    for name in ("ChunkModeActive", "ChunkEnable"):
        with pytest.raises(Refused, match="0x8006"):
            watcher.host.set(name, False)


def test_chunks_are_of_the_exposure_not_of_the_moment(watch: Any) -> None:
    """What is set after an exposure has begun is not in its chunks."""
    watcher = watch(VCX, {"Gain": 3.0, "ExposureTime": 50_000.0})
    watcher.enable("Gain", "ExposureTime")
    watcher.host.start()
    watcher.host.bus.run(10_000_000)
    watcher.host.set("Gain", 9.0)
    gains = []
    for _ in range(3):
        watcher.frame()
        gains.append(watcher.value("Gain"))
    assert gains[0] == 3.0 and gains[-1] == 9.0


def test_chunks_of_an_exposure_as_long_as_its_trigger_are_those_of_its_begin(watch: Any) -> None:
    """All but its length, which its end decides: the line that triggers is high when it begins, low when it ends."""
    watcher = watch(ACE, {"ExposureMode": "TriggerWidth", "ExposureTime": 100.0})
    watcher.enable("LineStatusAll", "CounterValue", "ExposureTime")
    host: Host = watcher.host
    for name, value in (("TriggerMode", "On"), ("TriggerSource", "Line1")):
        host.set(name, value, TriggerSelector="FrameStart")
    host.start()
    camera = host.camera
    for begin_ns in (10_000_000, 30_000_000):
        for at_ns, volts in ((begin_ns, 24.0), (begin_ns + 2_000_000, 0.0)):
            camera.inputs.apply("Line1", volts, camera.now_ns + at_ns, camera.now_ns)
    for number in range(2):
        watcher.frame()
        assert watcher.value("LineStatusAll") & 1, number
        assert watcher.value("ExposureTime") == 2000.0
