"""A virtual USB3 Vision camera: `VirtualCamera` makes one, `Bench` several, `connect` finds one that runs.

Everything else in this package is how they are plugged into programs: USB device, link and power, transports,
tools and command line. The names here are loaded when they are first used, so that `import gadget` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gadget.camera_verbs import CameraError, CameraTimeout
    from gadget.control.client import connect
    from gadget.frame_stream import Frame
    from gadget.runner import CameraSpec
    from gadget.virtual_camera import Bench, VirtualCamera

__all__ = ["Bench", "CameraError", "CameraSpec", "CameraTimeout", "Frame", "VirtualCamera", "connect"]

_HOMES = {
    "Bench": "gadget.virtual_camera",
    "CameraError": "gadget.camera_verbs",
    "CameraSpec": "gadget.runner",
    "CameraTimeout": "gadget.camera_verbs",
    "Frame": "gadget.frame_stream",
    "VirtualCamera": "gadget.virtual_camera",
    "connect": "gadget.control.client",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'gadget' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
