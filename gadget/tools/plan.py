"""Will these cameras fit on one bus? Rates from the camera cores' own timing, shares from the bus; no pixels.

A camera exposes at the slowest of its sensor, its exposure time, its own link rate (or the limit set on it).
What it offers goes through the bus, which is shared fairly; what does not fit is discarded in the camera once
its memory is full. Everything here is for a steady state: a camera's memory bridges a second or so, and its
temperature is the one it has after hours.

A plan holds what `u3v run` would meet as well: a port that refuses a camera its configuration, a supply that
does not stand the load, air too hot for it. Such a camera does not fit, whatever the bus says.

Where it is said how fast a machine renders (`Machine`), frames that it cannot make in time are lost as well; a scene
cache repeats those it has made, so rendering is no limit then, and takes memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import floor, log10
from pathlib import Path
from typing import Any

from frames.sensor import Sensor
from gadget.budget.bus import BusSpec, fair_shares
from gadget.budget.power import PowerModel, Supply
from gadget.catalogue import find_model
from gadget.feature_text import parse_camera
from gadget.runner import check_bus, set_feature
from gadget.usb.device import UsbDevice
from gadget.usb.endpoint0 import SET_CONFIGURATION
from gadget.usb.in_pipe import Urb
from u3v.camera import Camera, Options
from u3v.errors import GenCPError
from u3v.model import Model
from u3v.usb3v.bootstrap import USB3_VISION
from u3v.usb3v.function import UsbFunction

LIMIT = "DeviceLinkThroughputLimit"


@dataclass(frozen=True, slots=True)
class Machine:
    """What runs the cameras. `pixels_per_s`: what it renders for all of them together, None where that is no limit;
    `scene_cache`: frames of each camera that are rendered and then repeated in turn, 0 for none."""

    pixels_per_s: float | None = None
    scene_cache: int = 0

    def share(self, wanted_px_per_s: float) -> float:
        """The part of these pixels that is made in time, 0 to 1."""
        if self.scene_cache or self.pixels_per_s is None or wanted_px_per_s <= self.pixels_per_s:
            return 1.0
        return self.pixels_per_s / wanted_px_per_s


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a camera exposes: frames per second, and what each of them is."""

    fps: float
    payload_bytes: int
    pixels: int


@dataclass(frozen=True, slots=True)
class PlannedCamera:
    """One camera of a plan. Rates are not rounded.

    `acquisition_fps`: what sensor and exposure allow. `offered_fps`: what the camera exposes, its own link and
    throughput limit included; `fps` of these arrive, `discarded_per_s` do not. `limited_by`: what decides on
    `fps` (sensor, exposure, frame rate, link, throughput limit, image buffer, rendering, bus, port). `link_share`:
    part of the bus that it gets, 0 to 1. `suggested_limit_bytes_per_s`: the throughput limit with which it loses no
    frame; None where it loses none, or loses them at any limit. `scene_cache_bytes`: memory of its scene cache.
    `power_w`, `current_ma`: at its port. `steady_c`, `status`: the temperature it ends at, and what it calls that (""
    where it says nothing). `fault`: what keeps it from working at all, or "".
    """

    number: int
    name: str
    settings: Mapping[str, str]
    payload_bytes: int
    acquisition_fps: float
    offered_fps: float
    fps: float
    discarded_per_s: float
    limited_by: str
    bytes_per_s: float
    link_share: float
    suggested_limit_bytes_per_s: int | None
    scene_cache_bytes: int
    power_w: float
    current_ma: float
    steady_c: float
    status: str
    fault: str

    @property
    def fits(self) -> bool:
        return not self.fault and self.discarded_per_s <= 1e-9 * self.offered_fps

    @property
    def suggestion(self) -> str:
        """The setting with which it fits, as one types it; or ""."""
        if self.suggested_limit_bytes_per_s is None:
            return ""
        mode = f"{LIMIT}Mode=On," if self.settings.get(f"{LIMIT}Mode") == "Off" else ""
        return f"{mode}{LIMIT}={self.suggested_limit_bytes_per_s}"


@dataclass(frozen=True, slots=True)
class Plan:
    bus: BusSpec
    cameras: tuple[PlannedCamera, ...]
    machine: Machine = Machine()

    @property
    def fits(self) -> bool:
        return all(camera.fits for camera in self.cameras)

    @property
    def other_share(self) -> float:
        """What other traffic takes of the bus, 0 to 1."""
        left = 1 - sum(camera.link_share for camera in self.cameras)
        return min(self.bus.other_bytes_per_s / self.bus.bytes_per_s, max(0.0, left))

    def as_json(self) -> dict[str, Any]:
        return {
            "bus": self.bus.name,
            "bus_bytes_per_s": self.bus.bytes_per_s,
            "other_bytes_per_s": self.bus.other_bytes_per_s,
            "scene_cache": self.machine.scene_cache,
            "fits": self.fits,
            "cameras": [asdict(camera) for camera in self.cameras],
        }

    def lines(self) -> list[str]:
        """The table for people."""
        rate, bus = self.bus.bytes_per_s / 1e6, self.bus
        widest = max(len(c.name) for c in self.cameras)
        out = [f"{bus.name}: {rate:.1f} MB/s of payload"]
        if bus.other_bytes_per_s:
            out[0] += f", {self.other_share * rate:.1f} MB/s of it for other traffic"
        out.append(
            f" #  {'camera':{widest}}  {'sensor':>7} {'offered':>8} {'arrives':>8} {'dropped':>8}"
            f"  {'limited by':16} {'MB/s':>6} {'of bus':>7} {'power':>7} {'current':>8}  steady"
        )
        out.append(f"    {'':{widest}}  {'fps':>7} {'fps':>8} {'fps':>8} {'fps':>8}")
        for c in self.cameras:
            row = (
                f"{c.number:2}  {c.name:{widest}}  {c.acquisition_fps:7.2f} {c.offered_fps:8.2f} {c.fps:8.2f}"
                f" {c.discarded_per_s:8.2f}  {c.limited_by:16} {c.bytes_per_s / 1e6:6.1f}"
                f" {c.link_share * 100:6.1f}% {c.power_w:5.2f} W {c.current_ma:5.0f} mA"
                f"  {c.steady_c:.0f} C {c.status}"
            )
            out.append(row.rstrip())
            if c.settings:
                out.append("    " + ", ".join(f"{key}={value}" for key, value in c.settings.items()))
        return (
            out
            + [f"{c.number}  {c.name}: {c.fault}" for c in self.cameras if c.fault]
            + self._kept()
            + self._verdict()
        )

    def _kept(self) -> list[str]:
        """What a scene cache means."""
        count = self.machine.scene_cache
        if not count:
            return []
        memory = sum(c.scene_cache_bytes for c in self.cameras) / 1e6
        return [
            f"scene cache: {count} frame{'s' * (count > 1)} of each camera, {memory:.1f} MB of memory"
        ] + [f" {c.number}  pixels repeat every {count / c.fps:.2f} s" for c in self.cameras if c.fps]

    def _verdict(self) -> list[str]:
        total = sum(c.link_share for c in self.cameras) + self.other_share
        watts = sum(c.power_w for c in self.cameras)
        lost = sum(c.discarded_per_s for c in self.cameras)
        verdict = "it fits" if self.fits else "it does not fit"
        if lost > 0:
            verdict += f": {lost:.2f} frames are lost each second"
        out = [f"{verdict}; {total * 100:.1f} % of the bus, {watts:.2f} W in all"]
        suggestions = [
            f" {c.number}  {c.suggestion}  ({c.suggested_limit_bytes_per_s / c.payload_bytes:.2f} fps)"
            for c in self.cameras
            if c.suggested_limit_bytes_per_s is not None
        ]
        return out + ["no frame is lost with these limits:"] * bool(suggestions) + suggestions


def default_bus(wanted: Sequence[str], files: Sequence[Path] = ()) -> str:
    """The bus that the first camera is made for."""
    model, _ = find_model(parse_camera(wanted[0])[0], files)
    return "1gbe" if model.wire.startswith("GigE") else "5gbps"


@dataclass(frozen=True, slots=True)
class Plugged:
    """A camera without pixels on a port that has power."""

    model: Model
    settings: Mapping[str, str]
    camera: Camera
    power: PowerModel
    device: UsbDevice

    def configure(self, now_ns: int) -> str:
        """What the host does before it talks to the camera: why the port refuses it, or ""."""
        reasons: list[str] = []
        self.device.ep0.on_refusal = reasons.append
        self.device.ep0.refused = False
        setup = bytes((0, SET_CONFIGURATION, 1, 0, 0, 0, 0, 0))
        self.device.submit(Urb(0, 0, setup=setup), now_ns)
        return "".join(reasons)


def plug(wanted: str, bus: BusSpec, supply: Supply | None, files: Sequence[Path] = ()) -> Plugged:
    """ "MODEL[:Feature=value,...]" on a port of its own. Raises Mistake, one line."""
    name, settings = parse_camera(wanted)
    model, sensor = find_model(name, files)
    check_bus(model, bus)
    power = PowerModel(model, speed=bus.speed, supply=supply)
    function = camera_core(model, sensor, settings, power, bus)
    offered_ma = None if supply is None or supply.port_ma is None else int(supply.port_ma)
    device = UsbDevice(function, speed=bus.speed, offered_ma=offered_ma)
    return Plugged(model, settings, function.camera, power, device)


def plan(
    wanted: Sequence[str],
    bus: BusSpec,
    supply: Supply | None = None,
    files: Sequence[Path] = (),
    machine: Machine = Machine(),
) -> Plan:
    """What becomes of cameras "MODEL[:Feature=value,...]" on one bus. `files`: models besides the built-in ones.
    `machine`: what renders their frames.

    Raises Mistake, each one line for a person.
    """
    cameras = [plug(text, bus, supply, files) for text in wanted]
    refusals = [plugged.configure(0) for plugged in cameras]
    wants = [wanted_by(plugged, refusal) for plugged, refusal in zip(cameras, refusals, strict=True)]
    made = machine.share(sum(want.fps * want.pixels for want in wants))
    shares = fair_shares(bus, [made * want.fps * want.payload_bytes for want in wants])
    return Plan(
        bus,
        tuple(
            _planned(number, *each, made, bus, machine)
            for number, each in enumerate(zip(cameras, refusals, wants, shares, strict=True), 1)
        ),
        machine,
    )


def wanted_by(plugged: Plugged, refusal: str) -> Wanted:
    """What a camera exposes; nothing where the port refuses it."""
    camera = plugged.camera
    settings = camera.exposure(0, 0, 0, 0).settings
    fps = 0.0 if refusal else 1e9 / camera.acquisition.period_ns()
    return Wanted(fps, camera.wire_bytes, settings.width * settings.height)


def _planned(
    number: int,
    plugged: Plugged,
    refusal: str,
    want: Wanted,
    share: float,
    made: float,
    bus: BusSpec,
    machine: Machine,
) -> PlannedCamera:
    """One camera: of the frames it wants to give, the part `made` is rendered in time, and of these so many bytes/s
    find room on the bus."""
    camera, power = plugged.camera, plugged.power
    payload_bytes, offered = want.payload_bytes, want.fps
    is_crowded = share < made * offered * payload_bytes * (1 - 1e-9)
    fps = share / payload_bytes if is_crowded else made * offered
    limit = "bus" if is_crowded else "rendering" if made < 1 else limited_by(camera)
    lossy = is_crowded or made < 1
    if not refusal:
        power.load(0, configured=True, bytes_per_s=fps * payload_bytes)
    steady_c, limits = power.final_temperature_c(), camera.thermal.limits
    return PlannedCamera(
        number=number,
        name=plugged.model.name,
        settings=plugged.settings,
        payload_bytes=payload_bytes,
        acquisition_fps=1e9 / sensor_period_ns(camera),
        offered_fps=offered,
        fps=fps,
        discarded_per_s=offered - fps,
        limited_by="port" if refusal else limit,
        bytes_per_s=fps * payload_bytes,
        link_share=fps * payload_bytes / bus.bytes_per_s,
        suggested_limit_bytes_per_s=_suggested(plugged.model, fps * payload_bytes) if lossy and fps else None,
        scene_cache_bytes=machine.scene_cache * payload_bytes,
        power_w=power.power_w(),
        current_ma=power.current_ma(0),
        steady_c=steady_c,
        status=limits.status_at(round(steady_c)) if limits is not None else "",
        fault=f"stays unconfigured: {refusal}" if refusal else power.fault() or overheats(plugged),
    )


def overheats(plugged: Plugged) -> str:
    """What is wrong with the temperature that the camera would end at; or ""."""
    steady_c, limits = plugged.power.final_temperature_c(), plugged.camera.thermal.limits
    if limits is not None and round(steady_c) >= limits.stop_c:
        return f"overheats: on its way to {steady_c:.0f} C, its images stop at {limits.stop_c} C"
    housing_c = plugged.model.number("operating_temperature_max_c")
    if plugged.power.ambient_c > housing_c:
        return f"too hot: air of {plugged.power.ambient_c:g} C, its data sheet allows a housing of {housing_c:g} C"
    return ""


def limited_by(camera: Camera) -> str:
    """What decides on the rate at which the camera exposes: the slowest of all that takes time."""
    acquisition, features = camera.acquisition, camera.features
    limit_is_on = features.get_or(f"{LIMIT}Mode", "On") == "On"
    limits = limit_is_on and camera.throughput_bytes_per_s >= features.get(LIMIT)
    periods_ns = {
        "sensor": acquisition.timing.frame_period_ns(camera.sensor_rows, 0, 0),
        "exposure": acquisition.sensor_period_ns(),
        "throughput limit" if limits else "link": int(
            camera.wire_bytes * 1e9 / camera.throughput_bytes_per_s
        ),
        "frame rate": sensor_period_ns(camera),
    }
    slowest = max(periods_ns, key=periods_ns.__getitem__)
    return slowest if periods_ns[slowest] >= acquisition.period_ns() else "image buffer"


def _suggested(model: Model, share_bytes_per_s: float) -> int | None:
    """A throughput limit of four digits that stays within a share; None where the camera goes no lower."""
    digit = 10 ** max(0, floor(log10(share_bytes_per_s)) - 3)
    limit = int(share_bytes_per_s / digit) * digit
    return limit if limit >= model.integer("throughput_min_bytes_per_s") else None


def camera_core(
    model: Model, sensor: Sensor, settings: Mapping[str, str], power: PowerModel, bus: BusSpec
) -> UsbFunction:
    """A camera without pixels on a USB3 Vision wire, configured."""
    camera = Camera(model, sensor.timing, power, USB3_VISION, Options(slow_link=bus.slow_link))
    function = UsbFunction(camera)
    function.use_speed(bus.speed)
    for name, text in settings.items():
        try:
            set_feature(camera, name, text)
        except GenCPError:
            if name != "ExposureTime" or "ShortExposureTimeEnable" not in camera.features.declared:
                raise
            set_feature(camera, "ShortExposureTimeEnable", "1")  # who asks for 1 us means that range
            set_feature(camera, name, text)
    return function


def sensor_period_ns(camera: Camera) -> int:
    """From one exposure to the next as far as sensor, exposure and the frame rate that was set go."""
    features = camera.features
    period_ns = camera.acquisition.sensor_period_ns()
    if features.get_or("AcquisitionFrameRateEnable", False):
        period_ns = max(period_ns, int(1e9 / features.get("AcquisitionFrameRate")))
    return period_ns
