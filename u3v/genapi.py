"""The GenICam XML (schema 1.1) of a set of features: a pure function of the declarations and addresses.

Child elements are in schema order (some parsers insist). Each feature's value node is backed by a register
node `<Name>_Reg`; limits, locks and availability that change point to their registers `<Name>_Max` and so
on. `TLParamsLocked` is an integer of the document itself, as transport layers expect: hosts set it, and
what `while_acquiring` locks is locked by either.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from uuid import UUID
from xml.sax.saxutils import escape, quoteattr

from u3v.features import (
    Boolean,
    Command,
    Enumeration,
    Feature,
    FeatureSet,
    Float,
    Integer,
    String,
    while_acquiring,
)

NAMESPACE = "http://www.genicam.org/GenApi/Version_1_1"
FILE_VERSION = (1, 0, 0)
TL_PARAMS_LOCKED = "TLParamsLocked"
EVENT_ID_AT, EVENT_FIELDS_AT = 2, 4
"""Where an event node finds its value: GenApi's U3V event adapter strips the 12-byte header and addresses
the SCD from 0 on: reserved u16, id u16, timestamp u64, then the data (seen with the reference GenApi 3.5)."""


class EventNodes:
    """What the XML says about one event: `fields` are the names of the u64 values after the head."""

    def __init__(self, name: str, event_id: int, fields: tuple[str, ...], tooltip: str) -> None:
        self.name = name
        self.event_id = event_id
        self.fields = fields
        self.tooltip = tooltip


def _tag(name: str, value: object) -> str:
    return f"<{name}>{escape(str(value))}</{name}>"


def _number(value: float) -> str:
    return repr(float(value))


class _Document:
    def __init__(self, features: FeatureSet) -> None:
        self._features = features
        self.nodes: list[str] = []

    def node(self, kind: str, name: str, children: list[str], standard: bool = False) -> None:
        space = "Standard" if standard else "Custom"
        body = "".join(f"\n    {child}" for child in children if child)
        self.nodes.append(f'  <{kind} Name="{name}" NameSpace="{space}">{body}\n  </{kind}>')

    def register(
        self,
        kind: str,
        name: str,
        address: int,
        length: int,
        access: str,
        *,
        indices: list[tuple[str, int]] = [],  # noqa: B006 - never changed
        cachable: str = "NoCache",
        invalidators: tuple[str, ...] = (),
        tail: list[str] = [],  # noqa: B006 - never changed
        port: str = "Device",
    ) -> None:
        children = [_tag("Visibility", "Invisible"), _tag("Address", f"{address:#x}")]
        children += [f'<pIndex Offset="{offset}">{selector}_Reg</pIndex>' for selector, offset in indices]
        children += [_tag("Length", length), _tag("AccessMode", access), _tag("pPort", port)]
        children += [_tag("Cachable", cachable)]
        children += [_tag("pInvalidator", i) for i in invalidators]
        self.node(kind, name, children + tail)

    def feature(self, feature: Feature) -> None:
        name = feature.name
        register = f"{name}_Reg"
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
        if feature.persistent:
            head.append(_tag("Streamable", "Yes"))
        value = [_tag("pValue", register)]
        selected = [_tag("pSelected", f.name) for f in self._features if name in f.selectors]
        if isinstance(feature, Integer):
            limits = [self._limit(feature, kind) for kind in ("Min", "Max", "Inc")]
            tail = [_tag("Unit", feature.unit)] if feature.unit else []
            tail += [_tag("Representation", feature.representation)]
            self.node("Integer", name, head + value + limits + tail + selected, True)
            self._value(feature, "IntReg", ["<Sign>Signed</Sign>", "<Endianess>LittleEndian</Endianess>"])
        elif isinstance(feature, Float):
            kinds = ("Min", "Max", "Inc") if feature.inc else ("Min", "Max")
            limits = [self._limit(feature, kind) for kind in kinds]
            tail = [_tag("Unit", feature.unit)] if feature.unit else []
            tail += [_tag("Representation", feature.representation)]
            self.node("Float", name, head + value + limits + tail, True)
            self._value(feature, "FloatReg", ["<Endianess>LittleEndian</Endianess>"])
        elif isinstance(feature, Boolean):
            tail = ["<OnValue>1</OnValue>", "<OffValue>0</OffValue>"]
            self.node("Boolean", name, head + value + tail + selected, True)
            self._value(feature, "IntReg", ["<Sign>Unsigned</Sign>", "<Endianess>LittleEndian</Endianess>"])
        elif isinstance(feature, Enumeration):
            entries = [
                f'<EnumEntry Name="{entry}" NameSpace="Standard"><Value>{number}</Value></EnumEntry>'
                for entry, number in feature.entries.items()
            ]
            self.node("Enumeration", name, head + entries + value + selected, True)
            self._value(feature, "IntReg", ["<Sign>Unsigned</Sign>", "<Endianess>LittleEndian</Endianess>"])
        elif isinstance(feature, Command):
            self.node("Command", name, head + value + ["<CommandValue>1</CommandValue>"], True)
            self._value(feature, "IntReg", ["<Sign>Unsigned</Sign>", "<Endianess>LittleEndian</Endianess>"])
        elif isinstance(feature, String):
            self.node("String", name, head + value, True)
            self._value(feature, "StringReg", [])
        self._hidden(feature)

    def _value(self, feature: Feature, kind: str, tail: list[str]) -> None:
        features = self._features
        strides = features.strides[feature.name]
        volatile = feature.read is not None or isinstance(feature, Command)
        rounds = isinstance(feature, Float) and bool(feature.inc)  # what reads back is not what was written
        invalidators = feature.changed_by
        if feature.persistent:
            invalidators += ("UserSetLoad", "DeviceReset")
        self.register(
            kind,
            f"{feature.name}_Reg",
            features.address[feature.name],
            feature.size,
            feature.access,
            indices=list(zip(feature.selectors, strides, strict=True)),
            cachable="NoCache" if volatile else "WriteAround" if rounds else "WriteThrough",
            invalidators=tuple(i for i in invalidators if i in features),
            tail=tail,
        )

    def _hidden(self, feature: Feature) -> None:
        for (name, kind), aspect in self._features.aspects.items():
            if name != feature.name:
                continue
            if aspect.is_float:
                tail = ["<Endianess>LittleEndian</Endianess>"]
                self.register("FloatReg", aspect.node, aspect.address, aspect.size, "RO", tail=tail)
            else:
                tail = ["<Sign>Signed</Sign>", "<Endianess>LittleEndian</Endianess>"]
                self.register("IntReg", aspect.node, aspect.address, aspect.size, "RO", tail=tail)
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
    features: FeatureSet, *, vendor: str, model: str, tooltip: str, name_space: str, events: list[EventNodes]
) -> str:
    """The document. Its GUIDs follow from its content, so that a host's cache never mixes two of them."""
    document = _Document(features)
    categories: dict[str, list[str]] = {}
    for feature in features:
        if feature.category:
            categories.setdefault(feature.category, []).append(feature.name)
    categories.setdefault("TransportLayerControl", []).append(TL_PARAMS_LOCKED)
    for event in events:
        names = [f"Event{event.name}", *(f"Event{event.name}{field}" for field in event.fields)]
        categories[f"Event{event.name}Data"] = names
    top = [c for c in categories if not (c.startswith("Event") and c.endswith("Data"))]
    document.node("Category", "Root", [_tag("pFeature", c) for c in top], True)
    for category, names in categories.items():
        members = list(names)
        if category == "EventControl":
            members += [c for c in categories if c.startswith("Event") and c.endswith("Data")]
        document.node("Category", category, [_tag("pFeature", n) for n in members], True)
    for feature in features:
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
        True,
    )
    for event in events:
        _event(document, event)
    document.node("Port", "Device", [_tag("ToolTip", "The camera's register space")], True)
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
    opening = "\n  ".join(f"{key}={quoteattr(str(value))}" for key, value in attributes.items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<RegisterDescription\n  {opening}>\n{body}\n</RegisterDescription>\n"
    )


def _event(document: _Document, event: EventNodes) -> None:
    port = f"Event{event.name}Port"
    tail = ["<Sign>Unsigned</Sign>", "<Endianess>LittleEndian</Endianess>"]
    values = [("", EVENT_ID_AT, 2)]
    for index, name in enumerate(event.fields):
        values.append((name, EVENT_FIELDS_AT + 8 * index, 8))  # the first field is the timestamp of the head
    for suffix, at, length in values:
        name = f"Event{event.name}{suffix}"
        head = [_tag("ToolTip", event.tooltip), _tag("Visibility", "Expert"), _tag("pValue", f"{name}_Reg")]
        document.node("Integer", name, head, True)
        document.register("IntReg", f"{name}_Reg", at, length, "RO", tail=tail, port=port)
    document.node("Port", port, [_tag("EventID", f"{event.event_id:X}")])


def zip_xml(xml: str, model: str) -> bytes:
    """One deflated file in a plain zip, byte for byte the same for the same document."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo(f"{model}.xml", (2024, 1, 1, 0, 0, 0))
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, xml)
    return buffer.getvalue()
