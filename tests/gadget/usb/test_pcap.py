"""The capture file, taken apart with offsets from usbmon's documentation (tests/system lets tshark do it)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gadget.loopback import LoopbackBus
from gadget.usb.pcap import SYNTHETIC_ID, PcapWriter
from tests.gadget.toy import Toy
from u3v.host.bus import (
    UsbStall,
    UsbTimeout,
    get_configuration_descriptor,
    get_device_descriptor,
    set_configuration,
)

EPOCH_NS = 1_700_000_000_123_456_789


@dataclass
class Record:
    id: int
    kind: str
    transfer: int
    endpoint: int
    device: int
    bus: int
    setup: bytes
    has_setup: bool
    data_flag: str
    when: tuple[int, int]
    status: int
    length: int
    data: bytes
    on_wire: int


def records(path: Path) -> Iterator[Record]:
    raw = path.read_bytes()
    assert raw[:24] == struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 220)
    at = 24
    while at < len(raw):
        seconds, micros, captured, on_wire = struct.unpack_from("<IIII", raw, at)
        packet = raw[at + 16 : at + 16 + captured]
        at += 16 + captured
        length, kept = struct.unpack_from("<II", packet, 32)
        assert struct.unpack_from("<qi", packet, 16) == (seconds, micros)
        assert kept == captured - 64 <= length
        yield Record(
            struct.unpack_from("<Q", packet)[0],
            chr(packet[8]),
            packet[9],
            packet[10],
            packet[11],
            struct.unpack_from("<H", packet, 12)[0],
            packet[40:48],
            packet[14] == 0,
            "" if packet[15] == 0 else chr(packet[15]),
            (seconds, micros),
            struct.unpack_from("<i", packet, 28)[0],
            length,
            packet[64:],
            on_wire - 64,
        )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trace.pcap"


def echo(bus: LoopbackBus, data: bytes) -> None:
    bus.bulk_out(0x01, data, 100)
    bus.bulk_in_into(0x81, bytearray(1024), 100)


def enumerate_device(bus: LoopbackBus) -> None:
    get_device_descriptor(bus)
    get_configuration_descriptor(bus)
    set_configuration(bus, 1)


def test_requests_and_answers(path: Path) -> None:
    bus = LoopbackBus(Toy())
    with PcapWriter(path, epoch_ns=EPOCH_NS) as writer:
        writer.attach(bus.device, bus=3, address=9)
        enumerate_device(bus)
        bus.run(2_000_000)
        echo(bus, b"hello")
    *start, out_s, out_c, in_s, in_c = records(path)
    assert {(r.bus, r.device) for r in (*start, in_c)} == {(3, 9)}
    assert start[0].setup == bytes.fromhex("8006000100001200")
    assert [(r.kind, r.transfer, r.endpoint, r.has_setup) for r in start[:2]] == [
        ("S", 2, 0x80, True),
        ("C", 2, 0x80, False),
    ]
    assert (start[0].data, start[0].data_flag, start[0].length, start[0].status) == (b"", "<", 18, -115)
    assert start[1].data == bus.device.descriptors.device
    assert start[5].data == bus.device.descriptors.configuration
    assert (start[-1].kind, start[-1].endpoint, start[-1].status, start[-1].data) == ("C", 0, 0, b"")
    assert [(r.kind, r.transfer, r.endpoint, r.data, r.length) for r in (out_s, out_c, in_s, in_c)] == [
        ("S", 3, 0x01, b"hello", 5),
        ("C", 3, 0x01, b"", 5),
        ("S", 3, 0x81, b"", 1024),
        ("C", 3, 0x81, b"hello", 5),
    ]
    assert [r.data_flag for r in (out_s, out_c, in_s, in_c)] == ["", ">", "<", ""]
    assert out_s.id == out_c.id != in_s.id == in_c.id
    assert (start[0].when, out_s.when) == ((1_700_000_000, 123_456), (1_700_000_000, 125_456))


def test_descriptors_are_put_in_front_only_where_the_host_did_not_ask(path: Path, tmp_path: Path) -> None:
    asked, silent = LoopbackBus(Toy()), LoopbackBus(Toy())
    enumerate_device(silent)
    with PcapWriter(path) as writer:
        writer.attach(asked.device, address=2)
        writer.attach(silent.device, address=3)
        enumerate_device(asked)
        for bus in (asked, silent, silent):
            echo(bus, b"x")
    seen = list(records(path))
    synthetic = [r for r in seen if r.id >= SYNTHETIC_ID]
    assert [(r.device, r.kind) for r in synthetic] == [(3, "S"), (3, "C")] * 2
    assert [r.data for r in synthetic if r.kind == "C"] == [
        silent.device.descriptors.device,
        silent.device.descriptors.configuration,
    ]
    assert [r.setup for r in synthetic if r.kind == "S"] == [
        bytes.fromhex("8006000100001200"),
        bytes.fromhex("8006000200007400"),
    ]
    own = [r for r in seen if r.device == 3]
    assert own[:4] == synthetic


def test_a_partial_descriptor_does_not_count(path: Path) -> None:
    bus = LoopbackBus(Toy())
    with PcapWriter(path) as writer:
        writer.attach(bus.device)
        bus.control(bytes.fromhex("8006000100000800"), 8)
        bus.control(bytes.fromhex("8006000200000900"), 9)
        set_configuration(bus, 1)
        echo(bus, b"x")
    assert sum(r.id >= SYNTHETIC_ID for r in records(path)) == 4


def test_stream_transfers_are_cut_and_say_how_long_they_were(path: Path) -> None:
    bus = LoopbackBus(Toy(bytes(range(256)) * 4096))
    with PcapWriter(path, snaplen=300) as writer:
        writer.attach(bus.device)
        enumerate_device(bus)
        bus.bulk_in_into(0x83, bytearray(1 << 20), 1000)
        echo(bus, bytes(900))
    stream = [r for r in records(path) if r.endpoint == 0x83 and r.kind == "C"]
    assert [(r.length, r.on_wire, r.data) for r in stream] == [
        (1 << 20, 1 << 20, (bytes(range(256)) * 2)[:300])
    ]
    assert [len(r.data) for r in records(path) if r.endpoint == 0x01 and r.kind == "S"] == [900]


def test_stalls_and_cancelled_requests(path: Path) -> None:
    bus = LoopbackBus(Toy())
    with PcapWriter(path) as writer:
        writer.attach(bus.device)
        enumerate_device(bus)
        with pytest.raises(UsbStall):
            bus.bulk_out(0x01, b"stall", 100)
        with pytest.raises(UsbTimeout):
            bus.bulk_in_into(0x82, bytearray(24), 100)
    ends = [(r.endpoint, r.status, r.length) for r in records(path) if r.kind == "C" and r.transfer == 3]
    assert ends == [(0x01, -32, 0), (0x82, -104, 0)]


def test_every_answer_has_its_request_and_nothing_is_remembered(path: Path) -> None:
    bus = LoopbackBus(Toy())
    enumerate_device(bus)
    early = bus.submit_in(0x82, bytearray(8))
    with PcapWriter(path) as writer:
        writer.attach(bus.device)
        for _ in range(500):
            echo(bus, b"x")
        bus.cancel_in(early)
        (port,) = writer._ports
        assert not port.ids
    open_requests: set[int] = set()
    for record in records(path):
        if record.kind == "S":
            assert record.id not in open_requests
            open_requests.add(record.id)
        else:
            open_requests.remove(record.id)
    assert not open_requests


def test_closing_detaches(path: Path) -> None:
    bus = LoopbackBus(Toy())
    writer = PcapWriter(path)
    writer.attach(bus.device)
    writer.close()
    assert bus.device.observers == []
    enumerate_device(bus)
    assert path.stat().st_size == 24


def test_addresses(path: Path) -> None:
    first, second = LoopbackBus(Toy()).device, LoopbackBus(Toy()).device
    with PcapWriter(path) as writer:
        writer.attach(first, address=2)
        with pytest.raises(ValueError, match="bus 1 has a device 2 already"):
            writer.attach(second, address=2)
        with pytest.raises(ValueError, match="a USB address is 1 to 127, not 128"):
            writer.attach(second, address=128)
    with pytest.raises(ValueError, match="keeps 64 to 262080 bytes, not 63"):
        PcapWriter(path, snaplen=63)


def test_a_full_disk_ends_the_capture_not_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """U4: /dev/full takes nothing. The camera goes on; `close` says which file is cut short and why."""
    monkeypatch.setattr("gadget.pcap_file._BUFFER_BYTES", 4096)
    bus = LoopbackBus(Toy())
    writer = PcapWriter("/dev/full")
    writer.attach(bus.device)
    enumerate_device(bus)
    for _ in range(200):
        echo(bus, b"hello")
    assert bus.device.observers == []
    with pytest.raises(OSError, match="No space left on device: the capture is cut short: '/dev/full'"):
        writer.close()


def test_what_is_still_buffered_may_find_the_disk_full() -> None:
    """U4."""
    writer = PcapWriter("/dev/full")
    with pytest.raises(OSError, match="No space left on device: the capture is cut short"):
        writer.close()
