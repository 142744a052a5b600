"""What people can ask of a camera and do to it, as methods: the same in this process and over a control socket.

`CameraVerbs` turns each method into a verb with parameters and hands it to `_ask`, which its kinds implement:
`gadget.VirtualCamera` asks the camera in its own process, `gadget.connect()` one in another process. So what
works with the one works with the other, and the control socket has no verb that Python lacks.

    camera.features["ExposureTime"] = 2000      # verb "set", name="ExposureTime", value=2000
    camera.features.ExposureTime                # verb "get"
    camera.supply(volts=4.6)                    # verb "supply", volts=4.6
    camera.wait_for("unplugged", timeout_s=5)   # verb "wait_for", what="unplugged"

Whatever cannot be done raises `CameraError` (`CameraTimeout` where waiting took too long), one line for people.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

from gadget.front_door.lines import LineHandles
from u3v.errors import U3VError

DEFAULT_WAIT_S = 5.0
Listed = list[dict[str, Any]]


class CameraError(U3VError):
    """A verb that cannot be done. `status`: the name of the GenCP status a host would get, or ""."""

    def __init__(self, message: str, status: str = "") -> None:
        super().__init__(message)
        self.status = status


class CameraTimeout(CameraError, TimeoutError):
    """What was waited for has not happened in time."""


class NoSuchFeature(CameraError, AttributeError, KeyError):
    """The camera has no feature of this name; `hasattr` and `in` understand it too."""

    def __str__(self) -> str:
        return str(self.args[0])


class Limits(NamedTuple):
    """What a number may be now; `inc` is the step, 0 for none."""

    min: int | float
    max: int | float
    inc: int | float
    unit: str


class CameraVerbs(ABC):
    """One camera, wherever it runs."""

    @abstractmethod
    def _ask(self, verb: str, **parameters: Any) -> Any:
        """Do it and return what comes of it. Raises CameraError."""

    @property
    def features(self) -> "Features":
        """The GenICam features: `features["Width"]`, `features.Width`, `features.limits("Width")` ..."""
        return Features(self._ask)

    @property
    def faults(self) -> "Faults":
        """What goes wrong on purpose: `faults.add("lost-trailer", frame=3)`, `faults.list()`, `faults.clear()`."""
        return Faults(self._ask)

    @property
    def lines(self) -> LineHandles:
        """The electrical lines: `lines["Line1"].volts = 24`, `lines["Line1"].pulse(us=50)`, ..."""
        return LineHandles(self._ask)

    def encoder(self, line: str | None, *, every_px: float = 1.0, px_per_s: float | None = None) -> None:
        """A rotary encoder on this line: a pulse for every so many pixels that the scene moves; None takes it away.

        `px_per_s`: how fast, where it is not the scene's own motion (`conveyor:speed=...`).
        """
        self._ask("encoder", line=line, every_px=every_px, px_per_s=px_per_s)

    def scene(self, scene: Any = None) -> str:
        """What the camera sees, as text such as "bar:speed=12000"; with an argument, see this from now on."""
        return str(self._ask("scene", scene=scene))

    def supply(
        self,
        *,
        volts: float | None = None,
        cable_ohm: float | None = None,
        load_ma: float | None = None,
        port_ma: float | None = None,
    ) -> dict[str, Any]:
        """The supply now: volts at its other end and at the camera, ohms of the cable, current, what is wrong.

        Arguments change it: `volts` of the supply, `cable_ohm` of both wires together, `load_ma` drawn by
        something else from the camera's supply pin, `port_ma` that the port gives before it switches off.
        """
        given = {"volts": volts, "cable_ohm": cable_ohm, "load_ma": load_ma, "port_ma": port_ma}
        answer = self._ask("supply", **{key: value for key, value in given.items() if value is not None})
        return dict(answer)

    def ambient(self, ambient_c: float | None = None) -> dict[str, float]:
        """Temperature of the air and of the camera, degrees C; with an argument, the air's from now on."""
        return dict(self._ask("ambient", ambient_c=ambient_c))

    def unplug(self) -> None:
        """Pull the cable: hosts see the camera go; it loses its power, and so its settings."""
        self._ask("unplug")

    def replug(self) -> None:
        """Plug it in again, as after power-on."""
        self._ask("replug")

    def reset(self) -> None:
        """DeviceReset: the camera drops off the bus and comes back by itself after half a second."""
        self._ask("reset")

    def counters(self) -> dict[str, int]:
        """What became of the frames: offered = delivered + discarded + held; `lost` are those of the discarded
        that a host missed, not those that were left over when it stopped. Also bus drops and lost events."""
        return dict(self._ask("counters"))

    def state(self) -> dict[str, Any]:
        """Who and where it is: model, serial, "unplugged", "plugged", "configured" or "acquiring", its clock."""
        return dict(self._ask("state"))

    def history(self) -> dict[str, list[str]]:
        """What the camera saw last: happenings, and what hosts wrote into it, one line each."""
        return dict(self._ask("history"))

    def wait_for(self, what: str, timeout_s: float = DEFAULT_WAIT_S) -> dict[str, Any]:
        """Wait for a happening ("ExposureEnd"), a state ("acquiring") or so many delivered frames ("frame 10").

        In process, time passes meanwhile on the camera's clock; else on the wall's. Raises CameraTimeout.
        """
        return dict(self._ask("wait_for", what=what, timeout_s=timeout_s))

    def advance(self, duration: int | str) -> None:
        """Let a clock that waits for it go on by nanoseconds, or by a text such as "10ms"."""
        self._ask("advance", duration=duration)


class Faults:
    """What goes wrong on purpose in a camera, by the names that `u3v faults` lists."""

    def __init__(self, ask: Any) -> None:
        self._ask = ask

    def add(self, name: str, **parameters: Any) -> "Listed":
        """From now on: `add("lost-ack", nth=10)`, `add("preset:NAME")`. What was added, as `list` tells it."""
        words = ",".join(f"{key}={value}" for key, value in parameters.items())
        text = name + (":" if ":" not in name else ",") * bool(words) + words
        return [*self._ask("add_fault", fault=text)]

    def clear(self, number: int | None = None) -> int:
        """None any more, or not the one with this number. How many were taken away."""
        return int(self._ask("clear_faults", **({} if number is None else {"number": number})))

    def list(self) -> "Listed":
        """Each with its number, its text, how often it has `struck` of how many `chances`, and whether it is `over`."""
        return [*self._ask("faults")]


class Features:
    """A camera's features by name. Values are int, float, bool, or str (an enumeration's entry, a text)."""

    def __init__(self, ask: Any) -> None:
        object.__setattr__(self, "_ask", ask)

    def get(self, name: str, **selectors: str | int) -> Any:
        """The value. `selectors`: where it is not the selected one that is meant, such as TriggerSelector=..."""
        return self._ask("get", name=name, selectors=selectors)

    def set(self, name: str, value: Any, **selectors: str | int) -> Any:
        """Write as a host would, with the camera's limits, locks and rounding; the value that came of it."""
        return self._ask("set", name=name, value=value, selectors=selectors)

    def execute(self, name: str) -> None:
        """Run a command, such as TriggerSoftware."""
        self._ask("execute", name=name)

    def describe(self, name: str) -> dict[str, Any]:
        """Kind, value, access now, limits, unit, entries, selectors, explanation."""
        return dict(self._ask("describe", name=name))

    def limits(self, name: str) -> Limits:
        """What a number may be now."""
        about = self.describe(name)
        if "min" not in about:
            raise CameraError(f"{name} is no number: it has no limits")
        return Limits(about["min"], about["max"], about["inc"], about["unit"])

    def entries(self, name: str) -> tuple[str, ...]:
        """What an enumeration may be."""
        about = self.describe(name)
        if "entries" not in about:
            raise CameraError(f"{name} is no enumeration: it has no entries")
        return tuple(about["entries"])

    def names(self) -> list[str]:
        """All features, in the order hosts show them."""
        return list(self._ask("names"))

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self.set(name, value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copy, pickle and debuggers look for these
            raise AttributeError(name)
        return self.get(name)

    def __setattr__(self, name: str, value: Any) -> None:
        self.set(name, value)

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *self.names()]
