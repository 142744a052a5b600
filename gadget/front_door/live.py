"""A built camera while it runs: the verbs of `gadget.front_door.camera_verbs`, done to it.

The one module of the front door that does things to the camera's core. Verbs come by name with parameters from
people and programs, so everything is checked here and refused in one line. State: what the camera sees, how many
frames it lost, its history, and which scenes are to be closed at the end. Always true: all
methods run in the thread that owns the camera; each verb first brings the camera up to its clock's time and
afterwards serves its device, so that what it did shows at once.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from frames.computed import Function
from frames.media import Array
from frames.scene import Scene, SceneError, parse_scene
from gadget.budget.power import Supply
from gadget.faults.scenario import parse_faults
from gadget.feature_text import parse_value
from gadget.front_door.camera_history import History
from gadget.front_door.camera_verbs import CameraError, NoSuchFeature
from gadget.front_door.live_lines import LINE_VERBS, Connections, LineVerbs, check_number
from gadget.runner import CameraSpec, Plugged
from u3v.did_you_mean import hint
from u3v.errors import GenCPError
from u3v.features import Command, Enumeration, Feature, Float, Integer, Value, limit
from u3v.happenings import Happening, Listener

VERBS = {
    "state": "who and where the camera is",
    "counters": "what became of the frames",
    "history": "the last happenings and register writes",
    "names": "names of all features",
    "describe": "all about a feature",
    "get": "a feature's value",
    "set": "write a feature, as a host would",
    "execute": "run a command feature",
    "scene": "what the camera sees",
    "supply": "voltage, cable, load and limit of the supply",
    "ambient": "temperature of the air",
    "unplug": "pull the cable",
    "replug": "plug it in again",
    "reset": "DeviceReset",
    "advance": "let a clock in lockstep go on",
    "faults": "what goes wrong on purpose, and how often it has",
    "add_fault": "let something go wrong from now on",
    "clear_faults": "no fault any more, or not the one with a number",
    **LINE_VERBS,
}
SETTINGS = (
    *("ExposureTime", "Gain", "BlackLevel", "PixelFormat", "Width", "Height", "OffsetX", "OffsetY"),
    *("BinningHorizontal", "BinningVertical", "ReverseX", "ReverseY"),
)
"""The features that shape an image: what a frame's `settings` tell."""
HAPPENINGS = {happening.value: happening for happening in Happening}
_UNITS_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


@dataclass(frozen=True, slots=True)
class Kept:
    """What a camera takes along to another place. `scene`: None where the spec's text says it."""

    spec: CameraSpec
    scene: Any
    settings: Mapping[str, Value]
    user_sets: Mapping[str, Mapping[str, Value]]
    counters: Mapping[str, int]
    connections: Connections


class LiveCamera(LineVerbs):
    """`now_ns`: the clock of whoever runs the camera. `advance`: lets that clock go on; None where it does so itself.

    `history`: what the camera saw.
    """

    def __init__(
        self,
        built: Plugged,
        now_ns: Callable[[], int],
        advance: Callable[[int], None] | None = None,
    ) -> None:
        self.built = built
        self.now_ns = now_ns
        self._move_clock = advance
        self._seen: Any = built.spec.scene
        self._old_scenes: list[Scene] = []
        self._lost = 0
        self._hangs = {}
        self._counted_before: Mapping[str, int] = {}
        self.history = History(built, now_ns)
        built.camera.happenings.listen(self._count_lost, Happening.FRAME_BUFFER_OVERRUN, Happening.FRAME_LOST)

    @property
    def name(self) -> str:
        """Model and serial number, for people."""
        return f"{self.built.model.name} {self.built.camera.options.serial}"

    def ask(self, verb: str, parameters: Mapping[str, Any]) -> Any:
        """Do what a verb says; what comes of it has a JSON form. Raises CameraError."""
        if verb not in VERBS:
            raise CameraError(f"no verb {verb!r}{hint(verb, VERBS)}")
        method = getattr(self, f"_{verb}")
        try:
            inspect.signature(method).bind(**parameters)
        except TypeError:
            takes = ", ".join(inspect.signature(method).parameters) or "nothing"
            raise CameraError(f"{verb} takes {takes}, not {', '.join(parameters) or 'nothing'}") from None
        self.built.tick(self.now_ns())
        try:
            return method(**parameters)
        except GenCPError as error:
            raise CameraError(str(error), error.status.name) from None
        except (ValueError, SceneError) as error:
            raise CameraError(str(error)) from None
        finally:
            self.built.tick(self.now_ns())
            self.built.wake(self.now_ns())

    def listen(self, listener: Listener, *whats: Happening) -> Callable[[], None]:
        """Have `listener` told what happens, from now on; call the result to end that."""
        return self.built.camera.happenings.listen(listener, *whats)

    def condition(self, what: str) -> tuple[Callable[[], dict[str, Any] | None], Callable[[], None]]:
        """(whether `what` has come true, and how; what to call in the end). Raises CameraError."""
        word, _, number = what.partition(" ")
        if word == "frame":
            if not number.isdecimal():
                raise CameraError(f"{what!r}: which frame? such as 'frame 10'")
            wanted = int(number)
            return (lambda: {"what": what} if self._counters()["delivered"] >= wanted else None), lambda: None
        if what in _STATES:
            holds = _STATES[what]
            return (lambda: {"what": what} if holds(self.built) else None), lambda: None
        happening = HAPPENINGS.get(what)
        if happening is None:
            raise CameraError(
                f"{what!r} is neither a happening nor a state ({', '.join(_STATES)}) nor 'frame N'"
                f"{hint(what, (*HAPPENINGS, *_STATES))}"
            )
        heard: list[dict[str, Any]] = []

        def hear(_what: Happening, at_ns: int, block_id: int) -> None:
            heard.append({"what": what, "at_ns": at_ns, "block_id": block_id})

        return (lambda: heard[0] if heard else None), self.listen(hear, happening)

    def settings(self) -> dict[str, Value]:
        """The features that shape an image, as they are now."""
        features = self.built.camera.features
        return {name: features.get(name) for name in SETTINGS if name in features}

    def address_of(self, name: str) -> int:
        """Where a host finds a feature."""
        return self.built.camera.features.address[self._feature(name).name]

    def has(self, name: str) -> bool:
        return name in self.built.camera.features

    def keep(self) -> Kept:
        """What makes this camera this camera, for another one to take over."""
        camera, power = self.built.camera, self.built.port.power
        supply = Supply(power.supply_v, power.cable_ohm, power.limit_ma, power.ambient_c, power.load_ma)
        spec = replace(
            self.built.spec,
            name=camera.user_defined_name,
            serial=camera.options.serial,
            supply=supply,
            faults=self.built.faults.unfinished(),
        )
        if isinstance(self._seen, str):
            spec = replace(spec, scene=self._seen)
        return Kept(
            spec,
            None if isinstance(self._seen, str) else self._seen,
            camera.features.snapshot(),
            camera.user_sets,
            self._counters(),
            self.connections(),
        )

    def restore(self, kept: Kept) -> None:
        """Take over the settings of another camera."""
        camera = self.built.camera
        camera.features.restore(kept.settings)
        camera.user_sets = {**camera.user_sets, **kept.user_sets}
        counters = dict(kept.counters)
        counters["discarded"] += counters.pop("held")
        self._counted_before = counters

    def close(self) -> None:
        """Close the scenes that were replaced; a worker may have been drawing them until now."""
        for scene in self._old_scenes:
            scene.close()
        self._old_scenes.clear()

    # -- the verbs ----------------------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        built = self.built
        return {
            "model": built.model.name,
            "maker": built.model.maker,
            "serial": built.camera.options.serial,
            "name": built.camera.user_defined_name,
            "state": next(word for word, holds in _STATES.items() if holds(built)),
            "now_ns": self.now_ns(),
            "scene_cache": built.spec.scene_cache,
            "temperature_c": round(built.camera.surroundings.temperature_c(self.now_ns()), 2),
        }

    def _counters(self) -> dict[str, int]:
        camera = self.built.camera
        frames = camera.frames
        counters = {
            "exposed": camera.acquisition.exposed,
            "offered": frames.offered,
            "delivered": frames.delivered,
            "discarded": frames.discarded,
            "held": frames.in_flight,
            "lost": self._lost,
            "events_dropped": camera.events_dropped,
            "bus_drops": self.built.port.drops,
            "fault_strikes": self.built.faults.struck(),
        }
        return {name: count + self._counted_before.get(name, 0) for name, count in counters.items()}

    def _history(self) -> dict[str, list[str]]:
        return {"happenings": self.history.happenings(), "writes": self.history.writes()}

    def _names(self) -> list[str]:
        return list(self.built.camera.features.declared)

    def _describe(self, name: str) -> dict[str, Any]:
        camera, feature = self.built.camera, self._feature(name)
        about: dict[str, Any] = {
            "name": name,
            "kind": type(feature).__name__,
            "category": feature.category,
            "access": self._access(feature),
            "tooltip": feature.tooltip,
            "selectors": list(feature.selectors),
        }
        if not isinstance(feature, Command) and feature.access != "WO":
            about["value"] = camera.features.get(name)
        if isinstance(feature, Enumeration):
            about["entries"] = list(feature.entries)
        elif isinstance(feature, Integer | Float):
            about |= {"min": limit(camera, feature.min), "max": limit(camera, feature.max)}
            about |= {"inc": limit(camera, feature.inc), "unit": feature.unit}
        return about

    def _get(self, name: str, selectors: Mapping[str, str | int] = {}) -> Value:
        feature = self._feature(name)
        if isinstance(feature, Command):
            raise CameraError(f"{name} is a command: execute it, it has no value")
        if feature.access == "WO":
            raise CameraError(f"{name} is write-only", "ACCESS_DENIED")
        value: Value = self.built.camera.features.get(name, **self._selected(feature, selectors))
        return value

    def _set(self, name: str, value: Any, selectors: Mapping[str, str | int] = {}) -> Value | None:
        feature = self._feature(name)
        if isinstance(feature, Command):
            raise CameraError(f"{name} is a command: execute it")
        if not isinstance(value, Value):
            raise CameraError(f"{name} = {value!r}: not a number, a text or true or false")
        if isinstance(value, float) and value.is_integer() and isinstance(feature, Integer):
            value = int(value)
        selected = self._selected(feature, selectors)
        _, parsed = parse_value(self.built.camera, name, str(value))
        self._write(feature, parsed, selected)
        return None if feature.access == "WO" else self._get(name, selectors)

    def _execute(self, name: str) -> None:
        feature = self._feature(name)
        if not isinstance(feature, Command):
            raise CameraError(f"{name} is no command")
        self._write(feature, 1, {})

    def _scene(self, scene: Any = None) -> str:
        if scene is not None:
            source = self.built.pixels.source
            wanted = to_scene(scene)
            self._old_scenes.append(source.scene)
            source.scene, self._seen = wanted, scene
        return scene_text(self._seen)

    def _supply(
        self,
        volts: float | None = None,
        cable_ohm: float | None = None,
        load_ma: float | None = None,
        port_ma: float | None = None,
    ) -> dict[str, Any]:
        power = self.built.port.power
        given = {"volts": (volts, 60), "cable_ohm": (cable_ohm, 100)}
        given |= {"load_ma": (load_ma, 5000), "port_ma": (port_ma, 5000)}
        for key, (value, highest) in given.items():
            check_number(key, value, 0, highest, optional=True)
        if any(value is not None for value, _ in given.values()):
            power.surround(
                self.now_ns(), supply_v=volts, cable_ohm=cable_ohm, load_ma=load_ma, limit_ma=port_ma
            )
        return {
            "volts": power.supply_v,
            "cable_ohm": power.cable_ohm,
            "load_ma": power.load_ma,
            "port_ma": power.limit_ma,
            "camera_volts": round(power.voltage_v(), 3),
            "current_ma": round(power.current_ma(self.now_ns()), 1),
            "fault": power.fault(),
        }

    def _ambient(self, ambient_c: float | None = None) -> dict[str, float]:
        power, camera = self.built.port.power, self.built.camera
        check_number("ambient_c", ambient_c, -60, 150, optional=True)
        if ambient_c is not None:
            power.surround(self.now_ns(), ambient_c=ambient_c)
            camera.thermal.look(self.now_ns())
        return {"ambient_c": power.ambient_c, "camera_c": round(power.temperature_c(self.now_ns()), 2)}

    def _unplug(self) -> None:
        self.built.port.unplug(self.now_ns())

    def _replug(self) -> None:
        self.built.port.replug(self.now_ns())

    def _reset(self) -> None:
        self.built.camera.reset()

    def _advance(self, duration: int | str) -> None:
        if self._move_clock is None:
            raise CameraError("this camera's clock goes by itself: advance is for --clock lockstep")
        self._move_clock(parse_duration_ns(duration))

    def _faults(self) -> list[dict[str, Any]]:
        return self.built.faults.list()

    def _add_fault(self, fault: str) -> list[dict[str, Any]]:
        if not isinstance(fault, str):
            raise CameraError(f"fault = {fault!r}: a text, such as lost-trailer:frame=3")
        return [self.built.faults.add(each, self.now_ns()) for each in parse_faults(fault)]

    def _clear_faults(self, number: int | None = None) -> int:
        if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
            raise CameraError(f"number = {number!r}: the number of a fault, as `faults` lists them")
        return self.built.faults.clear(number, self.now_ns())

    # -- the core, as it is now ---------------------------------------------------------------------------

    def _feature(self, name: str) -> Feature:
        declared = self.built.camera.features.declared
        feature = declared.get(name) if isinstance(name, str) else None
        if feature is None:
            near = hint(str(name), declared)
            raise NoSuchFeature(f"{self.built.model.name} has no feature {name!r}{near}")
        return feature

    def _selected(self, feature: Feature, selectors: Mapping[str, str | int]) -> dict[str, str | int]:
        """Selectors that were given, if the feature has them and they have these entries."""
        if not isinstance(selectors, Mapping):
            raise CameraError(f"selectors: an object with names and entries, not {selectors!r}")
        features = self.built.camera.features
        for selector, entry in selectors.items():
            if selector not in feature.selectors:
                has = f"it has {', '.join(feature.selectors)}" if feature.selectors else "it has none"
                raise CameraError(
                    f"{feature.name} has no selector {selector!r}: {has}{hint(selector, feature.selectors)}"
                )
            declared = features.declared[selector]
            if isinstance(declared, Enumeration):
                known: Sequence[str | int] = list(declared.entries)
            else:
                assert isinstance(declared, Integer)
                known = range(int(limit(self.built.camera, declared.max)) + 1)
            if isinstance(entry, bool) or entry not in known:
                words = ", ".join(map(str, known))
                entries = f"0..{known[-1]}" if isinstance(known, range) else f"one of {words}"
                raise CameraError(f"{selector} = {entry!r}: not {entries}{hint(str(entry), map(str, known))}")
        return dict(selectors)

    def _access(self, feature: Feature) -> str:
        camera = self.built.camera
        if feature.available is not None and not feature.available(camera):
            return "NA"
        if feature.access == "RW" and feature.locked is not None and feature.locked(camera):
            return "RO"
        return feature.access

    def _write(self, feature: Feature, value: Value, selected: Mapping[str, str | int]) -> None:
        """Write as a host would. Raises GenCPError."""
        self.built.camera.features.host_set(feature.name, value, **selected)

    def _count_lost(self, _what: Happening, _at_ns: int, _block_id: int) -> None:
        self._lost += 1


_STATES: dict[str, Callable[[Plugged], bool]] = {
    "unplugged": lambda built: not built.port.on_bus,
    "acquiring": lambda built: built.port.on_bus and built.camera.acquisition.active,
    "configured": lambda built: built.port.on_bus and built.is_taken(),
    "plugged": lambda built: built.port.on_bus,
}
"""What a camera can be, the most telling first."""


def to_scene(scene: Any) -> Scene:
    """A scene from its text, from a picture (array), from a function of (time_s, width, height), or as it is."""
    if isinstance(scene, str):
        return parse_scene(scene)
    if isinstance(scene, Scene):
        return scene
    if isinstance(scene, np.ndarray):
        return Array(scene)
    if callable(scene):
        return Function(scene)
    raise SceneError(f"a scene is a text, an array or a function, not {type(scene).__name__}")


def scene_text(scene: Any) -> str:
    """What to call a scene."""
    if isinstance(scene, str):
        return scene
    if isinstance(scene, np.ndarray):
        return f"a picture of {'x'.join(map(str, scene.shape))}"
    return str(getattr(scene, "__name__", type(scene).__name__))


def parse_duration_ns(duration: int | str) -> int:
    """Nanoseconds, from a number of them or from a text with a unit, "10ms", "1.5 s". Raises CameraError."""
    if isinstance(duration, int) and not isinstance(duration, bool) and duration >= 0:
        return duration
    text = str(duration).strip()
    number = text.rstrip("nums").strip()
    unit = text[len(text.rstrip("nums")) :]
    try:
        sane = 0 <= float(number) < 1e12
        if sane and unit in _UNITS_NS:
            return round(float(number) * _UNITS_NS[unit])
        if sane and not unit and isinstance(duration, str):
            raise CameraError(f"{duration!r} is no duration without a unit: {text}ms or {text}s?")
    except ValueError:
        pass
    raise CameraError(
        f"{duration!r} is no duration: one is a number with ns, us, ms or s, such as 10ms or 1.5s"
    )
