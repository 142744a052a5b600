"""Listening to the event channel: messages as they come, and ways to make a camera send some."""

import contextlib
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from u3v.errors import U3VError
from u3v.host.bus import UsbTimeout, clear_halt
from u3v.host.conformance.camera import (
    DISABLED,
    EI_MAX_LENGTH,
    EI_TEST,
    ENABLED,
    Camera,
    expect,
    skip,
)
from u3v.host.conformance.description import to_hex
from u3v.host.conformance.streaming import Shot, streaming

HEAD = struct.Struct("<4sHHHH")
PATIENCE_MS = 100
MANY = 4096
MOST_ROOM = 1 << 16
"""A message's length field has 16 bits: room for more is not made, whatever the camera says."""
QUEUED = 64
"""Requests for messages that are queued while frames are taken."""


@dataclass(frozen=True, slots=True)
class Message:
    """One event message as it came; the first event in it."""

    raw: bytes
    at_ns: int

    @property
    def request_id(self) -> int:
        return int(HEAD.unpack_from(self.raw)[4])

    @property
    def size(self) -> int:
        return int(struct.unpack_from("<H", self.raw, 12)[0])

    @property
    def event_id(self) -> int:
        return int(struct.unpack_from("<H", self.raw, 14)[0])

    @property
    def timestamp(self) -> int:
        return int(struct.unpack_from("<Q", self.raw, 16)[0])

    @property
    def frame_id(self) -> int | None:
        """The 64 bits that SFNC's frame events begin with."""
        return int(struct.unpack_from("<Q", self.raw, 24)[0]) if len(self.raw) >= 32 else None


class Events:
    """An enabled event channel with requests queued."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.room = min(max(camera.number(camera.ei + EI_MAX_LENGTH), 24), MOST_ROOM)
        self._posted: deque[tuple[int, bytearray]] = deque()

    def post(self, count: int) -> None:
        while len(self._posted) < count:
            buffer = bytearray(-(-self.room // self.camera.packet) * self.camera.packet)
            self._posted.append((self.camera.bus.submit_in(self.camera.run.event_in, buffer), buffer))

    def next(self, timeout_ms: int = PATIENCE_MS) -> Message | None:
        self.post(1)
        handle, buffer = self._posted[0]
        try:
            length = self.camera.bus.wait_in(handle, timeout_ms)
        except UsbTimeout:
            return None
        self._posted.popleft()
        message = Message(bytes(buffer[:length]), self.camera.now_ns())
        self.camera.run.show("event message", message.raw)
        return message

    def all(self, timeout_ms: int = PATIENCE_MS) -> list[Message]:
        """Everything until none comes for so long."""
        found: list[Message] = []
        while len(found) < MANY and (message := self.next(timeout_ms)) is not None:
            found.append(message)
        return found

    def drop(self) -> None:
        for handle, _ in reversed(self._posted):
            with contextlib.suppress(U3VError):
                self.camera.bus.cancel_in(handle)
        self._posted.clear()


@contextlib.contextmanager
def listening(camera: Camera, *, enable: bool = True) -> Iterator[Events]:
    """The channel emptied, enabled (or not), disabled at the end."""
    camera.write(camera.ei, DISABLED)
    clear_halt(camera.bus, camera.run.event_in)
    events = Events(camera)
    try:
        if enable:
            status = camera.write(camera.ei, ENABLED)
            expect(not status, f"EI_Control = 1 is refused with status {status:#06x}")
        yield events
    finally:
        events.drop()
        with contextlib.suppress(U3VError):
            camera.write(camera.ei, DISABLED)


@contextlib.contextmanager
def notified(camera: Camera, *names: str, on: bool = True) -> Iterator[list[str]]:
    """Notifications of these events on (or all, or all off); the events that there are."""
    camera.need("EventSelector", "EventNotification")
    entries = camera.info("EventSelector").entries
    chosen = [entry for entry in entries if not names or entry in names]
    word = (
        next((w for w in ("On", "Once") if w in camera.info("EventNotification").entries), "On")
        if on
        else "Off"
    )
    before: list[tuple[str, str]] = []
    with camera.keep("EventSelector"):
        try:
            for entry in chosen:
                camera.set("EventSelector", entry)
                if camera.writable("EventNotification") and camera.get("EventNotification") != word:
                    before.append((entry, str(camera.get("EventNotification"))))
                    camera.set("EventNotification", word)
            yield chosen
        finally:
            for entry, value in before:
                with contextlib.suppress(U3VError):
                    camera.nodes.set("EventSelector", entry)
                    camera.nodes.set("EventNotification", value)


def event_id(camera: Camera, event: str) -> int | None:
    """The EventID that the XML gives an event: of the port of one of its nodes."""
    for name in (f"Event{event}", f"Event{event}Timestamp", f"Event{event}FrameID"):
        register = camera.description.register_behind(name)
        port = camera.description.text_of(register or name, "pPort")
        for node in (port, f"Event{event}Port", name):
            text = camera.description.text_of(node or "", "EventID")
            if text:
                return to_hex(text)
    return None


def acquire(camera: Camera, events: Events, count: int = 5) -> tuple[list[Shot], list[Message]]:
    """Frames, and the messages of their acquisition: requests for those are queued before it."""
    events.post(QUEUED)
    with streaming(camera, depth=max(count, 2)) as stream:
        shots = stream.shots(count)
    return shots, events.all()


def provoke(camera: Camera, events: Events, count: int) -> list[Message]:
    """Messages by whatever means there are: the test register, TestEventGenerate, frames."""
    for _ in range(count):
        camera.write(camera.ei + EI_TEST, ENABLED)
    found = events.all()
    if found:
        return found
    if camera.has("TestEventGenerate"):
        with notified(camera, "Test"):
            for _ in range(count):
                camera.execute("TestEventGenerate")
            return events.all()
    with notified(camera), camera.small():
        return acquire(camera, events, count)[1]


def some(camera: Camera, count: int = 4) -> list[Message]:
    """At least one message, of tests and of frames."""
    with listening(camera) as events:
        found = provoke(camera, events, count)
        if camera.has("EventSelector"):
            with notified(camera), camera.small():
                found += acquire(camera, events, 3)[1]
    if not found:
        skip("no way to make the camera send an event")
    return found
