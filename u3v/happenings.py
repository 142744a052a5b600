"""What can happen in a camera, and who hears of it.

The camera tells each happening once, and any number of listeners hear it: the event channel, counters, timers,
output lines, a control socket, a test that waits. Only listeners of that happening are called. What happens does
not depend on them: a camera whose maker gave it no events has the same happenings as any other, so a counter or a
test can still hear them. For example, `happenings.listen(note, Happening.EXPOSURE_START)` calls `note(what, at_ns,
block_id)` at each exposure.

Names are SFNC's where SFNC has an event for what happens. So a family of cameras lists only the names that its
maker has changed.
"""

from collections.abc import Callable
from enum import Enum

Listener = Callable[["Happening", int, int], None]
"""Gets what happened, when (ns on the camera's clock of instants), and the block id of the frame it belongs to."""


class Happening(Enum):
    """All that can happen. The value is the name of SFNC's event, where there is one."""

    ACQUISITION_START = "AcquisitionStart"
    ACQUISITION_END = "AcquisitionEnd"
    FRAME_BURST_START = "FrameBurstStart"
    FRAME_BURST_START_OVERTRIGGER = "FrameBurstStartOvertrigger"
    FRAME_START = "FrameStart"
    FRAME_START_OVERTRIGGER = "FrameStartOvertrigger"
    FRAME_END = "FrameEnd"
    FRAME_TRANSFER_END = "FrameTransferEnd"
    FRAME_BUFFER_OVERRUN = "FrameBufferOverrun"
    FRAME_LOST = "FrameLost"
    EXPOSURE_START = "ExposureStart"
    EXPOSURE_END = "ExposureEnd"
    TRIGGER_READY = "TriggerReady"
    TRIGGER_OVERLAPPED = "TriggerOverlapped"
    TRANSFER_BUFFER_FULL = "TransferBufferFull"
    TRANSFER_BUFFER_READY = "TransferBufferReady"
    CRITICAL_TEMPERATURE = "CriticalTemperature"
    OVER_TEMPERATURE = "OverTemperature"
    TEMPERATURE_STATUS_CHANGED = "DeviceTemperatureStatusChanged"
    FRAME_TRIGGER = "FrameTrigger"
    LINE0_RISING_EDGE = "Line0RisingEdge"
    LINE0_FALLING_EDGE = "Line0FallingEdge"
    LINE1_RISING_EDGE = "Line1RisingEdge"
    LINE1_FALLING_EDGE = "Line1FallingEdge"
    LINE2_RISING_EDGE = "Line2RisingEdge"
    LINE2_FALLING_EDGE = "Line2FallingEdge"
    LINE3_RISING_EDGE = "Line3RisingEdge"
    LINE3_FALLING_EDGE = "Line3FallingEdge"
    LINE4_RISING_EDGE = "Line4RisingEdge"
    LINE4_FALLING_EDGE = "Line4FallingEdge"
    LINE_WARNING = "LineWarning"
    LINE_DAMAGED = "LineDamaged"
    LINE_OVERLOAD = "LineOverload"
    TIMER1_START = "Timer1Start"
    TIMER1_END = "Timer1End"
    COUNTER1_END = "Counter1End"
    COUNTER2_END = "Counter2End"
    STREAM_START = "StreamStart"
    STREAM_END = "StreamEnd"
    DEVICE_CONFIGURED = "DeviceConfigured"
    DEVICE_UNCONFIGURED = "DeviceUnconfigured"
    ACTION_LATE = "ActionLate"
    HEARTBEAT_TIMEOUT = "HeartbeatTimeout"
    PRIMARY_APPLICATION_SWITCH = "PrimaryApplicationSwitch"
    COMMAND_REFUSED = "CommandRefused"
    DEVICE_RESET = "DeviceReset"
    TEST = "Test"


class Happenings:
    """The listeners of one camera."""

    def __init__(self) -> None:
        self._listeners: dict[Happening, tuple[Listener, ...]] = {}

    def listen(self, listener: Listener, *whats: Happening) -> Callable[[], None]:
        """Call `listener` at each of `whats` (all of them where none is named). Returns what ends that."""
        heard = whats or tuple(Happening)
        for what in heard:
            self._listeners[what] = (*self._listeners.get(what, ()), listener)

        def stop() -> None:
            for what in heard:
                left = list(self._listeners.get(what, ()))
                if listener in left:
                    left.remove(listener)
                self._listeners[what] = tuple(left)

        return stop

    def tell(self, what: Happening, at_ns: int, block_id: int = 0) -> None:
        for listener in self._listeners.get(what, ()):
            listener(what, at_ns, block_id)
