"""Will these cameras fit on one bus? Rates from the camera cores' own timing, shares from the bus; no pixels.

A camera exposes at the slowest of its sensor, its exposure time, its own link rate (or the limit set on it).
What it offers goes through the bus, which is shared fairly; what does not fit is discarded in the camera once
its memory is full. Everything here is for a steady state: a camera's memory bridges a second or so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from frames.sensor import Sensor
from gadget.budget.bus import BusSpec, fair_shares
from gadget.budget.power import PowerModel, Supply
from gadget.catalogue import find_model
from gadget.feature_text import parse_camera
from gadget.runner import check_bus, set_feature
from gadget.tools.plots import COLOURS, GREY, LOST, Bars, bars
from u3v.camera import Camera, Options
from u3v.errors import GenCPError
from u3v.model import Model
from u3v.usb3v.bootstrap import USB3_VISION
from u3v.usb3v.function import UsbFunction


@dataclass(frozen=True, slots=True)
class PlannedCamera:
    """One camera of a plan. Rates are not rounded.

    `acquisition_fps`: what sensor and exposure allow. `offered_fps`: what the camera exposes, its own link and
    throughput limit included; `fps` of these arrive, `discarded_per_s` do not. `link_share`: part of the bus
    that it gets, 0 to 1. `power_w`, `current_ma`: at its port; `fault`: what the port does not stand, or "".
    """

    name: str
    settings: Mapping[str, str]
    payload_bytes: int
    acquisition_fps: float
    offered_fps: float
    fps: float
    discarded_per_s: float
    bytes_per_s: float
    link_share: float
    power_w: float
    current_ma: float
    fault: str

    @property
    def fits(self) -> bool:
        return not self.fault and self.discarded_per_s <= 1e-9 * self.offered_fps


@dataclass(frozen=True, slots=True)
class Plan:
    bus: BusSpec
    cameras: tuple[PlannedCamera, ...]

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
            "fits": self.fits,
            "cameras": [
                {
                    "name": c.name,
                    "settings": dict(c.settings),
                    "payload_bytes": c.payload_bytes,
                    "acquisition_fps": c.acquisition_fps,
                    "offered_fps": c.offered_fps,
                    "fps": c.fps,
                    "discarded_per_s": c.discarded_per_s,
                    "bytes_per_s": c.bytes_per_s,
                    "link_share": c.link_share,
                    "power_w": c.power_w,
                    "current_ma": c.current_ma,
                    "fault": c.fault,
                }
                for c in self.cameras
            ],
        }

    def lines(self) -> list[str]:
        """The table for people."""
        rate, bus = self.bus.bytes_per_s / 1e6, self.bus
        widest = max(len(c.name) for c in self.cameras)
        out = [f"{bus.name}: {rate:.1f} MB/s of payload"]
        if bus.other_bytes_per_s:
            out[0] += f", {self.other_share * rate:.1f} MB/s of it for other traffic"
        out.append(
            f"{'camera':{widest}}  {'sensor':>8} {'offered':>8} {'arrives':>8} {'dropped':>8}"
            f" {'MB/s':>7} {'of bus':>7} {'power':>7} {'current':>8}"
        )
        out.append(f"{'':{widest}}  {'fps':>8} {'fps':>8} {'fps':>8} {'fps':>8}")
        for c in self.cameras:
            out.append(
                f"{c.name:{widest}}  {c.acquisition_fps:8.2f} {c.offered_fps:8.2f} {c.fps:8.2f}"
                f" {c.discarded_per_s:8.2f} {c.bytes_per_s / 1e6:7.1f} {c.link_share * 100:6.1f}%"
                f" {c.power_w:5.2f} W {c.current_ma:5.0f} mA"
            )
        total = sum(c.link_share for c in self.cameras) + self.other_share
        watts = sum(c.power_w for c in self.cameras)
        out += [f"{c.name}: {c.fault}" for c in self.cameras if c.fault]
        lost = sum(c.discarded_per_s for c in self.cameras)
        verdict = "it fits" if self.fits else "it does not fit"
        if lost > 0:
            verdict += f": {lost:.2f} frames are lost each second"
        out.append(f"{verdict}; {total * 100:.1f} % of the bus, {watts:.2f} W in all")
        return out


def default_bus(wanted: Sequence[str], files: Sequence[Path] = ()) -> str:
    """The bus that the first camera is made for."""
    model, _ = find_model(parse_camera(wanted[0])[0], files)
    return "1gbe" if model.wire.startswith("GigE") else "5gbps"


def draw_plan(plan: Plan) -> Image.Image:
    """Link, frame rates and power as bars."""
    rate = plan.bus.bytes_per_s / 1e6
    names = [f"{number}  {c.name}" for number, c in enumerate(plan.cameras, 1)]
    colours = [COLOURS[index % len(COLOURS)] for index in range(len(plan.cameras))]
    shares = [(c.bytes_per_s / 1e6, colour) for c, colour in zip(plan.cameras, colours, strict=True)]
    used = sum(value for value, _ in shares) + plan.other_share * rate
    link = Bars(
        "The bus",
        "MB/s",
        [("", [*shares, (plan.other_share * rate, GREY)], f"{used:.1f} of {rate:.1f} ({used / rate:.0%})")],
        limit=rate,
    )
    frames = Bars(
        "Frames that arrive, and that are lost",
        "1/s",
        [
            (
                name,
                [(c.fps, colour), (c.discarded_per_s, LOST)],
                f"{c.fps:.2f} of {c.offered_fps:.2f}" + ("" if c.discarded_per_s < 0.005 else ": drops"),
            )
            for name, c, colour in zip(names, plan.cameras, colours, strict=True)
        ],
    )
    power = Bars(
        "Power at each port",
        "W",
        [
            (name, [(c.power_w, colour)], c.fault or f"{c.power_w:.2f} W, {c.current_ma:.0f} mA")
            for name, c, colour in zip(names, plan.cameras, colours, strict=True)
        ],
    )
    title = f"{len(plan.cameras)} camera{'s' * (len(plan.cameras) > 1)} on {plan.bus.name}: "
    title += "all frames arrive" if plan.fits else "it does not fit"
    notes = [
        f"{name}: " + ", ".join(f"{k}={v}" for k, v in c.settings.items())
        for name, c in zip(names, plan.cameras, strict=True)
    ]
    return bars(title, [link, frames, power], [note for note in notes if not note.endswith(": ")])


def plan(
    wanted: Sequence[str], bus: BusSpec, supply: Supply | None = None, files: Sequence[Path] = ()
) -> Plan:
    """What becomes of cameras "MODEL[:Feature=value,...]" on one bus. `files`: models besides the built-in ones.

    Raises Mistake, each one line for a person.
    """
    known = []
    for text in wanted:
        name, settings = parse_camera(text)
        model, sensor = find_model(name, files)
        check_bus(model, bus)
        power = PowerModel(model, speed=bus.speed, supply=supply)
        known.append((model, settings, camera_core(model, sensor, settings, power, bus).camera, power))
    periods = [camera.acquisition.period_ns() for _, _, camera, _ in known]
    wants = [
        camera.wire_bytes * 1e9 / period for (_, _, camera, _), period in zip(known, periods, strict=True)
    ]
    planned = []
    for (model, settings, camera, power), period_ns, want, share in zip(
        known, periods, wants, fair_shares(bus, wants), strict=True
    ):
        offered = 1e9 / period_ns
        fps = offered if share >= want * (1 - 1e-9) else share / camera.wire_bytes
        power.load(0, configured=True, bytes_per_s=fps * camera.wire_bytes)
        planned.append(
            PlannedCamera(
                name=model.name,
                settings=settings,
                payload_bytes=camera.wire_bytes,
                acquisition_fps=1e9 / sensor_period_ns(camera),
                offered_fps=offered,
                fps=fps,
                discarded_per_s=offered - fps,
                bytes_per_s=fps * camera.wire_bytes,
                link_share=fps * camera.wire_bytes / bus.bytes_per_s,
                power_w=power.power_w(),
                current_ma=power.current_ma(0),
                fault=power.fault(),
            )
        )
    return Plan(bus, tuple(planned))


def camera_core(
    model: Model, sensor: Sensor, settings: Mapping[str, str], power: PowerModel, bus: BusSpec
) -> UsbFunction:
    """A camera without pixels on a USB3 Vision wire, configured."""
    camera = Camera(model, sensor.timing, power, USB3_VISION, Options(slow_link=bus.slow_link))
    function = UsbFunction(camera)
    function.descriptors(bus.speed)
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
