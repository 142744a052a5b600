"""The event channel, in bytes and through the reference GenApi's event adapter."""

import struct
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.u3v.genicam_nodes import Access, Nodes, genapi
from tests.u3v.rig import EI_CONTROL, EIRM, EVENT_IN, EVENT_TEST, MS, Event, Host, Refused, make_camera
from u3v.camera import Camera
from u3v.host import bus as usb
from u3v.host.bus import UsbTimeout
from u3v.model import load_model, model_names
from u3v.usb3v.bootstrap import xml_text
from u3v.usb3v.event import QUEUE_LENGTH, EventChannel

EXPOSURE_END, FRAME_START, OVERRUN = 0x9001, 0x9002, 0x9006


def notify(host: Host, *names: str) -> None:
    """Enable the channel and the notification of these events."""
    host.write_int(EI_CONTROL, 1)
    for name in names:
        host.set("EventSelector", name)
        host.set("EventNotification", "On")


def drain(host: Host) -> list[Event]:
    events: list[Event] = []
    while True:
        try:
            events.append(host.event(timeout_ms=1))
        except UsbTimeout:
            return events


def test_message_in_bytes() -> None:
    channel = EventChannel()
    channel.set_enabled(True)
    channel.send(0x9001, 0x75BCD15)
    transfer = channel.next_transfer()
    assert transfer is not None
    assert bytes(transfer.data).hex(" ") == (
        "55 33 56 45 00 00 00 0c 0c 00 01 00 00 00 01 90 15 cd 5b 07 00 00 00 00"
    )
    assert transfer.ends
    assert channel.next_transfer() is None


def test_the_register_that_sends_a_test_event(host: Host) -> None:
    host.write_int(EVENT_TEST, 1)
    assert drain(host) == []
    host.write_int(EI_CONTROL, 1)
    host.bus.run(5 * MS)
    now_ns = host.bus.now_ns
    host.write_int(EVENT_TEST, 1)
    host.write_int(EVENT_TEST, 0)
    (event,) = drain(host)
    assert (event.event_id, event.timestamp, event.data) == (0x4FFF, now_ns, bytes(8))
    assert host.read_int(EVENT_TEST) == 0


def test_the_command_that_sends_a_test_event(host: Host) -> None:
    host.write_int(EI_CONTROL, 1)
    host.run("TestEventGenerate")
    assert drain(host) == []  # not notified
    notify(host, "Test")
    now_ns = host.bus.now_ns
    host.run("TestEventGenerate")
    (event,) = drain(host)
    assert (event.event_id, event.timestamp, event.frame_id) == (0x4FFF, now_ns, 0)


def test_only_bit_0_enables(host: Host) -> None:
    for value in (2, 3, 0x80000000):
        with pytest.raises(Refused, match="0x8002"):
            host.write_int(EI_CONTROL, value)
    assert host.read_int(EI_CONTROL) == 0
    with pytest.raises(Refused, match="0x8004"):
        host.write_int(EIRM + 4, 1)
    assert host.read_int(EIRM + 4) == 1024


def test_frames_are_told_with_their_ids_and_instants(host: Host) -> None:
    """Exposure of 100 us, one frame each 300 us (30 rows of 10 us)."""
    notify(host, "ExposureEnd", "FrameStart")
    host.bus.run(2 * MS)
    start_ns = host.bus.now_ns
    host.start()
    frames = [host.frame() for _ in range(3)]
    host.run("AcquisitionStop")
    events = drain(host)
    for frame_id in range(3):
        at_ns = start_ns + frame_id * 300_000
        assert frames[frame_id].timestamp == at_ns
        started, ended = events[2 * frame_id : 2 * frame_id + 2]
        assert (started.event_id, started.frame_id, started.timestamp) == (FRAME_START, frame_id, at_ns)
        assert (ended.event_id, ended.frame_id, ended.timestamp) == (EXPOSURE_END, frame_id, at_ns + 100_000)
    assert [e.request_id for e in events] == list(range(1, len(events) + 1))
    assert all(len(e.raw) == 32 for e in events)


def test_events_go_out_in_the_order_of_their_instants() -> None:
    """Also when the camera was not served for long."""
    host = Host()
    notify(host, "ExposureEnd", "FrameStart", "FrameBufferOverrun")
    host.start()
    host.bus.now_ns += 5 * MS
    host.bus.device.service(host.bus.now_ns)
    host.run("AcquisitionStop")
    instants = [e.timestamp for e in drain(host)]
    assert len(instants) > 30
    assert instants == sorted(instants)


def test_exposure_end_comes_after_a_stop(host: Host) -> None:
    host.set("ExposureTime", 50_000.0)
    notify(host, "ExposureEnd")
    host.start()
    host.run("AcquisitionStop")
    assert host.event(timeout_ms=100).timestamp == 50 * MS
    assert host.bus.now_ns == 50 * MS


def test_a_frame_without_room_is_told(host: Host) -> None:
    host.camera.frames.memory_bytes = 2 * 1200
    notify(host, "FrameBufferOverrun")
    host.start()
    host.bus.run(MS)
    host.run("AcquisitionStop")
    events = drain(host)
    assert [(e.event_id, e.frame_id) for e in events] == [(OVERRUN, 2), (OVERRUN, 3)]
    assert [e.timestamp for e in events] == [600_000, 900_000]


def test_notification_off(host: Host) -> None:
    notify(host, "FrameStart")
    host.set("EventNotification", "Off")
    host.start()
    host.frame()
    host.run("AcquisitionStop")
    assert drain(host) == []


def test_a_full_queue_drops_the_newest_and_counts() -> None:
    host = Host()
    host.write_int(EI_CONTROL, 1)
    for _ in range(QUEUE_LENGTH + 7):
        host.write_int(EVENT_TEST, 1)
    assert host.get("VirtualEventsDropped") == 7
    events = drain(host)
    assert [e.request_id for e in events] == list(range(1, QUEUE_LENGTH + 1))
    host.write_int(EVENT_TEST, 1)
    assert len(drain(host)) == 1


def test_parked_requests_are_served_at_once(host: Host) -> None:
    buffers = [bytearray(1024) for _ in range(4)]
    handles = [host.bus.submit_in(EVENT_IN, buffer) for buffer in buffers]
    host.write_int(EI_CONTROL, 1)
    for handle, buffer in zip(handles, buffers, strict=True):
        host.write_int(EVENT_TEST, 1)
        assert host.bus.wait_in(handle) == 32
        assert Event.parse(bytes(buffer[:32])).event_id == 0x4FFF


def test_configuring_and_halting_empty_the_queue(host: Host) -> None:
    host.write_int(EI_CONTROL, 1)
    host.write_int(EVENT_TEST, 1)
    usb.clear_halt(host.bus, EVENT_IN)
    assert drain(host) == []
    host.write_int(EVENT_TEST, 1)
    usb.set_configuration(host.bus, 1)
    assert host.read_int(EI_CONTROL) == 0
    assert drain(host) == []


@given(st.lists(st.integers(0, 2), max_size=200))
def test_request_ids_run_and_nothing_is_queued_while_off(actions: list[int]) -> None:
    channel, expected, queued = EventChannel(), 0, 0
    for action in actions:
        if action == 2:
            channel.set_enabled(not channel.enabled)
            queued = 0
        elif action == 1:
            room = queued < QUEUE_LENGTH
            assert channel.send(0x9001, 5) == (channel.enabled and room)
            queued += channel.enabled and room
            expected += channel.enabled and room
        else:
            transfer = channel.next_transfer()
            assert (transfer is not None) == bool(queued)
            if transfer is not None:
                request_id = struct.unpack_from("<H", transfer.data, 10)[0]
                queued -= 1
                assert request_id == expected - queued


def test_request_ids_skip_zero() -> None:
    channel = EventChannel()
    channel.set_enabled(True)
    channel._request_id = 0xFFFE
    for _ in range(3):
        channel.send(1, 0)
    ids = [struct.unpack_from("<H", t.data, 10)[0] for t in iter(channel.next_transfer, None)]
    assert ids == [0xFFFF, 1, 2]


# -- the reference GenApi -------------------------------------------------------------------------------------


def event_ids(camera: Camera) -> dict[str, int]:
    """What the XML says: names of events and their ids."""
    namespace = {"g": "http://www.genicam.org/GenApi/Version_1_1"}
    ids = {}
    for port in ElementTree.fromstring(xml_text(camera)).findall("g:Port", namespace):
        event_id = port.findtext("g:EventID", namespaces=namespace)
        if event_id is not None:
            assert not event_id.startswith("0x")
            ids[str(port.get("Name")).removeprefix("Event").removesuffix("Port")] = int(event_id, 16)
    return ids


class Listener:
    """A host whose event messages go through GenApi's U3V event adapter."""

    def __init__(self, model: str) -> None:
        self.host = Host(make_camera(model=load_model(model)))
        self.nodes = Nodes(self.host.camera)
        self.adapter = genapi.EventAdapterU3V(self.nodes.map.pointer)

    def hear(self, event: Event) -> None:
        self.adapter.deliver_message(event.raw)

    def close(self) -> None:
        """The adapter must go before the nodes."""
        self.adapter.detach_node_map()
        del self.adapter


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener("acA4096-40um")
    yield made
    made.close()


@pytest.fixture(params=[name for name in model_names() if make_camera(model=load_model(name)).family.events])
def each_listener(request: pytest.FixtureRequest) -> Iterator[Listener]:
    """One of each model that has events."""
    made = Listener(request.param)
    yield made
    made.close()


def test_genapi_reads_what_the_camera_sent(listener: Listener) -> None:
    host, nodes = listener.host, listener.nodes
    notify(host, "ExposureEnd", "FrameStart", "Test")
    host.start()
    host.bus.run(700_000)
    host.run("AcquisitionStop")
    host.run("TestEventGenerate")
    seen = []
    names = {number: name for name, number in event_ids(host.camera).items()}
    for event in drain(host):
        listener.hear(event)
        name = names[event.event_id]
        assert nodes[f"Event{name}"].value == event.event_id
        assert nodes[f"Event{name}Timestamp"].value == event.timestamp
        assert nodes[f"Event{name}FrameID"].value == event.frame_id
        seen.append((name, event.frame_id))
    frames = [(name, frame_id) for frame_id in range(3) for name in ("FrameStart", "ExposureEnd")]
    assert seen == [*frames, ("Test", 0)]


def test_genapi_finds_every_event(each_listener: Listener) -> None:
    """Each event that EventSelector offers, with values that no offset can mix up."""
    host, nodes = each_listener.host, each_listener.nodes
    ids = event_ids(host.camera)
    assert set(nodes["EventSelector"].symbolics) == set(ids)
    host.function.event.set_enabled(True)
    for index, (name, event_id) in enumerate(ids.items()):
        assert nodes.access(f"Event{name}") == Access.NA  # nothing has come yet
        timestamp, frame_id = 0x0102030405060700 + index, 0x1112131415161700 + index
        host.camera.features.set("EventNotification", "On", EventSelector=name)
        host.function.event.send(event_id, timestamp, struct.pack("<Q", frame_id))
        each_listener.hear(host.event())
        values = [nodes[f"Event{name}{field}"].value for field in ("", "Timestamp", "FrameID")]
        assert values == [event_id, timestamp, frame_id]
