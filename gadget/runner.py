"""The composition root: model + sensor + scene + surroundings become virtual cameras on a loop.

`build_core` makes a camera for any wire, `plug_usb` plugs one into a USB port, `build` does both; `LoopBench` holds
several with their loop and the threads that render.
"""

import contextlib
import logging
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from frames.pool import FramePool
from frames.scene import Scene, SceneError, parse_scene
from frames.source import NO_DEFECTS, PART_PX, Defects, FrameSource
from gadget.budget.bus import Bus, BusSpec
from gadget.budget.power import PowerModel, Supply
from gadget.catalogue import find_model
from gadget.faults.declaration import Fault
from gadget.faults.live import FaultList, LiveFaults
from gadget.feature_text import parse_value
from gadget.gpio import Wire, Wiring
from gadget.render_pool import Lane, RenderPool
from gadget.rendering import INLINE, Renderer, Workshop
from gadget.time.loop import Loop
from gadget.time.simulated import SimulatedLoop
from gadget.usb.device import UsbDevice
from gadget.usb.pcap import PcapWriter
from gadget.usb.port import Port
from gadget.usb.writes import WriteWatch
from gadget.user_set_file import UserSetFile
from u3v.camera import Camera, Options
from u3v.did_you_mean import hint
from u3v.errors import Mistake
from u3v.feature_set import KEPT
from u3v.function import Function
from u3v.happenings import Happening
from u3v.lines import UNDEFINED
from u3v.model import Model
from u3v.usb3v.bootstrap import USB3_VISION, WireOptions
from u3v.usb3v.function import UsbFunction
from u3v.wire.usb import STREAM_IN, Speed
from u3v.wire_traits import WireTraits

log = logging.getLogger(__name__)

DEFAULT_SCENE = "target"
FIRST_SERIAL = 40000001
PATIENCE_S = 8.0
"""Longer than loading ever takes: then the engine is being compiled, and a person is told."""
PACED_PART_PX = 1 << 18
"""A paced camera has time for pauses each 0.2 ms: nobody waits for a processor for longer."""
SPARE_BUFFERS = 4
"""Frame buffers beyond the camera's own memory: those that a transport is still sending."""

SHORT_TRANSFER_BYTES = 508
"""What hosts are asked to keep to behind a kernel's queue, which does not tell how long a host's request is: below a
packet at any speed the end of an acknowledge shows, and no host waits for an empty packet or gets one too many."""


@dataclass(slots=True)
class CameraSpec:
    """What a person says about a camera: the model, and how this one differs.

    `settings`: feature values from the start on. `state`: file that keeps the user sets. `offered_ma`: what
    the port supplies. `paced`: modelled frame rate and link, otherwise as fast as the host reads. `bus`: what
    all cameras of a bench share (None: each has a host controller of its own). `supply`: cable and heat.
    `clock`: one of gadget.time.simulated.CLOCKS, the same for all cameras of a bench.
    `defects`: row and column noise, hot pixels. `threads` render each frame. `scene_cache`: how many frames are
    rendered and then repeated in turn; 0: each frame is rendered. `gpio`: lines of the camera on pins of this board.
    `undefined_level`: what lines make of volts between low and high: one of `u3v.lines.UNDEFINED`, or a seed.
    `model_files`: files of models besides the built-in ones. `faults`: what goes wrong on purpose. `real_bus`: the
    port is one of real hardware: nothing of a bus is modelled.
    """

    model: str
    serial: str = ""
    name: str = ""
    scene: str = DEFAULT_SCENE
    seed: int | None = None
    speed: Speed = Speed.SUPER
    paced: bool = True
    strict: bool = False
    offered_ma: int | None = None
    bus: BusSpec | None = None
    supply: Supply = field(default_factory=Supply)
    clock: str = "real"
    state: Path | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    defects: Defects = NO_DEFECTS
    threads: int = 1
    scene_cache: int = 0
    gpio: tuple[Wire, ...] = ()
    model_files: tuple[Path, ...] = ()
    faults: tuple[Fault, ...] = ()
    real_bus: bool = False
    undefined_level: str | int = "keep"


@dataclass(slots=True)
class Core:
    """A camera before it is on a wire: what it does, its pixels, its supply.

    `wake(now_ns)`: what to do when pixels have come; whoever puts the camera on a wire says so.
    """

    spec: CameraSpec
    model: Model
    camera: Camera
    pixels: Renderer
    power: PowerModel
    wake: Callable[[int], None] = field(default=lambda _now_ns: None, kw_only=True)


@dataclass(slots=True)
class Plugged(Core, ABC):
    """A camera on a wire. `is_taken`: a host has it. `watch_writes`: tell `listener(now_ns, address, data)` of them."""

    byte_order: ClassVar[Literal["little", "big"]] = "little"
    """Of numbers in the wire's own registers."""
    port: Port
    faults: FaultList

    @abstractmethod
    def tick(self, now_ns: int) -> None: ...

    @abstractmethod
    def is_taken(self) -> bool: ...

    @abstractmethod
    def watch_writes(self, listener: Callable[[int, int, bytes], None]) -> None: ...


@dataclass(slots=True)
class BuiltCamera(Plugged):
    """A camera that is served over USB: its USB function, and its device on a port."""

    faults: LiveFaults
    function: Function
    device: UsbDevice

    def tick(self, now_ns: int) -> None:
        self.function.tick(now_ns)

    def is_taken(self) -> bool:
        return bool(self.device.configuration)

    def watch_writes(self, listener: Callable[[int, int, bytes], None]) -> None:
        self.device.observers.append(WriteWatch(listener))


def build_core(
    spec: CameraSpec,
    serial: str,
    wire: WireTraits,
    by: Workshop = INLINE,
    *,
    advance_clock: Callable[[int], None] | None = None,
    scene: Scene | None = None,
) -> Core:
    """One camera for a wire like this. Raises Mistake, SceneError or SensorError, one line each."""
    model, sensor = find_model(spec.model, spec.model_files)
    if spec.bus is not None:
        check_bus(model, spec.bus)
    store = UserSetFile(spec.state, model.name) if spec.state is not None else None
    options = Options(
        serial=serial,
        user_defined_name=spec.name,
        paced=spec.paced,
        slow_link=spec.bus is not None and spec.bus.slow_link,
        user_sets=store.load() if store is not None else {},
        save_user_sets=store.save if store is not None else None,
        advance_clock=advance_clock,
        undefined_level=_undefined(spec.undefined_level),
    )
    power = PowerModel(model, speed=spec.speed, supply=spec.supply)
    camera = Camera(model, sensor.timing, power, wire, options)
    if store is not None:
        store.check(camera, options.user_sets)
    for name, text in spec.settings.items():
        set_feature(camera, name, text)
    width, height = model.integer("width_max_px"), model.integer("height_max_px")
    guid = model.identity(serial).guid
    source = FrameSource(
        sensor,
        scene or parse_scene(spec.scene),
        seed=spec.seed if spec.seed is not None else int(guid[4:], 16),
        width=width,
        height=height,
        threads=spec.threads,
        defects=spec.defects,
        pause=by.pause,
        part_px=by.part_px,
    )
    with contextlib.ExitStack() as undo:
        undo.callback(source.close)
        _enter_defects(camera, source)
        count = model.integer("frame_memory_bytes") // (width * height) + SPARE_BUFFERS
        largest = max(source.payload_size(width, height, name) for name in model.pixel_formats)
        pool = FramePool(count, largest, by.on_buffer)
        pixels = Renderer(camera, source, pool, by, sensor.black_level_dn12, spec.scene_cache)
        undo.pop_all()
    return Core(spec, model, camera, pixels, power)


def plug_usb(core: Core, bus: Bus | None = None) -> BuiltCamera:
    """Plug a camera into a USB port of its own, on `bus` with others or on one of its own. Where that fails, its pixel
    source is closed."""
    with contextlib.ExitStack() as undo:
        undo.callback(core.pixels.source.close)
        built = _plugged(core, bus)
        undo.pop_all()
    return built


def _plugged(core: Core, bus: Bus | None) -> BuiltCamera:
    spec = core.spec
    options = WireOptions(strict=spec.strict)
    if spec.real_bus:
        bus, options = Bus(), replace(options, transfer_bytes=SHORT_TRANSFER_BYTES)
    usb = UsbFunction(core.camera, options)
    faults = LiveFaults(usb, core.camera, spec.faults, real_bus=spec.real_bus)
    function = faults.function
    device = UsbDevice(function, speed=spec.speed, paced=spec.paced, bus=bus, offered_ma=spec.offered_ma)
    port = Port(device, core.camera, core.power)
    faults.attach(device, port)
    known = spec, core.model, core.camera, core.pixels, core.power
    return BuiltCamera(*known, port, faults, function, device, wake=device.service)


def build(
    spec: CameraSpec,
    serial: str,
    by: Workshop = INLINE,
    scene: Scene | None = None,
    bus: Bus | None = None,
    *,
    advance_clock: Callable[[int], None] | None = None,
) -> BuiltCamera:
    """One camera on USB3 Vision, plugged in. Raises as `build_core`."""
    return plug_usb(build_core(spec, serial, USB3_VISION, by, advance_clock=advance_clock, scene=scene), bus)


def _undefined(level: str | int) -> str | int:
    """Raises Mistake where lines cannot do that."""
    if isinstance(level, str) and level not in UNDEFINED:
        words = ", ".join(UNDEFINED)
        raise Mistake(f"undefined_level {level!r}: one of {words}, or a number{hint(level, UNDEFINED)}")
    return level


def check_bus(model: Model, bus: BusSpec) -> None:
    """Raises Mistake where a camera does not fit a bus."""
    if bus.ethernet != model.wire.startswith("GigE"):
        kind = "an Ethernet" if bus.ethernet else "a USB"
        fitting = "5gbps, 10gbps or 480mbps" if bus.ethernet else "1gbe or 100mbe"
        raise Mistake(f"{model.name} has {model.wire}, {bus.name} is {kind} bus: use --bus {fitting}")


def _enter_defects(camera: Camera, source: FrameSource) -> None:
    """The factory's entries in the camera's defect pixel list, where it has one: the hottest pixels."""
    has_own = any(key.startswith("DefectPixelList") for key in camera.user_sets.get(KEPT, {}))
    if "DefectPixelListIndex" not in camera.features or has_own:
        return
    for index, (x, y) in enumerate(source.corrected):
        for name, value in (("Active", True), ("PosX", x), ("PosY", y)):
            camera.features.set(f"DefectPixelListEntry{name}", value, DefectPixelListIndex=index)


def set_feature(camera: Camera, name: str, text: str) -> None:
    """Set a feature from text, as a host would. Raises Mistake or GenCPError, one line."""
    feature, value = parse_value(camera, name, text)
    camera.features.host_set(feature.name, value)


class LoopBench:
    """Cameras, the loop they live on and the threads that render for them. A context manager.

    `cores`: all cameras. On USB3 Vision they are plugged in as well (`cameras`); on another `wire` that is the
    caller's part.
    """

    def __init__(
        self, specs: Iterable[CameraSpec], pcap: Path | None = None, wire: WireTraits = USB3_VISION
    ) -> None:
        specs = list(specs)
        self.cores: list[Core] = []
        self.cameras: list[BuiltCamera] = []
        self._wire = wire
        self._simulated = bool(specs) and specs[0].clock != "real"
        self.loop = (
            SimulatedLoop(self._held, lockstep=specs[0].clock == "lockstep") if self._simulated else Loop()
        )
        self.failures = 0
        """Frames that could not be rendered."""
        self._failure = ""
        self._renderers = RenderPool(self.loop.call_threadsafe)
        self._pcap: PcapWriter | None = None
        self._wirings: list[Wiring] = []
        try:
            bus: Bus | None = None
            with _loaded_engine(specs):
                for index, spec in enumerate(specs):
                    serial = spec.serial or str(FIRST_SERIAL + index)
                    if bus is None and spec.bus is not None:
                        bus = spec.bus.bus()
                    self._add(spec, serial, bus)
            if pcap is not None:
                self._pcap = PcapWriter(pcap)
                for index, built in enumerate(self.cameras):
                    self._pcap.attach(built.device, bus=1, address=2 + index)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "LoopBench":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._renderers.close()
        for wiring in self._wirings:
            wiring.close()
        for core in self.cores:
            core.pixels.source.close()
        self.loop.close()
        if self._pcap is not None:
            self._pcap.close()

    def _add(self, spec: CameraSpec, serial: str, bus: Bus | None) -> None:
        def wake(_now_ns: int = 0) -> None:
            core.wake(self.loop.now_ns())

        advance = None
        if isinstance(self.loop, SimulatedLoop) and self.loop.is_lockstep:
            advance = self.loop.advance
        lane = self._renderers.lane()
        on_buffer = partial(self.loop.call_threadsafe, wake)
        # A simulated clock stands still while a frame is rendered.
        by = Workshop(on_failure=self._failed, on_buffer=on_buffer)
        if not self._simulated:
            part_px = PACED_PART_PX if spec.paced else PART_PX
            by = Workshop(lane.run, wake, self._failed, self._renderers.pause, part_px, on_buffer)
        core = build_core(spec, serial, self._wire, by, advance_clock=advance)
        if self._wire is USB3_VISION:
            core = self._plug(core, bus)
        self.cores.append(core)
        if not self._simulated:
            self._keep_ready(core, lane)

    def prepare(self) -> None:
        """Have all maps and scenes made now, for hosts that do not wait long for their first frame."""
        for core in self.cores:
            core.pixels.prepare()

    def _plug(self, core: Core, bus: Bus | None) -> BuiltCamera:
        built = plug_usb(core, bus)
        self.loop.services.append(built.device)
        built.device.ep0.on_refusal = lambda reason: _tell(built, f"stays unconfigured: {reason}")
        self.attend(built)
        self.cameras.append(built)
        return built

    def attend(self, built: Plugged) -> None:
        """Look after a camera's cable, its lines on pins of this board, and what people are told of it."""
        self.loop.services.append(built.port)
        if built.spec.gpio:
            self._connect(built)
        built.port.listeners.append(partial(_tell, built))

    def _keep_ready(self, core: Core, lane: Lane) -> None:
        """Have maps and scene made when a host configures the camera, whose sensor starts up until they are, and freed
        when it is gone."""

        def made() -> None:
            core.camera.pixels_ready(True, self.loop.now_ns())
            core.wake(self.loop.now_ns())

        def configured(what: Happening, at_ns: int, _block_id: int) -> None:
            if what is Happening.DEVICE_CONFIGURED:
                core.camera.pixels_ready(False, at_ns)
                lane.run(core.pixels.prepare, made, 0)
            else:
                lane.run(core.pixels.release, lambda: None, 0)

        core.camera.happenings.listen(configured, Happening.DEVICE_CONFIGURED, Happening.DEVICE_UNCONFIGURED)

    def _connect(self, built: Plugged) -> None:
        """Connect the camera's lines to the pins of this board."""
        if self._simulated:
            raise Mistake("--gpio is about this board's pins, which know no clock but the real one")
        wiring = Wiring(
            self.loop,
            built.camera,
            built.spec.gpio,
            tick=built.tick,
            serve=lambda: built.wake(self.loop.now_ns()),
        )
        self._wirings.append(wiring)

    def _held(self) -> bool:
        """Whether a camera has something for a host that has no request for it."""
        return any(
            c.camera.frames.enabled
            and (c.camera.acquisition.active or c.camera.frames.in_flight > 0)
            and not c.device.has_request(STREAM_IN)
            for c in self.cameras
        )

    def _failed(self, error: Exception) -> None:
        """A frame could not be rendered: said once for each reason, and counted."""
        self.failures += 1
        reason = str(error) if isinstance(error, SceneError) else f"{type(error).__name__}: {error}"
        if reason != self._failure:
            self._failure = reason
            print(f"u3v: a frame could not be rendered: {reason}", file=sys.stderr, flush=True)
            if not isinstance(error, SceneError):
                log.error("a frame could not be rendered", exc_info=error)


@contextlib.contextmanager
def _loaded_engine(specs: list[CameraSpec]) -> Iterator[None]:
    """Meanwhile load the sensor engine, so that it is there before a host can ask for the first frame. It is compiled
    once per machine, which takes a minute."""
    sizes = {(spec.model, spec.model_files) for spec in specs}
    sensors = [find_model(name, files)[1] for name, files in sorted(sizes)]

    def load() -> None:
        for sensor in {sensor.colour: sensor for sensor in sensors}.values():
            FrameSource(sensor, parse_scene("uniform"), seed=0, width=16, height=16).prepare()

    with ThreadPoolExecutor(1, "load") as worker:
        loading = worker.submit(load)
        yield
        if wait([loading], PATIENCE_S).not_done:
            print("u3v: preparing the sensor engine (once per machine) ...", file=sys.stderr, flush=True)
        loading.result()


def _tell(built: Plugged, line: str) -> None:
    """What has become of a camera, for people."""
    name = f"{built.model.name} {built.camera.options.serial}"
    print(f"u3v: {name} {line}", file=sys.stderr, flush=True)
