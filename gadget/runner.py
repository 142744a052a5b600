"""The composition root: model + sensor + scene + surroundings become virtual cameras on a loop.

`build` makes one camera, `Bench` holds several with their loop and the worker thread that renders. The
worker is one thread: frames are rendered in the order they were exposed.
"""

import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from frames.pool import FramePool
from frames.scene import Scene, parse_scene
from frames.source import NO_DEFECTS, Defects, FrameSource
from gadget.budget.bus import Bus, BusSpec
from gadget.budget.power import PowerModel, Supply
from gadget.catalogue import find_model
from gadget.rendering import Job, RenderedCamera, run_inline
from gadget.time.loop import Loop
from gadget.time.simulated import SimulatedLoop
from gadget.time.slices import LONG_NS, ask_for_slices
from gadget.usb.device import UsbDevice
from gadget.usb.pcap import PcapWriter
from gadget.usb.port import Port
from gadget.user_set_file import UserSetFile
from u3v.camera import Camera, Options
from u3v.model import Model
from u3v.wire.usb import STREAM_IN, Speed

log = logging.getLogger(__name__)

DEFAULT_SCENE = "target"
FIRST_SERIAL = 40000001
PATIENCE_S = 2.0
PAUSE_S = 50e-6
PACED_PART_PX = 1 << 18
"""A paced camera has time for pauses each 0.2 ms: nobody waits for a processor for longer."""
SPARE_BUFFERS = 4
"""Frame buffers beyond the camera's own memory: those that a transport is still sending."""


@dataclass(slots=True)
class CameraSpec:
    """What a person says about a camera: the model, and how this one differs.

    `settings`: feature values from the start on. `state`: file that keeps the user sets. `offered_ma`: what
    the port supplies. `paced`: modelled frame rate and link, otherwise as fast as the host reads. `bus`: what
    all cameras of a bench share (None: each has a host controller of its own). `supply`: cable and heat.
    `clock`: one of gadget.time.simulated.CLOCKS, the same for all cameras of a bench.
    `defects`: row and column noise, hot pixels. `threads` render each frame.
    `model_files`: files of models besides the built-in ones.
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
    model_files: tuple[Path, ...] = ()


@dataclass(slots=True)
class VirtualCamera:
    """A built camera: its core, its pixels, its place on a port."""

    spec: CameraSpec
    model: Model
    camera: Camera
    rendered: RenderedCamera
    device: UsbDevice
    port: Port


def build(
    spec: CameraSpec,
    serial: str,
    run_job: Callable[[Job, Job], None] = run_inline,
    scene: Scene | None = None,
    bus: Bus | None = None,
) -> VirtualCamera:
    """One camera. Raises ModelError, SceneError, SensorError or ValueError, each one line for a person."""
    model, sensor = find_model(spec.model, spec.model_files)
    if spec.bus is not None:
        check_bus(model, spec.bus)
    store = UserSetFile(spec.state, model.name) if spec.state is not None else None
    options = Options(
        serial=serial,
        user_defined_name=spec.name,
        strict=spec.strict,
        paced=spec.paced,
        slow_link=spec.bus is not None and spec.bus.slow_link,
        user_sets=store.load() if store is not None else {},
        save_user_sets=store.save if store is not None else None,
    )
    power = PowerModel(model, speed=spec.speed, supply=spec.supply)
    camera = Camera(model, sensor.timing, power, options)
    for name, text in spec.settings.items():
        set_feature(camera, name, text)
    width, height = model.integer("width_max_px"), model.integer("height_max_px")
    seed = spec.seed if spec.seed is not None else int(camera.identity.guid[4:], 16)
    source = FrameSource(
        sensor,
        scene or parse_scene(spec.scene),
        seed=seed,
        width=width,
        height=height,
        threads=spec.threads,
        defects=spec.defects,
    )
    _enter_defects(camera, source)
    smallest = width * height
    count = model.integer("frame_memory_bytes") // smallest + SPARE_BUFFERS
    largest = max(source.payload_size(width, height, name) for name in model.pixel_formats)
    pool = FramePool(count, largest)
    rendered = RenderedCamera(camera, source, pool, run_job, sensor.black_level_dn12)
    device = UsbDevice(rendered, speed=spec.speed, paced=spec.paced, bus=bus, offered_ma=spec.offered_ma)
    return VirtualCamera(spec, model, camera, rendered, device, Port(device, camera, power))


def check_bus(model: Model, bus: BusSpec) -> None:
    """Raises ValueError where a camera does not fit a bus."""
    if bus.ethernet != model.wire.startswith("GigE"):
        kind = "an Ethernet" if bus.ethernet else "a USB"
        fitting = "5gbps, 10gbps or 480mbps" if bus.ethernet else "1gbe or 100mbe"
        raise ValueError(f"{model.name} has {model.wire}, {bus.name} is {kind} bus: use --bus {fitting}")


def _enter_defects(camera: Camera, source: FrameSource) -> None:
    """The factory's entries in the camera's defect pixel list, where it has one: the hottest pixels."""
    if "DefectPixelListIndex" not in camera.features:
        return
    for index, (x, y) in enumerate(source.corrected):
        for name, value in (("Active", True), ("PosX", x), ("PosY", y)):
            camera.features.set(f"DefectPixelListEntry{name}", value, DefectPixelListIndex=index)


def set_feature(camera: Camera, name: str, text: str) -> None:
    """Set a feature from text, with the checks a host's write gets. Raises ValueError, one line."""
    from gadget.feature_text import parse_value

    feature, value = parse_value(camera, name, text)
    feature.check(camera, value)
    camera.features.set(name, value)
    if feature.written is not None:
        feature.written(camera)


class Bench:
    """Cameras, the loop they live on and the thread that renders for them. A context manager."""

    def __init__(self, specs: Iterable[CameraSpec], pcap: Path | None = None) -> None:
        specs = list(specs)
        self.cameras: list[VirtualCamera] = []
        self._simulated = bool(specs) and specs[0].clock != "real"
        self.loop = (
            SimulatedLoop(self._held, lockstep=specs[0].clock == "lockstep") if self._simulated else Loop()
        )
        self._queued: deque[Job] = deque()
        self._worker = ThreadPoolExecutor(1, "render", ask_for_slices, (LONG_NS,))
        self._pcap: PcapWriter | None = None
        try:
            bus: Bus | None = None
            for index, spec in enumerate(specs):
                serial = spec.serial or str(FIRST_SERIAL + index)
                if bus is None and spec.bus is not None:
                    bus = spec.bus.bus()
                # A simulated clock stands still while a frame is rendered.
                run_job = run_inline if self._simulated else self._run_job
                self._add(build(spec, serial, run_job, bus=bus))
            self._warm_up()
            if pcap is not None:
                self._pcap = PcapWriter(pcap)
                for index, built in enumerate(self.cameras):
                    self._pcap.attach(built.device, bus=1, address=2 + index)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._worker.shutdown(cancel_futures=True)
        for built in self.cameras:
            built.rendered.source.close()
        if self._pcap is not None:
            self._pcap.close()
        self.loop.close()

    def _add(self, built: VirtualCamera) -> None:
        device = built.device
        if isinstance(self.loop, SimulatedLoop) and self.loop.is_lockstep:
            built.camera.options.advance_clock = self.loop.advance
        if not self._simulated:
            built.rendered.source.pause = self._breathe
            if built.spec.paced:
                built.rendered.source.part_px = PACED_PART_PX
            built.rendered.on_frame = lambda _now_ns: device.service(self.loop.now_ns())
        self.loop.services.append(device)
        self.loop.services.append(built.port)
        name = f"{built.model.name} {built.camera.options.serial}"
        built.port.report = lambda line: print(f"u3v: {name} {line}", file=sys.stderr, flush=True)
        self.cameras.append(built)

    def _held(self) -> bool:
        """Whether a camera has something for a host that has no request for it."""
        return any(
            c.camera.stream.enabled
            and (c.camera.acquisition.active or c.camera.stream.in_flight > 0)
            and not c.device.has_request(STREAM_IN)
            for c in self.cameras
        )

    def _warm_up(self) -> None:
        """Have everything compiled and tabulated before a host can ask for the first frame."""
        jobs = [self._worker.submit(built.rendered.warm_up) for built in self.cameras]
        _done, waiting = wait(jobs, PATIENCE_S)
        if waiting:
            print("preparing the sensor engine (compiled once per machine) ...", file=sys.stderr, flush=True)
        for job in jobs:
            job.result()

    def _breathe(self) -> None:
        """In the middle of a frame: let whoever waits for this processor have it, unless frames wait too.

        A thread that wakes up may have to wait for the next tick (4 ms) until it can interrupt this one.
        """
        if not self._queued:
            time.sleep(PAUSE_S)

    def _run_job(self, render: Job, done: Job) -> None:
        def job() -> None:
            self._queued.popleft()
            try:
                render()
            except Exception:
                log.exception("a frame could not be rendered")
            self.loop.call_threadsafe(done)

        self._queued.append(job)
        self._worker.submit(job)


def tell_refusals(cameras: Iterable[VirtualCamera]) -> None:
    """Say it on stderr where a port offers too little for a camera to be configured."""
    for built in cameras:
        name = f"{built.model.name} {built.camera.options.serial}"
        built.device.ep0.on_refusal = partial(_tell_refusal, name)


def _tell_refusal(name: str, reason: str) -> None:
    print(f"u3v: {name} stays unconfigured: {reason}", file=sys.stderr, flush=True)
