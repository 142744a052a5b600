"""EMVA 1288's reference implementation judges frames taken through the whole camera: features set over GenCP,
software triggers, the stream channel, 12-bit packing. Each of the sensors, in a climate chamber at the
temperature that its dark current is stated for.
"""

import dataclasses
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from frames.packing import unpack
from frames.scene import Uniform
from frames.sensor import Sensor
from gadget.budget.power import PowerModel
from gadget.loopback import LoopbackBus
from gadget.runner import CameraSpec, build
from tests.emva import Found, Plan, Shot, characterise, disagreements
from u3v.host.client import U3VClient
from u3v.host.nodes import DeviceNodes
from u3v.host.stream import StreamReader
from u3v.model import Model

pytestmark = pytest.mark.patient
MODELS = {
    "acA4096-40um": ("Mono12p", 640, 480),
    "acA4096-11gm": ("Mono12p", 640, 480),
    "acA4112-8gm": ("Mono12p", 640, 480),
    "VCXG-124M": ("Mono12p", 640, 480),
    "IDS-IMX412": ("BayerGR12g24IDS", 1284, 960),
    "U3V-Color": ("BayerRG12p", 1280, 960),
}
DARK_EXPOSURES_US = (1e4, 4e5, 8e5, 1.2e6, 1.6e6)
FRAME_TIMEOUT_MS = 60_000


class ClimateChamber(PowerModel):
    """Power as usual, temperature held."""

    def __init__(self, model: Model, temperature_c: float) -> None:
        super().__init__(model)
        self._held_c = temperature_c

    def temperature_c(self, now_ns: int) -> float:
        return self._held_c

    def reaches_ns(self, temperature_c: float, now_ns: int) -> int | None:
        return None


class WholeCamera:
    """A camera on a bench, behind an in-process bus on a clock of its own. Of colour ones the green pixels count."""

    def __init__(self, model: str) -> None:
        pixel_format, self.width, self.height = MODELS[model]
        self.scene = Uniform(nm=546.0)
        virtual = build(CameraSpec(model), "40000001", scene=self.scene)
        self.sensor: Sensor = virtual.pixels.source.sensor
        self.scene.nm = self.sensor.wavelength_nm
        virtual.camera.surroundings = ClimateChamber(virtual.model, self.sensor.dark_current_at_c)
        self.core = virtual.camera
        client = U3VClient(LoopbackBus(virtual.function))
        client.open()
        self.nodes = DeviceNodes(client)
        settings = {
            "OffsetX": 0,
            "OffsetY": 0,
            "Width": self.width,
            "Height": self.height,
            "PixelFormat": pixel_format,
            "TriggerSelector": "ExposureStart" if model.startswith("IDS") else "FrameStart",
            "TriggerMode": "On",
            "TriggerSource": "Software",
            "BlackLevel": 32,
        }
        for name, value in settings.items():
            if self.nodes.has(name):
                self.nodes.set(name, value)
        self.pixel_format = pixel_format
        self.exposure_us = 0.0
        self.reader = StreamReader(client)
        self.reader.start([bytearray(self.reader.buffer_bytes) for _ in range(2)])
        self.nodes.execute("AcquisitionStart")

    def grab(self, shot: Shot) -> npt.NDArray[np.uint16]:
        self.scene.photons = shot.photons / (shot.exposure_us * 1e-6)
        if shot.exposure_us != self.exposure_us:
            self.nodes.set("ExposureTime", shot.exposure_us)
            self.exposure_us = shot.exposure_us
        self.nodes.execute("TriggerSoftware")
        frame = self.reader.next_frame(FRAME_TIMEOUT_MS)
        assert frame.complete, frame.reason
        count = self.width * self.height
        picture = unpack(np.frombuffer(frame.payload, np.uint8), count, self.pixel_format)
        self.reader.release(frame)
        step = 1 if self.sensor.colour == "mono" else 2
        first = int(self.sensor.colour == "RG")
        return np.ascontiguousarray(picture.reshape(self.height, self.width)[::step, first::step])


@cache
def found(model: str) -> tuple[Found, Sensor]:
    camera = WholeCamera(model)
    plan = Plan(
        camera.sensor.saturation_e / camera.sensor.quantum_efficiency, dark_exposures_us=DARK_EXPOSURES_US
    )
    return characterise(camera.grab, plan), camera.sensor


@pytest.mark.parametrize("model", MODELS)
def test_the_reference_finds_the_figures_of_the_sensor(model: str) -> None:
    figures, sensor = found(model)
    assert disagreements(figures, sensor) == []


def test_baumers_printed_figures_come_out_of_its_camera() -> None:
    """2 e-, 9500 e-, 71 dB, 40 dB, 67.3 % (VCXG-124M data sheet)."""
    figures, _ = found("VCXG-124M")
    assert round(figures.dark_noise_e) == 2
    assert figures.saturation_e == pytest.approx(9500, rel=0.015)
    assert (round(figures.dynamic_range_db), round(figures.snr_max_db)) == (71, 40)
    assert figures.quantum_efficiency == pytest.approx(0.673, rel=0.005)


Breaker = Callable[[WholeCamera], Callable[[Shot], npt.NDArray[np.uint16]]]


def curved(camera: WholeCamera) -> Callable[[Shot], npt.NDArray[np.uint16]]:
    """A gamma of 0.97."""

    def grab(shot: Shot) -> npt.NDArray[np.uint16]:
        return np.rint(4095 * (camera.grab(shot) / 4095) ** 0.97).astype(np.uint16)

    return grab


def frozen(camera: WholeCamera) -> Callable[[Shot], npt.NDArray[np.uint16]]:
    """The same noise in every frame: the count of exposures stands still."""

    def grab(shot: Shot) -> npt.NDArray[np.uint16]:
        camera.core.acquisition.exposed = 0
        return camera.grab(shot)

    return grab


@pytest.mark.parametrize("breaker", [curved, frozen], ids=lambda b: b.__name__)
def test_a_broken_camera_fails(breaker: Breaker) -> None:
    camera = WholeCamera("acA4096-40um")
    plan = Plan(
        camera.sensor.saturation_e / camera.sensor.quantum_efficiency, dark_exposures_us=DARK_EXPOSURES_US
    )
    assert disagreements(characterise(breaker(camera), dataclasses.replace(plan, points=33)), camera.sensor)
