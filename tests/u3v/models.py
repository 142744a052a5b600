"""Cameras of every model, with their own sensor's timing, on the protocol tests' rig."""

from frames.sensor import load_sensor
from tests.u3v.rig import Host, Room
from u3v.camera import Camera, Options
from u3v.features import Value
from u3v.model import load_model, model_names
from u3v.usb3v.bootstrap import USB3_VISION

NAMES = model_names()
ACE, ACE_11, ACE_8 = "acA4096-40um", "acA4096-11gm", "acA4112-8gm"
IDS, VCX = "IDS-IMX412", "VCXG-124M"
GENERIC = "U3V-Color"


def camera_of(name: str, settings: dict[str, Value] | None = None, options: Options | None = None) -> Camera:
    model = load_model(name)
    camera = Camera(model, load_sensor(model.sensor).timing, Room(), USB3_VISION, options)
    for feature, value in (settings or {}).items():
        camera.features.set(feature, value)
    return camera


def host_of(name: str, settings: dict[str, Value] | None = None, options: Options | None = None) -> Host:
    return Host(camera_of(name, settings, options))
