"""A virtual USB3 Vision camera: `VirtualCamera` makes one, `Bench` several, `connect` finds one that runs.

Everything else in this package is how they are plugged into programs: USB device, link and power, transports,
tools and command line. The names here are loaded when they are first used, so that `import gadget` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gadget.control.client import connect
    from gadget.front_door.camera_verbs import CameraError, CameraTimeout
    from gadget.front_door.frame_stream import Frame
    from gadget.front_door.virtual_camera import Bench, VirtualCamera
    from gadget.runner import CameraSpec

__all__ = ["Bench", "CameraError", "CameraSpec", "CameraTimeout", "Frame", "VirtualCamera", "connect"]

_HOMES = {
    "Bench": "gadget.front_door.virtual_camera",
    "CameraError": "gadget.front_door.camera_verbs",
    "CameraSpec": "gadget.runner",
    "CameraTimeout": "gadget.front_door.camera_verbs",
    "Frame": "gadget.front_door.frame_stream",
    "VirtualCamera": "gadget.front_door.virtual_camera",
    "connect": "gadget.control.client",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'gadget' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
