"""Endpoint 0: the table of chapter 9 (USB 3.2, clause 9.4), request by request, in bytes."""

import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gadget.usb.device import UsbDevice
from gadget.usb.in_pipe import EPIPE, ESHUTDOWN, OK, Urb
from tests.gadget.toy import IDENTITY, Toy
from u3v.wire.usb import Speed, build_descriptors

STALL = None


class Ep0:
    """A device and the answers of its endpoint 0: data, or None for a stall."""

    def __init__(
        self,
        speed: Speed = Speed.SUPER,
        configured: bool = True,
        offered_ma: int | None = None,
        toy: Toy | None = None,
    ) -> None:
        self.toy = toy or Toy()
        self.done: list[Urb] = []
        self.device = UsbDevice(self.toy, speed=speed, offered_ma=offered_ma, on_complete=self.done.append)
        if configured:
            assert self("00 09 0100 0000 0000") == b""

    def __call__(self, setup: str, data: bytes = b"") -> bytes | None:
        raw = bytes.fromhex(setup)
        assert len(raw) == 8
        inward = bool(raw[0] & 0x80)
        length = int.from_bytes(raw[6:8], "little") if inward else len(data)
        urb = Urb(0x80 if inward else 0x00, length, memoryview(data), raw)
        self.device.submit(urb, 0)
        assert self.done.pop() is urb
        if urb.status == EPIPE:
            return STALL
        assert urb.status == OK
        answer = b"".join(urb.chunks)
        assert urb.actual == (len(answer) if inward else len(data))
        return answer


TABLE = [
    # request                    unconfigured configured
    ("GET_STATUS device", "80 00 0000 0000 0200", b"\0\0", b"\0\0"),
    ("GET_STATUS interface", "81 00 0000 0000 0200", STALL, b"\0\0"),
    ("GET_STATUS interface 3", "81 00 0000 0300 0200", STALL, STALL),
    ("GET_STATUS endpoint 0", "82 00 0000 0000 0200", b"\0\0", b"\0\0"),
    ("GET_STATUS interface 0x100", "81 00 0000 0001 0200", STALL, STALL),
    ("GET_STATUS endpoint 0x100", "82 00 0000 0001 0200", STALL, STALL),
    ("GET_STATUS endpoint 83", "82 00 0000 8300 0200", STALL, b"\0\0"),
    ("GET_STATUS endpoint 03", "82 00 0000 0300 0200", STALL, STALL),
    ("CLEAR_FEATURE halt 83", "02 01 0000 8300 0000", STALL, b""),
    ("CLEAR_FEATURE halt 84", "02 01 0000 8400 0000", STALL, STALL),
    ("CLEAR_FEATURE halt 0", "02 01 0000 0000 0000", b"", b""),
    ("CLEAR_FEATURE endpoint feature 1", "02 01 0100 8300 0000", STALL, STALL),
    ("CLEAR_FEATURE halt 83 with a data stage", "02 01 0000 8300 0100", STALL, STALL),
    ("SET_FEATURE halt 01", "02 03 0000 0100 0000", STALL, b""),
    ("SET_FEATURE halt 82", "02 03 0000 8200 0000", STALL, b""),
    ("SET_FEATURE U1_ENABLE", "00 03 3000 0000 0000", STALL, b""),
    ("SET_FEATURE U1_ENABLE of something", "00 03 3000 0100 0000", STALL, STALL),
    ("CLEAR_FEATURE U2_ENABLE", "00 01 3100 0000 0000", b"", b""),
    ("SET_FEATURE LTM_ENABLE without the capability", "00 03 3200 0000 0000", STALL, STALL),
    ("SET_FEATURE remote wake-up", "00 03 0100 0000 0000", STALL, STALL),
    ("SET_FEATURE test mode", "00 03 0200 0000 0000", STALL, STALL),
    ("SET_FEATURE function suspend with options", "01 03 0000 0001 0000", STALL, b""),
    ("SET_FEATURE function suspend", "01 03 0000 0000 0000", STALL, b""),
    ("SET_FEATURE interface feature 1", "01 03 0100 0000 0000", STALL, STALL),
    ("GET_DESCRIPTOR qualifier", "80 06 0006 0000 0a00", STALL, STALL),
    ("GET_DESCRIPTOR other speed", "80 06 0007 0000 0900", STALL, STALL),
    ("GET_DESCRIPTOR report", "81 06 0022 0000 4000", STALL, STALL),
    ("GET_DESCRIPTOR device 1", "80 06 0101 0000 1200", STALL, STALL),
    ("GET_DESCRIPTOR string 77", "80 06 4d03 0904 ff00", STALL, STALL),
    ("GET_DESCRIPTOR string 0xEE", "80 06 ee03 0000 1200", STALL, STALL),
    ("GET_DESCRIPTOR languages", "80 06 0003 0000 ff00", b"\x04\x03\x09\x04", b"\x04\x03\x09\x04"),
    ("GET_CONFIGURATION", "80 08 0000 0000 0100", b"\0", b"\1"),
    ("SET_CONFIGURATION 2", "00 09 0200 0000 0000", STALL, STALL),
    ("SET_CONFIGURATION with data", "00 09 0100 0000 0100", STALL, STALL),
    ("GET_INTERFACE 2", "81 0a 0000 0200 0100", STALL, b"\0"),
    ("GET_INTERFACE 3", "81 0a 0000 0300 0100", STALL, STALL),
    ("SET_INTERFACE 2, 0", "01 0b 0000 0200 0000", STALL, b""),
    ("SET_INTERFACE 2, 1", "01 0b 0100 0200 0000", STALL, STALL),
    ("SYNCH_FRAME", "82 0c 0000 8300 0200", STALL, STALL),
    ("SET_DESCRIPTOR", "00 07 0001 0000 0000", STALL, STALL),
    ("SET_ADDRESS", "00 05 0700 0000 0000", b"", b""),
    ("SET_SEL", "00 30 0000 0000 0600", b"", b""),
    ("SET_ISOCH_DELAY", "00 31 2800 0000 0000", b"", b""),
    ("class request", "a1 01 0000 0000 0100", STALL, STALL),
    ("vendor request", "c0 51 0000 0000 1000", STALL, STALL),
    ("request to 'other'", "83 00 0000 0000 0200", STALL, STALL),
    ("request 2", "80 02 0000 0000 0200", STALL, STALL),
    ("GET_STATUS outwards", "00 00 0000 0000 0000", STALL, STALL),
]


@pytest.mark.parametrize(
    ("setup", "unconfigured", "configured"), [t[1:] for t in TABLE], ids=[t[0] for t in TABLE]
)
def test_requests(setup: str, unconfigured: bytes | None, configured: bytes | None) -> None:
    assert Ep0(configured=False)(setup, bytes(6) if setup.startswith("00 30") else b"") == unconfigured
    assert Ep0()(setup, bytes(6) if setup.startswith("00 30") else b"") == configured


@pytest.mark.parametrize("length", [0, 5, 7])
def test_set_sel_takes_six_bytes(length: int) -> None:
    assert Ep0()(f"00 30 0000 0000 {length:02x}00", bytes(length)) is STALL


@pytest.mark.parametrize(("feature", "bit"), [("30", 2), ("31", 3)])
def test_b15_u1_and_u2_are_reported_while_they_are_enabled(feature: str, bit: int) -> None:
    ep0 = Ep0()
    assert ep0(f"00 03 {feature}00 0000 0000") == b""
    assert ep0("80 00 0000 0000 0200") == bytes((1 << bit, 0))
    assert ep0(f"00 01 {feature}00 0000 0000") == b""
    assert ep0("80 00 0000 0000 0200") == b"\0\0"


@pytest.mark.parametrize("how", ["configuration 0", "reset"])
def test_b15_nothing_stays_enabled_in_an_unconfigured_device(how: str) -> None:
    ep0 = Ep0()
    ep0("00 03 3000 0000 0000")
    if how == "reset":
        ep0.device.bus_reset(0)
    else:
        ep0("00 09 0000 0000 0000")
    ep0("00 09 0100 0000 0000")
    assert ep0("80 00 0000 0000 0200") == b"\0\0"


def test_b15_latency_messages_need_the_capability() -> None:
    ep0 = Ep0()
    known = ep0.device.ep0.descriptors
    capable = bytearray(known.bos)
    capable[15] = 0x02
    ep0.device.ep0.descriptors = replace(known, bos=bytes(capable))
    assert ep0("00 03 3200 0000 0000") == b""
    assert ep0("80 00 0000 0000 0200") == b"\x10\0"


@pytest.mark.parametrize(("current_ma", "status"), [(400, b"\0\0"), (0, b"\1\0")])
@pytest.mark.parametrize("speed", list(Speed))
def test_b15_a_camera_with_a_supply_of_its_own_says_so(speed: Speed, current_ma: int, status: bytes) -> None:
    identity = replace(IDENTITY, max_power_ma=current_ma, max_power_high_speed_ma=current_ma)
    for configured in (False, True):
        assert Ep0(speed, configured, toy=Toy(identity=identity))("80 00 0000 0000 0200") == status


def test_b15_what_a_high_speed_camera_would_be_at_full_speed() -> None:
    """One vendor interface without endpoints, whose name says why."""
    ep0 = Ep0(Speed.HIGH)
    expected = "09 07 12 00 01 01 00 80 c8  09 04 00 00 00 ff 00 00 0a"
    assert ep0("80 06 0007 0000 ff00") == bytes.fromhex(expected)
    assert ep0("80 06 0007 0000 0900") == bytes.fromhex(expected)[:9]
    name = ep0("80 06 0a03 0904 ff00")
    assert name is not None and name[2:].decode("utf-16-le") == "USB3 Vision needs High-Speed or SuperSpeed"
    assert Ep0()("80 06 0a03 0904 ff00") is STALL


@pytest.mark.parametrize("how", ["reset", "replug"])
def test_b8_a_new_name_is_in_the_strings_after_a_reset(how: str) -> None:
    ep0 = Ep0()
    assert ep0("80 06 0803 0904 ff00") == b"\x02\x03"
    ep0.toy.identity = replace(IDENTITY, user_defined_name="left")
    assert ep0("80 06 0803 0904 ff00") == b"\x02\x03"
    if how == "reset":
        ep0.device.bus_reset(0)
    else:
        ep0.device.unplug(0)
        ep0.device.replug(0)
    assert ep0("80 06 0803 0904 ff00") == b"\x0a\x03" + "left".encode("utf-16-le")
    whole = ep0("80 06 0002 0000 ff00")
    assert whole is not None and whole[26 + 18] == 8


@pytest.mark.parametrize(
    "setup", ["00 30 0000 0000 0600", "00 31 2800 0000 0000", "00 03 3000 0000 0000", "01 03 0000 0000 0000"]
)
def test_superspeed_requests_stall_at_high_speed(setup: str) -> None:
    assert Ep0(Speed.HIGH)(setup) is STALL


@pytest.mark.parametrize("speed", list(Speed))
def test_descriptors_and_their_lengths(speed: Speed) -> None:
    ep0, known = Ep0(speed, configured=False), build_descriptors(IDENTITY, speed)
    kinds = {1: known.device, 2: known.configuration, 15: known.bos}
    if speed is Speed.HIGH:
        assert known.qualifier is not None
        kinds[6] = known.qualifier
    for kind, raw in kinds.items():
        for length in (0, 1, 4, 8, 9, 18, len(raw), 255, 0xFFFF):
            setup = struct.pack("<BBHHH", 0x80, 6, kind << 8, 0, length).hex()
            assert ep0(setup) == raw[:length]
    assert ep0("80 06 0103 0904 ff00") == b"\x08\x03" + "Toy".encode("utf-16-le")
    assert ep0("80 06 0103 0904 0200") == b"\x08\x03"
    assert ep0("80 06 0103 0704 ff00") == ep0("80 06 0103 0904 ff00")  # no other language, no harm


def test_bos_in_bytes() -> None:
    expected = "05 0f 16 00 02 07 10 02 1e 64 00 00 0a 10 03 00 0e 00 03 0a ff 07"
    assert Ep0()("80 06 000f 0000 ff00") == bytes.fromhex(expected)


@pytest.mark.parametrize("endpoint", ["01", "81", "82", "83"])
def test_halt_is_reported_and_cleared(endpoint: str) -> None:
    ep0 = Ep0()
    number = int(endpoint, 16)
    assert ep0(f"02 03 0000 {endpoint}00 0000") == b""
    assert ep0(f"82 00 0000 {endpoint}00 0200") == b"\1\0"
    urb = Urb(number, 64, memoryview(b"" if number & 0x80 else b"hello"))
    ep0.device.submit(urb, 0)
    assert urb.status == EPIPE
    assert ep0(f"02 01 0000 {endpoint}00 0000") == b""
    assert ep0(f"82 00 0000 {endpoint}00 0200") == b"\0\0"
    assert ep0.toy.halts == [("set", number), ("clear", number)]


def test_set_interface_clears_the_halts_of_its_endpoints() -> None:
    ep0 = Ep0()
    for endpoint in ("01", "81", "83"):
        ep0(f"02 03 0000 {endpoint}00 0000")
    assert ep0("01 0b 0000 0000 0000") == b""
    assert [ep0(f"82 00 0000 {e}00 0200") for e in ("01", "81", "83")] == [b"\0\0", b"\0\0", b"\1\0"]


def test_set_configuration_ends_requests_and_halts() -> None:
    ep0 = Ep0()
    ep0("02 03 0000 8300 0000")
    waiting = Urb(0x82, 64)
    ep0.device.submit(waiting, 0)
    raw = Urb(0, 0, setup=bytes.fromhex("0009010000000000"))
    ep0.device.submit(raw, 0)
    assert [(u, u.status) for u in ep0.done] == [(waiting, ESHUTDOWN), (raw, OK)]
    assert ep0("82 00 0000 8300 0200") == b"\0\0"
    assert ep0.toy.configured == [1, 1]


def test_a_port_that_offers_too_little() -> None:
    """400 mA in units of 8 mA: refused by a port of 399 mA, the device stays unconfigured."""
    assert Ep0(offered_ma=400)("80 08 0000 0000 0100") == b"\1"
    ep0 = Ep0(configured=False, offered_ma=399)
    assert ep0("00 09 0100 0000 0000") is STALL
    assert ep0("80 08 0000 0000 0100") == b"\0"
    assert ep0("00 09 0000 0000 0000") == b""
    assert ep0.toy.configured == [0]


@given(st.binary(min_size=8, max_size=8), st.binary(max_size=16), st.sampled_from(list(Speed)))
@settings(max_examples=500, deadline=None)
def test_any_setup_packet_is_answered(setup: bytes, data: bytes, speed: Speed) -> None:
    """A stall or at most wLength bytes; a stalled request changes nothing."""
    ep0 = Ep0(speed)
    before = (ep0.device.configuration, list(ep0.toy.configured), list(ep0.toy.halts))
    inward = bool(setup[0] & 0x80)
    length = int.from_bytes(setup[6:8], "little")
    answer = ep0(setup.hex(), b"" if inward else data)
    if answer is None:
        assert (ep0.device.configuration, ep0.toy.configured, ep0.toy.halts) == before
    elif inward:
        assert len(answer) <= length
