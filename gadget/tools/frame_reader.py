"""What `u3v grab` needs of a camera, on whichever wire: who it is, its frames, how they are counted. Protocols."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from u3v.host.bus import WriteBuffer
from u3v.wire.stream import Leader


@dataclass(frozen=True, slots=True)
class Identity:
    """What a camera calls itself."""

    vendor: str
    model: str
    serial: str


class Taken(Protocol):
    """A frame, whole or not."""

    @property
    def block_id(self) -> int | None: ...
    @property
    def leader(self) -> Leader | None: ...
    @property
    def payload(self) -> memoryview: ...
    @property
    def complete(self) -> bool: ...
    @property
    def reason(self) -> str: ...


class Counts(Protocol):
    """What became of block ids, see `u3v.host.assembler`."""

    first_block_id: int
    last_block_id: int
    delivered: int
    incomplete: int
    discarded: int
    strays: int


class FrameReader(Protocol):
    """`u3v.host.stream.StreamReader` is one. `Any`: each takes back the frames that it gave."""

    resyncs: int
    after_stop: int

    @property
    def assembler(self) -> Counts: ...
    @property
    def buffer_bytes(self) -> int: ...
    @property
    def payload_size(self) -> int: ...
    @property
    def posted(self) -> int: ...

    def start(self, buffers: Iterable[WriteBuffer]) -> None: ...

    def next_frame(self, timeout_ms: int) -> Any: ...

    def release(self, frame: Any) -> None: ...

    def stop(self) -> None: ...


class CountsAcks(Protocol):
    """A control channel. `stale_acks`: acknowledges that came too late for their command."""

    stale_acks: int
