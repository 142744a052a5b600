"""Mutants of events, of how many frames come and when, of triggers, and of how long answers take."""

import struct
from dataclasses import replace
from typing import Any

from gadget.faults.wrappers import FunctionWrapper, PassThrough
from gadget.runner import BuiltCamera
from gadget.usb.in_pipe import EOVERFLOW, Urb
from tests.matrix.gencp import stays
from tests.matrix.rig import Mutant, Spoil, about, events, frames, put, register, wrap
from tests.matrix.seams import (
    MS,
    Heard,
    acquisition,
    feature_ignored,
    innermost,
    integer,
    later,
    lie,
    method,
    numbers,
    on_write,
    places,
    real,
    slow_request,
    usb,
    write_of,
    writes,
)
from tests.matrix.stream import delayed, event_without_enable, latched
from u3v.function import Function, InTransfer
from u3v.wire import bootstrap as boot
from u3v.wire.usb import EVENT_IN, STREAM_IN

EIRM_TEST = boot.EIRM_ADDRESS + 0x08
TEST_EVENT = 0x4FFF
SECOND = 1000 * MS


# -- events -----------------------------------------------------------------------------------------------------


def event_number(message: bytes) -> int:
    return int(struct.unpack_from("<H", message, 14)[0])


def renumbered(change) -> Spoil:  # type: ignore[no-untyped-def]
    """The id of each event is `change(id)`."""
    return events(lambda m, n: [put(m, 14, struct.pack("<H", change(event_number(m))))])


def end_before_start(built: BuiltCamera) -> None:
    end = built.camera.family.event_ids["ExposureEnd"]

    def changed(message: bytes, number: int) -> list[bytes]:
        if event_number(message) != end:
            return [message]
        at_ns = struct.unpack_from("<Q", message, 16)[0]
        return [put(message, 16, struct.pack("<Q", max(at_ns - 10 * MS, 0)))]

    events(changed)(built)


def silence_events(built: BuiltCamera) -> None:
    """No event leaves any more."""
    usb(built).event.next_transfer = lambda: None  # type: ignore[method-assign]


def dead_after_halt(built: BuiltCamera) -> None:
    def hear(what: str, number: int, now_ns: int) -> None:
        if what == "halt" and number == EVENT_IN:
            silence_events(built)

    wrap(built, lambda inner: Heard(inner, hear))


def dead_after_overflow(built: BuiltCamera) -> None:
    class Watcher(PassThrough):
        def completed(self, urb: Urb, now_ns: int) -> None:
            if urb.endpoint == EVENT_IN and urb.status == EOVERFLOW:
                silence_events(built)

    built.device.wrappers.append(Watcher())


def full_of_events(raw: bytes, wrapper: Any) -> list[bytes]:
    """No frame is whole while the queue of events is full."""
    event = innermost(wrapper).event
    return [raw if event.has_room else put(raw, 16, b"\x00\xa1")]


def several_events_told(built: BuiltCamera) -> None:
    """Multi-event capability, and messages with sizes that do not add up."""
    bits = int.from_bytes(built.camera.memory.device_read(0x1C4, 8), "little")
    register("Device_Capability", bits | 1 << 12)(built)
    events(lambda m, n: [put(m, 12, struct.pack("<H", len(m)))])(built)


# -- frames -----------------------------------------------------------------------------------------------------


def one_more(begin, built):  # type: ignore[no-untyped-def]
    return lambda frames_left, now_ns: begin(
        frames_left + 1 if frames_left is not None and frames_left > 1 else frames_left, now_ns
    )


def slower_when_lower(built: BuiltCamera) -> None:
    true = built.camera.acquisition.timing

    class Timing:
        def __getattr__(self, name: str) -> Any:
            return getattr(true, name)

        def frame_period_ns(self, height_rows: int, exposure_ns: int, link_ns: int) -> int:
            return true.frame_period_ns(height_rows, exposure_ns, link_ns) + (4000 - height_rows) * 20_000

    built.camera.acquisition.timing = Timing()  # type: ignore[assignment]


def not_slowed(rules, built):  # type: ignore[no-untyped-def]
    """The sensor does not wait for the link: what does not fit is lost."""
    return lambda: replace(rules(), gap_ns=0)


def half_as_fast(rules, built):  # type: ignore[no-untyped-def]
    return lambda: replace(rules(), gap_ns=2 * rules().gap_ns)


def stops_late(seconds: int) -> Spoil:
    def spoil(built: BuiltCamera) -> None:
        engine = built.camera.acquisition
        stop, tick = engine.stop, engine.tick
        due: list[int] = []

        def stop_later(now_ns: int) -> None:
            if engine.active and not due:
                due.append(now_ns + seconds * SECOND)

        def ticked(now_ns: int) -> None:
            if due and now_ns >= due[0]:
                due.clear()
                stop(now_ns)
            tick(now_ns)

        engine.stop, engine.tick = stop_later, ticked  # type: ignore[method-assign]

    return spoil


def mode_stops(raw: bytes, built: BuiltCamera) -> int | None:
    """AcquisitionMode is taken while frames are taken, and ends that."""
    if not built.camera.acquisition.active:
        return None
    built.camera.acquisition.stop(built.camera.now_ns)
    return 0


def every(nth: int):  # type: ignore[no-untyped-def]
    """Each nth write has no effect."""
    count = numbers()
    return lambda raw, built: 0 if next(count) % nth == nth - 1 else None


def second_trigger_breaks(built: BuiltCamera) -> None:
    at, _ = places(built, "TriggerSoftware")
    last, broken = [-SECOND], [False]

    def hear(packet: bytes, now_ns: int) -> None:
        if write_of(packet)[0] == at:
            broken[0] = broken[0] or now_ns - last[0] < 5 * MS
            last[0] = now_ns

    writes(lambda b: hear)(built)
    frames(trailer=lambda raw, w: [put(raw, 16, b"\x00\xa1") if broken[0] else raw])(built)


def trigger_remembered(built: BuiltCamera) -> None:
    engine = built.camera.acquisition
    start = engine.start
    early = [False]

    def remember(raw: bytes, built: BuiltCamera) -> int | None:
        early[0] = not engine.active
        return None

    def started(now_ns: int) -> None:
        start(now_ns)
        if early[0]:
            built.camera.inputs.software_trigger(now_ns)

    on_write("TriggerSoftware", remember)(built)
    engine.start = started  # type: ignore[method-assign]


class EmptyWhenIdle(FunctionWrapper):
    """An empty transfer where the stream has had nothing to send for a while."""

    def __init__(self, inner: Function, built: BuiltCamera, after_ns: int) -> None:
        super().__init__(inner)
        self._stream, self._after_ns = usb(built).stream, after_ns
        self._since: int | None = None

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        transfer = self.inner.transfer_in(endpoint, now_ns)
        if endpoint != STREAM_IN or transfer is not None or not self._stream.enabled:
            if endpoint == STREAM_IN:
                self._since = None
            return transfer
        self._since = now_ns if self._since is None else self._since
        if now_ns - self._since < self._after_ns:
            return None
        self._since = None
        return InTransfer(memoryview(b""))

    def next_wakeup_ns(self) -> int | None:
        mine = None if self._since is None else self._since + self._after_ns
        return min((at for at in (mine, self.inner.next_wakeup_ns()) if at is not None), default=None)


# -- instants ---------------------------------------------------------------------------------------------------


def late_trailer(transfer: InTransfer, now_ns: int) -> int:
    return transfer.ready_ns + (200 * MS if transfer.data[:4] == b"U3VT" else 0)


def starts_late(start, built):  # type: ignore[no-untyped-def]
    def made(now_ns: int) -> None:
        built.camera.acquisition._sensor_ready_ns = now_ns + 3 * SECOND
        start(now_ns)

    return made


def random_latency(latency, built):  # type: ignore[no-untyped-def]
    count = numbers()
    return lambda now_ns: latency(now_ns) + next(count) * 7919 % 50 * MS


def dries_up(finish, built):  # type: ignore[no-untyped-def]
    """After each 50 frames the acquisition is over."""

    def made(*given: Any, **named: Any) -> None:
        finish(*given, **named)
        if built.camera.frames.delivered % 50 == 0:
            built.camera.acquisition.stop(built.camera.now_ns)

    return made


MUTANTS = [
    Mutant("events while disabled", "EVT-001", event_without_enable, also="GENCP-WR-015"),
    Mutant(
        "notification ignored",
        "EVT-002",
        method(lambda b: b.camera.notifications, "_is_wanted", lambda wanted, b: lambda event: True),
    ),
    Mutant("test event missing", "EVT-003", stays(EIRM_TEST, 4)),
    Mutant("test event id 0", "EVT-004", renumbered(lambda n: 0 if n == TEST_EVENT else n)),
    Mutant("EventID differs from the wire", "EVT-005", renumbered(lambda n: n + 0x20)),
    Mutant("event id 3001", "EVT-010", renumbered(lambda n: 0x3001)),
    Mutant(
        "event timestamps in ticks of 8 ns",
        "EVT-009",
        events(lambda m, n: [put(m, 16, struct.pack("<Q", struct.unpack_from("<Q", m, 16)[0] // 8))]),
    ),
    Mutant("end before start", "EVT-013", end_before_start),
    Mutant(
        "stale events",
        "EVT-014 EVT-016 EVT-020",
        method(lambda b: usb(b).event, "flush", lambda flush, b: lambda: None),
    ),
    Mutant("frames suffer from the queue of events", "EVT-015", frames(trailer=full_of_events)),
    Mutant("event endpoint dead after a halt", "EVT-016", dead_after_halt),
    Mutant("sizes of events do not add up", "EVT-017", several_events_told),
    Mutant("event endpoint dead after babble", "EVT-018", dead_after_overflow),
    Mutant("waits for an ack of each event", "EVT-019", events(lambda m, n: [m] if not n else [])),
    Mutant(
        "events stay enabled without a configuration",
        "EVT-020 USB-CH9-008",
        method(lambda b: usb(b), "_stop_events", lambda stop, b: lambda: None),
    ),
    Mutant("one frame more than counted", "ACQ-002", acquisition("_begin", one_more)),
    Mutant("rate halved", "ACQ-004", acquisition("_rules", half_as_fast)),
    Mutant("resulting rate lies", "ACQ-005", lie("ResultingFrameRate", real(lambda hz: hz * 1.1))),
    Mutant("lower images are slower", "ACQ-007", slower_when_lower),
    Mutant("frames lost instead of slower", "ACQ-008", acquisition("_rules", not_slowed)),
    Mutant(
        "AcquisitionActive always false",
        "ACQ-009",
        lie("AcquisitionStatus", lambda raw, b: bytes(len(raw))),
    ),
    Mutant("AcquisitionMode stops the stream", "ACQ-010", on_write("AcquisitionMode", mode_stops)),
    Mutant("stops after 2 s", "ACQ-011", stops_late(2)),
    Mutant("every 20th trigger lost", "TRG-003", on_write("TriggerSoftware", every(20))),
    Mutant("second trigger breaks the frame", "TRG-004", second_trigger_breaks),
    Mutant("trigger remembered", "TRG-005", trigger_remembered),
    Mutant("delay ignored", "TRG-006", feature_ignored("TriggerDelay")),
    Mutant(
        "stays armed",
        "TRG-007",
        on_write("TriggerMode", lambda raw, b: None if integer(raw) else 0),
    ),
    Mutant("one frame per burst", "TRG-008", feature_ignored("AcquisitionBurstFrameCount")),
    Mutant(
        "an empty transfer when idle",
        "TRG-009",
        lambda built: wrap(built, lambda inner: EmptyWhenIdle(inner, built, 600 * MS)),
    ),
    Mutant("timestamp in units of 10 ns", "TIME-014", latched(lambda ns: ns // 10)),
    Mutant("SET_CONFIGURATION takes 1 s", "TIME-007", slow_request(0x00, 9, 1000)),
    Mutant(
        "each piece of the XML takes 0.9 s",
        "TIME-008",
        delayed(900, lambda c: about(c)[1] >= boot.XML_ADDRESS),
    ),
    Mutant(
        "the stream dries up", "TIME-010 STREAM-042", method(lambda b: b.camera.frames, "finish", dries_up)
    ),
    Mutant("first frame after 3 s", "TIME-011", acquisition("start", starts_late)),
    Mutant("trailers come late", "TIME-012", later(STREAM_IN, late_trailer)),
    Mutant("trigger latency random", "TIME-013", acquisition("_latency_ns", random_latency)),
    Mutant("events come late", "TIME-016", later(EVENT_IN, lambda transfer, now_ns: now_ns + 80 * MS)),
    Mutant("clear halt takes 400 ms", "TIME-020", slow_request(0x02, 1, 400)),
]
