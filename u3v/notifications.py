"""Which happenings become events for the host: a listener of the camera's happenings, for any wire.

A happening is sent when the family of cameras has an event for it, under its maker's name and id, and the host has
set EventNotification for that event. The wire is the way out (`EventSink.send`). State: whether events were lost
that the host has not been told of. Cameras with an event EventLost send it as soon as there is room again.
"""

import struct
from collections.abc import Callable
from typing import Protocol

from u3v.family import Family
from u3v.feature_set import FeatureSet
from u3v.happenings import Happening, Happenings

LOST = "EventLost"


class EventSink(Protocol):
    """A wire's channel for events."""

    @property
    def enabled(self) -> bool: ...

    @property
    def has_room(self) -> bool: ...

    @property
    def dropped(self) -> int: ...

    def send(self, event_id: int, timestamp_ns: int, data: bytes) -> bool:
        """Queue one event. False: the channel is off, or full."""


class Notifications:
    """`stamp(at_ns)`: an instant as the camera's clock shows it."""

    def __init__(
        self, family: Family, features: FeatureSet, happenings: Happenings, stamp: Callable[[int], int]
    ) -> None:
        self._family = family
        self._wanted = {
            name: features.handle("EventNotification", str, EventSelector=name) for name in family.events
        }
        self._stamp = stamp
        self._sink: EventSink | None = None
        self._are_lost = False
        self._events = {what: name for what in Happening if (name := family.event_name(what)) is not None}
        if self._events:
            happenings.listen(self._happened, *self._events)

    @property
    def dropped(self) -> int:
        """Events that found the channel full."""
        return 0 if self._sink is None else self._sink.dropped

    def send_through(self, sink: EventSink) -> None:
        """What the wire does once, when it is composed with the camera."""
        self._sink = sink

    def _happened(self, what: Happening, at_ns: int, block_id: int) -> None:
        sink, event = self._sink, self._events[what]
        if sink is None or not self._is_wanted(event):
            return
        if self._are_lost and sink.has_room:
            self._are_lost = False
            if self._is_wanted(LOST):
                sink.send(self._family.event_ids[LOST], self._stamp(at_ns), event_data(0))
        sent = sink.send(self._family.event_ids[event], self._stamp(at_ns), event_data(block_id))
        self._are_lost = self._are_lost or (sink.enabled and not sent)

    def _is_wanted(self, event: str) -> bool:
        wanted = self._wanted.get(event)
        return wanted is not None and wanted.get() == "On"


def event_data(frame_id: int) -> bytes:
    """What follows the timestamp in a frame event: the frame id, u64."""
    return struct.pack("<Q", frame_id)
