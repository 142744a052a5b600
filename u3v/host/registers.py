"""The bootstrap registers as a host sees them: blocks of bytes -> frozen records.

Offsets after GenCP 1.1 (ABRM, manifest) and USB3 Vision 1.0 (SBRM, SIRM, EIRM). They are written down here a
second time on purpose: the camera has its own table, and a host that borrowed it would agree with every
mistake in it.
"""

import struct
from dataclasses import dataclass

from u3v.errors import Malformed

ENTRY_BYTES = 64

ABRM_RESPONSE_TIME, ABRM_MANIFEST, ABRM_SBRM = 0x1CC, 0x1D0, 0x1D8
SBRM_MAX_COMMAND = 0x14
SI_CONTROL, SI_MAX_LEADER = 0x04, 0x18
EI_CONTROL = 0x00

CAPABILITY_USER_NAME, CAPABILITY_TIMESTAMP = 1 << 0, 1 << 3
CAPABILITY_FAMILY, CAPABILITY_WRITTEN_LENGTH = 1 << 8, 1 << 11
U3VCP_SIRM, U3VCP_EIRM = 1 << 0, 1 << 1


_ABRM_NUMBERS = struct.Struct("<QIQQQIIQIQ")  # from 0x1C4 on
_SBRM = struct.Struct("<IQQIIIQIQIQI")
_SIRM = struct.Struct("<IIQIIIIIIII")
_EIRM = struct.Struct("<III")
_ENTRY = struct.Struct("<HBBIQQ20s20s")


def _fields(layout: struct.Struct) -> tuple[tuple[int, int], ...]:
    """(offset, size) of each field of a layout without padding."""
    sizes = [struct.calcsize("<" + code) for code in layout.format.lstrip("<")]
    return tuple((sum(sizes[:i]), size) for i, size in enumerate(sizes))


# Each register is read by itself: a camera need not answer reads that span registers, or write-only ones.
Fields = tuple[tuple[int, int], ...]
ABRM_CAPABILITY = (0x1C4, 8)
ABRM_FIELDS: Fields = ((0x000, 4), (0x004, 64), (0x044, 64), (0x0C4, 64), (0x104, 64), (0x144, 64))
ABRM_FIELDS += ((0x1CC, 4), (0x1D0, 8), (0x1D8, 8), (0x1E0, 8))
# Without its capability bit such a register may answer INVALID_ADDRESS.
ABRM_FAMILY, ABRM_USER_NAME, ABRM_TIMESTAMP_INCREMENT = (0x084, 64), (0x184, 64), (0x1FC, 8)
SBRM_FIELDS, SIRM_FIELDS, EIRM_FIELDS = _fields(_SBRM), _fields(_SIRM), _fields(_EIRM)
ABRM_BYTES, SBRM_BYTES, SIRM_BYTES, EIRM_BYTES = 0x204, _SBRM.size, _SIRM.size, _EIRM.size


@dataclass(frozen=True, slots=True)
class Abrm:
    """What the camera is and where its other registers are; `timestamp_increment_ns` 0: it has no such register."""

    gencp_version: tuple[int, int]
    manufacturer_name: str
    model_name: str
    family_name: str
    device_version: str
    manufacturer_info: str
    serial_number: str
    user_defined_name: str
    device_capability: int
    max_response_time_ms: int
    manifest_address: int
    sbrm_address: int
    device_configuration: int
    timestamp_increment_ns: int


@dataclass(frozen=True, slots=True)
class Sbrm:
    """Limits of the wire, lengths in bytes; `current_speed` is a bit of SPEEDS."""

    u3v_version: tuple[int, int]
    capability: int
    max_command_bytes: int
    max_ack_bytes: int
    stream_channels: int
    sirm_address: int
    sirm_length: int
    eirm_address: int
    eirm_length: int
    iidc2_address: int
    current_speed: int


@dataclass(frozen=True, slots=True)
class Sirm:
    """Stream registers; sizes in bytes. `alignment` is 2**exponent of SI_Info."""

    address: int
    alignment: int
    control: int
    required_payload: int
    required_leader: int
    required_trailer: int
    max_leader: int
    transfer_size: int
    transfer_count: int
    final1_size: int
    final2_size: int
    max_trailer: int


@dataclass(frozen=True, slots=True)
class Eirm:
    """Event registers; `control` 1: events are sent."""

    address: int
    control: int
    max_event_bytes: int


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """A file the camera offers. `sha1` is of the stored bytes, None where the camera gives none."""

    file_version: tuple[int, int, int]
    schema_version: tuple[int, int]
    file_type: int
    file_format: int
    address: int
    size: int
    sha1: bytes | None


def _version(raw: int) -> tuple[int, int]:
    return raw >> 16, raw & 0xFFFF


def text(field: bytes) -> str:
    """A NUL-padded string register."""
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def parse_abrm(raw: bytes) -> Abrm:
    """From the first ABRM_BYTES bytes of the register space."""
    manufacturer, model, family, version, info, serial, user = (
        text(raw[at : at + 64]) for at in range(0x004, 0x1C4, 64)
    )
    numbers = _ABRM_NUMBERS.unpack_from(raw, 0x1C4)
    capability, response_ms, manifest, sbrm, configuration = numbers[:5]
    return Abrm(
        _version(int.from_bytes(raw[:4], "little")),
        manufacturer,
        model,
        family,
        version,
        info,
        serial,
        user,
        capability,
        response_ms,
        manifest,
        sbrm,
        configuration,
        numbers[9],
    )


def parse_sbrm(raw: bytes) -> Sbrm:
    version, capability, _configuration, *rest = _SBRM.unpack_from(raw)
    return Sbrm(_version(version), capability, *rest)


def parse_sirm(address: int, raw: bytes) -> Sirm:
    info, control, *rest = _SIRM.unpack_from(raw)
    return Sirm(address, 1 << (info >> 24 & 0x1F), control, *rest)


def parse_eirm(address: int, raw: bytes) -> Eirm:
    control, length, _test = _EIRM.unpack_from(raw)
    return Eirm(address, control, length)


def parse_entry(raw: bytes) -> ManifestEntry:
    """One entry of the manifest table, 64 bytes."""
    if len(raw) != ENTRY_BYTES:
        raise Malformed(f"{len(raw)} bytes are no manifest entry of {ENTRY_BYTES}")
    subminor, minor, major, kind, address, size, sha1, _reserved = _ENTRY.unpack(raw)
    return ManifestEntry(
        (major, minor, subminor),
        (kind >> 24, kind >> 16 & 0xFF),
        kind & 0x07,
        kind >> 10 & 0x3F,
        address,
        size,
        sha1 if any(sha1) else None,
    )
