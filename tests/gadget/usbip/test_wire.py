"""Golden bytes: Linux Documentation/usb/usbip_protocol.rst. Oracle: the codec of PyPI usbip."""

import struct
from types import SimpleNamespace
from typing import Any

import pytest
import usbip.protocol as oracle
from hypothesis import given
from hypothesis import strategies as st

from gadget.usbip import wire
from gadget.usbip.wire import Record, Submit, Unlink
from u3v.errors import Malformed

# The first CMD_SUBMIT and RET_SUBMIT of the example in usbip_protocol.rst: an interrupt IN of 64 bytes.
DOC_CMD_SUBMIT = bytes.fromhex(
    "00000001 00000d05 0001000f 00000001 00000001 00000200 00000040 ffffffff 00000000 00000004"
    "00000000 00000000"
)
DOC_RET_SUBMIT = bytes.fromhex(
    "00000003 00000d05 00000000 00000000 00000000 00000000 00000040 ffffffff 00000000 00000000"
    "00000000 00000000"
)
RECORD = Record("1-2", "/sys/x", 1, 3, 5, 0x1209, 0x5533, 0x0100, (0xEF, 2, 1), 1, 1, 3)


class TestSubmit:
    def test_the_documents_example(self) -> None:
        expected = Submit(0xD05, 0x1000F, 1, 1, 0x200, 64, -1, 0, 4, bytes(8))
        assert wire.parse_command(DOC_CMD_SUBMIT) == expected
        assert wire.pack_submit(expected) == DOC_CMD_SUBMIT

    def test_the_documents_answer(self) -> None:
        assert wire.parse_reply(DOC_RET_SUBMIT) == (3, 0xD05, 0, 64)

    def test_answer_bytes(self) -> None:
        expected = struct.pack(">5I5i", 3, 7, 0, 0, 0, -32, 0, 0, 0, 0) + bytes(8)
        assert wire.pack_ret_submit(7, -32, 0) == expected

    @pytest.mark.parametrize(
        ("endpoint", "length", "packets", "trailer"),
        [(0, 10, 0, 10), (0, 10, -1, 10), (1, 10, 2, 42), (0x81, 10, 0, 0), (0x81, 1 << 30, 3, 48)],
    )
    def test_what_follows_the_header(self, endpoint: int, length: int, packets: int, trailer: int) -> None:
        submit = Submit(1, 2, endpoint >> 7, endpoint & 15, 0, length, 0, packets, 0, bytes(8))
        assert submit.trailer_bytes == trailer

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"direction": 2}, "direction 2 endpoint 1"),
            ({"endpoint": 16}, "direction 0 endpoint 16"),
            ({"length": -1}, "length -1"),
            ({"length": (4 << 20) + 1}, "CMD_SUBMIT of 4194305 bytes OUT, the limit is 4194304"),
            ({"packets": 1025}, "1025 isochronous packets"),
            ({"packets": -2}, "-2 isochronous packets"),
        ],
    )
    def test_refusals(self, change: dict[str, Any], message: str) -> None:
        good = Submit(1, 2, 0, 1, 0, 4 << 20, 0, 0, 0, bytes(8))
        assert wire.parse_command(wire.pack_submit(good)) == good
        with pytest.raises(Malformed, match=message):
            wire.parse_command(wire.pack_submit(good._replace(**change)))


class TestUnlink:
    def test_bytes(self) -> None:
        raw = struct.pack(">6I", 2, 9, 0x10002, 0, 0, 7) + bytes(24)
        assert wire.pack_unlink(Unlink(9, 0x10002, 7)) == raw
        assert wire.parse_command(raw) == Unlink(9, 0x10002, 7)

    def test_answer_bytes(self) -> None:
        raw = struct.pack(">5Ii", 4, 9, 0, 0, 0, -104) + bytes(24)
        assert wire.pack_ret_unlink(9, -104) == raw
        assert wire.parse_reply(raw) == (4, 9, -104, 0)


class TestOperations:
    def test_version(self) -> None:
        assert wire.parse_op(bytes.fromhex("01118005 00000000")) == (0x8005, 0)
        with pytest.raises(Malformed, match="protocol version 0x0106, this is 0x0111"):
            wire.parse_op(bytes.fromhex("01068005 00000000"))

    def test_record_against_the_oracle(self) -> None:
        raw = wire.pack_record(RECORD)
        assert len(raw) == 312
        assert wire.parse_record(raw) == RECORD
        assert oracle.parse_usb_device(raw) == {
            "busid": "1-2",
            "busnum": 1,
            "devnum": 3,
            "speed": 5,
            "idVendor": 0x1209,
            "idProduct": 0x5533,
            "bcdDevice": 0x0100,
            "bNumConfigurations": 1,
            "bNumInterfaces": 3,
        }

    def test_record_of_the_oracle(self) -> None:
        device = SimpleNamespace(num_interfaces=2, speed=3, busid="1-7", busnum=1, devnum=8, vid=1, pid=2)
        device.bcdDevice, device.device_class = 0x0304, 0xEF
        record = wire.parse_record(oracle.pack_usb_device(device))
        assert (record.busid, record.devid, record.speed) == ("1-7", 0x10008, 5)
        assert (record.vid, record.pid, record.bcd_device, record.device_class) == (1, 2, 0x304, (0xEF, 0, 0))
        assert record.interface_count == 2

    def test_busid(self) -> None:
        assert wire.parse_busid(wire.pack_busid("1-1")) == "1-1"
        assert wire.parse_busid(b"x" * 40) == "x" * 32
        assert wire.parse_busid(b"\xff" + bytes(31)) == "�"
        with pytest.raises(Malformed, match="longer than 31 bytes"):
            wire.pack_busid("x" * 32)


@pytest.mark.parametrize("raw", [bytes(48), b"\0\0\0\3" + bytes(44), b"\xff" * 48])
def test_no_command(raw: bytes) -> None:
    with pytest.raises(Malformed, match="command"):
        wire.parse_command(raw)


def test_no_reply() -> None:
    with pytest.raises(Malformed, match="reply 0x1"):
        wire.parse_reply(DOC_CMD_SUBMIT)
    with pytest.raises(Malformed, match="RET_SUBMIT of -5 bytes"):
        wire.parse_reply(wire.pack_ret_submit(1, 0, -5))


@given(st.binary(min_size=48, max_size=48))
def test_any_header_is_parsed_or_refused(raw: bytes) -> None:
    for parse in (wire.parse_command, wire.parse_reply):
        try:
            parse(raw)
        except Malformed:
            pass
