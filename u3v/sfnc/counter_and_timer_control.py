"""SFNC CounterAndTimerControl, and SoftwareSignalControl: pulses that a host gives. What they do: `u3v.counters`."""

from collections.abc import Sequence
from dataclasses import replace

from u3v.counters import MAX_COUNT
from u3v.device import Device
from u3v.features import Command, Enumeration, Feature, Float, Integer

CATEGORY = "CounterAndTimerControl"
SIGNALS = ("SoftwareSignal1", "SoftwareSignal2", "SoftwareSignal3")
EDGES = {"RisingEdge": 0, "FallingEdge": 1, "AnyEdge": 2}
_COUNTER, _TIMER = ("CounterSelector",), ("TimerSelector",)


def counters(
    events: Sequence[str], resets: Sequence[str], *, duration: int = 1, duration_min: int = 1
) -> list[Feature]:
    """Two counters, with what they can count and what can reset them, the first being the default.

    `duration`: CounterDuration's default; 0 is a counter that never ends.
    """

    def selected(camera: Device) -> str:
        return str(camera.features.get("CounterSelector"))

    declared: list[Feature] = [
        Enumeration(
            name="CounterSelector",
            tooltip="The counter that the other counter features are about.",
            entries={"Counter1": 0, "Counter2": 1},
        ),
        _source("CounterEventSource", "What the counter counts.", events, _COUNTER),
        _activation("CounterEventActivation", "The edge that is counted.", _COUNTER),
        _source("CounterResetSource", "What resets the counter.", resets, _COUNTER),
        _activation("CounterResetActivation", "The edge that resets.", _COUNTER),
        Command(
            name="CounterReset",
            tooltip="Resets the selected counter.",
            execute=lambda camera: camera.counters.reset(selected(camera)),
        ),
        Integer(
            name="CounterValue",
            tooltip="How far the counter has counted.",
            access="RO",
            max=MAX_COUNT,
            selectors=_COUNTER,
            read=lambda camera: camera.counters.value(selected(camera)),
        ),
        Integer(
            name="CounterValueAtReset",
            tooltip="How far it had counted when it was reset last.",
            access="RO",
            max=MAX_COUNT,
            selectors=_COUNTER,
            read=lambda camera: camera.counters.value_at_reset(selected(camera)),
        ),
        Integer(
            name="CounterDuration",
            tooltip="How far the counter counts until it gives its end signal and stops.",
            default=duration,
            min=duration_min,
            max=MAX_COUNT,
            selectors=_COUNTER,
            persistent=True,
        ),
    ]
    return [replace(feature, category=CATEGORY) for feature in declared]


def timer(
    sources: Sequence[str], *, delay_max_us: float, duration_min_us: float, duration_max_us: float
) -> list[Feature]:
    """Timer1, with what can start it, the first being the default."""
    declared: list[Feature] = [
        Enumeration(
            name="TimerSelector",
            tooltip="The timer that the other timer features are about.",
            entries={"Timer1": 0},
        ),
        Float(
            name="TimerDuration",
            tooltip="How long the timer's pulse is.",
            unit="us",
            default=max(duration_min_us, 10.0),
            min=duration_min_us,
            max=duration_max_us,
            inc=1.0,
            selectors=_TIMER,
            persistent=True,
        ),
        Float(
            name="TimerDelay",
            tooltip="From what starts the timer to its pulse.",
            unit="us",
            max=delay_max_us,
            inc=1.0,
            selectors=_TIMER,
            persistent=True,
        ),
        _source("TimerTriggerSource", "What starts the timer.", sources, _TIMER),
        _activation("TimerTriggerActivation", "The edge that starts it.", _TIMER),
    ]
    return [replace(feature, category=CATEGORY) for feature in declared]


def software_signals() -> list[Feature]:
    """SoftwareSignal1 to 3: pulses that a host gives, for triggers."""
    declared: list[Feature] = [
        Enumeration(
            name="SoftwareSignalSelector",
            tooltip="The signal that SoftwareSignalPulse gives.",
            entries={name: index for index, name in enumerate(SIGNALS)},
        ),
        Command(
            name="SoftwareSignalPulse",
            tooltip="Gives the selected signal.",
            execute=lambda camera: camera.inputs.signal(
                camera.features.get("SoftwareSignalSelector"), camera.now_ns
            ),
        ),
    ]
    return [replace(feature, category="SoftwareSignalControl") for feature in declared]


def _source(name: str, tooltip: str, entries: Sequence[str], selectors: tuple[str, ...]) -> Feature:
    return Enumeration(
        name=name,
        tooltip=tooltip,
        entries={entry: index for index, entry in enumerate(entries)},
        selectors=selectors,
        persistent=True,
    )


def _activation(name: str, tooltip: str, selectors: tuple[str, ...]) -> Feature:
    return Enumeration(name=name, tooltip=tooltip, entries=EDGES, selectors=selectors, persistent=True)
