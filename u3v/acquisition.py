"""When frames happen: acquisition modes, triggers, frame rate. Decides instants, never pixels.

State: whether an acquisition runs and how many frames it still owes, how many the current burst owes, when the
sensor is ready for another exposure, when the last one of this acquisition began, the triggers that wait for their
delay, and the happenings to come. Always true: exposures start in order, at modelled instants that do not depend on
when `tick` was called; happenings are told in the order of their instants; timestamps of frames rise strictly.

Only exposure and readout bind the sensor. Frame rate and link are looked at when the next exposure is decided, with
the settings of that moment: a rate that is raised counts at once, and one of an earlier acquisition not at all.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import count

from u3v.device import Timing
from u3v.exposure import Exposure, ImageSettings
from u3v.family import BURST, FRAME, TRIGGER_WIDTH
from u3v.happenings import Happening, Happenings
from u3v.pace import Exposer, Rules, rules_of

MAX_IN_FLIGHT_UNPACED = 3
"""Frames exposed but not yet handed over when the camera runs as fast as the host reads."""

_OVERTRIGGER = {
    FRAME: Happening.FRAME_START_OVERTRIGGER,
    BURST: Happening.FRAME_BURST_START_OVERTRIGGER,
}


@dataclass(frozen=True, slots=True)
class _Open:
    """An exposure that has begun, with the settings of that moment; `exposure` is all of it where another moment
    ends it."""

    index: int
    block_id: int
    start_ns: int
    timestamp_ns: int
    settings: ImageSettings
    exposure: Exposure | None = None


class Acquisition:
    """The acquisition engine of one camera. `exposed`: exposures since power-on. `aborted(at_ns)`: what is exposed
    and read out has come to nothing."""

    def __init__(
        self,
        camera: Exposer,
        happenings: Happenings,
        timing: Timing,
        paced: bool,
        aborted: Callable[[int], None] = lambda at_ns: None,
    ) -> None:
        self.active = False
        self.timing = timing
        self.paced = paced
        self.exposed = 0
        self._camera = camera
        self._happenings = happenings
        self._aborted = aborted
        self._tick_ns = camera.model.integer("timestamp_increment_ns", 1)
        self._frames_left: int | None = None
        self._suspended: tuple[int | None] | None = None
        self._burst_left = 0
        self._not_before_ns = 0
        self._sensor_ready_ns = 0
        self._last_start_ns: int | None = None
        self._last_timestamp_ns: int | None = None
        self._readouts: deque[tuple[int, int]] = deque(maxlen=2)
        self._is_free = False
        self._end_ns: int | None = None
        self._abort_ns: int | None = None
        self._triggers: deque[tuple[int, bool]] = deque()
        self._open: _Open | None = None
        self._release_ns: int | None = None
        self._to_come: list[tuple[int, int, Happening, int]] = []
        self._sequence = count()
        self._known = Rules(-1, False, False, False, False, False, 0, 0, 0, 0, 0)

    # -- commands -----------------------------------------------------------------------------------------

    def start(self, now_ns: int) -> None:
        """AcquisitionStart. While one runs already, nothing changes."""
        if self.active:
            return
        if self._abort_ns is not None:
            ready_ns = self._abort_ns
            self.abort(now_ns)
            self._sensor_ready_ns = max(now_ns, ready_ns)
        features = self._camera.features
        mode = features.get("AcquisitionMode")
        frames = features.get_or("AcquisitionFrameCount", 1)
        self._begin({"SingleFrame": 1, "MultiFrame": frames, "Continuous": None}[mode], now_ns)

    def _begin(self, frames_left: int | None, now_ns: int) -> None:
        self.active = True
        self._suspended = None
        self._frames_left = frames_left
        self._burst_left = 0
        self._triggers.clear()
        if self._open is not None:  # its trigger signal has outlasted its acquisition
            self._open = self._release_ns = None
            self._aborted(now_ns)
        self._not_before_ns = now_ns
        self._last_start_ns = None
        self._happenings.tell(Happening.ACQUISITION_START, now_ns)
        if self.triggered(FRAME):
            self._schedule(self._earliest_ns(), Happening.TRIGGER_READY)
        self.tick(now_ns)

    def stop(self, now_ns: int) -> None:
        """AcquisitionStop: what was exposed is still delivered, nothing new begins."""
        self._triggers.clear()
        self._suspended = None
        self._end(now_ns)

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
        self._to_come.clear()
        self._sensor_ready_ns = now_ns
        self._readouts.clear()
        self._open = self._release_ns = None
        self._camera.frames.abort()
        self._aborted(now_ns)

    def suspend(self, now_ns: int) -> None:
        """The way out for frames was taken away (a halted endpoint). As an abort, but `resume` goes on."""
        is_active, frames_left = self.active, self._frames_left
        self.abort(now_ns)
        self._suspended = (frames_left,) if is_active and frames_left != 0 else None

    def resume(self, now_ns: int) -> None:
        """Frames have a way out again: go on with an acquisition that was suspended, and that nobody has ended."""
        if self._suspended is None:
            return
        self._begin(*self._suspended, now_ns)

    def forget_suspended(self) -> None:
        """Something was written that a running acquisition locks: whoever did has not come to go on with it."""
        self._suspended = None

    def trigger(self, trigger: str, now_ns: int, *, has_width: bool = False) -> None:
        """A trigger signal, FRAME or BURST. One that comes too early, or is not awaited, is lost (an overtrigger).

        `has_width`: the exposure lasts until `release`, as long as the signal.
        """
        if not self.triggered(trigger):
            return
        if not self.waits_for(trigger, now_ns):
            self._happenings.tell(_OVERTRIGGER[trigger], now_ns)
            return
        at_ns = now_ns + self._delay_ns(trigger, now_ns)
        if trigger == BURST:
            self._burst_left = self._camera.features.get("AcquisitionBurstFrameCount")
            self._schedule(at_ns, Happening.FRAME_BURST_START)
            self._not_before_ns = max(self._not_before_ns, at_ns)
        else:
            self._happenings.tell(Happening.FRAME_TRIGGER, now_ns)
            if self._reads_out(now_ns):
                self._schedule(now_ns, Happening.TRIGGER_OVERLAPPED)
            if self._rules().latches:
                at_ns = max(at_ns, self._earliest_triggered_ns())
            self._triggers.append((at_ns, has_width))
            self._release_ns = None
        self.tick(now_ns)

    def release(self, trigger: str, now_ns: int) -> None:
        """The end of a trigger signal with `has_width`. The exposure is as long as the signal, so it ends as late
        after this as it began after the trigger."""
        if trigger != FRAME or self._release_ns is not None:
            return
        if self._open is not None or any(has_width for _, has_width in self._triggers):
            self._release_ns = now_ns + self._delay_ns(FRAME, now_ns)
            self.tick(now_ns)

    def forget_triggers(self) -> None:
        """TriggerMode or ExposureMode was written: a camera that no longer waits for a trigger drops those that it has,
        and an exposure that was to last as long as its trigger signal ends now."""
        if not self.triggered(FRAME):
            self._triggers.clear()
        by_width = self._camera.features.get_or("ExposureMode", "") == TRIGGER_WIDTH
        if not (by_width and self.triggered(FRAME)):
            self._triggers = deque((at_ns, False) for at_ns, _ in self._triggers)
            if self._open is not None and self._release_ns is None:
                self._release_ns = self._camera.now_ns
        if not self.triggered(BURST):
            self._burst_left = 0

    # -- what others ask ----------------------------------------------------------------------------------

    def triggered(self, trigger: str) -> bool:
        """Whether the camera waits for this trigger, FRAME or BURST."""
        rules = self._rules()
        return rules.waits_for_frame if trigger == FRAME else rules.waits_for_burst

    def waits_for(self, trigger: str, now_ns: int) -> bool:
        """Whether a trigger that came now would count (AcquisitionStatus: FrameBurstTriggerWait and
        FrameTriggerWait). A frame trigger must not lead to an exposure before the camera is ready for it."""
        if not self.active or not self.triggered(trigger):
            return False
        if trigger == BURST:
            return not self._burst_left
        if len(self._triggers) >= self._camera.model.integer("trigger_queue", 1) or not self._may_start():
            return False
        rules = self._rules()
        if self._open is not None or (rules.no_overlap and self._captures(now_ns)):
            return False
        return rules.latches or now_ns + self._delay_ns(FRAME, now_ns) >= self._earliest_triggered_ns()

    def period_ns(self) -> int:
        """The shortest time from one exposure to the next with the settings as they are.

        Where the image buffer takes a single image, exposure and transfer follow each other: the next image
        has no place before the last one has left.
        """
        return self._rules().period_ns

    def sensor_period_ns(self) -> int:
        """The shortest time from one exposure to the next as far as the sensor goes."""
        return self._rules().sensor_period_ns

    def _rules(self) -> Rules:
        version = self._camera.settings_version
        if self._known.version != version:
            self._known = rules_of(self._camera, self.timing, version)
        return self._known

    # -- time ---------------------------------------------------------------------------------------------

    def next_wakeup_ns(self) -> int | None:
        coming_ns = self._to_come[0][0] if self._to_come else None
        instants = (coming_ns, self._next_start_ns(), self._next_close_ns(), self._end_ns, self._abort_ns)
        return min((at for at in instants if at is not None), default=None)

    def tick(self, now_ns: int) -> None:
        """Let everything happen that is due, each thing at its own instant."""
        if not self._is_free and self._runs_freely():
            delay_ns = self._delay_ns(FRAME, now_ns) if self.triggered(FRAME) else 0
            self._not_before_ns = max(
                self._not_before_ns, now_ns + delay_ns
            )  # they start now, not in the past
        while True:
            coming_ns = self._to_come[0][0] if self._to_come else None
            close_ns, start_ns = self._next_close_ns(), self._next_start_ns()
            at_ns = min((at for at in (coming_ns, close_ns, start_ns) if at is not None), default=None)
            if at_ns is None or at_ns > now_ns:
                break
            if at_ns == coming_ns:
                _, _, what, block_id = heappop(self._to_come)
                self._happenings.tell(what, at_ns, block_id)
            elif at_ns == close_ns:
                self._close(at_ns)
            else:
                has_width = bool(self._triggers) and self._triggers.popleft()[1]
                self._expose(at_ns if self.paced else now_ns, has_width)
        self._is_free = self._runs_freely()
        if self._end_ns is not None and self._end_ns <= now_ns:
            self._end(self._end_ns)
        if self._abort_ns is not None and self._abort_ns <= now_ns:
            self.abort(self._abort_ns)

    def _end(self, at_ns: int) -> None:
        self._end_ns = None
        if self.active:
            self.active = False
            self._happenings.tell(Happening.ACQUISITION_END, at_ns)

    def _schedule(self, at_ns: int, what: Happening, block_id: int = 0) -> None:
        heappush(self._to_come, (at_ns, next(self._sequence), what, block_id))

    def _delay_ns(self, trigger: str, now_ns: int) -> int:
        """From a trigger that comes now to what it starts."""
        entry = self._camera.family.triggers[trigger]
        delay_us: float = self._camera.features.get_or("TriggerDelay", 0.0, TriggerSelector=entry)
        return round(delay_us * 1000) + self._latency_ns(now_ns)

    def _latency_ns(self, now_ns: int) -> int:
        """The delay that every trigger has; while an image is read out, the longest that is known."""
        number = self._camera.model.number
        latency_us = number("trigger_latency_us", 0.0)
        if self._reads_out(now_ns):
            latency_us = number("trigger_latency_readout_us", latency_us)
        return round(latency_us * 1000)

    def _reads_out(self, now_ns: int) -> bool:
        return any(begin <= now_ns < end for begin, end in self._readouts)

    def _captures(self, now_ns: int) -> bool:
        """Whether a frame is exposed or read out."""
        return self.paced and bool(self._readouts) and now_ns < self._readouts[-1][1]

    def _earliest_triggered_ns(self) -> int:
        """When an exposure that a further trigger starts could begin."""
        at_ns = self._earliest_ns()
        if self._triggers:
            at_ns = max(at_ns, self._triggers[-1][0] + self._rules().spacing_ns)
        return at_ns

    def _earliest_ns(self) -> int:
        """When the next exposure could start with the settings as they are."""
        at_ns = max(self._not_before_ns, self._sensor_ready_ns)
        if self.paced and self._last_start_ns is not None:
            at_ns = max(at_ns, self._last_start_ns + self._rules().gap_ns)
        return at_ns

    def _may_start(self) -> bool:
        if not self.active or self._frames_left == 0 or self._camera.sends_nothing:
            return False
        return bool(self._burst_left) or not self.triggered(BURST)

    def _next_start_ns(self) -> int | None:
        """When the next exposure starts, as far as that is known."""
        if self._open is not None or not self._may_start():
            return None
        if self._triggers:
            return max(self._triggers[0][0], self._sensor_ready_ns)
        if (self.triggered(FRAME) and not self._is_held()) or self._waits_for_pixels():
            return None
        if not self.paced and not self._host_keeps_up():
            return None
        return self._earliest_ns()

    def _host_keeps_up(self) -> bool:
        """Unpaced, a frame is exposed only when it will find room: a host that reads loses none."""
        frames = self._camera.frames
        room = frames.enabled and frames.has_room(self._camera.settings.wire_bytes)
        return room and frames.in_flight < MAX_IN_FLIGHT_UNPACED

    def _is_held(self) -> bool:
        """Whether a line's level triggers one frame after the other now."""
        return self._rules().frame_by_level and self._camera.holds_trigger(FRAME)

    def forget_timestamp(self) -> None:
        """The camera's clock was set: the next timestamp may be an earlier one."""
        self._last_timestamp_ns = None

    def _runs_freely(self) -> bool:
        is_free = not self.triggered(FRAME) or self._is_held()
        return is_free and self._may_start() and not self._waits_for_pixels()

    def _waits_for_pixels(self) -> bool:
        """Frames that nobody triggered begin when they can be rendered at once."""
        return not (self._camera.pixels_are_ready or self._burst_left)

    def _next_close_ns(self) -> int | None:
        """When an exposure that is as long as its trigger ends, as far as that is known."""
        if self._open is None or self._release_ns is None:
            return None
        shortest_ns = round(self._camera.model.number("exposure_min_us") * 1000)
        return max(self._release_ns, self._open.start_ns + shortest_ns)

    def _expose(self, start_ns: int, has_width: bool) -> None:
        camera, frames, settings = self._camera, self._camera.frames, self._camera.settings
        self._last_start_ns = start_ns
        timestamp_ns = camera.stamp(start_ns)
        if self._last_timestamp_ns is not None:
            timestamp_ns = max(timestamp_ns, self._last_timestamp_ns + self._tick_ns)
        self._last_timestamp_ns = timestamp_ns
        begun = _Open(self.exposed, frames.next_block_id, start_ns, timestamp_ns, settings)
        self.exposed += 1
        for what in (Happening.FRAME_START, Happening.EXPOSURE_START):
            self._schedule(start_ns, what, begun.block_id)
        if self._burst_left:
            self._burst_left -= 1
        if self._frames_left is not None:
            self._frames_left -= 1
        if has_width:
            whole = camera.exposure(begun.index, begun.block_id, start_ns, timestamp_ns)
            self._open = replace(begun, exposure=whole)
        else:
            rules = self._rules()
            self._finish(begun, settings.exposure_ns, rules.readout_ns, rules.sensor_period_ns)

    def _close(self, end_ns: int) -> None:
        """The trigger signal has ended, and so does the exposure. The next one must not begin before it is read out."""
        begun, self._open, self._release_ns = self._open, None, None
        if begun is not None:
            exposure_ns = end_ns - begun.start_ns
            readout_ns = self.timing.readout_ns(begun.settings.sensor_rows)
            self._finish(begun, exposure_ns, readout_ns, exposure_ns + readout_ns)

    def _finish(self, begun: _Open, exposure_ns: int, readout_ns: int, period_ns: int) -> None:
        """How long an exposure takes is known: so is when it is read out, and when the sensor is ready again."""
        camera, frames, rules = self._camera, self._camera.frames, self._rules()
        start_ns, block_id = begun.start_ns, begun.block_id
        readout_start_ns = start_ns + exposure_ns
        readout_end_ns = readout_start_ns + readout_ns
        self._readouts.append((readout_start_ns, readout_end_ns))
        self._sensor_ready_ns = start_ns + (period_ns if self.paced else 0)
        has_place = frames.claims(begun.settings.wire_bytes)
        if frames.enabled and not has_place:
            self._schedule(start_ns, Happening.FRAME_BUFFER_OVERRUN, block_id)
        self._schedule(readout_start_ns, Happening.EXPOSURE_END, block_id)
        self._schedule(readout_end_ns, Happening.FRAME_END, block_id)
        if rules.waits_for_frame:
            self._schedule(start_ns if rules.latches else self._earliest_ns(), Happening.TRIGGER_READY)
        if self._frames_left == 0:
            self._end_ns = readout_end_ns if self.paced else start_ns
        if has_place:
            exposure = (
                camera.exposure(begun.index, block_id, start_ns, begun.timestamp_ns)
                if begun.exposure is None
                else begun.exposure.lasting(exposure_ns)
            )
            frames.place(exposure)
            camera.expose(exposure)
