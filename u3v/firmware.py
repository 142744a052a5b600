"""Firmware files of virtual cameras: what a file for the "firmware update" of a camera looks like.

No code is in them: a text that says for which model the file is and which version it brings, then padding of the size
that a real one would have, then a checksum. So a host's update program has something to send, and something that can
arrive damaged.
"""

import struct
from zlib import crc32

from u3v.errors import Malformed

MAGIC = b"U3VFW\1\0\0"
MAX_BYTES = 1 << 20
VERSION_BYTES = 127
_HEAD = struct.Struct("<8s64s128s")


def build_firmware(model: str, version: str, padding_bytes: int = 4096) -> bytes:
    """A file that brings a camera of this model to this version. Raises ValueError for what does not fit."""
    if not version or not version.isascii() or len(version) > VERSION_BYTES:
        raise ValueError(f"version {version!r} is not ASCII of 1 to {VERSION_BYTES} characters")
    body = _HEAD.pack(MAGIC, model.encode("ascii"), version.encode("ascii")) + bytes(padding_bytes)
    return body + struct.pack("<I", crc32(body))


def read_firmware(data: bytes, model: str) -> str:
    """The version that a file brings. Raises Malformed where it is damaged, not complete or for another model."""
    if len(data) < _HEAD.size + 4 or data[: len(MAGIC)] != MAGIC:
        raise Malformed("this is no firmware file")
    if crc32(data[:-4]) != struct.unpack("<I", data[-4:])[0]:
        raise Malformed("the firmware file is damaged or not complete")
    _, meant_for, version = (field.rstrip(b"\0") for field in _HEAD.unpack_from(data))
    if meant_for != model.encode("ascii"):
        raise Malformed(f"the firmware file is for {meant_for.decode('ascii', 'replace')}, not for {model}")
    return str(version.decode("ascii", "replace"))
