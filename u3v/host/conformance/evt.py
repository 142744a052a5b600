"""EVT: the event channel: when messages come, what is in them, and what happens to those that nobody reads."""

import contextlib
import struct
from collections.abc import Iterator
from itertools import pairwise

from u3v.host.bus import UsbOverflow, clear_halt, set_halt
from u3v.host.conformance.camera import (
    DISABLED,
    EI_MAX_LENGTH,
    EI_TEST,
    ENABLED,
    MS,
    Camera,
    camera_check,
    expect,
    skip,
)
from u3v.host.conformance.declare import INFO, SHOULD
from u3v.host.conformance.events import (
    HEAD,
    PATIENCE_MS,
    acquire,
    event_id,
    listening,
    notified,
    provoke,
    some,
)
from u3v.host.conformance.stream_flow import period_ms
from u3v.host.conformance.streaming import expect_whole, expected, streaming

EVENT_COMMAND, TEST_EVENT = 0x0C00, 0x4FFF
SETTLING_NS = 20_000
"""What a sensor's shutter adds to ExposureTime, or an event's clock cannot tell (assumed)."""
START_EVENTS, END_EVENTS = ("FrameStart", "ExposureStart", "FrameBurstStart"), ("ExposureEnd", "FrameEnd")


@camera_check(
    "EVT-001", "EI_Control 0, acquiring 2 s, all notifications On", "endpoint silent",
    "event messages of USB3 Vision", needs="evt str gapi", trace="r",
)  # fmt: skip
def silent_while_disabled(camera: Camera) -> None:
    with listening(camera, enable=False) as events, notified(camera), camera.small():
        with streaming(camera) as stream:
            stream.shots(10)
        found = events.all(500)
    expect(not found, f"{len(found)} messages while EI_Control is 0")


@camera_check(
    "EVT-002", "EI_Control 1, all notifications Off, acquiring 1 s", "silent", "SFNC 2.7", needs="evt str gapi",
    trace="r",
)  # fmt: skip
def silent_without_notification(camera: Camera) -> None:
    with notified(camera, on=False), listening(camera) as events, camera.small():
        _, found = acquire(camera, events, 5)
    expect(
        not found,
        f"{len(found)} messages while every notification is off: {[hex(m.event_id) for m in found[:4]]}",
    )


@camera_check(
    "EVT-003", "EI_Control 1, write 1 to Event_Test_Control",
    "one message within 100 ms (none: should-fail, the register is then without effect)",
    "a camera maker's public register header; EIRM of USB3 Vision", SHOULD, needs="evt", trace="r",
)  # fmt: skip
def test_event(camera: Camera) -> None:
    with listening(camera) as events:
        status = camera.write(camera.ei + EI_TEST, ENABLED)
        expect(not status, f"Event_Test_Control = 1: status {status:#06x}")
        found = events.all()
    expect(len(found) == 1, f"{len(found)} messages after Event_Test_Control = 1")


@camera_check("EVT-004", "event id of that message", "id 4FFF", "wireshark", INFO, needs="evt", trace="r")
def test_event_id(camera: Camera) -> None:
    with listening(camera) as events:
        camera.write(camera.ei + EI_TEST, ENABLED)
        found = events.all()
    if not found:
        skip("Event_Test_Control has no effect")
    expect(
        found[0].event_id == TEST_EVENT,
        f"the test event has id {found[0].event_id:#06x}, not {TEST_EVENT:#06x}",
    )


@camera_check(
    "EVT-005", "TestEventGenerate, if present, notification On", "one message, id = EventTest's EventID",
    "SFNC 2.7", SHOULD, needs="evt", trace="r",
)  # fmt: skip
def test_feature(camera: Camera) -> None:
    camera.need("TestEventGenerate", "EventSelector")
    if "Test" not in camera.info("EventSelector").entries:
        skip("EventSelector has no entry Test")
    due = event_id(camera, "Test")
    with listening(camera) as events, notified(camera, "Test"):
        camera.execute("TestEventGenerate")
        found = events.all()
    expect(len(found) == 1, f"{len(found)} messages after TestEventGenerate")
    expect(
        due is None or found[0].event_id == due,
        f"event id {found[0].event_id:#06x}, the XML says {due or 0:#06x}",
    )


@camera_check(
    "EVT-006", "every message", "≥ 24 bytes: U3VE, flags 0, 0C00, length = bytes - 12, one transfer",
    "event messages of USB3 Vision; NI driver", needs="evt", trace="r",
)  # fmt: skip
def message_form(camera: Camera) -> None:
    for message in some(camera):
        raw = message.raw
        expect(len(raw) >= 24, f"a message of {len(raw)} bytes")
        prefix, flags, command, length, _ = HEAD.unpack_from(raw)
        expect(prefix == b"U3VE", f"prefix {prefix!r}")
        expect(flags == 0 and command == EVENT_COMMAND, f"flags {flags:#06x}, command {command:#06x}")
        expect(length == len(raw) - 12, f"length {length} in a message of {len(raw)} bytes")


@camera_check(
    "EVT-007", "event_size", "0 in single mode; 12 + data when multi-event is on", "GenCP 1.3 4.4.10", SHOULD,
    needs="evt", trace="r",
)  # fmt: skip
def event_size(camera: Camera) -> None:
    multiple = bool(camera.number(0x1E0, 8) & 2)
    for message in some(camera):
        due = len(message.raw) - 12 if multiple else 0
        expect(
            message.size == due or (multiple and 12 <= message.size <= due),
            f"event size {message.size}, {due} is due",
        )


@camera_check(
    "EVT-008", "request ids", "rise by 1 (0 may be left out)", "event messages of USB3 Vision", SHOULD, needs="evt",
    trace="r",
)  # fmt: skip
def request_ids(camera: Camera) -> None:
    with listening(camera) as events:
        found = provoke(camera, events, 6)
    if len(found) < 2:
        skip("fewer than two messages could be had")
    ids = [message.request_id for message in found]
    steps = [(b - a) % 0x10000 for a, b in pairwise(ids)]
    skips_zero = (0xFFFF, 1) in pairwise(ids)
    expect(set(steps) <= {1, 2} and steps.count(2) == skips_zero, f"request ids {ids}")


@camera_check(
    "EVT-009", "timestamps", "between latches before and after; rise per event source", "GenCP 1.3 4.4.10 ns",
    SHOULD, needs="evt", trace="r",
)  # fmt: skip
def timestamps(camera: Camera) -> None:
    with listening(camera) as events:
        camera.wait_ms(100)  # near 0 all units of time are alike
        before = camera.latch()
        found = provoke(camera, events, 4)
        after = camera.latch()
    if not found:
        skip("no way to make the camera send an event")
    last: dict[int, int] = {}
    for message in found:
        expect(
            before <= message.timestamp <= after,
            f"event at {message.timestamp} ns, the clock went from {before} to {after}",
        )
        expect(
            message.timestamp >= last.get(message.event_id, 0),
            f"events {message.event_id:#06x} go back in time",
        )
        last[message.event_id] = message.timestamp


@camera_check(
    "EVT-010", "event ids", "bits 12..13 clear, namespace 1 or 2 (0x9000 and up noted: wireshark's device range)",
    "GenCP 1.3 3.1.3.1, wireshark", INFO, needs="evt", trace="r",
)  # fmt: skip
def event_ids(camera: Camera) -> None:
    ids = {message.event_id for message in some(camera)}
    beyond = sorted(ids & set(range(0x9000, 0xA000)))
    if beyond:
        camera.run.note(f"in wireshark's range of devices: {', '.join(hex(number) for number in beyond)}")
    odd = sorted(n for n in ids - set(beyond) if n >> 12 & 3 or n >> 14 not in (1, 2))
    expect(
        not odd,
        f"event ids {', '.join(f'{number:#06x}' for number in odd)}: bits 12 and 13, or the namespace",
    )


@camera_check(
    "EVT-011", "message length", "≤ Maximum_Event_Transfer_Length", "event messages of USB3 Vision", needs="evt",
    trace="r",
)  # fmt: skip
def message_length(camera: Camera) -> None:
    most = camera.number(camera.ei + EI_MAX_LENGTH)
    longest = max(len(message.raw) for message in some(camera))
    expect(longest <= most, f"a message of {longest} bytes, Maximum_Event_Transfer_Length is {most}")


@camera_check(
    "EVT-012", "each frame event (FrameStart, ExposureStart/End, FrameEnd …), 10 frames",
    "exactly 10 messages, id = XML's EventID, frame ids 0..9 or as the frame's", "events in GenICam", SHOULD,
    needs="evt str gapi", trace="r",
)  # fmt: skip
def frame_events(camera: Camera) -> None:
    camera.need("EventSelector")
    names = [name for name in (*START_EVENTS, *END_EVENTS) if name in camera.info("EventSelector").entries]
    names = [name for name in names if name != "FrameBurstStart"]
    if not names:
        skip("no event of a frame")
    for name in names:
        due = event_id(camera, name)
        with listening(camera) as events, notified(camera, name), camera.small(), _ten(camera) as count:
            shots, found = acquire(camera, events, count)
        ids = {message.event_id for message in found}
        expect(
            due is None or ids <= {due},
            f"{name}: event ids {[hex(n) for n in ids]}, the XML says {due or 0:#06x}",
        )
        expect(len(found) == count, f"{name}: {len(found)} messages for {count} frames")
        frames = [message.frame_id for message in found if message.frame_id is not None]
        expect(not frames or frames == [shot.block_id for shot in shots], f"{name}: frame ids {frames}")


@contextlib.contextmanager
def _ten(camera: Camera) -> Iterator[int]:
    """Exactly ten frames of an acquisition, where the camera can count them; else one."""
    modes = camera.info("AcquisitionMode").entries
    if "MultiFrame" in modes and camera.has("AcquisitionFrameCount"):
        with camera.settings(AcquisitionMode="MultiFrame", AcquisitionFrameCount=10):
            yield 10
    elif "SingleFrame" in modes:
        with camera.settings(AcquisitionMode="SingleFrame"):
            yield 1
    else:
        skip("neither MultiFrame nor SingleFrame: frames cannot be counted")


@camera_check(
    "EVT-013", "its timestamp against the frame's leader",
    "start events ≤ leader time + 1 period; end - start = ExposureTime ± 1 %", "consistency of the camera", SHOULD,
    needs="evt str gapi", trace="r",
)  # fmt: skip
def event_times(camera: Camera) -> None:
    camera.need("EventSelector", "ExposureTime")
    entries = camera.info("EventSelector").entries
    start = next((name for name in ("ExposureStart", "FrameStart") if name in entries), "")
    if not start or "ExposureEnd" not in entries:
        skip("no events of both ends of an exposure")
    start_id, end_id = event_id(camera, start), event_id(camera, "ExposureEnd")
    both, long = notified(camera, start, "ExposureEnd"), camera.small(ExposureTime=5000.0)
    with listening(camera) as events, both, long, _ten(camera) as count:
        exposure_ns, period_ns = camera.get_float("ExposureTime") * 1000, period_ms(camera) * MS
        shots, found = acquire(camera, events, count)
    starts = {m.frame_id: m.timestamp for m in found if m.event_id == start_id}
    ends = {m.frame_id: m.timestamp for m in found if m.event_id == end_id}
    expect(starts and ends, f"{len(starts)} starts and {len(ends)} ends")
    both_told = [shot for shot in shots if shot.block_id in starts and shot.block_id in ends]
    if not both_told:
        skip("the events do not say which frame they belong to")
    for shot in both_told:
        took = ends[shot.block_id] - starts[shot.block_id]
        expect(
            abs(took - exposure_ns) <= 0.01 * exposure_ns + SETTLING_NS,
            f"an exposure of {took} ns, {exposure_ns:.0f} are set",
        )
        expect(starts[shot.block_id] <= shot.timestamp + period_ns, f"{start} after the leader's time")


@camera_check(
    "EVT-014", "EI_Control 1, 5 events unread, 0, 1, read", "none of the five", "what hosts trip over", needs="evt",
    trace="r",
)  # fmt: skip
def stale(camera: Camera) -> None:
    with listening(camera) as events:
        for _ in range(5):
            camera.write(camera.ei + EI_TEST, ENABLED)
        camera.write(camera.ei, DISABLED)
        camera.write(camera.ei, ENABLED)
        found = events.all()
    expect(not found, f"{len(found)} messages from before EI_Control was 0")


@camera_check(
    "EVT-015", "no IN request, 500 events provoked",
    "device alive, stream whole; then messages whole, in order; loss told by EventLost if there is one",
    "consistency of the camera", needs="evt str gapi", trace="r",
)  # fmt: skip
def unread(camera: Camera) -> None:
    with listening(camera) as events, notified(camera), camera.small():
        want = expected(camera)
        with streaming(camera) as stream:
            shots = stream.shots(camera.run.count(120, 250))
            camera.run.alive()
            for _ in range(camera.run.count(120, 250)):
                camera.write(camera.ei + EI_TEST, ENABLED)
            shots += stream.shots(3)
        found = events.all()
    expect_whole(shots, want, "with events that nobody reads: ")
    camera.run.note(f"{len(found)} messages were kept")
    expect(found, "no event is left of all that nobody read")
    ids = [message.request_id for message in found]
    rising = all(0 < ((b - a) & 0xFFFF) < 0x8000 for a, b in zip(ids, ids[1:], strict=False))
    expect(rising, f"request ids out of order: {ids[:20]}")
    expect(
        all(m.raw[:4] == b"U3VE" and len(m.raw) >= 24 for m in found), "a damaged message among those kept"
    )


@camera_check(
    "EVT-016", "halt + clear in between", "queue empty, next event arrives", "halts, as hosts make them",
    needs="evt", trace="r",
)  # fmt: skip
def halted(camera: Camera) -> None:
    with listening(camera) as events:
        for _ in range(3):
            camera.write(camera.ei + EI_TEST, ENABLED)
        set_halt(camera.bus, camera.run.event_in)
        clear_halt(camera.bus, camera.run.event_in)
        old = events.all()
        expect(not old, f"{len(old)} messages from before the halt")
        if not camera.number(camera.ei):
            camera.write(camera.ei, ENABLED)
        found = provoke(camera, events, 1)
    expect(found, "no message after halt and clear halt")


@camera_check(
    "EVT-017", "multi-event (capability 12): configuration bit 1, 20 quick events",
    "SCD splits exactly by event_size", "GenCP 1.3 4.4.10", needs="evt", trace="r",
)  # fmt: skip
def several_in_one(camera: Camera) -> None:
    if not camera.run.capability & 1 << 12:
        skip("no multi-event capability")
    with camera.run.restoring(0x1E0, 8) as before:
        wanted = int.from_bytes(before, "little") | 2
        status = camera.write(0x1E0, wanted.to_bytes(8, "little"))
        expect(not status, f"Device_Configuration bit 1: status {status:#06x}")
        with listening(camera) as events:
            for _ in range(20):
                camera.write(camera.ei + EI_TEST, ENABLED)
            found = events.all()
    expect(found, "no message in multi-event mode")
    for message in found:
        at = 12
        while at < len(message.raw):
            size = struct.unpack_from("<H", message.raw, at)[0]
            expect(
                size >= 12 and at + size <= len(message.raw),
                f"event size {size} at byte {at} of {len(message.raw)}",
            )
            at += size


@camera_check(
    "EVT-018", "a buffer of 16 bytes for a message of 24", "babble or 16 + 8 bytes; recovers by clear halt",
    "USB 2.0 5.8.3", INFO, needs="evt", trace="r",
)  # fmt: skip
def small_buffer(camera: Camera) -> None:
    with listening(camera) as events:
        camera.write(camera.ei + EI_TEST, ENABLED)
        try:
            data = camera.bytes_on(camera.run.event_in, 16, PATIENCE_MS)
            camera.run.note(f"16 bytes asked for: {'nothing' if data is None else f'{len(data)} bytes'} came")
        except UsbOverflow:
            camera.run.note("16 bytes asked for: babble")
        clear_halt(camera.bus, camera.run.event_in)
        camera.write(camera.ei, ENABLED)
        events.all()
        expect(provoke(camera, events, 1), "no message any more after a request that was too small")


@camera_check(
    "EVT-019", "no EVENT_ACK is ever sent", "messages keep coming", "event messages of USB3 Vision", needs="evt",
    trace="r",
)  # fmt: skip
def no_acknowledge(camera: Camera) -> None:
    with listening(camera) as events:
        for n in range(8):
            expect(provoke(camera, events, 1), f"no message any more after {n} that were never acknowledged")


@camera_check(
    "EVT-020", "SET_CONFIGURATION 0, v", "EI_Control 0, silent", "consistency of the camera", needs="evt",
    trace="r",
)  # fmt: skip
def unconfigured(camera: Camera) -> None:
    with listening(camera) as events:
        camera.write(camera.ei + EI_TEST, ENABLED)
        camera.reconfigure()
        now = camera.number(camera.ei)
        expect(now == 0, f"EI_Control reads {now} after SET_CONFIGURATION 0 and back")
        found = events.all()
    expect(not found, f"{len(found)} messages after SET_CONFIGURATION 0 and back")
