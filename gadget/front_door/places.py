"""Where cameras of this process live: here on a simulated clock, or on a loop in a thread, for other programs.

A place builds its cameras, owns their clock, and runs what is asked of them in the thread that owns them.
`InProcess`: the caller's thread, time jumps to what is awaited. `OnLoop`: a thread that serves, while `running`;
calls from other threads are handed over to it and their errors come back. Always true: once `closed`, cameras
can still be looked at, but nothing runs.
"""

import contextlib
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from typing import Any, TypeVar

from gadget.front_door.camera_verbs import CameraError, CameraTimeout
from gadget.front_door.live import LiveCamera
from gadget.front_door.live_lines import Harness
from gadget.front_door.waits import Waits
from gadget.local.build import PreloadError, choose
from gadget.local.hotplug import connect
from gadget.local.launch import private_directory
from gadget.local.server import LocalServer
from gadget.loopback import LoopbackBus
from gadget.runner import FIRST_SERIAL, CameraSpec, LoopBench, build
from gadget.time.simulated import SimulatedLoop, SimulatedTime
from gadget.usbip.server import UsbipServer
from gadget.usbip.session import export

T = TypeVar("T")

RETURN_NS = 2_000_000_000
"""The longest that a camera that has dropped off the bus by itself is waited for."""
_LOOK_S = 0.5


class Place(ABC):
    """`lives`: the cameras, in the order of their specs."""

    lives: list[LiveCamera]
    closed = False

    @abstractmethod
    def call(self, action: Callable[[], T]) -> T:
        """Run something in the thread that owns the cameras; what it returns or raises."""

    @abstractmethod
    def wait_for(self, live: LiveCamera, what: str, timeout_s: float) -> dict[str, Any]:
        """Wait until `what` is true of a camera. Raises CameraTimeout."""

    def close(self) -> None:
        """Switch the cameras off."""
        self.closed = True


class InProcess(Place):
    """Cameras on one simulated clock, each with a host of its own in this process."""

    def __init__(self, specs: Sequence[CameraSpec], scenes: Sequence[Any]) -> None:
        self.time = SimulatedTime()
        self.lock = threading.RLock()
        self.lives: list[LiveCamera] = []
        self._buses: list[LoopbackBus] = []
        shared = next((spec.bus.bus() for spec in specs if spec.bus is not None), None)
        for index, (spec, scene) in enumerate(zip(specs, scenes, strict=True)):
            built = build(spec, spec.serial or str(FIRST_SERIAL + index), bus=shared)
            self._buses.append(LoopbackBus.to(built.device, self.time))
            self.time.services.append(built.port)
            self.lives.append(LiveCamera(built, lambda: self.time.now_ns, self.time.advance))
            if scene is not None:
                self.lives[-1].ask("scene", {"scene": scene})
        Harness(self.lives, self.time)

    def call(self, action: Callable[[], T]) -> T:
        with self.lock:
            return action()

    def bus(self, index: int) -> LoopbackBus:
        """The way to a camera that is on the bus, if need be after waiting for its return."""
        port, name = self.lives[index].built.port, self.lives[index].name
        if self.closed:
            raise CameraError(f"{name} is closed")
        with self.lock:
            self.lives[index].ask("state", {})
            ends_ns = self.time.now_ns + RETURN_NS
            while port.will_drop or port.comes_back:
                at_ns = self.time.next_wakeup_ns()
                if at_ns is None or at_ns > ends_ns:
                    break
                self.time.step(at_ns)
        if not port.on_bus:
            fault = port.power.fault() or "replug() it"
            raise CameraError(f"{name} is not on the bus: {fault}")
        return self._buses[index]

    def wait_for(self, live: LiveCamera, what: str, timeout_s: float) -> dict[str, Any]:
        with self.lock:
            holds, end = live.condition(what)
            try:
                ends_ns = self.time.now_ns + int(timeout_s * 1e9)
                while (found := holds()) is None:
                    at_ns = self.time.next_wakeup_ns()
                    if at_ns is None or at_ns > ends_ns:
                        self.time.now_ns = ends_ns
                        raise CameraTimeout(f"{live.name}: no {what} within {timeout_s:g} s of its time")
                    self.time.step(at_ns)
                return found
            finally:
                end()

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        for live, bus in zip(self.lives, self._buses, strict=True):
            bus.close()
            live.built.pixels.source.close()
            live.close()


class OnLoop(Place):
    """Cameras on a loop, as `u3v serve` and `u3v run` have them. Offer them to somebody, then let them run."""

    def __init__(self, specs: Sequence[CameraSpec], scenes: Sequence[Any]) -> None:
        self._bench = LoopBench(specs)
        self._thread: threading.Thread | None = None
        loop = self._bench.loop
        advance = loop.advance if isinstance(loop, SimulatedLoop) and loop.is_lockstep else None
        self.lives = [LiveCamera(built, loop.now_ns, advance) for built in self._bench.cameras]
        for live, scene in zip(self.lives, scenes, strict=True):
            if scene is not None:
                live.ask("scene", {"scene": scene})
        Harness(self.lives, loop)
        self._waits = Waits()
        loop.services.append(self._waits)

    def call(self, action: Callable[[], T]) -> T:
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return action()
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(action())
            except BaseException as error:
                future.set_exception(error)

        self._bench.loop.call_threadsafe(run)
        while True:
            try:
                return future.result(_LOOK_S)
            except NotYet:
                if future.done():
                    raise
                if not thread.is_alive():
                    raise CameraError("the camera's thread has ended") from None

    def wait_for(self, live: LiveCamera, what: str, timeout_s: float) -> dict[str, Any]:
        if self._thread is None or self._thread is threading.current_thread():
            raise CameraError("nobody uses the camera now: nothing will happen")
        future: Future[dict[str, Any]] = Future()
        cancel = self.call(lambda: self._waits.add(live, what, future.set_result))
        try:
            return future.result(timeout_s)
        except NotYet:
            raise CameraTimeout(f"{live.name}: no {what} within {timeout_s:g} s") from None
        finally:
            self.call(cancel)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Let the cameras live in a thread of their own meanwhile."""
        loop = self._bench.loop
        thread = threading.Thread(target=loop.run, name="virtual camera", daemon=True)
        self._thread = thread
        thread.start()
        try:
            yield
        finally:
            loop.call_threadsafe(loop.stop)
            thread.join()
            self._thread = None

    @contextlib.contextmanager
    def serve(self, host: str, port: int) -> Iterator[list[str]]:
        """Over USB/IP; gives the address of each camera."""
        exported = export(*(built.device for built in self._bench.cameras))
        with UsbipServer(self._bench.loop, exported, host, port) as server:
            place = f"[{server.address}]" if ":" in server.address else server.address
            yield [f"usbip://{place}:{server.port}/{busid}" for busid in exported]

    @contextlib.contextmanager
    def environment(self) -> Iterator[dict[str, str]]:
        """To programs of this machine that are started with this environment."""
        try:
            library = choose("auto")
        except PreloadError as error:
            raise CameraError(str(error)) from None
        with private_directory() as directory:
            server = LocalServer(self._bench.loop, directory, [built.device for built in self._bench.cameras])
            try:
                connect(server, [built.port for built in self._bench.cameras])
                yield os.environ | server.environment(library.path, library.own)
            finally:
                server.close()

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._bench.close()
            for live in self.lives:
                live.close()
