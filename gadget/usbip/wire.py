"""USB/IP messages, both ways (Linux Documentation/usb/usbip_protocol.rst, version 1.1.1). Pure.

Everything is big-endian but the setup packet. A connection opens with one operation (a list or an import);
after a successful import it carries 48-byte headers, CMD_SUBMIT of OUT transfers and RET_SUBMIT of IN
transfers followed by their data. Replies leave devid, direction and ep zero and so does Linux' own server.
"""

import struct
from dataclasses import dataclass
from typing import NamedTuple

from u3v.errors import Malformed
from u3v.wire.usb import Speed

PORT = 3240
VERSION = 0x0111
OP_REQ_DEVLIST, OP_REP_DEVLIST = 0x8005, 0x0005
OP_REQ_IMPORT, OP_REP_IMPORT = 0x8003, 0x0003
ST_OK, ST_NA, ST_DEV_BUSY, ST_DEV_ERR, ST_NODEV, ST_ERROR = range(6)
STATUS_TEXT = {
    ST_NA: "request failed",
    ST_DEV_BUSY: "the device is used by another client",
    ST_DEV_ERR: "the device is in an error state",
    ST_NODEV: "no such device",
}
CMD_SUBMIT, CMD_UNLINK, RET_SUBMIT, RET_UNLINK = 1, 2, 3, 4
DIR_OUT, DIR_IN = 0, 1
WIRE_SPEED = {Speed.HIGH: 3, Speed.SUPER: 5}  # enum usb_device_speed of Linux

HEADER_BYTES = 48
OP_HEADER_BYTES = 8
BUSID_BYTES = 32
RECORD_BYTES = 312
ISO_PACKET_BYTES = 16
MAX_ISO_PACKETS = 1024
MAX_OUT_BYTES = 4 << 20
"""Linux sends no longer transfer over USB/IP (its kmalloc limit)."""

_OP = struct.Struct(">HHI")
_RECORD = struct.Struct(">256s32sIIIHHH6B")
_COMMAND = struct.Struct(">6I4i8s")
_RET_SUBMIT = struct.Struct(">5I5i8x")
_RET_UNLINK = struct.Struct(">5Ii24x")
_REPLY = struct.Struct(">5Iii20x")


class Submit(NamedTuple):
    """CMD_SUBMIT: `length` is the transfer buffer length; `packets` is 0 or -1 unless isochronous."""

    seqnum: int
    devid: int
    direction: int
    endpoint: int
    flags: int
    length: int
    start_frame: int
    packets: int
    interval: int
    setup: bytes

    @property
    def trailer_bytes(self) -> int:
        """What follows the header: OUT data and isochronous packet descriptors."""
        data = self.length if self.direction == DIR_OUT else 0
        return data + ISO_PACKET_BYTES * max(self.packets, 0)


class Unlink(NamedTuple):
    """CMD_UNLINK of the request `victim`."""

    seqnum: int
    devid: int
    victim: int


class Reply(NamedTuple):
    """RET_SUBMIT or RET_UNLINK (`command` tells; `actual` is 0 for the latter)."""

    command: int
    seqnum: int
    status: int
    actual: int


@dataclass(frozen=True, slots=True)
class Record:
    """One device of a list or an import reply (struct usbip_usb_device) and its (class, subclass, protocol)
    of each interface; an import reply carries no interfaces."""

    busid: str
    path: str
    busnum: int
    devnum: int
    speed: int
    vid: int
    pid: int
    bcd_device: int
    device_class: tuple[int, int, int]
    configuration: int
    configurations: int
    interface_count: int
    interfaces: tuple[tuple[int, int, int], ...] = ()

    @property
    def devid(self) -> int:
        return self.busnum << 16 | self.devnum


def pack_op(code: int, status: int = ST_OK) -> bytes:
    return _OP.pack(VERSION, code, status)


def parse_op(data: bytes | bytearray | memoryview, at: int = 0) -> tuple[int, int]:
    """(code, status). Raises Malformed for another protocol version."""
    version, code, status = _OP.unpack_from(data, at)
    if version != VERSION:
        raise Malformed(f"protocol version {version:#06x}, this is {VERSION:#06x}")
    return code, status


def pack_busid(busid: str) -> bytes:
    """Raises Malformed if it does not fit with its terminating zero."""
    raw = busid.encode()
    if len(raw) >= BUSID_BYTES:
        raise Malformed(f"bus id {busid!r} is longer than {BUSID_BYTES - 1} bytes")
    return raw.ljust(BUSID_BYTES, b"\0")


def parse_busid(data: bytes | bytearray | memoryview) -> str:
    return bytes(data[:BUSID_BYTES]).split(b"\0", 1)[0].decode(errors="replace")


def pack_record(record: Record) -> bytes:
    return _RECORD.pack(
        record.path.encode()[:255],
        pack_busid(record.busid),
        record.busnum,
        record.devnum,
        record.speed,
        record.vid,
        record.pid,
        record.bcd_device,
        *record.device_class,
        record.configuration,
        record.configurations,
        record.interface_count,
    )


def pack_interfaces(record: Record) -> bytes:
    return b"".join(bytes((*triple, 0)) for triple in record.interfaces)


def parse_record(data: bytes | bytearray | memoryview) -> Record:
    path, busid, busnum, devnum, speed, vid, pid, bcd, *rest = _RECORD.unpack_from(data)
    return Record(
        parse_busid(busid),
        path.split(b"\0", 1)[0].decode(errors="replace"),
        busnum,
        devnum,
        speed,
        vid,
        pid,
        bcd,
        (rest[0], rest[1], rest[2]),
        *rest[3:],
    )


def pack_submit(submit: Submit) -> bytes:
    return _COMMAND.pack(CMD_SUBMIT, *submit)


def pack_unlink(unlink: Unlink) -> bytes:
    return _COMMAND.pack(
        CMD_UNLINK, unlink.seqnum, unlink.devid, 0, 0, unlink.victim, 0, 0, 0, 0, b""
    )  # fmt: skip


def parse_command(data: bytes | bytearray | memoryview, at: int = 0) -> Submit | Unlink:
    """A header of a client. Raises Malformed for whatever no client may send."""
    command, *fields = _COMMAND.unpack_from(data, at)
    if command == CMD_SUBMIT:
        submit = Submit._make(fields)
        if submit.direction > 1 or submit.endpoint > 15:
            raise Malformed(f"CMD_SUBMIT direction {submit.direction} endpoint {submit.endpoint}")
        if submit.length < 0:
            raise Malformed(f"CMD_SUBMIT length {submit.length}")
        if submit.direction == DIR_OUT and submit.length > MAX_OUT_BYTES:
            raise Malformed(f"CMD_SUBMIT of {submit.length} bytes OUT, the limit is {MAX_OUT_BYTES}")
        if not -1 <= submit.packets <= MAX_ISO_PACKETS:
            raise Malformed(f"CMD_SUBMIT of {submit.packets} isochronous packets")
        return submit
    if command == CMD_UNLINK:
        return Unlink(fields[0], fields[1], fields[4])
    raise Malformed(f"command {command:#x}")


def pack_ret_submit(seqnum: int, status: int, actual: int) -> bytes:
    return _RET_SUBMIT.pack(RET_SUBMIT, seqnum, 0, 0, 0, status, actual, 0, 0, 0)


def pack_ret_unlink(seqnum: int, status: int) -> bytes:
    return _RET_UNLINK.pack(RET_UNLINK, seqnum, 0, 0, 0, status)


def parse_reply(data: bytes | bytearray | memoryview) -> Reply:
    """A header of a server. Raises Malformed for whatever no server may send."""
    command, seqnum, _devid, _direction, _endpoint, status, actual = _REPLY.unpack_from(data)
    if command == RET_UNLINK:
        return Reply(command, seqnum, status, 0)
    if command != RET_SUBMIT:
        raise Malformed(f"reply {command:#x}")
    if actual < 0:
        raise Malformed(f"RET_SUBMIT of {actual} bytes")
    return Reply(command, seqnum, status, actual)
