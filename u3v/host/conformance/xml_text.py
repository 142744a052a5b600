"""The description as a file: well-formed, complete, and every reference in it leads somewhere."""

import re
from itertools import pairwise
from uuid import UUID

from u3v.errors import Malformed
from u3v.host.conformance.camera import Camera, camera_check, expect, fail, skip
from u3v.host.conformance.declare import INFO, SHOULD, unbuilt
from u3v.host.conformance.description import FEATURES, FITTING, OTHERS, REGISTERS, Description, to_int
from u3v.host.conformance.sfnc_names import READ_ONLY, SELECTED, STANDARD_FEATURES, kind_of

_ATTRIBUTES = (
    *("ModelName", "VendorName", "StandardNameSpace", "ProductGuid", "VersionGuid"),
    *("SchemaMajorVersion", "SchemaMinorVersion", "SchemaSubMinorVersion"),
    *("MajorVersion", "MinorVersion", "SubMinorVersion"),
)
_NAMESPACE = re.compile(r"http://www\.genicam\.org/GenApi/Version_(\d+)_(\d+)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*")
_KNOWN = REGISTERS | FEATURES | OTHERS | {"Group"}
_PASSED_OVER = {"pValueCopy", "ValidValueSet", "SwapEndianess"}
"""Elements inside a node that change what its value means, and that Aravis passes over."""
_VISIBILITIES = {"Beginner", "Expert", "Guru", "Invisible"}
_BOOTSTRAP = {
    # ABRM, GenCP 1.3 clause 5.4: offset -> (length, access)
    0x000: (4, "RO"), 0x004: (64, "RO"), 0x044: (64, "RO"), 0x084: (64, "RO"), 0x0C4: (64, "RO"),
    0x104: (64, "RO"), 0x144: (64, "RO"), 0x184: (64, "RW"), 0x1C4: (8, "RO"), 0x1CC: (4, "RO"),
    0x1D0: (8, "RO"), 0x1D8: (8, "RO"), 0x1E0: (8, "RW"), 0x1E8: (4, "RW"), 0x1EC: (4, "RW"),
    0x1F0: (8, "RO"), 0x1F8: (4, "WO"), 0x1FC: (8, "RO"), 0x204: (4, "RW"), 0x20C: (4, "RO"), 0x210: (64, "RO"),
}  # fmt: skip
_SBRM = {
    0x00: (4, "RO"), 0x04: (8, "RO"), 0x0C: (8, "RW"), 0x14: (4, "RO"), 0x18: (4, "RO"), 0x1C: (4, "RO"),
    0x20: (8, "RO"), 0x28: (4, "RO"), 0x2C: (8, "RO"), 0x34: (4, "RO"), 0x38: (8, "RO"), 0x40: (4, "RO"),
}  # fmt: skip
_SIRM = {
    0x00: (4, "RO"), 0x04: (4, "RW"), 0x08: (8, "RO"), 0x10: (4, "RO"), 0x14: (4, "RO"), 0x18: (4, "RW"),
    0x1C: (4, "RW"), 0x20: (4, "RW"), 0x24: (4, "RW"), 0x28: (4, "RW"), 0x2C: (4, "RW"),
}  # fmt: skip
_EIRM = {0x00: (4, "RW"), 0x04: (4, "RO"), 0x08: (4, "RW")}


@camera_check(
    "XML-001", "parse", "well-formed, UTF-8, no DTD or external entity; root RegisterDescription",
    "what hosts ask of an XML",
)  # fmt: skip
def parses(camera: Camera) -> None:
    try:
        description = Description(camera.run.xml.text)
    except Malformed as error:
        fail(str(error))
    expect(description.root_name == "RegisterDescription", f"the root element is {description.root_name}")


@camera_check(
    "XML-002", "root attributes",
    "names, StandardNameSpace, three schema versions, three versions and two GUIDs all there",
    "what hosts trip over: cameleon panics",
)  # fmt: skip
def attributes(camera: Camera) -> None:
    missing = [name for name in _ATTRIBUTES if not camera.description.root.get(name)]
    expect(not missing, f"the root element has no {', '.join(missing)}")


@camera_check("XML-003", "the two GUIDs", "valid GUID syntax", "GenApi 2.1.1 2.7.3", SHOULD)
def guids(camera: Camera) -> None:
    for name in ("ProductGuid", "VersionGuid"):
        text = camera.description.root.get(name, "")
        try:
            UUID(text)
        except ValueError:
            fail(f"{name} is {text!r}, no GUID")
        expect(len(text.strip("{}")) == 36, f"{name} is {text!r}, not in the form 8-4-4-4-12")


@camera_check(
    "XML-004", "namespace and schema version", "…/GenApi/Version_x_y with x.y = the attributes",
    "GenApi 2.1.1 2.7.1: newer ones must be rejected",
)  # fmt: skip
def namespace(camera: Camera) -> None:
    root, found = camera.description.root, _NAMESPACE.fullmatch(camera.description.namespace)
    told = (root.get("SchemaMajorVersion"), root.get("SchemaMinorVersion"))
    expect(found is not None, f"the namespace is {camera.description.namespace!r}")
    expect(
        found is not None and found.groups() == told,
        f"namespace {camera.description.namespace}, version {told}",
    )


@camera_check(
    "XML-005", "schema version", "≥ 1.1 (1.0: noted; Smartek UCC sells it)",
    "Aravis quirks below 1.1; Aravis issue 183", SHOULD,
)  # fmt: skip
def schema_version(camera: Camera) -> None:
    root = camera.description.root
    told = root.get("SchemaMajorVersion", ""), root.get("SchemaMinorVersion", "")
    known = to_int(told[0]) or 0, to_int(told[1]) or 0
    expect(known >= (1, 1), f"schema version {told[0]}.{told[1]}")


unbuilt(
    "XML-006", "validate against the schema of its version", "valid",
    "arv-test; of the 11 U3V cameras in arv-test.cfg one is marked valid",
    "the schema of GenApi belongs to its standard group and is not part of this package", SHOULD,
)  # fmt: skip


@camera_check(
    "XML-008", "element names against Aravis' list", "unknown ones noted", "what hosts ask of an XML", INFO,
)  # fmt: skip
def known_elements(camera: Camera) -> None:
    nodes = camera.description.all_nodes
    inside = {child.tag for element in nodes for child in element}
    unknown = sorted(({element.tag for element in nodes} - _KNOWN) | (inside & _PASSED_OVER))
    expect(not unknown, f"elements that not every host knows: {', '.join(unknown)}")


@camera_check("XML-009", "node names", "unique; [A-Za-z0-9_], no leading underscore", "GenApi 2.1.1 2.8.1")
def names(camera: Camera) -> None:
    seen: set[str] = set()
    for element in camera.description.all_nodes:
        name = element.get("Name", "")
        expect(_NAME.fullmatch(name), f"node name {name!r}")
        expect(name not in seen, f"two nodes are called {name}")
        seen.add(name)


@camera_check("XML-010", "every p… reference", "names an existing node of a fitting kind", "GenApi 2.1.1 2.8")
def references(camera: Camera) -> None:
    description = camera.description
    for element in description.all_nodes:
        for kind, name in description.references(element):
            where = f"{element.get('Name')}: {kind} names {name}"
            expect(name.partition(".")[0] in description.nodes, f"{where}, which does not exist")
            fitting = FITTING.get(kind)
            found = description.kind(name)
            expect(fitting is None or "." in name or found in fitting, f"{where}, which is a {found}")


@camera_check("XML-011", "reference graph", "no cycles (selectors aside)", "reference loader refuses")
def cycles(camera: Camera) -> None:
    description = camera.description
    apart = {"pSelected", "pSelecting", "pInvalidator", "pError", "pAlias", "pCastAlias", "pSelectingValue"}
    edges = {
        name: [to for kind, to in description.references(element) if kind not in apart]
        for name, element in description.nodes.items()
    }
    done: set[str] = set()
    for start in edges:
        path, todo = [start], [iter(edges[start])]
        while todo and start not in done:
            step = next(todo[-1], None)
            if step is None:
                todo.pop()
                done.add(path.pop())
            elif step in path:
                fail(f"a circle: {' -> '.join([*path[path.index(step) :], step])}")
            elif step not in done and step in edges:
                path.append(step)
                todo.append(iter(edges[step]))


@camera_check(
    "XML-012", "Root",
    "Category, NameSpace Standard; each pFeature exists; each Standard feature is reachable from it",
    "GenApi 2.1.1 2.8.2; SFNC 2.7 M",
)  # fmt: skip
def root_category(camera: Camera) -> None:
    description = camera.description
    expect(description.kind("Root") == "Category", "there is no category Root")
    expect(description.nodes["Root"].get("NameSpace") == "Standard", "Root is not in the namespace Standard")
    reached = set(description.features())
    lost = sorted(reached - description.nodes.keys())
    expect(not lost, f"categories name features that do not exist: {', '.join(lost)}")
    parts = {
        to for e in description.all_nodes for kind, to in description.references(e) if kind != "pFeature"
    }
    for name, element in description.nodes.items():
        if element.get("NameSpace") == "Standard" and element.tag not in ("Category", "Port"):
            expect(name in reached or name in parts, f"{name} is in no category under Root")


@camera_check(
    "XML-013", "Port", "one Port 'Device' without ChunkID/EventID; registers use it",
    "SFNC 2.7 (mandatory); GenApi 2.1.1 2.8.16",
)  # fmt: skip
def port(camera: Camera) -> None:
    description = camera.description
    plain = [
        n
        for n in description.named("Port")
        if not {"EventID", "ChunkID"} & {c.tag for c in description.nodes[n]}
    ]
    expect(
        plain == ["Device"],
        f"ports of the device itself: {', '.join(plain) or 'none'}; one called Device is due",
    )
    expect(description.registers(), "no register uses the port Device")


@camera_check(
    "XML-014", "register nodes", "have Address or pAddress, Length or pLength, AccessMode, pPort",
    "what hosts ask of an XML",
)  # fmt: skip
def complete_registers(camera: Camera) -> None:
    for name, element in camera.description.nodes.items():
        if element.tag not in REGISTERS:
            continue
        tags = {child.tag for child in element}
        for wanted in (
            ("Address", "pAddress", "IntSwissKnife"),
            ("Length", "pLength"),
            ("AccessMode",),
            ("pPort",),
        ):
            expect(tags & set(wanted), f"register {name} has no {wanted[0]}")


@camera_check(
    "XML-015", "Endianess", "LittleEndian or absent on every multi-byte register of the device port",
    "U3V is little-endian (a camera maker's public register header)",
)  # fmt: skip
def endianness(camera: Camera) -> None:
    for name in camera.description.registers():
        text = camera.description.text_of(name, "Endianess")
        length = to_int(camera.description.text_of(name, "Length") or "") or 0
        expect(text in (None, "LittleEndian") or length == 1, f"register {name} is {text}")


@camera_check(
    "XML-016", "MaskedIntReg, StructEntry", "LSB ≤ MSB < 8 x Length, Bit in range", "GenApi 2.1.1 2.8.5 (little)",
)  # fmt: skip
def masks(camera: Camera) -> None:
    description = camera.description
    for element in description.all_nodes:
        if element.tag not in ("MaskedIntReg", "StructEntry"):
            continue
        name = element.get("Name", "")
        bit = element.findtext("Bit")
        low, high = (to_int(bit or element.findtext(tag) or "") for tag in ("LSB", "MSB"))
        length = to_int(element.findtext("Length") or "") or 8
        little = (element.findtext("Endianess") or "LittleEndian") == "LittleEndian"
        expect(low is not None and high is not None, f"{name} has neither Bit nor LSB and MSB")
        if low is not None and high is not None:
            good = min(low, high) >= 0 and max(low, high) < 8 * length and (low <= high or not little)
            expect(good, f"{name}: LSB {low}, MSB {high} in {length} bytes")


def _own_places(camera: Camera) -> None:
    """Fails where the values of two features are in the same bytes, and one of them can be written.

    Cameras on sale have features of their own that are others by another name: there only standard ones are judged,
    whose meanings differ.
    """
    description = camera.description
    is_virtual = "sim" in camera.run.route.abilities
    found = []
    for name in description.features():
        standard = description.nodes[name].get("NameSpace") == "Standard"
        register = camera.device_register(name)
        if register is None or description.kind(name) == "Command" or not (standard or is_virtual):
            continue
        if description.kind(register) not in ("MaskedIntReg", "StructReg") and (at := camera.place(register)):
            found.append((at, name, description.text_of(register, "AccessMode") != "RO"))
    for ((begin, size), one, writable), ((after, _), other, too) in pairwise(sorted(found)):
        expect(
            after >= begin + size or not (writable or too),
            f"{one} and {other} have the same bytes at {after:#x}",
        )


@camera_check(
    "XML-017", "nodes on bootstrap addresses; values of features that can be written",
    "address, length, access fit the standard; no two in the same bytes", "consistency of the camera", SHOULD,
)  # fmt: skip
def bootstrap_nodes(camera: Camera) -> None:
    _own_places(camera)
    tables = [(0, 0x250, _BOOTSTRAP), (camera.run.sbrm, 0x44, _SBRM)]
    for offset, size, table in ((0x20, 0x30, _SIRM), (0x2C, 0x0C, _EIRM)):
        if address := camera.number(camera.run.sbrm + offset, 8):
            tables.append((address, size, table))
    seen = 0
    for name in camera.description.registers():
        place = camera.place(name)
        if place is None:
            continue
        for start, size, table in tables:
            if not start <= place[0] < start + size:
                continue
            seen += 1
            due = table.get(place[0] - start)
            access = camera.description.text_of(name, "AccessMode")
            expect(due is not None, f"{name} at {place[0]:#x} is at no register's beginning")
            if due is not None:
                good = place[1] == due[0] and (access == due[1] or due[1] == "RW")
                expect(
                    good,
                    f"{name} at {place[0]:#x}: {place[1]} bytes {access}, the register is {due[0]} bytes {due[1]}",
                )
    if not seen:
        skip("no node is on a bootstrap register")


@camera_check(
    "XML-031", "EventID, ChunkID", "hexadecimal without 0x; no two nodes of a kind share one",
    "what hosts ask of an XML; GenApi 2.1.1 2.8.1",
)  # fmt: skip
def ids(camera: Camera) -> None:
    description = camera.description
    for tag in ("EventID", "ChunkID"):
        seen: dict[int, str] = {}
        for name, element in description.nodes.items():
            text = element.findtext(tag)
            if text is None:
                continue
            expect(
                re.fullmatch(r"[0-9A-Fa-f]{1,16}", text.strip()),
                f"{name}: {tag} is {text!r}, no bare hexadecimal number",
            )
            number = int(text, 16)
            other = seen.setdefault(number, name)
            same_kind = description.kind(other) == element.tag
            expect(other == name or not same_kind, f"{other} and {name} have both {tag} {text}")


@camera_check(
    "XML-032", "StandardNameSpace", "'USB' (None and others noted: deprecated, but pylon wants USB)",
    "pylon as observed; GenApi 2.1.1 2.7", SHOULD,
)  # fmt: skip
def standard_namespace(camera: Camera) -> None:
    text = camera.description.root.get("StandardNameSpace")
    expect(text == "USB", f"StandardNameSpace is {text!r}")


@camera_check(
    "XML-033", "NameSpace='Standard' names",
    "exist in SFNC, with its interface type, unit, access and selector; a Boolean is on with 1", "SFNC 2.7", SHOULD,
)  # fmt: skip
def standard_names(camera: Camera) -> None:
    unknown = []
    for name, element in camera.description.nodes.items():
        if element.get("NameSpace") != "Standard" or element.tag in ("Category", "Port"):
            continue
        due = STANDARD_FEATURES.get(name)
        if due is None:
            unknown.append(name)
            continue
        found = kind_of(element.tag)
        expect(found in due.kinds, f"{name} is a {found}, SFNC says {' or '.join(sorted(due.kinds))}")
        if name in READ_ONLY and camera.can_use_nodes() and camera.has(name):
            expect(camera.info(name).access not in ("RW", "WO"), f"{name} is writable, SFNC says it is not")
        expect(element.findtext("OnValue") != "0", f"{name} is on when its register holds 0")
        unit = element.findtext("Unit")
        expect(
            unit is None or unit in due.units,
            f"{name} is in {unit}, SFNC says {' or '.join(due.units) or 'no unit'}",
        )
    standard = {n for n, e in camera.description.nodes.items() if e.get("NameSpace") == "Standard"}
    for selector, name in SELECTED:
        if selector in standard and name in standard:
            chosen = camera.description.references(camera.description.nodes[selector])
            expect(("pSelected", name) in chosen, f"{selector} does not select {name}")
    if unknown:
        camera.run.note(f"called Standard, not in this checker's list of SFNC: {', '.join(unknown)}")


@camera_check(
    "XML-035", "visibility, tooltips, display names", "present on features; Visibility one of four words",
    "GenApi 2.1.1 2.8.1", INFO,
)  # fmt: skip
def presentation(camera: Camera) -> None:
    missing = []
    for name in camera.description.features():
        element = camera.description.nodes.get(name)
        visibility = element.findtext("Visibility") if element is not None else None
        expect(visibility is None or visibility in _VISIBILITIES, f"{name}: Visibility {visibility!r}")
        if element is not None and not element.findtext("ToolTip") and not element.findtext("Description"):
            missing.append(name)
    expect(not missing, f"neither ToolTip nor Description: {', '.join(missing)}")
