"""The device description as a check gets it: entry 0 of the manifest (GenCP 1.3 clause 5.5), stored and unpacked."""

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import Protocol

from u3v.host.conformance.declare import Failed

ENTRY_BYTES = 64
MAX_BYTES = 64 << 20
ABRM_MANIFEST = 0x1D0
_ENTRY = struct.Struct("<HBBIQQ20s20s")


class Reader(Protocol):
    def rd(self, address: int, count: int) -> bytes: ...

    def number(self, address: int, size: int = 4) -> int: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A manifest entry: versions as (major, minor, subminor), `kind` its information word as it is."""

    raw: bytes
    file_version: tuple[int, int, int]
    kind: int
    address: int
    size: int
    sha1: bytes
    reserved: bytes

    @property
    def file_type(self) -> int:
        return self.kind & 7

    @property
    def file_format(self) -> int:
        return self.kind >> 10 & 0x3F

    @property
    def schema_version(self) -> tuple[int, int]:
        return self.kind >> 24, self.kind >> 16 & 0xFF


@dataclass(frozen=True, slots=True)
class XmlFile:
    """`stored`: the bytes in the camera; `text`: the XML in them; `name`: the file's name in the zip or ""."""

    entry: Entry
    stored: bytes
    text: bytes
    name: str


def parse_entry(raw: bytes) -> Entry:
    subminor, minor, major, kind, address, size, sha1, reserved = _ENTRY.unpack(raw)
    return Entry(raw, (major, minor, subminor), kind, address, size, sha1, reserved)


def read_manifest(reader: Reader) -> list[Entry]:
    """All entries. Raises Failed."""
    address = reader.number(ABRM_MANIFEST, 8)
    count = reader.number(address, 8)
    if not 0 < count <= 256:
        raise Failed(f"the manifest at {address:#x} says {count} entries")
    return [parse_entry(reader.rd(address + 8 + ENTRY_BYTES * i, ENTRY_BYTES)) for i in range(count)]


def find_xml(reader: Reader, entry: Entry | None = None) -> XmlFile:
    """The file of an entry (None: entry 0). Raises Failed where it cannot be read or unpacked."""
    entry = entry or read_manifest(reader)[0]
    if not 0 < entry.size <= MAX_BYTES:
        raise Failed(f"the manifest says the XML is {entry.size} bytes long")
    stored = reader.rd(entry.address, entry.size)
    if entry.file_format != 1:
        return XmlFile(entry, stored, stored.removeprefix(b"\xef\xbb\xbf"), "")
    try:
        with zipfile.ZipFile(io.BytesIO(stored)) as archive:
            first = archive.infolist()[0]
            if first.file_size > MAX_BYTES:
                raise Failed(f"the unzipped XML is {first.file_size} bytes long")
            return XmlFile(entry, stored, archive.read(first).removeprefix(b"\xef\xbb\xbf"), first.filename)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error, IndexError, RuntimeError) as error:
        raise Failed(f"the XML is no readable zip: {error}") from error
