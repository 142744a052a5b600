"""SFNC EventControl: which events the camera sends, and what is in them.

Every event carries the timestamp (ns) and the id of the frame it belongs to.
"""

from collections.abc import Mapping

from u3v.family import Family
from u3v.features import Command, Enumeration, Feature
from u3v.genapi import EventNodes
from u3v.happenings import Happening

CATEGORY = "EventControl"


def features(events: Mapping[str, str]) -> list[Feature]:
    """All features of the category, for cameras with these events."""
    declared: list[Feature] = [
        Enumeration(
            name="EventSelector",
            tooltip="The event that EventNotification is about.",
            category=CATEGORY,
            entries={name: index for index, name in enumerate(events)},
        ),
        Enumeration(
            name="EventNotification",
            tooltip="Whether the host is notified of the selected event.",
            category=CATEGORY,
            entries={"Off": 0, "On": 1},
            selectors=("EventSelector",),
            persistent=True,
        ),
    ]
    if "Test" in events:
        test = Command(
            name="TestEventGenerate",
            tooltip="Sends a Test event.",
            category=CATEGORY,
            execute=lambda camera: camera.happened(Happening.TEST, camera.now_ns),
        )
        declared.append(test)
    return declared


def event_nodes(family: Family) -> list[EventNodes]:
    """The XML's event ports and data nodes."""
    fields = ("Timestamp", "FrameID", *(("StreamChannelIndex",) if family.older_names else ()))
    return [
        EventNodes(name, family.event_ids[name], fields, tooltip) for name, tooltip in family.events.items()
    ]
