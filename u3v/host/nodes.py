"""Features of a camera by name, over its own GenICam XML.

The GenICam reference implementation (PyPI package `genicam`) does the thinking: it loads the XML, follows its
formulas and access rules and reads and writes registers through a `U3VClient` (or what else can do that). State:
its node map, which caches what the XML allows it to. It is imported only when nodes are made. Not thread safe.
"""

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from u3v.did_you_mean import hint
from u3v.errors import GenCPError, Malformed, U3VError

FeatureValue = bool | int | float | str

_TRUE, _FALSE = ("true", "1", "on", "yes"), ("false", "0", "off", "no")
_READABLE, _WRITABLE = ("RO", "RW"), ("WO", "RW")


class FeatureError(U3VError):
    """A feature that is not there, not accessible now, or does not take the value. One line."""


@dataclass(frozen=True, slots=True)
class FeatureInfo:
    """What a feature is now. `access`: NI, NA, WO, RO or RW. Limits only where the kind has them."""

    name: str
    kind: str
    access: str
    unit: str = ""
    minimum: float | int | None = None
    maximum: float | int | None = None
    increment: float | int | None = None
    entries: tuple[str, ...] = ()
    tooltip: str = ""


class XmlText(Protocol):
    """A device description; `text` is the XML itself."""

    @property
    def text(self) -> bytes: ...


class Registers(Protocol):
    """What nodes need of a camera: `U3VClient` is one."""

    def read(self, address: int, count: int, /) -> bytes: ...

    def write(self, address: int, data: bytes, /) -> None: ...

    def xml(self) -> XmlText: ...


class DeviceNodes:
    """The features of one camera. Downloads the XML unless `xml` is given.

    Raises U3VError without the package `genicam`, Malformed where it does not accept the XML, and what
    `U3VClient.xml` raises.
    """

    def __init__(self, client: Registers, xml: XmlText | None = None) -> None:
        self._genapi = _import_genapi()
        self.xml = client.xml() if xml is None else xml
        self._map = self._genapi.NodeMap()
        try:
            self._map.load_xml_from_string(self.xml.text.decode("utf-8"))
        except (self._genapi.GenericException, UnicodeDecodeError) as error:
            raise Malformed(f"the camera's XML is refused: {_first_line(error)}") from error
        self._port = _make_port(self._genapi, client)
        nodes = list(self._map.nodes)
        self._forget = [node.node.invalidate_node for node in nodes]
        ports = [node for node in nodes if _kind(self._genapi, node) == "Port"]
        of_device = [port.node.name for port in ports if not (port.node.event_id or port.chunk_id)]
        connected = [self._map.connect(self._port, name) for name in of_device]
        if not any(connected):
            raise Malformed("the camera's XML has no port to connect to")

    @property
    def map(self) -> Any:
        """The reference implementation's own node map."""
        return self._map

    def refresh(self) -> None:
        """Forget every value that was cached: the camera may have changed it."""
        for forget in self._forget:
            forget()

    def names(self) -> list[str]:
        """The features reachable from the category Root, in the XML's order."""
        found: dict[str, None] = {}
        todo = ["Root"] if self._map.has_node("Root") else []
        seen = set(todo)
        while todo:
            for feature in self._map.get_node(todo.pop(0)).features:
                name = feature.node.name
                if _kind(self._genapi, feature) != "Category":
                    found[name] = None
                elif name not in seen:
                    seen.add(name)
                    todo.append(name)
        return list(found)

    def has(self, name: str) -> bool:
        """Whether there is such a feature and the camera implements it."""
        return bool(self._map.has_node(name)) and self._access(self._map.get_node(name)) != "NI"

    def info(self, name: str) -> FeatureInfo:
        """Raises FeatureError for an unknown name."""
        node = self._node(name)
        kind, access = _kind(self._genapi, node), self._access(node)
        tooltip = node.node.tooltip or node.node.description or ""
        if access in ("NI", "NA"):
            return FeatureInfo(name, kind, access, tooltip=tooltip)
        if kind == "Enumeration":
            return FeatureInfo(name, kind, access, entries=self._entries(node), tooltip=tooltip)
        if kind in ("Integer", "Float"):
            step = node.inc if kind == "Integer" else None
            return FeatureInfo(name, kind, access, node.unit, node.min, node.max, step, (), tooltip)
        return FeatureInfo(name, kind, access, tooltip=tooltip)

    def get(self, name: str) -> FeatureValue:
        """The value: an Enumeration gives its entry's name. Raises FeatureError, GenCPError, UsbError."""
        node = self._node(name)
        kind, access = _kind(self._genapi, node), self._access(node)
        if kind == "Command":
            raise FeatureError(f"{name} is a command: it has no value")
        if access not in _READABLE:
            raise FeatureError(f"{name} cannot be read: {_explain(access)}")
        value: FeatureValue = self._run(name, lambda: node.value if hasattr(node, "value") else "")
        return value

    def set(self, name: str, value: FeatureValue) -> None:
        """Write a value, or text that spells it; a Command is executed. Raises as `get`."""
        node = self._node(name)
        kind = _kind(self._genapi, node)
        convert = _CONVERTERS.get(kind)
        if convert is None:
            raise FeatureError(f"{name} is a {kind}: it cannot be set")
        what = f"{name} = {value}"
        access = self._access(node)
        if access not in _WRITABLE:
            raise FeatureError(f"{what}: cannot be written: {_explain(access)}")
        try:
            wanted = convert(value)
        except ValueError:
            raise FeatureError(f"{what}: {_EXPECTED[kind]}") from None
        if kind == "Command":
            self._run(name, node.execute)
            return
        self._check(what, kind, node, wanted)

        def write() -> None:
            node.value = wanted

        self._run(what, write)

    def execute(self, name: str) -> None:
        """Run a command. Raises as `get`."""
        if _kind(self._genapi, self._node(name)) != "Command":
            raise FeatureError(f"{name} is no command")
        self.set(name, 1)

    def is_done(self, name: str) -> bool:
        """Whether a command has finished."""
        node = self._node(name)
        if _kind(self._genapi, node) != "Command":
            raise FeatureError(f"{name} is no command")
        return bool(self._run(name, node.is_done))

    def _node(self, name: str) -> Any:
        if self._map.has_node(name):
            return self._map.get_node(name)
        raise FeatureError(f"the camera has no feature {name!r}{hint(name, self.names())}")

    def _access(self, node: Any) -> str:
        mode = self._run(node.node.name, node.node.get_access_mode)
        return {0: "NI", 1: "NA", 2: "WO", 3: "RO", 4: "RW"}.get(int(mode), "NA")

    def _entries(self, node: Any) -> tuple[str, ...]:
        available = self._genapi.is_available
        return tuple(entry.symbolic for entry in node.entries if available(entry.node))

    def _check(self, what: str, kind: str, node: Any, wanted: Any) -> None:
        """GenApi checks again; this says it in words that help."""
        if kind == "Enumeration":
            entries = self._entries(node)
            if wanted not in entries:
                near = hint(wanted, list(entries))
                raise FeatureError(f"{what}: must be one of {', '.join(entries)}{near}")
        elif kind in ("Integer", "Float"):
            low, high = self._run(what, lambda: (node.min, node.max))
            step = node.inc if kind == "Integer" else 1
            if not low <= wanted <= high or (kind == "Integer" and (wanted - low) % step):
                unit = f" {node.unit}" if node.unit else ""
                steps = f" in steps of {step}" if step != 1 else ""
                raise FeatureError(f"{what}: must be {low:.10g} to {high:.10g}{unit}{steps}")

    def _run(self, what: str, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except GenCPError as error:
            raise GenCPError(error.status, f"{what}: {error}") from error
        except self._genapi.GenericException as error:
            raise FeatureError(f"{what}: {_first_line(error)}") from error


def _import_genapi() -> Any:
    try:
        return importlib.import_module("genicam.genapi")
    except ImportError as error:
        raise U3VError(
            f"features by name need the Python package 'genicam' (pip install genicam): {error}"
        ) from error


def _make_port(genapi: Any, client: Registers) -> Any:
    class Port(genapi.AbstractPort):  # type: ignore[misc]
        """GenApi's way to the registers. Its calls raise what the client raises."""

        def read(self, address: int, length: int) -> bytes:
            return client.read(address, length)

        def write(self, address: int, data: bytes) -> None:
            client.write(address, bytes(data))

        def get_access_mode(self) -> Any:
            return genapi.EAccessMode.RW

    return Port()


def _kind(genapi: Any, node: Any) -> str:
    """Integer, Float, Boolean, Enumeration, String, Command, Register, Category, Port or Base."""
    kind = genapi.EInterfaceType(node.node.principal_interface_type).name
    return str(kind).removeprefix("intfI")


def _integer(value: FeatureValue) -> int:
    if isinstance(value, str):
        return int(value.strip(), 0)
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(value)
    return int(value)


def _float(value: FeatureValue) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _boolean(value: FeatureValue) -> bool:
    word = str(value).strip().lower()
    if word not in _TRUE + _FALSE:
        raise ValueError(value)
    return word in _TRUE


_CONVERTERS: dict[str, Callable[[FeatureValue], Any]] = {
    "Integer": _integer,
    "Float": _float,
    "Boolean": _boolean,
    "Enumeration": str,
    "String": str,
    "Command": str,
}
_EXPECTED = {
    "Integer": "must be a whole number",
    "Float": "must be a number",
    "Boolean": "must be true or false",
}


def _explain(access: str) -> str:
    return {
        "NI": "this camera does not implement it",
        "NA": "it is not available with the present settings",
        "WO": "it is write-only",
        "RO": "it is read-only, or locked while the camera streams",
    }.get(access, access)


def _first_line(error: BaseException) -> str:
    """GenApi's own words without the place in its source."""
    return str(error).split("\n", 1)[0].split(" : ", 1)[0].strip()
