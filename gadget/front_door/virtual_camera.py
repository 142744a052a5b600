"""Virtual cameras for Python: make one, set it, grab numpy arrays from it, or let other programs have it.

    with VirtualCamera("acA4096-40um", scene="bar", ExposureTime=2000) as camera:
        frame = camera.grab()
        print(frame.pixels.shape, frame.settings["ExposureTime"])

A camera lives in a *place*: in this process on a simulated clock, where `grab` is a pure function of settings and
seed and takes no real time, or, after `serve`, `environment` or `run`, on a loop in a thread of its own, where
other programs use it. State of a `Bench`: its cameras' place. Always true: a camera is in one place at a time;
when it moves it is powered anew, and keeps its settings, scene, supply, counters and what hangs on its lines.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar, overload

from gadget.budget.bus import BusSpec, parse_bus
from gadget.budget.power import Supply
from gadget.faults.declaration import Fault
from gadget.faults.scenario import parse_faults
from gadget.feature_text import parse_camera, parse_defects
from gadget.front_door.camera_verbs import CameraError, CameraTimeout, CameraVerbs
from gadget.front_door.frame_stream import DEFAULT_TIMEOUT_S, Frame, FrameStream
from gadget.front_door.live import LiveCamera
from gadget.front_door.places import InProcess, OnLoop, Place
from gadget.front_door.scope import Scope
from gadget.runner import CameraSpec
from u3v.did_you_mean import hint
from u3v.errors import GenCPError, Mistake
from u3v.wire.usb import Speed

T = TypeVar("T")
LOOK_NS = 2_000_000
"""How long one of several hosts in this process waits for its next frame before it is another one's turn."""

_SPEC = {f.name for f in fields(CameraSpec)} - {"model"}
_SUPPLY = {f.name for f in fields(Supply)}


class Bench:
    """Several cameras on one clock, or behind one server, with a bus in common where `bus` says so.

    Each camera is "MODEL" or "MODEL:Feature=Value,..." or a `CameraSpec`; keywords are for all of them, as
    those of `VirtualCamera`. A context manager and a sequence of `VirtualCamera`s.
    """

    def __init__(self, *cameras: "str | CameraSpec", **keywords: Any) -> None:
        if not cameras:
            raise CameraError("a bench needs a camera: Bench('acA4096-40um', ...)")
        scene = keywords.get("scene")
        if scene is not None and not isinstance(scene, str):
            del keywords["scene"]
        else:
            scene = None
        self._specs = [camera_spec(camera, keywords) for camera in cameras]
        self._scenes: list[Any] = [scene] * len(cameras)
        try:
            self._place: Place = InProcess(self._specs, self._scenes)
        except GenCPError as error:
            raise CameraError(str(error), error.status.name) from None
        self._is_served = False
        self._offered: Any = None
        self.cameras = tuple(VirtualCamera._on(self, index) for index in range(len(cameras)))

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.cameras)

    def __getitem__(self, index: int) -> "VirtualCamera":
        return self.cameras[index]

    def __iter__(self) -> "Iterator[VirtualCamera]":
        return iter(self.cameras)

    def close(self) -> None:
        """Switch the cameras off. Done twice, it does nothing the second time."""
        self._place.close()

    def serve(self, port: int = 0, host: str = "127.0.0.1") -> "contextlib.AbstractContextManager[list[str]]":
        """Export the cameras over USB/IP while the context lasts; gives their addresses, `usbip://HOST:PORT/BUSID`.

        Port 0 picks a free one. USB/IP has no passwords: beyond loopback, anyone can take the cameras.
        """
        return self._served(lambda place: place.serve(host, port))

    def environment(self) -> "contextlib.AbstractContextManager[dict[str, str]]":
        """An environment whose programs see the cameras as USB devices, without root, while the context lasts."""
        return self._served(lambda place: place.environment())

    def run(
        self, command: Sequence[str | Path], *, timeout_s: float | None = None, **keywords: Any
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program that sees the cameras, to its end; what it wrote is in `stdout` and `stderr`.

        Other keywords go to `subprocess.run`. Raises subprocess.TimeoutExpired, CameraError.
        """
        words = [os.fspath(word) for word in command]
        if not words or shutil.which(words[0]) is None:
            raise CameraError(f"{words[0]}: command not found" if words else "no command to run")
        wanted: dict[str, Any] = {"capture_output": True, "text": True, "timeout": timeout_s} | keywords
        with self.environment() as environment:
            environment |= wanted.pop("env", {})
            done: subprocess.CompletedProcess[str] = subprocess.run(words, env=environment, **wanted)
        return done

    def scope(self) -> Scope:
        """Record lines, exposures, readouts, transfers and events of all cameras from now on."""
        lives = self._place.lives
        return self._place.call(
            lambda: Scope([(live.name, live.built.camera) for live in lives], lives[0].now_ns)
        )

    def look_for(self, duration_ns: int, streams: Sequence[FrameStream]) -> None:
        """Let time pass in this process, while the hosts of these acquisitions take their frames."""
        live = self._place.lives[0]
        end_ns = live.now_ns() + duration_ns
        while (left_ns := end_ns - live.now_ns()) > 0:
            for stream in streams:
                with contextlib.suppress(CameraTimeout):
                    stream.take(within_s=min(left_ns, LOOK_NS) / 1e9)

    def _live(self, index: int) -> LiveCamera:
        return self._place.lives[index]

    def _at_home(self, index: int) -> InProcess:
        """The place where one can grab; the cameras go there if they are nowhere else."""
        if self._is_served:
            raise CameraError("the camera is served to other programs now: grab with one of them")
        if not isinstance(self._place, InProcess):
            self._move(InProcess)
        assert isinstance(self._place, InProcess)
        return self._place

    def _move(self, kind: "Callable[[list[CameraSpec], list[Any]], Place]") -> None:
        """Go to another place, with the settings as they are."""
        old = self._place
        kept = old.call(lambda: [live.keep() for live in old.lives])
        old.close()
        self._specs = [each.spec for each in kept]
        self._scenes = [each.scene for each in kept]
        self._place = kind(self._specs, self._scenes)
        for live, each in zip(self._place.lives, kept, strict=True):
            live.restore(each)
        for live, each in zip(self._place.lives, kept, strict=True):
            live.connect(each.connections)  # after all of them: wires lead to others

    @contextlib.contextmanager
    def _served(self, offer: "Callable[[OnLoop], contextlib.AbstractContextManager[T]]") -> Iterator[T]:
        if self._is_served:
            raise CameraError("the camera is served already: one way at a time")
        if self._place.closed:
            raise CameraError("the camera is closed")
        self._move(OnLoop)
        place = self._place
        assert isinstance(place, OnLoop)
        self._is_served = True
        try:
            with offer(place) as self._offered, place.running():
                yield self._offered
        finally:
            self._is_served, self._offered = False, None


class VirtualCamera(CameraVerbs):
    """A virtual USB3 Vision camera. `model`: a name of `u3v models`, or "MODEL:Feature=Value,...".

    Keywords: features (`ExposureTime=2000`), all of `gadget.runner.CameraSpec` (`scene`, `serial`, `seed`, `speed`,
    `clock`, `settings` ...), where scene may also be an array or a function of (time_s, width, height), and the
    supply (`supply_v`, `cable_ohm`, `port_ma`, `load_ma`, `ambient_c`). `clock` is for when it is served; in
    process it is always simulated. A context manager; `close` switches it off. Raises CameraError, Mistake,
    SceneError or TypeError, one line each.
    """

    def __init__(self, model: str = "acA4096-40um", **keywords: Any) -> None:
        self._bench = Bench(model, **keywords)
        self._index = 0

    @classmethod
    def _on(cls, bench: Bench, index: int) -> "VirtualCamera":
        made = cls.__new__(cls)
        made._bench, made._index = bench, index
        return made

    def __enter__(self) -> "VirtualCamera":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<virtual camera {self._bench._live(self._index).name}>"

    @property
    def address(self) -> str:
        """Where it is served over USB/IP now, `usbip://HOST:PORT/BUSID`; "" where it is not."""
        offered = self._bench._offered
        return str(offered[self._index]) if isinstance(offered, list) else ""

    @property
    def child_env(self) -> dict[str, str]:
        """The environment in which programs see it now; {} where it is not served so."""
        offered = self._bench._offered
        return offered if isinstance(offered, dict) else {}

    def close(self) -> None:
        """Switch it off, and the others of its bench."""
        self._bench.close()

    @overload
    def grab(self, frames: None = None, *, timeout_s: float = ...) -> Frame: ...

    @overload
    def grab(self, frames: int, *, timeout_s: float = ...) -> list[Frame]: ...

    def grab(self, frames: int | None = None, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Frame | list[Frame]:
        """One frame, or a list of so many of one acquisition: start, take them, stop.

        `timeout_s`: the longest wait for one, in the camera's time. Raises CameraTimeout.
        """
        with self.acquire(timeout_s=timeout_s) as stream:
            if frames is None:
                return stream.next()
            return [stream.next() for _ in range(frames)]

    def acquire(self, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> FrameStream:
        """Start an acquisition: an iterator of frames and a context manager that stops it.

        with camera.acquire() as frames:
            camera.features.execute("TriggerSoftware")
            frame = frames.next()
        """
        place = self._bench._at_home(self._index)
        return FrameStream(place.lives[self._index], place.bus(self._index), place.lock, timeout_s)

    def __iter__(self) -> Iterator[Frame]:
        """Frames without end; the acquisition stops when the iteration is left."""
        with self.acquire() as stream:
            yield from stream

    def scope(self) -> Scope:
        """Record lines, exposures, readouts, transfers and events from now on, of its bench's other cameras too."""
        return self._bench.scope()

    @contextlib.contextmanager
    def serve(self, port: int = 0, host: str = "127.0.0.1") -> Iterator[str]:
        """Export the camera over USB/IP while the context lasts; gives its address, `usbip://HOST:PORT/BUSID`.

        Port 0 picks a free one. USB/IP has no passwords: beyond loopback, anyone can take the camera.
        """
        with self._bench.serve(port, host) as addresses:
            yield addresses[self._index]

    def environment(self) -> "contextlib.AbstractContextManager[dict[str, str]]":
        """An environment whose programs see the camera as a USB device, without root, while the context lasts."""
        return self._bench.environment()

    def run(
        self, command: Sequence[str | Path], *, timeout_s: float | None = None, **keywords: Any
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program that sees the camera, to its end; what it wrote is in `stdout` and `stderr`.

        Other keywords go to `subprocess.run`. Raises subprocess.TimeoutExpired, CameraError.
        """
        return self._bench.run(command, timeout_s=timeout_s, **keywords)

    def _ask(self, verb: str, **parameters: Any) -> Any:
        place, live = self._bench._place, self._bench._live(self._index)
        if verb == "wait_for":
            return place.wait_for(live, parameters["what"], parameters["timeout_s"])
        return place.call(lambda: live.ask(verb, parameters))


def camera_spec(camera: str | CameraSpec, keywords: Mapping[str, Any]) -> CameraSpec:
    """What the text of a camera and the keywords of `VirtualCamera` say. Raises TypeError, Mistake."""
    if isinstance(camera, CameraSpec):
        spec = camera
    else:
        model, chosen = parse_camera(camera)
        spec = CameraSpec(model, settings=chosen)
    settings: dict[str, str] = {name: str(value) for name, value in spec.settings.items()}
    supply: dict[str, Any] = {}
    known: dict[str, Any] = {}
    for name, value in keywords.items():
        if name in _SUPPLY:
            supply[name] = value
        elif name == "settings":
            settings |= {feature: str(each) for feature, each in value.items()}
        elif name in _SPEC:
            known[name] = _CONVERTERS.get(name, _as_it_is)(value)
        elif name[:1].isupper():
            settings[name] = str(value)
        else:
            raise TypeError(f"no such keyword {name!r}{hint(name, _SPEC | _SUPPLY)}")
    if "port_ma" in supply and "offered_ma" not in known:
        known["offered_ma"] = supply["port_ma"]
    if known.get("bus") is not None:
        known["speed"] = known["bus"].speed
    base = known.pop("supply", spec.supply)
    return replace(spec, settings=settings, supply=replace(base, **supply), **known)


def _as_it_is(value: Any) -> Any:
    return value


def _speed(value: Any) -> Speed:
    names = {"super": Speed.SUPER, "high": Speed.HIGH}
    if isinstance(value, Speed):
        return value
    if value not in names:
        raise Mistake(f"speed {value!r}: must be super or high{hint(str(value), names)}")
    return names[value]


def _bus(value: Any) -> BusSpec | None:
    return parse_bus(value) if isinstance(value, str) else value


def _files(value: Iterable[str | Path]) -> tuple[Path, ...]:
    return tuple(Path(each) for each in value)


def _faults(value: Iterable[str | Fault]) -> tuple[Fault, ...]:
    asked = (parse_faults(each) if isinstance(each, str) else (each,) for each in value)
    return tuple(fault for faults in asked for fault in faults)


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "faults": _faults,
    "speed": _speed,
    "bus": _bus,
    "defects": lambda value: parse_defects(value) if isinstance(value, str) else value,
    "state": lambda value: value if value is None else Path(value),
    "model_files": _files,
}
