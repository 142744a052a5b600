"""Captures in the eyes of tshark's USB3 Vision dissector, which shares no code with us."""

from pathlib import Path

import pytest

from gadget.loopback import LoopbackBus
from gadget.runner import CameraSpec, build
from gadget.usb.pcap import PcapWriter
from tests.system.programs import tshark
from u3v.host.bus import set_configuration
from u3v.host.client import U3VClient
from u3v.host.nodes import DeviceNodes
from u3v.host.stream import StreamReader

pytestmark = pytest.mark.patient
FRAMES = 3
ROI = {"Width": "640", "Height": "480"}


def grab(bus: LoopbackBus) -> int:
    """Open the camera, take frames and an event; its payload size."""
    client = U3VClient(bus)
    client.open()
    nodes = DeviceNodes(client)
    client.write_u32(client.eirm().address, 1)
    nodes.set("EventSelector", "FrameStart")
    nodes.set("EventNotification", "On")
    reader = StreamReader(client, 1 << 16)
    reader.start([bytearray(reader.buffer_bytes) for _ in range(2)])
    nodes.execute("AcquisitionStart")
    for _ in range(FRAMES):
        frame = reader.next_frame(1000)
        assert frame.complete
        reader.release(frame)
    bus.bulk_in_into(0x82, bytearray(1024), 1000)
    nodes.execute("AcquisitionStop")
    reader.stop()
    return reader.setup.payload_size


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cameras in one file: 2 is enumerated over the wire, 3 was enumerated before the capture began."""
    path = tmp_path_factory.mktemp("pcap") / "trace.pcap"
    first = LoopbackBus(build(CameraSpec("acA4096-40um", settings=ROI), "40000001").function)
    second = LoopbackBus(build(CameraSpec("acA4096-40um", settings=ROI), "40000002").function)
    set_configuration(second, 1)
    with PcapWriter(path, snaplen=256, epoch_ns=1_700_000_000_000_000_000) as writer:
        writer.attach(first.device, bus=1, address=2)
        writer.attach(second.device, bus=1, address=3)
        for bus in (first, second):
            assert grab(bus) == 640 * 480
    return path


def test_nothing_is_malformed(capture: Path) -> None:
    assert tshark(capture, "_ws.malformed", "frame.number") == []
    assert len(tshark(capture, "u3v", "frame.number")) > 300


@pytest.mark.parametrize("address", ["2", "3"])
def test_leaders_and_trailers(capture: Path, address: str) -> None:
    mine = f"usb.device_address == {address} && "
    leaders = tshark(
        capture,
        mine + "u3v.stream.leader_size",
        "u3v.stream.block_id",
        "u3v.stream.leader_size",
        "u3v.stream.sizex",
        "u3v.stream.sizey",
    )
    assert leaders[:FRAMES] == [[str(n), "52", "640", "480"] for n in range(FRAMES)]
    trailers = tshark(
        capture,
        mine + "u3v.stream.trailer_size",
        "u3v.stream.block_id",
        "u3v.stream.trailer_size",
        "u3v.stream.valid_payload_size",
    )
    assert [row[:2] for row in trailers[:FRAMES]] == [[str(n), "32"] for n in range(FRAMES)]
    assert {int(row[2], 16) for row in trailers} == {640 * 480}


@pytest.mark.parametrize("address", ["2", "3"])
def test_control_and_events(capture: Path, address: str) -> None:
    mine = f"usb.device_address == {address} && "
    commands = tshark(capture, mine + "u3v.gencp.flags && usb.endpoint_address == 1", "u3v.gencp.req_id")
    acks = tshark(capture, mine + "u3v.gencp.status", "u3v.gencp.req_id", "u3v.gencp.status")
    assert [row[0] for row in commands] == [row[0] for row in acks]
    assert {int(row[1], 16) for row in acks} == {0}
    assert tshark(capture, mine + "u3v.scd_event_cmd", "usb.endpoint_address") == [["0x82"]]


def test_payload_is_cut_and_known_to_be(capture: Path) -> None:
    sizes = tshark(capture, "u3v.stream.data", "frame.len", "frame.cap_len")
    assert [row for row in sizes if row[1] != "320"] == []
    assert {row[0] for row in sizes} == {str(65536 + 64), str(640 * 480 - 4 * 65536 + 64)}


def test_times_are_the_wall_clocks(capture: Path) -> None:
    stamps = [float(row[0]) for row in tshark(capture, "usb.device_address == 2", "frame.time_epoch")]
    assert stamps == sorted(stamps)
    assert 0 <= stamps[0] - 1_700_000_000 < 1 and 0 < stamps[-1] - stamps[0] < 60
