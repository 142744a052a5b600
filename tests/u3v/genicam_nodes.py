"""The reference GenApi over a camera's register space."""

from collections.abc import Callable
from typing import Any

import genicam.genapi as genapi  # type: ignore[import-untyped]

from u3v.camera import Camera
from u3v.features import Feature
from u3v.gev.bootstrap import WireOptions
from u3v.gev.bootstrap import xml_text as gige_xml
from u3v.usb3v.bootstrap import xml_text as usb_xml

Access = genapi.EAccessMode


def document(camera: Camera) -> str:
    """The XML that hosts read from it."""
    if camera.wire.name_space == "GEV":
        return gige_xml(camera, WireOptions.of(camera.model))
    return usb_xml(camera)


def shown(camera: Camera) -> list[Feature]:
    """Its features that hosts have nodes for."""
    return [feature for feature in camera.features if not feature.hidden]


class Port(genapi.AbstractPort):  # type: ignore[misc]
    """GenApi's way to the registers. `accesses` records them: ("R" or "W", address, length)."""

    def __init__(self, read: Callable[[int, int], bytes], write: Callable[[int, bytes], object]) -> None:
        super().__init__()
        self.accesses: list[tuple[str, int, int]] = []
        self._read = read
        self._write = write

    def read(self, address: int, length: int) -> bytes:
        self.accesses.append(("R", address, length))
        return self._read(address, length)

    def write(self, address: int, data: bytes) -> None:
        self.accesses.append(("W", address, len(data)))
        self._write(address, bytes(data))

    def get_access_mode(self) -> Any:
        return Access.RW


class Nodes:
    """A node map of the camera's XML, on its registers or on a `port` to them. The objects refer to each other: keep
    this one while any is in use."""

    def __init__(self, camera: Camera, port: Port | None = None) -> None:
        self.port = port or Port(camera.memory.host_read, camera.memory.host_write)
        self.map = genapi.NodeMap()
        self.map.load_xml_from_string(document(camera))
        self.map.connect(self.port, "Device")

    def __getitem__(self, name: str) -> Any:
        node = self.map.get_node(name)
        assert node is not None, name
        return node

    def names(self) -> list[str]:
        return [node.node.name for node in self.map.nodes]

    def access(self, name: str) -> int:
        return int(self[name].get_access_mode())


__all__ = ["Access", "Nodes", "Port", "document", "genapi", "shown"]
