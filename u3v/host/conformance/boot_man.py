"""BOOT-MAN: the manifest and the files it names (GenCP 1.3 clauses 3.3.3, 5.5)."""

import hashlib
import io
import re
import zipfile
import zlib

from u3v.host.conformance.context import Context
from u3v.host.conformance.declare import INFO, SHOULD, check
from u3v.host.conformance.xml_file import ABRM_MANIFEST, Entry, find_xml, read_manifest

MAX_XML_BYTES = 16 << 20
DEVICE_XML, RAW, ZIPPED = 0, 0, 1
METHODS = {0: "stored", 8: "deflated"}
VERSIONS = ("SchemaMajorVersion", "SchemaMinorVersion", "MajorVersion", "MinorVersion", "SubMinorVersion")


def entries(c: Context) -> list[Entry]:
    return c.fact("the manifest", lambda: read_manifest(c))


@check("BOOT-MAN-001", "the number of entries", "1 to 256", "GenCP 1.3 5.5.1")
def count(c: Context) -> None:
    number = c.number(c.number(ABRM_MANIFEST, 8), 8)
    c.expect(1 <= number <= 256, f"{number} entries")


@check("BOOT-MAN-002", "entry 0", "type 0 (device XML), format 0 or 1", "Aravis uses entry 0 alone")
def first(c: Context) -> None:
    entry = entries(c)[0]
    c.expect(entry.file_type == DEVICE_XML, f"type {entry.file_type}")
    c.expect(entry.file_format in (RAW, ZIPPED), f"format {entry.file_format}")


@check(
    "BOOT-MAN-003", "all entries", "type 0 or 1, format 0 or 1, bits 9 to 3 clear", "GenCP 1.3 5.5.1.2; cameleon",
)  # fmt: skip
def kinds(c: Context) -> None:
    for i, entry in enumerate(entries(c)):
        right = entry.file_type in (0, 1) and entry.file_format in (0, 1) and not entry.kind >> 3 & 0x7F
        c.expect(right, f"entry {i}: information {entry.kind:#010x}")


@check("BOOT-MAN-004", "the last 20 bytes of each entry", "0", "GenCP 1.3 5.5.1.2", SHOULD)
def reserved(c: Context) -> None:
    for i, entry in enumerate(entries(c)):
        c.expect(not any(entry.reserved), f"entry {i}: {entry.reserved.hex(' ')}")


@check(
    "BOOT-MAN-005", "address and size of each entry", "1 byte to 16 MiB, every byte readable", "GenCP 1.3 5.5.1.2",
)  # fmt: skip
def files(c: Context) -> None:
    for i, entry in enumerate(entries(c)):
        c.expect(1 <= entry.size <= MAX_XML_BYTES, f"entry {i}: {entry.size} bytes")
        stored = c.xml.stored if i == 0 else c.rd(entry.address, entry.size)
        c.same(len(stored), entry.size, f"bytes of entry {i}")
        c.read_whole(entry.address + entry.size - 1, 1)


@check(
    "BOOT-MAN-006", "SHA-1 of the stored bytes", "equal to the entry's, where it has one",
    "GenCP 1.3 5.5.1.2; cameleon refuses",
)  # fmt: skip
def sha1(c: Context) -> None:
    for i, entry in enumerate(entries(c)):
        if any(entry.sha1):
            stored = c.rd(entry.address, entry.size)
            c.same(hashlib.sha1(stored).digest(), entry.sha1, f"SHA-1 of file {i} (the entry's to compare)")


@check("BOOT-MAN-007", "an SHA-1 of zeros", "none (legal, noted: Hifly)", "GenCP 1.3 5.5.1.2", INFO)
def has_sha1(c: Context) -> None:
    c.expect(all(any(entry.sha1) for entry in entries(c)), "an entry without SHA-1")


@check(
    "BOOT-MAN-008", "versions of the entry against the XML's attributes", "equal", "consistency with itself",
    SHOULD,
)  # fmt: skip
def versions(c: Context) -> None:
    entry = c.xml.entry
    root = c.xml.text.partition(b"<RegisterDescription")[2].partition(b">")[0].decode("utf-8", "replace")
    found = [re.search(rf'\b{name}\s*=\s*["\'](\d+)', root) for name in VERSIONS]
    if not all(found):
        c.skip("the XML has no such attributes")
    told = tuple(int(match[1]) for match in found if match)
    c.same((*entry.schema_version, *entry.file_version), told, "schema and file version of the entry")


@check(
    "BOOT-MAN-009", "a zipped file",
    "one file, stored or deflated, CRC right, not encrypted, no zip64, sizes right",
    "GenCP 1.3 3.3.3; Aravis and cameleon unzip it themselves",
)  # fmt: skip
def zipped(c: Context) -> None:
    for i, entry in enumerate(entries(c)):
        if entry.file_format != ZIPPED:
            continue
        stored = c.rd(entry.address, entry.size)
        try:
            check_zip(c, stored, f"file {i}")
        except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, zlib.error) as error:
            c.expect(False, f"file {i} is no readable zip: {error}")


def check_zip(c: Context, stored: bytes, name: str) -> None:
    """Raises Failed, or what zipfile raises."""
    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        found = archive.infolist()
        c.expect(len(found) == 1, f"{name} holds {len(found)} files")
        one = found[0]
        c.expect(one.compress_type in METHODS, f"{name}: compression method {one.compress_type}")
        c.expect(not one.flag_bits & 1, f"{name} is encrypted")
        c.expect(b"PK\x06\x06" not in stored[-98:] and one.file_size < 0xFFFFFFFF, f"{name} is a zip64")
        text = archive.read(one)
        c.same(len(text), one.file_size, f"size of {name} unpacked")
    at = one.header_offset
    packed, unpacked = (int.from_bytes(stored[at + k : at + k + 4], "little") for k in (18, 22))
    if not one.flag_bits & 8:  # else the sizes follow the data
        c.same((packed, unpacked), (one.compress_size, one.file_size), f"sizes of {name} in its local header")
    c.expect(
        one.header_offset + 30 + one.compress_size <= len(stored), f"{name}: its data end behind the file"
    )


@check(
    "BOOT-MAN-010", "a raw file", "begins with < (behind a byte order mark); raw is legal, and noted",
    "GenCP 1.3 5.5.1.2", INFO,
)  # fmt: skip
def raw(c: Context) -> None:
    for i, entry in enumerate(entries(c)):
        if entry.file_format == RAW:
            c.note(f"file {i} is a raw XML")
            head = c.rd(entry.address, min(entry.size, 8)).removeprefix(b"\xef\xbb\xbf").lstrip()
            c.expect(head[:1] == b"<", f"file {i} begins with {head.hex(' ')}")


@check(
    "BOOT-MAN-011", "several device XMLs", "their versions differ; each can be unpacked",
    "cameleon takes the highest", SHOULD,
)  # fmt: skip
def several(c: Context) -> None:
    found = [entry for entry in entries(c) if entry.file_type == DEVICE_XML]
    if len(found) < 2:
        c.skip("there is one device XML")
    told = [(entry.schema_version, entry.file_version) for entry in found]
    c.expect(len(set(told)) == len(told), f"two of the same version: {told}")
    for entry in found:
        c.expect(
            b"<RegisterDescription" in find_xml(c, entry).text, f"the file at {entry.address:#x} is no XML"
        )
