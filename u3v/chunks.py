"""Chunk data: what a camera says about a frame behind its pixels (SFNC ChunkDataControl).

A frame with chunks is a row of chunks: the data of one, little-endian, then its id and its length, 4 bytes each in the
byte order of the wire; then the next. The pixels are the first one, and hosts read the row from its end. A `Chunk`
declares what a camera has; `ChunkData` is the camera's `Tail`. It is made when the exposure begins, because that is
what it is about; a checksum alone waits for the pixels.
"""

import struct
from binascii import crc_hqx
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from zlib import crc32

from u3v.device import Device
from u3v.exposure import Exposure
from u3v.features import Enumeration, Feature, Value

Read = Callable[[Device, Exposure], Value]

IMAGE = "Image"
MODE, ENABLE = "ChunkModeActive", "ChunkEnable"
_MARK_BYTES = 8


@dataclass(frozen=True)
class ChunkValue:
    """One value in a chunk: the node that hosts read, and what it says. `each`: several of them one after the other,
    for the entries of `selector`. A host keeps the selector to itself: it reads a frame's chunks without the camera.
    `at_end`: it tells how long the exposure was, which is known at its end; all others are read when it begins."""

    feature: Feature
    read: Read | None = None
    each: Sequence[Read] = ()
    selector: Enumeration | None = None
    at_end: bool = False

    @property
    def size(self) -> int:
        """Bytes in the chunk."""
        return self.feature.size * max(len(self.each), 1)

    def encode(self, camera: Device, exposure: Exposure) -> bytes:
        reads = self.each if self.read is None else (self.read,)
        return b"".join(self.feature.encode(read(camera, exposure)) for read in reads)


@dataclass(frozen=True)
class Chunk:
    """`name`: ChunkSelector's entry. `checksum`: its one value is a CRC-16 (polynomial 0x1021, from 0) of everything
    in front of it."""

    name: str
    chunk_id: int
    values: tuple[ChunkValue, ...] = ()
    checksum: bool = False

    @property
    def size(self) -> int:
        return sum(value.size for value in self.values)

    def places(self) -> list[tuple[ChunkValue, int]]:
        """Each value and where it begins in the chunk."""
        found, at = [], 0
        for value in self.values:
            found.append((value, at))
            at += value.size
        return found


@dataclass(frozen=True, slots=True)
class ChunkTail:
    """What follows the pixels of one frame: complete, but for the checksum. `at_end`: where the values are that an
    exposure's end decides, and how to read them."""

    data: bytes
    has_checksum: bool
    layout_id: int
    at_end: tuple[tuple[int, Callable[[Exposure], bytes]], ...] = ()

    def lasting(self, exposure: Exposure) -> "ChunkTail":
        data = bytearray(self.data)
        for at, read in self.at_end:
            value = read(exposure)
            data[at : at + len(value)] = value
        return replace(self, data=bytes(data))

    def write(self, payload: memoryview, pixels_crc: int | None = None) -> None:
        """Fill the end of a frame's payload, whose pixels are there. Megabytes of them take long: so their CRC can
        come from elsewhere."""
        first = len(payload) - len(self.data)
        payload[first:] = self.data
        if self.has_checksum:
            at = len(payload) - _MARK_BYTES - 4
            begun = crc_hqx(payload[:first], 0) if pixels_crc is None else pixels_crc
            payload[at : at + 4] = struct.pack("<I", crc_hqx(payload[first:at], begun))


class ChunkData:
    """The tail of a camera with these chunks. State: which of them are on, as of the settings' last version."""

    def __init__(self, camera: Device, chunks: Sequence[Chunk]) -> None:
        self._camera = camera
        self._mark = struct.Struct(camera.wire.chunk_marks).pack
        checksums = [chunk for chunk in chunks if chunk.checksum]
        self._chunks = [*(c for c in chunks if not c.checksum and c.name != IMAGE), *checksums]
        self._image_id = next(chunk.chunk_id for chunk in chunks if chunk.name == IMAGE)
        self._selectable: Mapping[str, int] = camera.features.declared["ChunkSelector"].entries
        self._known: tuple[int, list[Chunk]] = (-1, [])

    def bytes_for(self, settings_version: int) -> int:
        active = self._active(settings_version)
        if not self._camera.features.get(MODE):
            return 0
        return _MARK_BYTES + sum(chunk.size + _MARK_BYTES for chunk in active)

    def begin(self, exposure: Exposure, settings_version: int) -> ChunkTail:
        """The tail of this exposure, which begins now."""
        active = self._active(settings_version)
        data = bytearray(self._mark(self._image_id, exposure.settings.image_bytes))
        at_end = []
        for chunk in active:
            for value in chunk.values:
                read = partial(value.encode, self._camera)
                if value.at_end:
                    at_end.append((len(data), read))
                data += read(exposure)
            data += self._mark(chunk.chunk_id, chunk.size)
        layout_id = crc32(b"".join(struct.pack("<II", c.chunk_id, c.size) for c in active))
        has_checksum = any(chunk.checksum for chunk in active)
        return ChunkTail(bytes(data), has_checksum, layout_id, tuple(at_end))

    def _active(self, version: int) -> list[Chunk]:
        if self._known[0] != version:
            features = self._camera.features
            active = [
                chunk
                for chunk in self._chunks
                if chunk.name in self._selectable and features.get(ENABLE, ChunkSelector=chunk.name)
            ]
            self._known = (version, active)
        return self._known[1]
