"""When frames happen: acquisition modes, triggers, frame rate. Decides instants, never pixels.

State: whether an acquisition runs, how many frames it still owes, how many the current burst owes, the
earliest instant of the next exposure, the triggers that wait for their delay, and the timed events to come.
Always true: exposures start in order, no earlier than one frame period after each other, at modelled
instants, which do not depend on when `tick` was called; events go out in the order of their instants.
"""

import struct
from bisect import insort
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from u3v.sfnc.family import BURST, FRAME

if TYPE_CHECKING:
    from u3v.camera import Camera

MAX_IN_FLIGHT_UNPACED = 3
"""Frames exposed but not yet handed over when the camera runs as fast as the host reads."""


class Timing(Protocol):
    """What the core must know of a sensor: its readout. All times in ns, rows in sensor rows."""

    def rows_read(self, height: int, binning_vertical: int) -> int: ...

    def readout_ns(self, height_rows: int) -> int: ...

    def frame_period_ns(self, height_rows: int, exposure_ns: int, link_ns: int) -> int: ...


@dataclass(frozen=True, slots=True)
class Exposure:
    """One exposure and everything its pixels depend on. ROI in (binned) output pixels, instants in ns.

    `index` counts exposures since power-on (the random stream's number); `block_id` is the stream's.
    """

    index: int
    block_id: int
    start_ns: int
    readout_start_ns: int
    readout_ns: int
    timestamp_ns: int
    exposure_us: float
    gain_db: float
    black_level_dn12: float
    offset_x: int
    offset_y: int
    width: int
    height: int
    binning_horizontal: int
    binning_vertical: int
    reverse_x: bool
    reverse_y: bool
    pixel_format: str
    payload_bytes: int
    test_image: int | str
    temperature_c: float
    defect_correction: bool


class Acquisition:
    """The acquisition engine of one camera. `exposed`: exposures since power-on."""

    def __init__(self, camera: "Camera", timing: Timing, paced: bool) -> None:
        self.active = False
        self.timing = timing
        self.paced = paced
        self.exposures: deque[Exposure] = deque()
        self._camera = camera
        self.exposed = 0
        self._frames_left: int | None = None
        self._burst_left = 0
        self._earliest_ns = 0
        self._readout_end_ns = 0
        self._readouts: deque[tuple[int, int]] = deque(maxlen=2)
        self._is_free = False
        self._abort_ns: int | None = None
        self._triggers: deque[int] = deque()
        self._events: list[tuple[int, str, int]] = []

    def start(self, now_ns: int) -> None:
        """AcquisitionStart. While one runs already, nothing changes."""
        if self.active:
            return
        if self._abort_ns is not None:
            ready_ns = self._abort_ns
            self.abort(now_ns)
            self._earliest_ns = max(now_ns, ready_ns)
        features = self._camera.features
        mode = features.get("AcquisitionMode")
        frames = features.get_or("AcquisitionFrameCount", 1)
        self.active = True
        self._frames_left = {"SingleFrame": 1, "MultiFrame": frames, "Continuous": None}[mode]
        self._burst_left = 0
        self._triggers.clear()
        self._earliest_ns = max(now_ns, self._earliest_ns)
        if self.triggered(FRAME):
            self._schedule(self._earliest_ns, "TriggerReady")
        self.tick(now_ns)

    def stop(self, now_ns: int) -> None:
        """AcquisitionStop: what was exposed is still delivered, nothing new begins."""
        self.active = False
        self._triggers.clear()

    def abort_command(self, now_ns: int) -> None:
        """AcquisitionAbort. Some cameras wait for the end of a readout that has begun."""
        self.stop(now_ns)
        under_way = [end for begin, end in self._readouts if begin <= now_ns < end]
        if under_way and self.paced and self._camera.family.abort_after_readout:
            self._abort_ns = under_way[0]
        else:
            self.abort(now_ns)

    def abort(self, now_ns: int) -> None:
        """At once: frames not yet handed over are discarded, the one on the wire is cut short."""
        self.stop(now_ns)
        self._abort_ns = None
        self.exposures.clear()
        self._events.clear()
        self._earliest_ns = now_ns
        self._readout_end_ns = now_ns
        self._readouts.clear()
        self._camera.stream.abort()

    def software_trigger(self, now_ns: int) -> None:
        """TriggerSoftware, for the trigger that TriggerSelector selects."""
        selected = self._camera.features.get("TriggerSelector")
        source = self._camera.features.get("TriggerSource", TriggerSelector=selected)
        if source in self._camera.family.trigger_sources:
            self.trigger(next(k for k, v in self._camera.family.triggers.items() if v == selected), now_ns)

    def trigger(self, selector: str, now_ns: int) -> None:
        """A trigger signal. One that comes too early, or is not awaited, is lost (an overtrigger)."""
        if not self.triggered(selector):
            return
        if not self.waits_for(selector):
            self._camera.emit(f"{selector}Overtrigger", now_ns)
            return
        at_ns = now_ns + self._delay_ns(selector)
        if selector == BURST:
            self._burst_left = self._camera.features.get("AcquisitionBurstFrameCount")
            self._schedule(at_ns, "FrameBurstStart")
            self._earliest_ns = max(self._earliest_ns, at_ns)
        else:
            if now_ns < self._readout_end_ns:
                self._schedule(now_ns, "TriggerOverlapped")
            self._triggers.append(at_ns)
        self.tick(now_ns)

    def waits_for(self, selector: str) -> bool:
        """Whether a trigger that came now would count (AcquisitionStatus: FrameBurstTriggerWait and
        FrameTriggerWait). A frame trigger must not lead to an exposure before the camera is ready for it."""
        if not self.active or not self.triggered(selector):
            return False
        if selector == BURST:
            return not self._burst_left
        if len(self._triggers) >= self._camera.model.integer("trigger_queue", 1) or not self._may_start():
            return False
        ready_ns = self._earliest_ns
        if self._triggers:
            ready_ns = max(ready_ns, self._triggers[-1] + self._spacing_ns())
        return self._camera.now_ns + self._delay_ns(FRAME) >= ready_ns

    def period_ns(self) -> int:
        """The shortest time from one exposure to the next with the settings as they are.

        Where the image buffer takes a single image, exposure and transfer follow each other: the next image
        has no place before the last one has left.
        """
        camera = self._camera
        features = camera.features
        link_ns = int(camera.payload_bytes * 1e9 / camera.throughput_bytes_per_s)
        period_ns = max(self.sensor_period_ns(), link_ns)
        if camera.image_slots == 1:
            exposure_ns = int(features.get("ExposureTime") * 1000)
            readout_ns = self.timing.readout_ns(camera.sensor_rows)
            latency_ns = int(camera.model.number("trigger_latency_us", 0.0) * 1000)
            occupied_ns = latency_ns + exposure_ns + max(readout_ns, link_ns)
            period_ns = max(period_ns, occupied_ns)
        if features.get_or("AcquisitionFrameRateEnable", False):
            period_ns = max(period_ns, int(1e9 / features.get("AcquisitionFrameRate")))
        return period_ns

    def sensor_period_ns(self) -> int:
        """The shortest time from one exposure to the next as far as the sensor goes."""
        rows = self._camera.sensor_rows
        exposure_ns = int(self._camera.features.get("ExposureTime") * 1000)
        if self._camera.features.get_or("ReadoutMode", "Overlapped") == "Sequential":
            exposure_ns += self.timing.readout_ns(rows)
        return self.timing.frame_period_ns(rows, exposure_ns, 0)

    def next_wakeup_ns(self) -> int | None:
        instants = [self._events[0][0]] if self._events else []
        start_ns = self._next_start_ns()
        instants += [at for at in (start_ns, self._abort_ns) if at is not None]
        return min(instants, default=None)

    def tick(self, now_ns: int) -> None:
        self._advance(now_ns)
        while self._events and self._events[0][0] <= now_ns:
            at_ns, name, block_id = self._events.pop(0)
            self._camera.emit(name, at_ns, block_id)
        if self._abort_ns is not None and self._abort_ns <= now_ns:
            self.abort(self._abort_ns)

    def _schedule(self, at_ns: int, name: str, block_id: int = 0) -> None:
        """Have an event sent at `at_ns`, if the camera has one for what happens then."""
        if self._camera.family.event_name(name) is not None:
            insort(self._events, (at_ns, name, block_id))

    def triggered(self, selector: str) -> bool:
        """Whether the camera waits for this trigger, FRAME or BURST."""
        entry = self._camera.family.triggers.get(selector)
        return entry is not None and bool(
            self._camera.features.get("TriggerMode", TriggerSelector=entry) == "On"
        )

    def _delay_ns(self, selector: str) -> int:
        """From a trigger that comes now to what it starts."""
        entry = self._camera.family.triggers[selector]
        delay_us = self._camera.features.get_or("TriggerDelay", 0.0, TriggerSelector=entry)
        return int(delay_us * 1000) + self._latency_ns(self._camera.now_ns)

    def _latency_ns(self, now_ns: int) -> int:
        """The delay that every trigger has; while an image is read out, the longest that is known."""
        number = self._camera.model.number
        latency_us = number("trigger_latency_us", 0.0)
        if now_ns < self._readout_end_ns:
            latency_us = number("trigger_latency_readout_us", latency_us)
        return int(latency_us * 1000)

    def _spacing_ns(self) -> int:
        """From an exposure to the next one that a trigger may start. With an image buffer of one image the link
        has no say: what finds the buffer full is exposed, and skipped."""
        return self.sensor_period_ns() if self._camera.image_slots == 1 else self.period_ns()

    def _may_start(self) -> bool:
        if not self.active or self._frames_left == 0 or self._camera.thermal.sends_nothing:
            return False
        return bool(self._burst_left) or not self.triggered(BURST)

    def _next_start_ns(self) -> int | None:
        """When the next exposure starts, as far as that is known."""
        if not self._may_start():
            return None
        if self.triggered(FRAME):
            return self._triggers[0] if self._triggers else None
        if not self.paced and not self._host_keeps_up():
            return None
        return self._earliest_ns

    def _host_keeps_up(self) -> bool:
        """Unpaced, a frame is exposed only when it will find room: none is ever discarded."""
        stream = self._camera.stream
        room = stream.enabled and stream.has_room(self._camera.payload_bytes)
        return room and stream.in_flight < MAX_IN_FLIGHT_UNPACED

    def _advance(self, now_ns: int) -> None:
        """Start every exposure that is due."""
        if not self._is_free and self._runs_freely():
            self._earliest_ns = max(self._earliest_ns, now_ns)  # nothing is made up for
        while True:
            start_ns = self._next_start_ns()
            if start_ns is None or start_ns > now_ns:
                break
            if self._triggers:
                self._triggers.popleft()
            self._expose(start_ns if self.paced else now_ns)
        self._is_free = self._runs_freely()

    def _runs_freely(self) -> bool:
        return self._may_start() and not self.triggered(FRAME)

    def _expose(self, start_ns: int) -> None:
        camera = self._camera
        camera.load.exposes(start_ns)
        exposure = camera.exposure(self.exposed, start_ns)
        self.exposed += 1
        for name in ("FrameStart", "ExposureStart"):
            self._schedule(start_ns, name, exposure.block_id)
        if camera.stream.claim(exposure):
            self.exposures.append(exposure)
        elif camera.stream.enabled:
            self._schedule(start_ns, "FrameBufferOverrun", exposure.block_id)
        exposure_end_ns = start_ns + int(exposure.exposure_us * 1000)
        self._schedule(exposure_end_ns, "ExposureEnd", exposure.block_id)
        self._readout_end_ns = exposure_end_ns + exposure.readout_ns
        self._readouts.append((exposure_end_ns, self._readout_end_ns))
        self._schedule(self._readout_end_ns, "FrameEnd", exposure.block_id)
        self._earliest_ns = start_ns + (self._spacing_ns() if self.paced else 0)
        if self.triggered(FRAME):
            self._schedule(self._earliest_ns, "TriggerReady")
        if self._burst_left:
            self._burst_left -= 1
        if self._frames_left is not None:
            self._frames_left -= 1
            if self._frames_left == 0:
                self.active = False
                camera.load.report()


def event_data(frame_id: int) -> bytes:
    """What follows the timestamp in a frame event: the frame id, u64."""
    return struct.pack("<Q", frame_id)
