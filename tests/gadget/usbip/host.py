"""The client's half of USB/IP for tests, packed by hand from usbip_protocol.rst: shares no code with gadget."""

import struct
from dataclasses import dataclass

IN, OUT = 1, 0
DEVID = 0x00010002
SET_CONFIGURATION_1 = bytes((0x00, 9, 1, 0, 0, 0, 0, 0))
GET_DEVICE_DESCRIPTOR = bytes((0x80, 6, 0, 1, 0, 0, 18, 0))


def op(code: int, version: int = 0x0111, status: int = 0) -> bytes:
    return struct.pack(">HHI", version, code, status)


def op_import(busid: str) -> bytes:
    return op(0x8003) + busid.encode().ljust(32, b"\0")


def submit(
    seqnum: int,
    endpoint: int,
    length: int,
    data: bytes = b"",
    setup: bytes = bytes(8),
    packets: int = 0,
) -> bytes:
    direction = IN if endpoint & 0x80 else OUT
    head = struct.pack(">IIIII", 1, seqnum, DEVID, direction, endpoint & 0x7F)
    return head + struct.pack(">Iiiii", 0x200 * direction, length, 0, packets, 0) + setup + data


def control_in(seqnum: int, setup: bytes) -> bytes:
    return submit(seqnum, 0x80, int.from_bytes(setup[6:8], "little"), setup=setup)


def control_out(seqnum: int, setup: bytes, data: bytes = b"") -> bytes:
    return submit(seqnum, 0x00, len(data), data, setup)


def bulk_out(seqnum: int, endpoint: int, data: bytes) -> bytes:
    return submit(seqnum, endpoint, len(data), data)


def unlink(seqnum: int, victim: int) -> bytes:
    return struct.pack(">IIIIII", 2, seqnum, DEVID, 0, 0, victim) + bytes(24)


@dataclass(frozen=True)
class Answer:
    command: int
    seqnum: int
    status: int
    data: bytes = b""


def ret_submit(seqnum: int, status: int = 0, data: bytes = b"") -> Answer:
    return Answer(3, seqnum, status, data)


def ret_unlink(seqnum: int, status: int) -> Answer:
    return Answer(4, seqnum, status)


def answers(stream: bytes, written: dict[int, int] | None = None) -> list[Answer]:
    """The answers in a server's byte stream, which must end with a whole one.

    `written`: how many bytes each OUT request (by sequence number) must be acknowledged for; all other
    requests are IN and carry their data.
    """
    found = []
    at = 0
    while at < len(stream):
        command, seqnum, devid, direction, endpoint, status, actual, *rest = struct.unpack_from(
            ">5I5i8s", stream, at
        )
        assert (devid, direction, endpoint) == (0, 0, 0)
        assert rest == [0, 0, 0, bytes(8)]
        at += 48
        data = b""
        if command == 3 and written is not None and seqnum in written:
            assert actual == (written[seqnum] if status == 0 else 0)
        elif command == 3:
            data = stream[at : at + actual]
            assert len(data) == actual
            at += actual
        else:
            assert command == 4
            assert actual == 0
        found.append(Answer(command, seqnum, status, data))
    return found
