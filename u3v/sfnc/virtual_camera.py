"""What no real camera has: counters of what became of its frames, and its supply as a meter would show it.

The features are custom ones, and read-only. The exceptions are VirtualClockAdvance, which moves a clock in
lockstep, and SFNC's TestPendingAck, by which a host sees how it copes with a slow command.
"""

from collections.abc import Callable

from u3v.device import Device
from u3v.features import Feature, Float, Integer, String
from u3v.model import Model

CATEGORY = "VirtualCamera"
_HOUR_NS = 3600 * 10**9


def features(model: Model) -> list[Feature]:
    """All features of the category."""
    return [
        String(
            name="VirtualWire",
            tooltip="The camera's own wire, the budget of its frame rate; and the one it is served on, if not that.",
            category=CATEGORY,
            access="RO",
            visibility="Guru",
            default=model.wire_text,
            length=128,
        ),
        Float(
            name="VirtualSensorFrameRate",
            tooltip="Frame rate of sensor and exposure, as if the link had no limit.",
            category=CATEGORY,
            access="RO",
            visibility="Guru",
            unit="Hz",
            max=1e9,
            read=lambda camera: 1e9 / camera.acquisition.sensor_period_ns(),
        ),
        _count(
            "VirtualFramesOffered", "Frames exposed while the stream was enabled.", lambda c: c.frames.offered
        ),
        _count("VirtualFramesDelivered", "Frames handed to the host whole.", lambda c: c.frames.delivered),
        _count(
            "VirtualFramesDiscarded", "Frames lost in the camera or cut short.", lambda c: c.frames.discarded
        ),
        _count("VirtualFramesHeld", "Frames in the camera's memory now.", lambda c: c.frames.in_flight),
        _count("VirtualEventsDropped", "Events that found the queue full.", lambda c: c.events_dropped),
        Float(
            name="VirtualSupplyCurrent",
            tooltip="Current the camera draws from its supply.",
            category=CATEGORY,
            access="RO",
            visibility="Guru",
            unit="mA",
            max=10_000.0,
            read=lambda camera: camera.surroundings.current_ma(camera.now_ns),
        ),
        Integer(
            name="TestPendingAck",
            tooltip="Writing it is acknowledged that much later, with PENDING_ACKs meanwhile.",
            category=CATEGORY,
            visibility="Guru",
            unit="ms",
            max=60_000,
            busy_ms=int,
        ),
        Integer(
            name="VirtualClockAdvance",
            tooltip="Writing it lets a clock in lockstep go on by so much, an hour at most; other clocks do not care.",
            category=CATEGORY,
            visibility="Guru",
            unit="ns",
            bits=64,
            max=_HOUR_NS,  # the loop lives through all of it before it looks at its sockets again
            written=lambda camera: camera.advance_clock(camera.features.get("VirtualClockAdvance")),
        ),
    ]


def _count(name: str, tooltip: str, read: Callable[[Device], int]) -> Integer:
    return Integer(
        name=name,
        tooltip=tooltip,
        category=CATEGORY,
        access="RO",
        visibility="Guru",
        bits=64,
        max=_HOUR_NS,  # the loop lives through all of it before it looks at its sockets again
        read=read,
    )
