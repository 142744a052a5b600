"""Driving a USB3 Vision camera over any `HostBus`: descriptors, control channel, bootstrap, XML download.

State of a `U3VClient`: the request id of the last command (1..0xFFFE, each command a new one) and, after
`open()`, what descriptors and bootstrap registers said. Always true: one command is outstanding at most, and
an acknowledge counts only if its request id is the command's. Late acknowledges of commands given up on are
counted in `stale_acks` and dropped; commands carried out with a warning are counted in `warnings`. No command is
ever sent twice: a repeated write could act twice, and USB3 Vision knows no resending.
"""

import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass

from u3v.errors import GenCPError, Malformed, Status, U3VError
from u3v.host import bus as usb
from u3v.host import registers
from u3v.host.bus import HostBus, UsbOverflow, UsbTimeout
from u3v.host.descriptors import DeviceInfo, U3VFunction, find_function
from u3v.host.registers import Abrm, Eirm, ManifestEntry, Sbrm, Sirm
from u3v.wire import gencp

FIRST_TIMEOUT_MS = 1000
"""Wait for an acknowledge before the camera has said how long it may take."""
FIRST_MAX_PACKET_BYTES = 128
"""Longest command and acknowledge before the camera has said its limits."""
MAX_PENDING_ACKS = 64
MAX_STALE_ACKS = 16
MAX_XML_BYTES = 64 << 20
_ERROR_BIT = 0x8000


class NoAnswer(U3VError):
    """The camera did not acknowledge a command in time."""


@dataclass(frozen=True, slots=True)
class UsbStrings:
    """What the descriptors call the camera; "" where there is no string."""

    guid: str
    vendor: str
    model: str
    family: str
    device_version: str
    manufacturer_info: str
    serial: str
    user_defined_name: str


@dataclass(frozen=True, slots=True)
class XmlFile:
    """The camera's GenICam description: `text` as found (unzipped), `name` of the file in the zip or ""."""

    entry: ManifestEntry
    name: str
    text: bytes


class U3VClient:
    """One opened camera. Call `open()` first; the bus stays the caller's, who closes it."""

    def __init__(self, bus: HostBus) -> None:
        self.bus = bus
        self.stale_acks = 0
        self.pending_acks = 0
        self.warnings = 0
        self.timeout_ms = FIRST_TIMEOUT_MS
        self.max_command_bytes = FIRST_MAX_PACKET_BYTES
        self.max_ack_bytes = FIRST_MAX_PACKET_BYTES
        self._request_id = 0
        self._written_length = False
        self._function: U3VFunction | None = None
        self._abrm: Abrm | None = None
        self._sbrm: Sbrm | None = None

    def open(self) -> None:
        """Read the descriptors, configure the device if nobody has, read ABRM and SBRM.

        Raises Malformed (not a USB3 Vision camera), GenCPError, NoAnswer, UsbError.
        """
        self.find()
        if not usb.get_configuration(self.bus):
            usb.set_configuration(self.bus, self.function.configuration)
        self.bootstrap()

    def find(self) -> U3VFunction:
        """Parse the configuration descriptor. Raises Malformed."""
        self._function = find_function(usb.get_configuration_descriptor(self.bus))
        return self._function

    def bootstrap(self) -> None:
        """Read SBRM (limits first) and ABRM; from here on the camera's own limits and time hold."""
        sbrm_address = self._number(registers.ABRM_SBRM, 8)
        limits = self.read(sbrm_address + registers.SBRM_MAX_COMMAND, 4)
        self.max_command_bytes = self._sane("Maximum_Command_Transfer_Length", limits, 24)
        acks = self.read(sbrm_address + registers.SBRM_MAX_COMMAND + 4, 4)
        self.max_ack_bytes = self._sane("Maximum_Acknowledge_Transfer_Length", acks, 16)
        self.timeout_ms = max(self._number(registers.ABRM_RESPONSE_TIME, 4), FIRST_TIMEOUT_MS // 2)
        raw = bytearray(registers.ABRM_BYTES)
        offset, size = registers.ABRM_CAPABILITY
        capability = self._number(offset, size)
        fields = registers.ABRM_FIELDS + (registers.ABRM_CAPABILITY,)
        if capability & registers.CAPABILITY_FAMILY:
            fields += (registers.ABRM_FAMILY,)
        if capability & registers.CAPABILITY_USER_NAME:
            fields += (registers.ABRM_USER_NAME,)
        if capability & registers.CAPABILITY_TIMESTAMP:
            fields += (registers.ABRM_TIMESTAMP_INCREMENT,)
        self._written_length = bool(capability & registers.CAPABILITY_WRITTEN_LENGTH)
        self._abrm = registers.parse_abrm(self._read_fields(0, raw, fields))
        raw = bytearray(registers.SBRM_BYTES)
        self._sbrm = registers.parse_sbrm(self._read_fields(sbrm_address, raw, registers.SBRM_FIELDS))

    @property
    def function(self) -> U3VFunction:
        if self._function is None:
            raise U3VError("the client is not open")
        return self._function

    @property
    def info(self) -> DeviceInfo:
        return self.function.info

    @property
    def abrm(self) -> Abrm:
        if self._abrm is None:
            raise U3VError("the client is not open")
        return self._abrm

    @property
    def sbrm(self) -> Sbrm:
        if self._sbrm is None:
            raise U3VError("the client is not open")
        return self._sbrm

    # endpoint 0

    def strings(self) -> UsbStrings:
        """The strings of the device information descriptor. Raises Malformed, UsbStall."""
        i = self.info
        indexes = (
            i.guid_index,
            i.vendor_index,
            i.model_index,
            i.family_index,
            i.device_version_index,
            i.manufacturer_info_index,
            i.serial_index,
            i.user_defined_name_index,
        )
        return UsbStrings(*(usb.get_string(self.bus, index) if index else "" for index in indexes))

    # the control channel

    def read(self, address: int, count: int) -> bytes:
        """Read `count` bytes, in as many READMEM as the camera's limit asks for.

        Raises GenCPError (the camera refuses), NoAnswer, Malformed, UsbError.
        """
        step = _aligned(min(self.max_ack_bytes - gencp.HEADER_BYTES, 0xFFFF))
        out = bytearray()
        while len(out) < count:
            size = min(step, count - len(out))
            at = address + len(out)
            what = f"read of {size} bytes at {at:#x}"
            scd = self._command(gencp.pack_readmem(self._next_id(), at, size), gencp.READMEM_ACK, size, what)
            if len(scd) != size:
                raise Malformed(f"{what}: {len(scd)} bytes came back")
            out += scd
        return bytes(out)

    def write(self, address: int, data: bytes) -> None:
        """Write `data`, in as many WRITEMEM as the camera's limit asks for.

        Raises GenCPError (the camera refuses), NoAnswer, Malformed, UsbError.
        """
        overhead = gencp.HEADER_BYTES + gencp.WRITEMEM_SCD_HEAD_BYTES
        step = _aligned(min(self.max_command_bytes - overhead, 0xFFFF - gencp.WRITEMEM_SCD_HEAD_BYTES))
        for start in range(0, len(data), step):
            part = data[start : start + step]
            at = address + start
            what = f"write of {len(part)} bytes at {at:#x}"
            packet = gencp.pack_writemem(self._next_id(), at, part)
            scd = self._command(packet, gencp.WRITEMEM_ACK, 4, what)
            if len(scd) or self._written_length:
                written = gencp.parse_write_ack(scd)
                if self._written_length and written != len(part):
                    raise Malformed(f"{what}: the camera says {written} bytes written")

    def read_u32(self, address: int) -> int:
        return self._number(address, 4)

    def read_u64(self, address: int) -> int:
        return self._number(address, 8)

    def write_u32(self, address: int, value: int) -> None:
        self.write(address, value.to_bytes(4, "little"))

    # bootstrap blocks and files

    def sirm(self, stream: int = 0) -> Sirm:
        """The stream registers as they are now. Raises U3VError where the camera has no such stream."""
        sbrm = self.sbrm
        if not sbrm.capability & registers.U3VCP_SIRM or stream >= max(sbrm.stream_channels, 1):
            raise U3VError(f"the camera has no stream channel {stream}")
        address = sbrm.sirm_address + stream * sbrm.sirm_length
        raw = bytearray(registers.SIRM_BYTES)
        return registers.parse_sirm(address, self._read_fields(address, raw, registers.SIRM_FIELDS))

    def eirm(self) -> Eirm:
        """The event registers as they are now. Raises U3VError where the camera has no event channel."""
        if not self.sbrm.capability & registers.U3VCP_EIRM:
            raise U3VError("the camera has no event channel")
        address = self.sbrm.eirm_address
        raw = bytearray(registers.EIRM_BYTES)
        # Event_Test_Control, the last one, may be write-only.
        return registers.parse_eirm(address, self._read_fields(address, raw, registers.EIRM_FIELDS[:-1]))

    def manifest(self) -> list[ManifestEntry]:
        """The files the camera offers."""
        address = self.abrm.manifest_address
        count = self.read_u64(address)
        if not 0 < count <= 256:
            raise Malformed(f"the manifest at {address:#x} says {count} entries")
        at = range(address + 8, address + 8 + count * registers.ENTRY_BYTES, registers.ENTRY_BYTES)
        return [registers.parse_entry(self.read(entry, registers.ENTRY_BYTES)) for entry in at]

    def xml(self) -> XmlFile:
        """Download the device description of the highest file version, check its SHA-1 and unzip it.

        Raises Malformed with what is wrong, besides the errors of `read`.
        """
        entries = [entry for entry in self.manifest() if entry.file_type == 0]
        if not entries:
            raise Malformed("the manifest has no device XML")
        entry = max(entries, key=lambda e: e.file_version)
        if not 0 < entry.size <= MAX_XML_BYTES:
            raise Malformed(f"the manifest says the XML is {entry.size} bytes long")
        stored = self.read(entry.address, entry.size)
        digest = hashlib.sha1(stored).digest()
        if entry.sha1 is not None and digest != entry.sha1:
            raise Malformed(f"SHA-1 of the XML is {digest.hex()}, the manifest says {entry.sha1.hex()}")
        if entry.file_format == 0:
            return XmlFile(entry, "", stored)
        if entry.file_format != 1:
            raise Malformed(f"XML format {entry.file_format} is neither raw (0) nor zip (1)")
        name, text = unzip(stored)
        return XmlFile(entry, name, text)

    def _command(self, packet: bytes, ack_id: int, scd_bytes: int, what: str) -> memoryview:
        """Send a command and return the SCD of its acknowledge.

        A status without its highest bit is a warning: the command was executed (GenCP 1.3, clause 4.3.2.1).
        """
        request_id = self._request_id
        try:
            self.bus.bulk_out(self.function.control_out.address, packet, self.timeout_ms)
        except UsbTimeout as error:
            raise NoAnswer(f"{what}: the camera takes no command within {self.timeout_ms} ms") from error
        # Room for the acknowledge and not more, as hosts do; a PENDING_ACK (16 bytes) always fits.
        buffer = bytearray(max(gencp.HEADER_BYTES + scd_bytes, 16))
        timeout_ms = self.timeout_ms
        pending = stale = 0
        while True:
            ack = self._receive(buffer, timeout_ms, what)
            if ack is None or ack.request_id != request_id:
                stale += 1
                self.stale_acks += 1
                if stale > MAX_STALE_ACKS:
                    raise NoAnswer(f"{what}: {stale} acknowledges, none of them for this command")
            elif ack.status & _ERROR_BIT:
                raise refused(what, ack.status)
            elif ack.command_id == gencp.PENDING_ACK:
                pending += 1
                self.pending_acks += 1
                if pending > MAX_PENDING_ACKS:
                    raise NoAnswer(f"{what}: still pending after {pending} PENDING_ACK")
                timeout_ms = max(self.timeout_ms, gencp.parse_pending_ack(ack.scd))
            elif ack.command_id != ack_id:
                raise Malformed(f"{what}: acknowledge {ack.command_id:#06x} instead of {ack_id:#06x}")
            else:
                self.warnings += ack.status != 0
                return ack.scd

    def _receive(self, buffer: bytearray, timeout_ms: int, what: str) -> gencp.Ack | None:
        """The next acknowledge; None for one that was longer than anything this command can get."""
        try:
            length = self.bus.bulk_in_into(self.function.control_in.address, buffer, timeout_ms)
        except UsbOverflow:
            return None
        except UsbTimeout as error:
            raise NoAnswer(f"{what}: no acknowledge within {timeout_ms} ms") from error
        return gencp.parse_ack(memoryview(buffer)[:length])

    def _next_id(self) -> int:
        self._request_id = self._request_id % 0xFFFE + 1
        return self._request_id

    def _number(self, address: int, size: int) -> int:
        return int.from_bytes(self.read(address, size), "little")

    def _sane(self, name: str, raw: bytes, least: int) -> int:
        value = int.from_bytes(raw, "little")
        if value < least:
            raise Malformed(f"{name} is {value}, less than the {least} bytes a register access needs")
        return value

    def _read_fields(self, address: int, raw: bytearray, fields: registers.Fields) -> bytes:
        for offset, size in fields:
            raw[offset : offset + size] = self.read(address + offset, size)
        return bytes(raw)


def _aligned(size: int) -> int:
    """Pieces end on multiples of 4 where they can: registers are 4-aligned."""
    return size & ~3 if size >= 4 else size


def refused(what: str, code: int) -> GenCPError:
    """The error that an acknowledge with this status means."""
    try:
        status = Status(code)
    except ValueError:
        return GenCPError(Status.ERROR, f"the camera refuses the {what}: unknown status {code:#06x}")
    return GenCPError(status, f"the camera refuses the {what}: {status.name} ({code:#06x})")


def unzip(stored: bytes) -> tuple[str, bytes]:
    """The name and the text of the one file in a zip. Raises Malformed."""
    try:
        with zipfile.ZipFile(io.BytesIO(stored)) as archive:
            files = archive.infolist()
            if len(files) != 1:
                raise Malformed(f"the zipped XML holds {len(files)} files, not one")
            if files[0].file_size > MAX_XML_BYTES:
                raise Malformed(f"the unzipped XML is {files[0].file_size} bytes long")
            return files[0].filename, archive.read(files[0])
    except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error) as error:
        raise Malformed(f"the XML is no readable zip: {error}") from error
