"""A second, slow and obvious camera: what lines, triggers, counters and the timer of a VCX do, written apart.

It shares no code with `u3v` and knows nothing of it. One list of instants to come, one dictionary of settings, every
rule of the data sheet in one place. All times in ns. `happened` has every happening, `shown` each change of Line3.
"""

from collections.abc import Callable
from typing import Any

US = 1000
IDLE_NS, READING_NS = 97_700, 114_100
ON_NS, OFF_NS = 3_000, 40_000


class SlowCamera:
    """`settings`: by "Feature" or "Feature[Selected]". `readout_ns` of every frame; `overhead_ns` after an exposure."""

    def __init__(self, settings: dict[str, Any], readout_ns: int, overhead_ns: int, start_ns: int) -> None:
        self.set = settings
        self.readout_ns = readout_ns
        self.exposure_ns = round(settings["ExposureTime"] * US)
        self.period_ns = max(readout_ns, self.exposure_ns + overhead_ns)
        if settings["TriggerOverlap"] == "Off":
            self.period_ns = self.exposure_ns + overhead_ns + readout_ns
        self.happened: list[tuple[int, str]] = []
        self.shown: list[tuple[int, bool]] = []
        self.now_ns = start_ns
        self.to_come: list[tuple[int, int, Callable[[], None]]] = []
        self.ready_ns = start_ns
        self.queue: list[int] = []
        self.readouts: list[tuple[int, int]] = []
        self.signals: list[tuple[str, str]] = []
        self.levels: dict[str, bool] = {}
        self.volts = {"Line0": False, "Line1": True}
        self.settled = {"Line0": False, "Line1": True}
        self.pending: dict[str, object] = {"Line0": None, "Line1": None, "Line3": None}
        self.output = False
        self.count = {"Counter1": 0, "Counter2": 0}
        self.ended_ns = {"Counter1": -1, "Counter2": -1}
        self.timer_runs = False

    def of(self, feature: str, selected: str = "") -> Any:
        return self.set[f"{feature}[{selected}]" if selected else feature]

    def at(self, at_ns: int, rank: int, do: Callable[[], None]) -> None:
        """Ranks order what happens at one instant: sensor, lines that settle, volts, timer."""
        self.to_come.append((at_ns, rank, do))

    def run(self, end_ns: int) -> None:
        while self.to_come:
            first = min(self.to_come, key=lambda each: each[:2])
            if first[0] > end_ns:
                return
            self.to_come.remove(first)
            self.now_ns = first[0]
            first[2]()
            if not any(each[0] == self.now_ns for each in self.to_come):
                self.hand_on()

    def tell(self, what: str) -> None:
        self.happened.append((self.now_ns, what))

    # lines

    def apply(self, line: str, is_high: bool) -> None:
        self.volts[line] = is_high
        wait = self.of("LineDebouncerHighTimeAbs" if is_high else "LineDebouncerLowTimeAbs", line) * US
        self.wish(line, is_high, self.settled[line], round(wait), lambda: self.settle(line, is_high))

    def wish(self, line: str, wanted: bool, now: bool, wait_ns: int, do: Callable[[], None]) -> None:
        """A level that is to come, unless it goes back before."""
        if wanted == now:
            self.pending[line] = None
        elif self.pending[line] is None:
            ticket = self.pending[line] = object()

            def come() -> None:
                if self.pending[line] is ticket:
                    self.pending[line] = None
                    do()

            self.at(self.now_ns + wait_ns, 1, come)

    def settle(self, line: str, is_high: bool) -> None:
        self.settled[line] = is_high
        edge = is_high ^ self.of("LineInverter", line)
        self.tell(f"{line}{'Rising' if edge else 'Falling'}Edge")
        self.signals.append((line, "RisingEdge" if edge else "FallingEdge"))

    def drive(self) -> None:
        source = self.of("LineSource", "Line3")
        wanted = self.levels.get(source, False) ^ self.of("LineInverter", "Line3")
        self.wish("Line3", wanted, self.output, ON_NS if wanted else OFF_NS, lambda: self.show(wanted))

    def show(self, level: bool) -> None:
        self.output = level
        self.tell(f"Line3{'Rising' if level else 'Falling'}Edge")
        self.shown.append((self.now_ns, level))

    # signals

    def level(self, name: str, level: bool) -> None:
        if self.levels.get(name, False) != level:
            self.levels[name] = level
            self.signals.append((name, "RisingEdge" if level else "FallingEdge"))

    def hand_on(self) -> None:
        while self.signals:
            name, edge = self.signals.pop(0)
            if name == self.of("LineSource", "Line3"):
                self.drive()
            self.hear_timer(name, edge)
            for counter in ("Counter1", "Counter2"):
                self.hear_counter(counter, name, edge)
            self.hear_trigger(name, edge)

    def counts(self, edge: str, activation: str) -> bool:
        return edge == "" or activation in ("AnyEdge", edge)

    def hear_timer(self, name: str, edge: str) -> None:
        if self.timer_runs or name != self.of("TimerTriggerSource", "Timer1"):
            return
        if not self.counts(edge, self.of("TimerTriggerActivation", "Timer1")):
            return
        self.timer_runs = True
        on_ns = self.now_ns + round(self.of("TimerDelay", "Timer1") * US)
        self.at(on_ns, 3, lambda: self.timer(True))
        self.at(on_ns + round(self.of("TimerDuration", "Timer1") * US), 3, lambda: self.timer(False))

    def timer(self, on: bool) -> None:
        self.timer_runs = on
        self.level("Timer1Active", on)
        self.tell("Timer1Start" if on else "Timer1End")

    def hear_counter(self, counter: str, name: str, edge: str) -> None:
        counted = name == self.of("CounterEventSource", counter)
        if counted and self.counts(edge, self.of("CounterEventActivation", counter)):
            duration = self.of("CounterDuration", counter)
            if self.count[counter] < duration:
                self.count[counter] += 1
                if self.count[counter] == duration and self.now_ns > self.ended_ns[counter]:
                    self.ended_ns[counter] = self.now_ns
                    self.tell(f"{counter}End")
                    self.signals.append((f"{counter}End", ""))
        reset = name == self.of("CounterResetSource", counter)
        if reset and self.counts(edge, self.of("CounterResetActivation", counter)):
            self.count[counter] = 0

    # triggers and frames

    def hear_trigger(self, name: str, edge: str) -> None:
        chosen = self.of("TriggerSource")
        known = ("Line0", "Line1", "Line2", "Counter1End", "Counter2End", "Action1", "Software")
        if name != chosen and not (chosen == "All" and name in known):
            return
        if not self.counts(edge, self.of("TriggerActivation")):
            return
        reads_out = any(begin <= self.now_ns < end for begin, end in self.readouts)
        delay_ns = round(self.of("TriggerDelay") * US) + (READING_NS if reads_out else IDLE_NS)
        ready_ns = max([self.ready_ns] + [at_ns + self.period_ns for at_ns in self.queue[-1:]])
        is_busy = any(begin - self.exposure_ns <= self.now_ns < end for begin, end in self.readouts)
        is_refused = is_busy and self.of("TriggerOverlap") == "Off"
        if len(self.queue) >= 256 or is_refused or self.now_ns + delay_ns < ready_ns:
            self.tell("FrameStartOvertrigger")
            self.signals.append(("TriggerSkipped", ""))
            return
        self.tell("FrameTrigger")
        self.level("TriggerReady", False)
        self.signals.append(("FrameTrigger", ""))
        if reads_out:
            self.tell("TriggerOverlapped")
        self.queue.append(self.now_ns + delay_ns)
        self.at(self.now_ns + delay_ns, 0, self.expose)

    def expose(self) -> None:
        self.queue.pop(0)
        start_ns = self.now_ns
        self.ready_ns = start_ns + self.period_ns
        end_ns, read_ns = start_ns + self.exposure_ns, start_ns + self.exposure_ns + self.readout_ns
        self.readouts.append((end_ns, read_ns))
        self.tell("FrameStart")
        self.tell("ExposureStart")
        self.level("ExposureActive", True)
        self.signals.append(("ExposureStart", ""))
        self.at(end_ns, 0, self.end_exposure)
        self.at(read_ns, 0, self.end_readout)
        self.at(self.ready_ns, 0, self.ready)

    def end_exposure(self) -> None:
        self.tell("ExposureEnd")
        self.level("ExposureActive", False)
        self.level("ReadoutActive", True)
        self.signals.append(("ExposureEnd", ""))

    def end_readout(self) -> None:
        self.tell("FrameEnd")
        self.level("ReadoutActive", False)

    def ready(self) -> None:
        self.tell("TriggerReady")
        self.level("TriggerReady", True)
