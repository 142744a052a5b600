"""GenCP packets as a checker writes and reads them: right ones, and wrong ones on purpose.

Layout after GenCP 1.3, clause 4.3, with the prefix of USB3 Vision. Typed here once more, from the standard: the
camera has its own codec, and a checker that borrowed it would agree with every mistake in it.
"""

import struct
from dataclasses import dataclass, field

PREFIX = b"U3VC"
REQUEST_ACK, RESEND = 0x4000, 0x8000
READMEM, WRITEMEM, PENDING_ACK, EVENT = 0x0800, 0x0802, 0x0805, 0x0C00
READMEM_STACKED, WRITEMEM_STACKED = 0x0806, 0x0808
HEAD_BYTES = 12

_HEAD = struct.Struct("<4sHHHH")

STATUS = {
    0x0000: "success",
    0x8001: "not implemented",
    0x8002: "invalid parameter",
    0x8003: "invalid address",
    0x8004: "write protected",
    0x8005: "bad alignment",
    0x8006: "access denied",
    0x8007: "busy",
    0x800B: "message time-out",
    0x800E: "invalid header",
    0x800F: "wrong configuration",
    0x8FFF: "error",
    0xA001: "resend not supported",
    0xA002: "stream endpoint halted",
    0xA003: "payload size not aligned",
    0xA004: "registers inconsistent",
    0xA005: "event endpoint halted",
    0xA100: "data discarded",
    0xA101: "data overrun",
}


@dataclass(frozen=True, slots=True)
class Ack:
    """An acknowledge as it came. `pending` are the PENDING_ACKs before it; times are the context's clock."""

    raw: bytes
    sent_ns: int
    came_ns: int
    pending: tuple["Ack", ...] = field(default=())

    @property
    def whole(self) -> bool:
        """Whether there is a header to look at."""
        return len(self.raw) >= HEAD_BYTES

    @property
    def prefix(self) -> bytes:
        return self.raw[:4]

    @property
    def status(self) -> int:
        return self._word(4)

    @property
    def command(self) -> int:
        return self._word(6)

    @property
    def length(self) -> int:
        """What the header says of the bytes behind it."""
        return self._word(8)

    @property
    def request_id(self) -> int:
        return self._word(10)

    @property
    def scd(self) -> bytes:
        """The bytes behind the header, as many as came."""
        return self.raw[HEAD_BYTES:]

    @property
    def ok(self) -> bool:
        return self.whole and self.status == 0

    def __str__(self) -> str:
        if not self.whole:
            return f"{len(self.raw)} bytes, no acknowledge: {self.raw.hex(' ')}"
        return (
            f"status {self.status:04X} ({status_text(self.status)}), acknowledge {self.command:04X}, "
            f"length {self.length}, id {self.request_id}, {len(self.scd)} bytes"
        )

    def _word(self, at: int) -> int:
        return int.from_bytes(self.raw[at : at + 2], "little")


def status_text(status: int) -> str:
    """What a status code means (GenCP 1.3 table 6; USB3 Vision)."""
    return STATUS.get(status, "device specific" if status >> 13 & 3 == 2 else "unknown")


def command(
    code: int,
    request_id: int,
    scd: bytes = b"",
    *,
    flags: int = REQUEST_ACK,
    length: int | None = None,
    prefix: bytes = PREFIX,
) -> bytes:
    """A command packet; `length` says something else than the SCD's own length where that is wanted."""
    return _HEAD.pack(prefix, flags, code, len(scd) if length is None else length, request_id) + scd


def readmem(
    request_id: int, address: int, count: int, *, flags: int = REQUEST_ACK, reserved: int = 0
) -> bytes:
    return command(READMEM, request_id, struct.pack("<QHH", address, reserved, count), flags=flags)


def writemem(request_id: int, address: int, data: bytes, *, flags: int = REQUEST_ACK) -> bytes:
    return command(WRITEMEM, request_id, struct.pack("<Q", address) + data, flags=flags)


def describe_command(packet: bytes) -> str:
    """A command in words, for evidence."""
    if len(packet) < HEAD_BYTES:
        return f"{len(packet)} bytes, shorter than a header"
    prefix, flags, code, length, request_id = _HEAD.unpack_from(packet)
    scd = packet[HEAD_BYTES:]
    name = {READMEM: "READMEM", WRITEMEM: "WRITEMEM"}.get(code, f"command {code:04X}")
    place = (
        f" at {int.from_bytes(scd[:8], 'little'):#x}" if code in (READMEM, WRITEMEM) and len(scd) >= 8 else ""
    )
    size = ""
    if code == READMEM and len(scd) >= 12:
        size = f" of {int.from_bytes(scd[10:12], 'little')} bytes"
    elif code == WRITEMEM and len(scd) >= 8:
        size = f" of {len(scd) - 8} bytes"
    odd = "" if prefix == PREFIX else f", prefix {prefix!r}"
    odd += "" if flags == REQUEST_ACK else f", flags {flags:04X}"
    odd += "" if length == len(scd) else f", length field {length}"
    return f"{name}{size}{place}, id {request_id}{odd}"
