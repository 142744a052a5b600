"""What hosts demand, item by item (gN: numbers of the host checklist); the items that are not with their subject."""

import re
import struct
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.u3v.genicam_nodes import Access, Nodes, document
from tests.u3v.gev.host import CCP, HOST, SCDA, SCP, SCPD, SCPS, STRANGER, Host
from tests.u3v.rig import MS
from u3v.gev.bootstrap import WireOptions
from u3v.gev.control import Datagram
from u3v.gev.stream import apart
from u3v.happenings import Happening
from u3v.model import load_model

MODELS = ("acA4096-11gm", "acA4112-8gm", "VCXG-124M")
MCP, MCDA, MCTT, MCRC = 0xB00, 0xB10, 0xB14, 0xB18
ACCESS_DENIED, BUSY = 0x8006, 0x8007
SIZE = 64 * 30


def test_each_of_the_52_items_has_a_test() -> None:
    """Somewhere, by its number."""
    tests = Path(__file__).parents[2].rglob("test_*.py")
    names = re.findall(r"^def test_(g\d\w*)", "\n".join(file.read_text() for file in tests), re.MULTILINE)
    assert {int(item) for name in names for item in re.findall(r"g(\d+)_", name)} == set(range(1, 53))


@pytest.fixture(params=MODELS)
def host(request: pytest.FixtureRequest) -> Host:
    return Host(request.param)


@pytest.fixture
def controlled(host: Host) -> Host:
    assert host.write(CCP, 2) == 0
    return host


def test_g4_baslers_are_listed_by_pylon() -> None:
    """By this name, letter for letter; pylon lists nobody else's cameras."""
    names = [Host(model).memory(0x48, 32).rstrip(b"\0") for model in MODELS]
    assert names == [b"Basler", b"Basler", b"Baumer"]


def slow(host: Host, busy_ms: int) -> list[bytes]:
    """The answers to a command that keeps the camera busy so long."""
    register = host.function.bootstrap._added["SCPD"]
    register.busy_ms = lambda _raw: busy_ms
    return host.ask(0x82, struct.pack(">II", 0xD08, 7))


def test_g10_who_needs_long_says_so_before_the_host_asks_again(controlled: Host) -> None:
    host = controlled
    (pending,) = slow(host, 2000)
    status, code, length, request_id = struct.unpack_from(">HHHH", pending)
    assert (status, code, length, request_id) == (0, 0x89, 4, host._id)
    assert struct.unpack_from(">HH", pending, 8)[1] >= 2000
    assert host.ack(0x80, struct.pack(">I", CCP)) == (BUSY, b"")
    assert host.wait(1999 * MS) == []
    (done,) = host.wait(MS)
    assert done == Datagram(struct.pack(">HHHHHH", 0, 0x83, 4, request_id, 0, 1), HOST)
    assert host.wait(5000 * MS) == [] and host.read(0xD08) == [7]
    assert host.write(CCP, 0) in (0, ACCESS_DENIED)


def test_g10_what_takes_a_moment_is_answered_at_once(controlled: Host) -> None:
    (answer,) = slow(controlled, 100)
    assert answer[:4] == bytes.fromhex("0000 0083")


def test_g25_g26_the_xml_knows_the_packet_size(host: Host) -> None:
    nodes = Nodes(host.camera)
    node, fire = nodes["GevSCPSPacketSize"], nodes["GevSCPSFireTestPacket"]
    low, high, step = WireOptions.of(host.camera.model).packet_sizes
    assert (node.min, node.max, node.inc) == (low, high, step) and node.value == 1500
    node.value = low
    assert host.read(SCPS) == [low]
    fire.execute()
    (packet,) = apart(host.function.packets(host.now_ns, 10))
    assert len(packet) == low - 28 and fire.is_done()
    assert host.write(CCP, 2) == 0 and host.write(SCPS, low - step) == 0 == host.write(CCP, 0)
    assert host.read(SCPS) == [low]


@pytest.mark.parametrize("chunks", [False, True])
def test_g36_payload_size_is_what_is_sent(host: Host, chunks: bool) -> None:
    host.camera.features.host_set("ChunkModeActive", chunks)
    host.start()
    nodes = Nodes(host.camera)
    for block in host.blocks(2):
        sent = sum(len(packet.data) for packet in block if packet.kind == 3)
        assert sent == nodes["PayloadSize"].value and (sent > SIZE) == chunks


def test_g37_tl_params_locked_is_an_integer_to_write(host: Host) -> None:
    nodes = Nodes(host.camera)
    node = nodes["TLParamsLocked"]
    assert (node.min, node.max, int(node.get_access_mode())) == (0, 1, Access.RW)
    node.value = 1
    assert node.value == 1


def test_g38_every_trigger_can_be_switched_off(host: Host) -> None:
    nodes = Nodes(host.camera)
    entries = list(nodes["TriggerSelector"].symbolics)
    assert entries[-1] == "FrameStart"
    for entry in entries:
        nodes["TriggerSelector"].value = entry
        nodes["TriggerMode"].value = "Off"


def test_g39_the_schema_is_1_1(host: Host) -> None:
    """With an older one Aravis swaps the bytes of what a camera of these makers says."""
    root = ElementTree.fromstring(document(host.camera))
    assert [root.get(f"Schema{part}Version") for part in ("Major", "Minor")] == ["1", "1"]
    assert root.get("StandardNameSpace") == "GEV"


def test_g40_g52_chunk_mode_is_a_boolean(host: Host) -> None:
    nodes = Nodes(host.camera)
    node = nodes["ChunkModeActive"]
    assert type(node).__name__ == "IBoolean" and node.value is False


def test_g45_the_way_of_a_frame_is_looked_up_for_each(controlled: Host) -> None:
    host = controlled
    host.start()
    host.blocks(1)
    assert host.write(SCDA, 0x0A000063) == 0 == host.write(SCP, 50001)
    assert host.function.destination == ("10.0.0.99", 50001) and host.blocks(1)
    assert host.write(SCP, 0) == 0
    host.wait(100 * MS)
    assert host.packets() == []


@pytest.mark.parametrize("model", MODELS)
def test_g46_after_acquisition_stop_nothing_new_begins(model: str) -> None:
    """What was exposed by then is still sent: the frame that is read out, and no other."""
    host = Host(model, paced=True)
    assert host.write(CCP, 2) == 0
    host.start()
    seen = [0]

    def look() -> None:
        host.wait(MS // 4)
        seen.extend(packet.block for packet in host.packets())

    for _ in range(400):
        look()
    exposed = len(host.painted.exposures)
    host.press("AcquisitionStop")
    for _ in range(400):
        look()
    assert 3 < max(seen) == exposed == len(host.painted.exposures)


def events(host: Host) -> list[Datagram]:
    return host.function.events(host.now_ns)


def listening(host: Host, patience_ms: int = 0, retries: int = 0) -> str:
    """A host that wants to hear of every exposure's end; the event's name."""
    for address, value in ((MCDA, 0x0A000005), (MCTT, patience_ms), (MCRC, retries), (MCP, 60000)):
        assert host.write(address, value) == 0
    host.camera.features.host_set("EventNotification", "On", EventSelector="ExposureEnd")
    return "ExposureEnd"


def test_g47_events_go_where_the_host_listens(controlled: Host) -> None:
    host = controlled
    name = listening(host)
    host.start()
    host.blocks(1)
    (event, *_) = events(host)
    assert event.peer == ("10.0.0.5", 60000)
    extended = host.read(0x92C)[0] == 0x80000000
    assert event.data[:4] == bytes([0x42, 0x10 if extended else 0, 0, 0xC0])
    event_id = host.camera.family.event_ids[name]
    if extended:
        size, got, _, _, block, stamp = struct.unpack(">HHHHQQ", event.data[8:])
        assert size == 24
    else:
        got, block, stamp = struct.unpack(">xxHxxHQ", event.data[8:])
    assert (got, block) == (event_id, 1) and 0 < stamp <= host.now_ns
    assert host.write(MCP, 0) == 0
    host.wait(100 * MS)
    assert events(host) == []


def test_g47_an_event_is_repeated_as_often_as_the_host_says(controlled: Host) -> None:
    host = controlled
    listening(host, patience_ms=10, retries=2)
    host.camera.features.host_set("AcquisitionMode", "SingleFrame")
    host.start()
    host.blocks(1)
    (first,) = events(host)
    assert first.data[1] & 1
    seen = []
    for _ in range(10):
        host.wait(10 * MS)
        seen += events(host)
    assert seen == [first, first]


def test_g47_an_acknowledged_event_is_not_repeated(controlled: Host) -> None:
    host = controlled
    listening(host, patience_ms=10, retries=2)
    host.camera.features.host_set("AcquisitionMode", "SingleFrame")
    host.start()
    host.blocks(1)
    (first,) = events(host)
    host.function.event.acknowledged(bytes.fromhex("0000 00c1 0000") + first.data[6:8])
    host.wait(100 * MS)
    assert events(host) == [] and host.function.event.next_wakeup_ns() is None


def test_the_last_word_to_a_silent_host_is_said_once() -> None:
    """That its heartbeat was missed: nobody is there to acknowledge it."""
    host = Host("VCXG-124M")
    assert host.write(CCP, 2) == 0
    listening(host, patience_ms=10, retries=2)
    host.camera.features.host_set("EventNotification", "On", EventSelector="GigEVisionHeartbeatTimeout")
    host.wait(4000 * MS)
    assert len(events(host)) == 1
    host.wait(100 * MS)
    assert events(host) == [] and host.function.event.next_wakeup_ns() is None


@pytest.mark.parametrize("ended_by", ["SCP", "CCP", "DeviceReset"])
def test_a_stream_begins_and_ends_once_whatever_ends_it(controlled: Host, ended_by: str) -> None:
    told: list[Happening] = []
    streams = (Happening.STREAM_START, Happening.STREAM_END)
    controlled.camera.happenings.listen(lambda what, _at, _id: told.append(what), *streams)
    controlled.start()
    controlled.blocks(1)
    if ended_by == "DeviceReset":
        controlled.camera.reset()
    else:
        assert controlled.write({"SCP": SCP, "CCP": CCP}[ended_by], 0) == 0
    assert told == list(streams)
    assert not controlled.function.stream.is_open


def test_a_delay_of_an_earlier_stream_does_not_hold_up_the_next() -> None:
    host = Host(paced=True)
    host.start()
    assert host.write(SCPD, 0xFFFFFFFF) == 0  # more than four seconds between packets
    host.wait(MS)
    sent = []
    while len(sent) < 2:  # the leader, and what takes its time
        sent += host.packets()
        host.wait(10 * MS)
    assert host.write(CCP, 0) == 0
    assert host.write(CCP, 2) == 0 == host.write(SCPD, 0)
    host.start()
    began_ns = host.now_ns
    host.blocks(1)
    assert host.now_ns - began_ns < 100 * MS


@pytest.mark.parametrize("duration_ms", [201, 32767, 32768, 60_000])
def test_a_command_may_take_longer_than_a_pending_ack_can_say(duration_ms: int) -> None:
    """Its field has 16 bits: at most 65.5 s are announced, and the acknowledge comes when it is due."""
    host = Host()
    assert host.write(CCP, 2) == 0
    at = host.camera.features.address["TestPendingAck"]
    (first,) = host.ask(0x82, struct.pack(">I", at) + duration_ms.to_bytes(4, "little"))
    assert first[2:4] == b"\0\x89"
    assert int.from_bytes(first[10:12], "big") == min(2 * duration_ms, 0xFFFF)
    (later,) = [a for _ in range(70) for a in host.wait(1000 * MS)]
    assert later.data[2:4] == b"\0\x83" and later.data[6:8] == first[6:8]


@pytest.mark.parametrize("model", MODELS)
def test_an_event_may_have_data(model: str) -> None:
    """None of these cameras' has; the wire can carry it (EVENTDATA)."""
    host = Host(model)
    assert host.write(CCP, 2) == 0
    listening(host, patience_ms=10)
    assert host.function.event.send(0x9001, 5, struct.pack("<Q", 0) + b"data")
    (event,) = events(host)
    assert event.data[2:4] == b"\0\xc2" and event.data.endswith(b"data")
    host.function.event.acknowledged(bytes.fromhex("0000 00c3 0000") + event.data[6:8])
    host.wait(100 * MS)
    assert events(host) == []


def test_g48_a_host_that_only_lets_go_leaves_the_camera_ready_for_the_next(controlled: Host) -> None:
    host = controlled
    host.start()
    host.blocks(1)
    assert host.write(CCP, 0) == 0
    host.wait(50 * MS)
    assert host.packets() == [] and not host.camera.acquisition.active
    assert host.read(CCP, SCP, MCP) == [0, 0, 0]
    assert host.write(CCP, 2, peer=STRANGER) == 0 == host.write(SCDA, 0x0A000006, peer=STRANGER)
    assert host.write(SCP, 7000, peer=STRANGER) == 0
    payload = struct.pack(">II", host.camera.features.address["AcquisitionStart"], 0x01000000)
    assert host.ack(0x82, payload, peer=STRANGER)[0] == 0
    assert host.blocks(1)[0][0].block == 1


def test_g49_others_may_look_while_one_is_in_control(controlled: Host) -> None:
    host = controlled
    assert len(host.ask(0x0002, peer=STRANGER)[0]) == 256
    assert host.read(CCP, 0x934, peer=STRANGER)[0] == 2
    assert host.ack(0x84, struct.pack(">IHH", 0x200, 0, 512), peer=STRANGER)[0] == 0


def test_g50_commands_are_answered_between_packets(controlled: Host) -> None:
    host = controlled
    host.start()
    for _ in range(20):
        host.wait(MS)
        assert host.packets(1) and host.read(CCP) == [2]


def test_g51_without_control_nothing_can_be_written(host: Host) -> None:
    """A camera that has been restarted is noticed so: pylon's heartbeat is a write."""
    assert host.write(0x938, 3000) == ACCESS_DENIED
    assert host.write(CCP, 2) == 0 == host.write(0x938, 3000)
    host.press("DeviceReset")
    assert host.write(0x938, 3000) == ACCESS_DENIED and host.read(CCP) == [0]


# -- control changes hands ------------------------------------------------------------------------------------

KEY = 0xBEEF


def test_a_host_with_the_key_takes_over_and_the_stream_goes_on(controlled: Host) -> None:
    host = controlled
    host.start()
    assert host.write(0x95C, KEY) == 0 == host.write(CCP, 6)
    assert host.blocks(1)
    assert host.write(CCP, 2, peer=STRANGER) == ACCESS_DENIED
    assert host.write(CCP, 0xBEEE << 16 | 2, peer=STRANGER) == ACCESS_DENIED
    assert host.write(CCP, KEY << 16, peer=STRANGER) == ACCESS_DENIED
    assert host.write(CCP, KEY << 16 | 2, peer=STRANGER) == 0
    assert host.read(CCP, 0xA04, 0xA14) == [2, STRANGER[1], 0x0A000006]
    assert host.write(SCDA, 1) == ACCESS_DENIED == host.write(CCP, KEY << 16 | 2)
    assert host.write(SCDA, 0x0A000006, peer=STRANGER) == 0
    assert host.blocks(1)[0][0].block > 1
    assert host.read(0x934)[0] & 1 << 21


def test_without_the_owners_leave_the_key_opens_nothing(controlled: Host) -> None:
    host = controlled
    assert host.write(0x95C, KEY) == 0
    assert host.write(CCP, KEY << 16 | 2, peer=STRANGER) == ACCESS_DENIED
    assert host.write(CCP, 7) == 0  # exclusive, and so for nobody else
    assert host.write(CCP, KEY << 16 | 2, peer=STRANGER) == ACCESS_DENIED


def test_the_host_that_lost_hears_of_it() -> None:
    host = Host("VCXG-124M")
    assert host.write(CCP, 2) == 0
    listening(host)
    for name in ("PrimaryApplicationSwitch", "GigEVisionHeartbeatTimeout"):
        host.camera.features.host_set("EventNotification", "On", EventSelector=name)
    assert host.write(0x95C, KEY) == 0 == host.write(CCP, 6)
    assert host.write(CCP, KEY << 16 | 2, peer=STRANGER) == 0
    host.wait(3001 * MS)
    ids = [struct.unpack_from(">H", event.data, 10)[0] for event in events(host)]
    known = host.camera.family.event_ids
    assert ids == [known["PrimaryApplicationSwitch"], known["GigEVisionHeartbeatTimeout"]]
    assert host.read(CCP) == [0]


# -- addresses ------------------------------------------------------------------------------------------------


def force(host: Host, ip: int, *, mac: bytes | None = None) -> list[bytes]:
    payload = bytearray(56)
    payload[2:8] = mac or host.function.bootstrap.mac.to_bytes(6, "big")
    struct.pack_into(">I12xI12xI", payload, 20, ip, 0xFFFF0000, 0x0A0000FE)
    return host.ask(0x04, bytes(payload), peer=STRANGER, flags=0x11)


def test_forceip_moves_the_camera_of_that_mac_if_nobody_is_in_control(host: Host) -> None:
    went: list[str] = []
    host.function.moved = lambda address: went.append(address.ip) is None
    assert force(host, 0x0A000063, mac=bytes(6)) == [] and went == []
    (answer,) = force(host, 0x0A000063)
    assert answer[:6] == bytes.fromhex("0000 0005 0000") and went == ["10.0.0.99"]
    assert host.read(0x24, 0x34, 0x44) == [0x0A000063, 0xFFFF0000, 0x0A0000FE]
    assert host.write(CCP, 2) == 0 and force(host, 0x0A000064) == [] and went == ["10.0.0.99"]
    host.press("DeviceReset")  # the forced address lasts until then
    assert went == ["10.0.0.99", "10.0.0.9"] and host.read(0x24) == [0x0A000009]


def test_forceip_to_where_the_camera_cannot_be(host: Host) -> None:
    (answer,) = force(host, 0x0A000063)
    assert answer[:2] == bytes.fromhex("8fff") and host.read(0x24) == [0x0A000009]


def test_the_persistent_address_is_that_of_the_next_power_up(host: Host) -> None:
    went: list[str] = []
    host.function.moved = lambda address: went.append(address.ip) is None
    assert host.write(CCP, 2) == 0
    for address, value in ((0x64C, 0x0A000042), (0x65C, 0xFFFFFF00), (0x66C, 0x0A0000FE), (0x14, 0)):
        assert host.write(address, value) == 0
    assert host.read(0x14) == [4]  # link-local cannot be switched off
    host.press("DeviceReset")
    assert went == [] and host.read(0x64C, 0x65C, 0x66C) == [0x0A000042, 0xFFFFFF00, 0x0A0000FE]
    assert host.write(CCP, 2) == 0 == host.write(0x14, 1)
    host.press("DeviceReset")
    assert went == ["10.0.0.66"] and host.read(0x24) == [0x0A000042]
    (answer,) = force(host, 0)  # 0.0.0.0: as at power-up
    assert answer[:2] == b"\0\0" and went == ["10.0.0.66"]


def test_on_its_own_wire_a_camera_does_not_speak_of_another(host: Host) -> None:
    assert host.memory(0xA8, 48).rstrip(b"\0") == b"virtual camera"
    wire = host.camera.features.get("VirtualWire")
    assert wire.startswith("GigE Vision") and "USB" not in wire


# -- Basler's names on this wire ------------------------------------------------------------------------------

OLDER = """ExposureTimeAbs ExposureTimeRaw GainRaw GainSelector BlackLevelRaw AcquisitionFrameRateAbs
    ResultingFrameRateAbs ReadoutTimeAbs TriggerDelayAbs LineDebouncerTimeAbs TimerDurationAbs TimerDelayAbs
    TemperatureAbs TemperatureState UserSetDefaultSelector DeviceID TestImageSelector AcquisitionFrameCount"""
NEWER = """ExposureTime Gain BlackLevel AcquisitionFrameRate ResultingFrameRate TriggerDelay LineDebouncerTime
    TimerDuration TimerDelay DeviceTemperature UserSetDefault DeviceSerialNumber DeviceLinkThroughputLimit
    AcquisitionBurstFrameCount"""


@pytest.mark.parametrize("model", MODELS[:2])
def test_basler_cameras_have_the_older_names_on_ethernet(model: str) -> None:
    host = Host(model)
    nodes = Nodes(host.camera)
    names = set(nodes.names())
    assert set(OLDER.split()) <= names and not set(NEWER.split()) & names
    assert "ExposureEndEventFrameID" in names and "EventExposureEnd" not in names
    assert list(nodes["TriggerSelector"].symbolics) == ["AcquisitionStart", "FrameStart"]
    assert "Action1" in nodes["TriggerSource"].symbolics
    get = host.camera.features.get
    nodes["ExposureTimeAbs"].value = 1234.0
    nodes["GainRaw"].value = 65
    assert (get("ExposureTime"), get("Gain")) == (1234.0, 6.5) and nodes["ExposureTimeRaw"].value == 1234
    nodes["ExposureTimeRaw"].value = 500
    assert nodes["ExposureTimeAbs"].value == 500.0 == host.camera.settings.exposure_us
    nodes["AcquisitionFrameRateEnable"].value = True
    nodes["AcquisitionFrameRateAbs"].value = 4.0
    assert nodes["ResultingFrameRateAbs"].value == pytest.approx(4.0)
    for entry, delay in (("AcquisitionStart", 5.0), ("FrameStart", 7.0)):
        nodes["TriggerSelector"].value = entry
        nodes["TriggerDelayAbs"].value = delay
    assert get("TriggerDelay", TriggerSelector="AcquisitionStart") == 5.0
    nodes["UserSetSelector"].value = "UserSet1"
    nodes["UserSetSave"].execute()
    nodes["ExposureTimeAbs"].value = 100.0
    nodes["UserSetLoad"].execute()
    assert nodes["ExposureTimeAbs"].value == 500.0 and nodes["GainRaw"].value == 65


@pytest.mark.parametrize("model", MODELS[:2])
def test_their_limits_are_those_of_the_features_behind(model: str) -> None:
    facts = load_model(model)
    host = Host(model)
    nodes = Nodes(host.camera)
    exposure, raw, gain = nodes["ExposureTimeAbs"], nodes["ExposureTimeRaw"], nodes["GainRaw"]
    low, high = facts.number("exposure_min_us"), facts.number("exposure_max_us")
    assert (exposure.min, exposure.max, gain.max) == (low, high, 10 * facts.number("gain_max_db"))
    assert low <= raw.min < low + 1 and high - 1 < raw.max <= high


def test_a_burst_is_started_by_acquisition_start() -> None:
    host = Host()
    nodes = Nodes(host.camera)
    nodes["TriggerSelector"].value = "AcquisitionStart"
    nodes["TriggerMode"].value = "On"
    nodes["AcquisitionFrameCount"].value = 3
    host.start()
    host.wait(50 * MS)
    assert host.packets() == []
    host.press("TriggerSoftware")
    assert len(host.blocks(3)) == 3
    host.wait(100 * MS)
    assert host.packets() == []
