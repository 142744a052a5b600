"""A GenICam description as plain XML: its nodes by name, what they refer to, and which register stands behind what.

Nothing is interpreted here beyond constants and indexes: formulas are the reference implementation's. Element names
after GenApi 2.1.1, chapter 2.8.
"""

from collections.abc import Callable, Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from u3v.errors import Malformed

REGISTERS = {"IntReg", "MaskedIntReg", "FloatReg", "StringReg", "Register", "StructReg"}
INTEGERS = {
    "Integer",
    "IntReg",
    "MaskedIntReg",
    "StructEntry",
    "IntConverter",
    "IntSwissKnife",
    "Enumeration",
}
FLOATS = {"Float", "FloatReg", "Converter", "SwissKnife"}
NUMBERS = INTEGERS | FLOATS | {"Boolean"}
FEATURES = NUMBERS | {"Category", "Command", "String", "StringReg", "Register", "StructReg"}
OTHERS = {"Port", "Node", "EnumEntry", "ConfRom", "TextDesc", "IntKey", "AdvFeatureLock", "SmartFeature"}
_INT_ACCESS = REGISTERS | INTEGERS | {"Boolean"}
FITTING = {
    "pFeature": FEATURES | {"Node"},
    "pPort": {"Port"},
    "pAddress": _INT_ACCESS,
    "pIndex": _INT_ACCESS,
    "pLength": _INT_ACCESS,
    "pMin": NUMBERS,
    "pMax": NUMBERS,
    "pInc": NUMBERS,
    "pIsLocked": _INT_ACCESS,
    "pIsAvailable": _INT_ACCESS,
    "pIsImplemented": _INT_ACCESS,
    "pCommandValue": _INT_ACCESS,
}
"""Kinds of nodes that a reference may name; references that are not listed may name any."""


_LEADING = {"pValue", "pValueDefault", "pAddress", "pIndex", "pVariable"}


class Description:
    """Raises Malformed for what is no well-formed XML, or names entities of its own."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            raise Malformed("the XML has a document type declaration")
        try:
            text.decode("utf-8")
            self.root = ElementTree.fromstring(text)
        except (ElementTree.ParseError, UnicodeDecodeError) as error:
            raise Malformed(f"the XML is not well-formed: {error}") from error
        self.namespace, _, self.root_name = self.root.tag.rpartition("}")
        self.namespace = self.namespace.lstrip("{")
        for element in self.root.iter():
            element.tag = element.tag.rpartition("}")[2]
        self.all_nodes = [element for element in self._walk(self.root) if element.get("Name")]
        self.nodes = {element.get("Name", ""): element for element in self.all_nodes}

    def _walk(self, parent: Element) -> Iterator[Element]:
        """Nodes at the top, in groups, and the entries of StructRegs, which are nodes of their own."""
        for element in parent:
            if element.tag == "Group":
                yield from self._walk(element)
                continue
            yield element
            if element.tag == "StructReg":
                yield from (entry for entry in element if entry.tag == "StructEntry")

    def kind(self, name: str) -> str:
        element = self.nodes.get(name)
        return element.tag if element is not None else ""

    def text_of(self, name: str, tag: str) -> str | None:
        element = self.nodes.get(name)
        found = element.find(tag) if element is not None else None
        return None if found is None else (found.text or "").strip()

    def named(self, tag: str) -> list[str]:
        return [name for name, element in self.nodes.items() if element.tag == tag]

    def references(self, element: Element) -> Iterator[tuple[str, str]]:
        """(kind of reference, name) of everything a node refers to, its entries' included."""
        for child in element:
            if child.tag in ("EnumEntry", "StructEntry"):
                yield from self.references(child)
            elif child.tag[:1] == "p" and child.tag[1:2].isupper():
                yield child.tag, (child.text or "").strip()

    def registers(self) -> list[str]:
        """Registers of the device itself, not of chunks or events."""
        ports = {n for n in self.named("Port") if self.nodes[n].find("EventID") is None}
        ports -= {n for n in ports if self.nodes[n].find("ChunkID") is not None}
        names = [n for n, element in self.nodes.items() if element.tag in REGISTERS]
        return [n for n in names if self.text_of(n, "pPort") in ports]

    def features(self) -> list[str]:
        """What can be reached from the category Root, categories left out."""
        found: dict[str, None] = {}
        todo, seen = ["Root"], {"Root"}
        while todo:
            element = self.nodes.get(todo.pop(0))
            for kind, name in self.references(element) if element is not None else ():
                if kind != "pFeature":
                    continue
                if self.kind(name) != "Category":
                    found[name] = None
                elif name not in seen:
                    seen.add(name)
                    todo.append(name)
        return list(found)

    def beside(self, name: str) -> list[str]:
        """The features of the categories that a feature is in, itself left out."""
        found: dict[str, None] = {}
        for category in self.named("Category"):
            mates = [to for kind, to in self.references(self.nodes[category]) if kind == "pFeature"]
            if name in mates:
                found |= dict.fromkeys(mate for mate in mates if self.kind(mate) not in ("", "Category"))
        return [mate for mate in found if mate != name]

    def follows(self, name: str) -> set[str]:
        """What decides where a value is or what it is: nodes reached by values, addresses and variables."""
        found, todo = {name}, [name]
        while todo:
            element = self.nodes.get(todo.pop())
            for child in element.iter() if element is not None else ():
                to = [(child.text or "").strip()] if child.tag in _LEADING else []
                to += [child.get("pOffset", "")] if child.get("pOffset") else []
                todo += [each for each in to if each not in found]
                found.update(to)
        return found - {name}

    def register_behind(self, name: str) -> str | None:
        """Follow pValue to the register that holds a value."""
        for _ in range(16):
            if self.kind(name) in REGISTERS:
                return name
            name = self.text_of(name, "pValue") or ""
            if not name:
                return None
        return None

    def constant(self, name: str) -> int | None:
        """The value of an Integer that has one of its own."""
        text = self.text_of(name, "Value")
        return None if text is None or self.kind(name) != "Integer" else to_int(text)

    def entries(self, name: str) -> dict[str, int]:
        """Entries of an Enumeration with their values."""
        element = self.nodes[name]
        return {
            entry.get("Name", ""): to_int(entry.findtext("Value") or "0") or 0
            for entry in element
            if entry.tag == "EnumEntry"
        }

    def place(self, name: str, integer: Callable[[str], int | None]) -> tuple[int, int] | None:
        """Address and length of a register; `integer` gives the value of another node."""
        address, length = 0, to_int(self.text_of(name, "Length") or "")
        if length is None:
            length = integer(self.text_of(name, "pLength") or "")
        for child in self.nodes[name]:
            part: int | None = 0
            if child.tag == "Address":
                part = to_int(child.text or "")
            elif child.tag == "pAddress":
                part = integer((child.text or "").strip())
            elif child.tag == "IntSwissKnife":
                part = None
            elif child.tag == "pIndex":
                index = integer((child.text or "").strip())
                step = to_int(child.get("Offset") or "") if child.get("Offset") else None
                if step is None:
                    step = integer(child.get("pOffset", "")) if child.get("pOffset") else length
                part = None if index is None or step is None else index * step
            if part is None:
                return None
            address += part
        return None if length is None else (address, length)


def to_int(text: str) -> int | None:
    """GenApi's integers: decimal, also with leading zeros, or hexadecimal with 0x; None: it is none."""
    word = text.strip().lower()
    try:
        return int(word, 16 if word.lstrip("+-").startswith("0x") else 10)
    except ValueError:
        return None


def to_hex(text: str) -> int | None:
    """Ids of events and chunks: hexadecimal without 0x; None: it is none."""
    try:
        return int(text, 16)
    except ValueError:
        return None
