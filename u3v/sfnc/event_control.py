"""SFNC EventControl: which events the camera sends, and what is in them.

Event ids of real cameras are not published; these are in the device-specific range 0x9000..0xFFFF (assumed).
Every event carries the timestamp (ns) and the id of the frame it belongs to.
"""

from u3v.event import TEST_EVENT_ID
from u3v.features import Command, Enumeration, Feature
from u3v.genapi import EventNodes
from u3v.model import Model

CATEGORY = "EventControl"

EVENTS = {
    "ExposureEnd": "The exposure of a frame has ended.",
    "FrameStart": "The exposure of a frame has begun.",
    "FrameBurstStart": "A burst of frames was triggered.",
    "FrameStartOvertrigger": "A frame trigger came too early and was lost.",
    "FrameBurstStartOvertrigger": "A burst trigger came too early and was lost.",
    "FrameBufferOverrun": "The frame memory was full: a frame was discarded.",
    "Test": "A test event that TestEventGenerate asked for.",
}
EVENT_IDS = {name: 0x9001 + index for index, name in enumerate(EVENTS)} | {"Test": TEST_EVENT_ID}


def features(model: Model) -> list[Feature]:
    """All features of the category."""
    return [
        Enumeration(
            name="EventSelector",
            tooltip="The event that EventNotification is about.",
            category=CATEGORY,
            entries={name: index for index, name in enumerate(EVENTS)},
        ),
        Enumeration(
            name="EventNotification",
            tooltip="Whether the host is notified of the selected event.",
            category=CATEGORY,
            entries={"Off": 0, "On": 1},
            selectors=("EventSelector",),
            persistent=True,
        ),
        Command(
            name="TestEventGenerate",
            tooltip="Sends a Test event.",
            category=CATEGORY,
            execute=lambda camera: camera.emit("Test", camera.timestamp_ns),
        ),
    ]


def event_nodes() -> list[EventNodes]:
    """The XML's event ports and data nodes."""
    return [
        EventNodes(name, EVENT_IDS[name], ("Timestamp", "FrameID"), tooltip)
        for name, tooltip in EVENTS.items()
    ]
