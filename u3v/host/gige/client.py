"""Driving a GigE Vision camera over GVCP: registers, control, XML.

State of a `GvcpClient`: the request id of the last command, and whether this host is in control. Always true: one
command is outstanding at most; an acknowledge counts only if its request id is the command's, all others are counted
in `stale_acks`. A command that nobody acknowledges is sent again with the same id, as GigE Vision wants it.
"""

import struct
from dataclasses import dataclass
from typing import Protocol

from u3v.errors import GenCPError, Malformed, Status, U3VError
from u3v.host.client import MAX_XML_BYTES, NoAnswer, refused, unzip
from u3v.host.gige import registers
from u3v.host.gige.registers import Url
from u3v.wire import gvcp
from u3v.wire.gvcp import Code

TIMEOUT_MS = 500
TRIES = 4
PIECE_BYTES = 512
MAX_PENDING_ACKS = 64
_ERROR_BIT = 0x8000


class Link(Protocol):
    """Datagrams to and from one camera's control port."""

    def send(self, data: bytes) -> None: ...

    def receive(self, timeout_ms: int) -> bytes | None:
        """None where nothing comes in time."""
        ...


@dataclass(frozen=True, slots=True)
class XmlFile:
    """The camera's GenICam description: `text` as found (unzipped)."""

    url: Url
    text: bytes


class GvcpClient:
    """One camera. `open` takes control of it, `close` gives it back; the link stays the caller's."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.stale_acks = 0
        self._request_id = 0
        self.in_control = False
        self.manufacturer_name = self.model_name = self.serial_number = ""

    def open(self) -> None:
        """Raises NoAnswer where no camera is, GenCPError where another host is in control."""
        named = (registers.MANUFACTURER, registers.MODEL, registers.SERIAL)
        self.manufacturer_name, self.model_name, self.serial_number = (
            registers.text(self.read(*at)) for at in named
        )
        try:
            self.write_u32(registers.CCP, registers.CONTROL)
        except GenCPError as error:
            if error.status is not Status.ACCESS_DENIED:
                raise
            raise GenCPError(error.status, "another host is in control of the camera") from None
        self.in_control = True

    def close(self) -> None:
        """Give control back. What is said to a camera that is gone does not matter any more."""
        if self.in_control:
            self.in_control = False
            try:
                self.write_u32(registers.CCP, registers.FREE)
            except U3VError:
                return

    def keep_alive(self) -> None:
        """Tell the camera that its host lives. Raises U3VError where another has control meanwhile."""
        if not self.read_u32(registers.CCP) & registers.CONTROL:
            self.in_control = False
            raise U3VError(
                "control of the camera was lost: it had heard nothing for too long, or was restarted"
            )

    def read(self, address: int, count: int, /) -> bytes:
        """Any address and count: registers are fetched in whole words."""
        first, last = address & ~3, (address + count + 3) & ~3
        data = b""
        while first + len(data) < last:
            at = first + len(data)
            size = min(PIECE_BYTES, last - at)
            asked = at.to_bytes(4, "big") + size.to_bytes(4, "big")
            got = self._command(Code.READMEM, asked, f"read of {at:#x}")
            if len(got) != 4 + size or got[:4] != asked[:4]:
                raise Malformed(f"read of {at:#x}: {len(got)} bytes of an answer to {size}")
            data += got[4:]
        return data[address - first :][:count]

    def write(self, address: int, data: bytes, /) -> None:
        """Any address and length; words that are written in part are read first."""
        first, last = address & ~3, (address + len(data) + 3) & ~3
        if (first, last) != (address, address + len(data)):
            old = self.read(first, last - first)
            data = old[: address - first] + data + old[address - first + len(data) :]
        if len(data) == 4:
            self._command(Code.WRITEREG, first.to_bytes(4, "big") + data, f"write of {first:#x}")
            return
        for at in range(0, len(data), PIECE_BYTES):
            place = (first + at).to_bytes(4, "big")
            self._command(Code.WRITEMEM, place + data[at : at + PIECE_BYTES], f"write of {first + at:#x}")

    def read_u32(self, address: int) -> int:
        """A bootstrap register."""
        got = self._command(Code.READREG, address.to_bytes(4, "big"), f"read of {address:#x}")
        return int.from_bytes(got, "big")

    def write_u32(self, address: int, value: int) -> None:
        """A bootstrap register."""
        self.write(address, value.to_bytes(4, "big"))

    def xml(self) -> XmlFile:
        """Download the device description. Raises Malformed."""
        url = registers.parse_url(registers.text(self.read(*registers.FIRST_URL)))
        if not 0 < url.size <= MAX_XML_BYTES:
            raise Malformed(f"the camera says its XML is {url.size} bytes long")
        stored = self.read(url.address, url.size)
        return XmlFile(url, unzip(stored)[1] if url.is_zipped else stored)

    def resend(self, block_id: int, first: int, last: int, *, extended: bool) -> None:
        """Ask for packets again; they come on the stream."""
        if extended:
            flags, payload = gvcp.EXTENDED_IDS, struct.pack(">IIIQ", 0, first, last, block_id)
        else:
            flags, payload = 0, struct.pack(">III", block_id, first, last)
        self._link.send(gvcp.Command(flags, Code.PACKETRESEND, self._next_id(), payload).pack())

    def _next_id(self) -> int:
        self._request_id = self._request_id % 0xFFFF + 1
        return self._request_id

    def _command(self, code: Code, payload: bytes, what: str) -> bytes:
        command = gvcp.Command(gvcp.ACK_REQUIRED, code, self._next_id(), payload)
        for _ in range(TRIES):
            self._link.send(command.pack())
            ack = self._await(command)
            if ack is None:
                continue
            if ack.status & _ERROR_BIT:
                raise refused(what, ack.status)
            if ack.code != code:
                raise Malformed(f"{what}: an acknowledge of command {ack.code:#06x}")
            return ack.payload
        raise NoAnswer(f"{what}: no acknowledge to {TRIES} commands within {TIMEOUT_MS} ms each")

    def _await(self, command: gvcp.Command) -> gvcp.Ack | None:
        timeout_ms = TIMEOUT_MS
        for _ in range(MAX_PENDING_ACKS):
            data = self._link.receive(timeout_ms)
            if data is None:
                return None
            try:
                ack = gvcp.parse_ack(data)
            except Malformed:
                continue
            if ack.request_id != command.request_id:
                self.stale_acks += 1
            elif ack.code == Code.PENDING and len(ack.payload) == 4:
                timeout_ms = max(TIMEOUT_MS, int.from_bytes(ack.payload[2:], "big"))
            else:
                return ack
        return None
