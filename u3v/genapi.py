"""The GenICam XML (schema 1.1) of a set of features: a pure function of the declarations and addresses.

Child elements are in schema order (some parsers insist). Each feature's value node is backed by a register
node `<Name>_Reg`; limits, locks and availability that change point to their registers `<Name>_Max` and so
on. `TLParamsLocked` is an integer of the document itself, as transport layers expect: hosts set it, and
what `while_acquiring` locks is locked by either. A node whose name has the meaning that the naming convention (SFNC)
gives it is of the NameSpace Standard, all others are Custom.
"""

import hashlib
import io
import zipfile
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from uuid import UUID

from u3v.chunks import Chunk
from u3v.feature_set import FeatureSet
from u3v.features import (
    Boolean,
    ByteArray,
    Command,
    Enumeration,
    Feature,
    Float,
    Integer,
    String,
    while_acquiring,
)
from u3v.standard_names import STANDARD_CATEGORIES, STANDARD_EVENTS, STANDARD_FEATURES
from u3v.wire_traits import U3V_EVENTS, EventLayout, WireNode

NAMESPACE = "http://www.genicam.org/GenApi/Version_1_1"
FILE_VERSION = (1, 0, 0)
TL_PARAMS_LOCKED = "TLParamsLocked"


@dataclass(frozen=True)
class EventNodes:
    """What the XML says about one event: `fields` are the names of its values, as `EventLayout` knows them."""

    name: str
    event_id: int
    fields: tuple[str, ...]
    tooltip: str


@dataclass(frozen=True)
class _Coding:
    """What the bytes of a register mean: the kind of node, and the elements that say how."""

    kind: str
    elements: tuple[str, ...] = ()


_LITTLE = "<Endianess>LittleEndian</Endianess>"
_BIG = "<Endianess>BigEndian</Endianess>"
_SIGNED = _Coding("IntReg", ("<Sign>Signed</Sign>", _LITTLE))
_UNSIGNED = _Coding("IntReg", ("<Sign>Unsigned</Sign>", _LITTLE))
_UNSIGNED_BIG = _Coding("IntReg", ("<Sign>Unsigned</Sign>", _BIG))
_SIGNED_BIG = _Coding("IntReg", ("<Sign>Signed</Sign>", _BIG))
_FLOAT = _Coding("FloatReg", (_LITTLE,))
_TEXT = _Coding("StringReg")
_BYTES = _Coding("Register")


@dataclass(frozen=True)
class _Register:
    """A register node. `indices`: nodes of selectors with their strides in bytes; `cachable`: what a host may keep,
    until one of `invalidators` is written.
    """

    name: str
    coding: _Coding
    address: int
    length: int
    access: str = "RO"
    indices: tuple[tuple[str, int], ...] = ()
    cachable: str = "NoCache"
    invalidators: tuple[str, ...] = ()
    port: str = "Device"


def _tag(name: str, value: object) -> str:
    return f"<{name}>{escape(str(value), quote=False)}</{name}>"


def _number(value: float) -> str:
    return repr(float(value))


def _space(standard: bool) -> str:
    return "Standard" if standard else "Custom"


def _entries(entries: Mapping[str, int], standard: bool) -> list[str]:
    """The entries of an enumeration; they are as standard as it is."""
    return [
        f'<EnumEntry Name="{entry}" NameSpace="{_space(standard)}"><Value>{number}</Value></EnumEntry>'
        for entry, number in entries.items()
    ]


def _is_constant(feature: Feature) -> bool:
    """Whether hosts need not ask. pylon reads the versions of SFNC before it has opened a GigE camera."""
    return (
        isinstance(feature, Integer)
        and feature.access == "RO"
        and feature.read is None
        and feature.address is None
        and not feature.selectors
        and isinstance(feature.min, int)
        and feature.min == feature.max
    )


class _Document:
    def __init__(self, features: FeatureSet, chunks: Sequence[Chunk]) -> None:
        self._features = features
        self.shown = [feature for feature in features if not feature.hidden]
        values = [value for chunk in chunks for value in chunk.values]
        self.chunk_values: list[Feature] = []
        for value in values:
            self.chunk_values += (
                [value.feature] if value.selector is None else [value.selector, value.feature]
            )
        self.nodes: list[str] = []

    def node(self, kind: str, name: str, children: Sequence[str], *, standard: bool = False) -> None:
        body = "".join(f"\n    {child}" for child in children)
        self.nodes.append(f'  <{kind} Name="{name}" NameSpace="{_space(standard)}">{body}\n  </{kind}>')

    def register(self, register: _Register, head: Sequence[str] = (), *, standard: bool = False) -> None:
        children = [*(head or [_tag("Visibility", "Invisible")]), _tag("Address", f"{register.address:#x}")]
        for selector, stride in register.indices:
            children.append(f'<pIndex Offset="{stride}">{selector}</pIndex>')
        children += [_tag("Length", register.length), _tag("AccessMode", register.access)]
        children += [_tag("pPort", register.port), _tag("Cachable", register.cachable)]
        children += [_tag("pInvalidator", name) for name in register.invalidators]
        self.node(
            register.coding.kind, register.name, [*children, *register.coding.elements], standard=standard
        )

    def feature(self, feature: Feature) -> _Coding:
        """The node of a feature; its register, too, where that is the camera's. Returns what its bytes mean."""
        name = feature.name
        head = [
            _tag("ToolTip", feature.tooltip),
            _tag("Description", feature.tooltip),
            _tag("Visibility", feature.visibility),
        ]
        aspects = self._features.aspects
        if (name, "Available") in aspects:
            head.append(_tag("pIsAvailable", aspects[name, "Available"].node))
        if feature.locked is while_acquiring:
            head.append(_tag("pIsLocked", f"{name}_IsLocked"))
        elif feature.locked is not None:
            head.append(_tag("pIsLocked", aspects[name, "Locked"].node))
        constant = _is_constant(feature)
        if constant:
            head.append(_tag("ImposedAccessMode", "RO"))
        if feature.persistent:
            head.append(_tag("Streamable", "Yes"))
        value = _tag("Value", feature.initial()) if constant else _tag("pValue", f"{name}_Reg")
        known = (*self.shown, *self.chunk_values)
        selected = [_tag("pSelected", f.name) for f in known if name in f.selectors]
        standard = name in STANDARD_FEATURES
        kind, coding, children = "Integer", _UNSIGNED, [*head, value]
        if isinstance(feature, Integer | Float):
            kinds = ("Min", "Max", "Inc") if isinstance(feature, Integer) or feature.inc else ("Min", "Max")
            children += [self._limit(feature, limit) for limit in kinds]
            children += [_tag("Unit", feature.unit)] if feature.unit else []
            children.append(_tag("Representation", feature.representation))
        if isinstance(feature, Integer):
            coding = _SIGNED
            children += selected
        elif isinstance(feature, Float):
            kind, coding = "Float", _FLOAT
        elif isinstance(feature, Boolean):
            kind = "Boolean"
            children += ["<OnValue>1</OnValue>", "<OffValue>0</OffValue>", *selected]
        elif isinstance(feature, Enumeration):
            kind = "Enumeration"
            children = [*head, *_entries(feature.entries, standard), value, *selected]
        elif isinstance(feature, Command):
            kind = "Command"
            children.append("<CommandValue>1</CommandValue>")
        elif isinstance(feature, String):
            kind, coding = "String", _TEXT
        if isinstance(feature, ByteArray):
            self._value(feature, _BYTES, head, standard=standard)
            return _BYTES
        self.node(kind, name, children, standard=standard)
        if feature.name in self._features and not constant:
            self._value(feature, coding)
            self._hidden(feature)
        return coding

    def chunk(self, chunk: Chunk) -> None:
        """The nodes of what is in a chunk, and the port through which hosts find it."""
        port = f"Chunk{chunk.name}Port"
        for value, at in chunk.places():
            feature = value.feature
            indices: tuple[tuple[str, int], ...] = ()
            if value.selector is not None:
                self._own_selector(value.selector, feature)
                indices = ((value.selector.name, feature.size),)
            coding = self.feature(feature)
            self.register(
                _Register(f"{feature.name}_Reg", coding, at, feature.size, indices=indices, port=port)
            )
        self.node("Port", port, [_tag("ChunkID", f"{chunk.chunk_id:X}")])

    def _own_selector(self, selector: Enumeration, selected: Feature) -> None:
        """A selector without a register: each host, and each frame's node map, has its own."""
        standard = selector.name in STANDARD_FEATURES
        head = [_tag("ToolTip", selector.tooltip), _tag("Visibility", selector.visibility)]
        first = selector.entries[str(selector.initial())]
        children = [
            *head,
            *_entries(selector.entries, standard),
            _tag("Value", first),
            _tag("pSelected", selected.name),
        ]
        self.node("Enumeration", selector.name, children, standard=standard)

    def wire_node(self, node: WireNode) -> None:
        """A node on a register of the wire, which is big-endian and changes without the camera's knowing."""
        standard = node.name in STANDARD_FEATURES
        children = [
            _tag("ToolTip", node.tooltip),
            _tag("Description", node.tooltip),
            _tag("Visibility", node.visibility),
        ]
        children += _entries(node.entries, standard)
        children.append(_tag("pValue", f"{node.name}_Reg"))
        if node.kind == "Integer":
            if node.limits is not None:
                children += [_tag(k, v) for k, v in zip(("Min", "Max", "Inc"), node.limits, strict=True)]
            children += [_tag("Unit", node.unit)] if node.unit else []
            children.append(_tag("Representation", node.representation))
        elif node.kind == "Boolean":
            children += ["<OnValue>1</OnValue>", "<OffValue>0</OffValue>"]
        elif node.kind == "Command":
            children.append(_tag("CommandValue", node.command))
        self.node(node.kind, node.name, children, standard=standard)
        coding = _TEXT if node.kind == "String" else _SIGNED_BIG if node.signed else _UNSIGNED_BIG
        if node.bits is not None:  # GenApi counts bits of big-endian registers from the most significant one
            least, most = (8 * node.length - 1 - bit for bit in node.bits)
            bits = (_tag("Bit", least),) if least == most else (_tag("LSB", least), _tag("MSB", most))
            coding = _Coding("MaskedIntReg", (*bits, *_UNSIGNED_BIG.elements))
        self.register(_Register(f"{node.name}_Reg", coding, node.address, node.length, node.access))

    def _value(
        self, feature: Feature, coding: _Coding, head: Sequence[str] = (), *, standard: bool = False
    ) -> None:
        """The register of a feature. `head`: the feature is its register, and no other node."""
        features = self._features
        volatile = feature.volatile or feature.read is not None or isinstance(feature, Command)
        rounds = feature.may_differ or (isinstance(feature, Float) and bool(feature.inc))
        invalidators = feature.changed_by
        if feature.persistent:
            invalidators += ("UserSetLoad", "DeviceReset")
        self.register(
            _Register(
                feature.name if head else f"{feature.name}_Reg",
                coding,
                features.address[feature.name],
                feature.size,
                feature.access,
                indices=tuple(
                    (f"{name}_Reg", stride)
                    for name, stride in zip(feature.selectors, features.strides[feature.name], strict=True)
                ),
                cachable="NoCache" if volatile else "WriteAround" if rounds else "WriteThrough",
                invalidators=tuple(
                    i for i in invalidators if i in features and not features.declared[i].hidden
                ),
            ),
            head,
            standard=standard,
        )

    def _hidden(self, feature: Feature) -> None:
        for (name, kind), aspect in self._features.aspects.items():
            if name != feature.name:
                continue
            coding = _FLOAT if aspect.is_float else _SIGNED
            self.register(_Register(aspect.node, coding, aspect.address, aspect.size))
            if kind == "Locked" and feature.locked is while_acquiring:
                self.node(
                    "IntSwissKnife",
                    f"{name}_IsLocked",
                    [
                        _tag("Visibility", "Invisible"),
                        f'<pVariable Name="TL">{TL_PARAMS_LOCKED}</pVariable>',
                        f'<pVariable Name="DEVICE">{aspect.node}</pVariable>',
                        "<Formula>(TL &lt;&gt; 0) || (DEVICE &lt;&gt; 0)</Formula>",
                    ],
                )

    def _limit(self, feature: Feature, kind: str) -> str:
        aspect = self._features.aspects.get((feature.name, kind))
        if aspect is not None:
            return _tag(f"p{kind}", aspect.node)
        value = getattr(feature, kind.lower())
        return _tag(kind, _number(value) if isinstance(feature, Float) else value)


def build_xml(
    features: FeatureSet,
    *,
    vendor: str,
    model: str,
    tooltip: str,
    events: Sequence[EventNodes],
    name_space: str,
    chunks: Sequence[Chunk] = (),
    event_layout: EventLayout = U3V_EVENTS,
    wire_nodes: Sequence[WireNode] = (),
) -> str:
    """The document. Its GUIDs follow from its content, so that a host's cache never mixes two of them.

    `name_space`: GenApi's word for the wire, "USB" or "GEV" (GigE Vision); pylon opens no camera without it.
    `event_layout`: how its events reach their nodes. `wire_nodes`: what the wire has in TransportLayerControl.
    """
    document = _Document(features, chunks)
    categories: dict[str, list[str]] = {}
    for feature in document.shown:
        if feature.category:
            categories.setdefault(feature.category, []).append(feature.name)
    for value in document.chunk_values:
        categories.setdefault(value.category, []).append(value.name)
    categories.setdefault("TransportLayerControl", []).append(TL_PARAMS_LOCKED)
    categories["TransportLayerControl"] += [node.name for node in wire_nodes]
    for event in events:
        categories[f"Event{event.name}Data"] = [*event_layout.nodes(event.name, event.fields)]
    top = [c for c in categories if not (c.startswith("Event") and c.endswith("Data"))]
    document.node("Category", "Root", [_tag("pFeature", c) for c in top], standard=True)
    for category, names in categories.items():
        members = list(names)
        if category == "EventControl":
            members += [c for c in categories if c.startswith("Event") and c.endswith("Data")]
        standard = category in STANDARD_CATEGORIES
        document.node("Category", category, [_tag("pFeature", n) for n in members], standard=standard)
    for feature in document.shown:
        document.feature(feature)
    document.node(
        "Integer",
        TL_PARAMS_LOCKED,
        [
            _tag("ToolTip", "Set by the host while it streams; locks what shapes the payload."),
            _tag("Visibility", "Guru"),
            "<Value>0</Value>",
            "<Min>0</Min>",
            "<Max>1</Max>",
        ],
        standard=True,
    )
    for chunk in chunks:
        document.chunk(chunk)
    for wire_node in wire_nodes:
        document.wire_node(wire_node)
    for event in events:
        _event(document, event, event_layout)
    document.node("Port", "Device", [_tag("ToolTip", "The camera's register space")], standard=True)
    body = "\n".join(document.nodes)
    product = UUID(bytes=hashlib.sha1(f"{vendor} {model}".encode()).digest()[:16], version=5)
    version = UUID(bytes=hashlib.sha1(body.encode()).digest()[:16], version=5)
    major, minor, subminor = FILE_VERSION
    attributes: Mapping[str, object] = {
        "ModelName": model,
        "VendorName": vendor,
        "ToolTip": tooltip,
        "StandardNameSpace": name_space,
        "SchemaMajorVersion": 1,
        "SchemaMinorVersion": 1,
        "SchemaSubMinorVersion": 0,
        "MajorVersion": major,
        "MinorVersion": minor,
        "SubMinorVersion": subminor,
        "ProductGuid": str(product).upper(),
        "VersionGuid": str(version).upper(),
        "xmlns": NAMESPACE,
        "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
        "xsi:schemaLocation": f"{NAMESPACE} {NAMESPACE}/GenApiSchema.xsd",
    }
    opening = "\n  ".join(f'{key}="{escape(str(value))}"' for key, value in attributes.items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<RegisterDescription\n  {opening}>\n{body}\n</RegisterDescription>\n"
    )


def _event(document: _Document, event: EventNodes, layout: EventLayout) -> None:
    port = f"Event{event.name}Port"
    coding = _UNSIGNED_BIG if layout.big_endian else _UNSIGNED
    standard = event.name in STANDARD_EVENTS and not layout.older_names
    for name, (at, length) in layout.nodes(event.name, event.fields).items():
        head = [_tag("ToolTip", event.tooltip), _tag("Visibility", "Expert"), _tag("pValue", f"{name}_Reg")]
        document.node("Integer", name, head, standard=standard)
        document.register(_Register(f"{name}_Reg", coding, at, length, port=port))
    document.node("Port", port, [_tag("EventID", f"{event.event_id:X}")])


def zip_xml(xml: str, model: str) -> bytes:
    """One deflated file in a plain zip, byte for byte the same for the same document."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(f"{model}.xml", (2024, 1, 1, 0, 0, 0))
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, xml)
    return buffer.getvalue()


_files: dict[Hashable, tuple[tuple[Feature, ...], bytes]] = {}
"""The file last made for a key, and the declarations that it was made of."""


def shared_file(key: Hashable, declared: tuple[Feature, ...], make: Callable[[], bytes]) -> bytes:
    """An XML file that cameras with the same declarations share. `key`: what else it depends on, as model and wire."""
    made_of, file = _files.get(key, ((), b""))
    if len(made_of) != len(declared) or any(a is not b for a, b in zip(made_of, declared, strict=True)):
        file = make()
        _files[key] = declared, file
    return file
