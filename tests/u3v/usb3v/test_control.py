"""The control channel: every row of GenCP's error behaviour, in bytes."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.u3v.rig import CONTROL_IN, EVENT_TEST, MS, SI_CONTROL, Ack, Host, Refused, readmem, writemem
from u3v.errors import Status
from u3v.host import bus as usb
from u3v.host.bus import UsbOverflow, UsbTimeout
from u3v.memory import Memory, Register
from u3v.usb3v.bootstrap import WireOptions
from u3v.usb3v.control import ControlChannel

READ = readmem(0x1D8, 8, 7)


def header(flags: int, command: int, length: int, request_id: int, scd: bytes = b"") -> bytes:
    return struct.pack("<4sHHHH", b"U3VC", flags, command, length, request_id) + scd


def silent(host: Host) -> None:
    with pytest.raises(UsbTimeout):
        host.receive(timeout_ms=3000)


@pytest.mark.parametrize(
    ("packet", "status", "ack_id"),
    [
        (header(0x4000, 0x0804, 0, 3), 0x8001, 0x0805),
        (header(0x4000, 0x0806, 12, 3, bytes(12)), 0x8001, 0x0807),  # READMEM_STACKED
        (header(0x4000, 0x0808, 0, 3), 0x8001, 0x0809),
        (header(0x4000, 0x0801, 0, 3), 0x8001, 0x0801),
        (header(0x4000, 0xFFFF, 0, 3), 0x8001, 0xFFFF),
        (readmem(0x3000, 4, 3), 0x8003, 0x0801),
        (readmem(0xFFFE, 4, 3), 0x8003, 0x0801),
        (readmem(2**64 - 4, 4, 3), 0x8003, 0x0801),
        (writemem(0x3000, b"1234", 3), 0x8003, 0x0803),
        (writemem(0x0000, b"1234", 3), 0x8004, 0x0803),
        (writemem(0x20008, b"12345678", 3), 0x8004, 0x0803),
        (readmem(0x1F8, 4, 3), 0x8006, 0x0801),  # Timestamp_Latch is write-only
        (readmem(0x100000, 0, 3), 0x8002, 0x0801),
        (readmem(0x100000, 1013, 3), 0x8002, 0x0801),
        (readmem(0x100000, 0xFFFF, 3), 0x8002, 0x0801),
        (writemem(0x184, bytes(1005), 3), 0x8002, 0x0803),
        (writemem(SI_CONTROL, b"\2\0\0\0", 3), 0x8002, 0x0803),
        (header(0x4000, 0x0800, 13, 3, bytes(12)), 0x800E, 0x0801),
        (header(0x4000, 0x0800, 11, 3, bytes(12)), 0x800E, 0x0801),
        (header(0x4000, 0x0800, 11, 3, bytes(11)), 0x800E, 0x0801),
        (header(0x4000, 0x0800, 16, 3, bytes(16)), 0x800E, 0x0801),
        (header(0x4000, 0x0800, 0, 3), 0x800E, 0x0801),
        (header(0x4000, 0x0802, 8, 3, bytes(8)), 0x800E, 0x0803),
        (header(0x4000, 0x0802, 0, 3), 0x800E, 0x0803),
    ],
)
def test_errors(host: Host, packet: bytes, status: int, ack_id: int) -> None:
    host.send(packet)
    assert host.receive() == struct.pack("<4sHHHH", b"U3VC", status, ack_id, 0, 3)
    assert host.read(0x1D8, 8) == b"\0\0\1\0\0\0\0\0"  # and goes on


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        READ[:1],
        READ[:11],
        b"u3vc" + READ[4:],
        b"CV3U" + READ[4:],
        b"U3VE" + READ[4:],
        b"\0" * 24,
        b"\xff" * 1024,
        READ[1:],
    ],
)
def test_garbage_gets_no_answer(host: Host, packet: bytes) -> None:
    host.send(packet)
    silent(host)
    assert host.read(0x1D8, 8) == b"\0\0\1\0\0\0\0\0"


def test_any_alignment(host: Host) -> None:
    whole = host.read(0x004, 64)
    for offset in range(8):
        for count in range(1, 9):
            assert host.read(0x004 + offset, count) == whole[offset : offset + count]
    host.write(0x185, b"xyz")
    assert host.read(0x184, 5) == b"\0xyz\0"


def test_the_rest_of_a_page_reads_as_zeros(host: Host) -> None:
    with pytest.raises(Refused, match="0x8003"):  # but not behind the ABRM (GenCP 1.3, 5.4; GENCP-RD-014)
        host.read(0x250, 4)
    assert host.read(0x20028, 64)[8:] == bytes(56)
    assert host.read(0x10044, 4) == bytes(4)


def test_no_acknowledge_wanted(host: Host) -> None:
    write = writemem(host.address("Width"), b"\x2c\0\0\0", 5)
    host.send(write[:4] + b"\0\0" + write[6:])
    silent(host)
    assert host.get("Width") == 44
    host.send(READ[:4] + b"\0\0" + READ[6:])
    silent(host)


def test_reserved_flags_and_fields_are_refused(host: Host) -> None:
    """GenCP 1.3.1, table 6."""
    host.send(READ[:4] + b"\xff\x7f" + READ[6:])
    assert Ack.parse(host.receive()).status == 0x800E
    host.send(READ[:4] + b"\x01\x40" + READ[6:])
    assert Ack.parse(host.receive()).status == 0x800E
    host.send(READ[:20] + b"\1\0" + READ[22:])
    assert Ack.parse(host.receive()).status == 0x8002
    silent(host)


def test_writes_need_a_request_id(host: Host) -> None:
    """GenCP 1.3.1, clause 3.1.1: id 0 is for reads only."""
    width = host.address("Width")
    assert host.command(writemem(width, b"\x2c\0\0\0", 0)).status == 0x8002
    assert host.get("Width") == 40
    assert host.command(readmem(width, 4, 0)).status == 0


def resend(packet: bytes) -> bytes:
    return packet[:4] + b"\0\xc0" + packet[6:]


def test_resends_are_not_supported_whatever_their_id(host: Host) -> None:
    """B13: nothing of an older command is ever sent again, and nothing is executed twice."""
    press = writemem(EVENT_TEST, b"\1\0\0\0", 11)
    host.write_int(0x30000, 1)
    host.send(press)
    assert Ack.parse(host.receive()).status == 0
    host.send(resend(press))
    ack = Ack.parse(host.receive())
    assert (ack.status, ack.command, ack.request_id, ack.scd) == (0xA001, 0x0803, 11, b"")
    assert host.event().request_id == 1
    with pytest.raises(UsbTimeout):  # executed once
        host.event()
    usb.set_configuration(host.bus, 1)
    host.send(resend(press))
    assert Ack.parse(host.receive()).status == 0xA001


def test_resend_of_another_command_is_not_supported(host: Host) -> None:
    host.send(resend(READ))
    assert host.receive() == struct.pack("<4sHHHH", b"U3VC", 0xA001, 0x0801, 0, 7)
    host.read(0, 4)
    host.send(resend(readmem(0, 4, 999)))
    assert Ack.parse(host.receive()).status == 0xA001


def test_the_same_id_without_resend_executes_again(host: Host) -> None:
    host.write_int(0x30000, 1)
    for _ in range(3):
        assert host.command(writemem(EVENT_TEST, b"\1\0\0\0", 11)).status == 0
    assert [host.event().event_id for _ in range(3)] == [0x4FFF] * 3


def test_a_new_command_flushes_the_acknowledge_nobody_read(host: Host) -> None:
    for request_id in range(20, 30):
        host.send(readmem(0x1D8, 8, request_id))
    assert Ack.parse(host.receive()).request_id == 29
    silent(host)


def test_an_acknowledge_half_taken_is_flushed_too(host: Host) -> None:
    host.send(READ)
    assert host.receive(0) == b""  # a request of no bytes takes nothing of it
    host.send(readmem(0x000, 4, 8))
    assert Ack.parse(host.receive()).request_id == 8


def test_a_buffer_that_is_too_short_overflows_once(host: Host) -> None:
    host.send(READ)
    with pytest.raises(UsbOverflow):
        host.receive(13)
    assert host.read(0, 4) == b"\1\0\1\0"


def test_requests_parked_before_the_command(host: Host) -> None:
    """Some hosts keep several reads queued on the control endpoint."""
    buffers = [bytearray(1024) for _ in range(3)]
    handles = [host.bus.submit_in(CONTROL_IN, buffer) for buffer in buffers]
    for request_id, (handle, buffer) in enumerate(zip(handles, buffers, strict=True)):
        host.send(readmem(0x1D8, 8, request_id))
        length = host.bus.wait_in(handle)
        assert Ack.parse(bytes(buffer[:length])).request_id == request_id


def test_longest_read_and_write(host: Host) -> None:
    assert len(host.read(0x100000, 1012)) == 1012
    host.write(0x184, bytes(64))


@pytest.mark.parametrize("longest", [508, 1024])
def test_nothing_longer_than_the_sbrm_says(longest: int) -> None:
    host = Host(wire=WireOptions(transfer_bytes=longest))
    assert len(host.read(0x100000, longest - 12)) == longest - 12
    assert host.command(readmem(0x100000, longest - 11)).status == 0x8002
    assert host.command(writemem(0x184, bytes(longest - 19))).status == 0x8002


# -- PENDING_ACK ----------------------------------------------------------------------------------------------


def answers(delay_ms: int, response_time_ms: int = 1000) -> list[tuple[int, Ack]]:
    """All that comes back to one read, with the milliseconds after which it came."""
    host = Host(wire=WireOptions(response_time_ms=response_time_ms))
    host.function.control.extra_delay_ms = delay_ms
    assert host.bus.now_ns == 0
    host.send(READ)
    got: list[tuple[int, Ack]] = []
    while not got or got[-1][1].command == 0x0805:
        ack = Ack.parse(host.receive(timeout_ms=100_000))
        got.append((host.bus.now_ns // MS, ack))
    silent(host)
    return got


@pytest.mark.parametrize("delay_ms", [0, 1, 31, 979, 980])
def test_an_answer_in_time_needs_no_pending_ack(delay_ms: int) -> None:
    ((at_ms, ack),) = answers(delay_ms)
    assert (at_ms, ack.command, ack.status) == (delay_ms, 0x0801, 0)


@pytest.mark.parametrize(
    ("delay_ms", "response_ms"), [(981, 1000), (1900, 1000), (5000, 300), (500, 50), (200_000, 1000)]
)
def test_late_answers_are_announced_in_time(delay_ms: int, response_ms: int) -> None:
    """Before a host's patience ends there is a PENDING_ACK; each extends it by what it says."""
    *pending, (last_ms, last) = answers(delay_ms, response_ms)
    assert pending
    assert (last_ms, last.command, last.request_id) == (delay_ms, 0x0801, 7)
    patience_ms = response_ms
    for at_ms, ack in pending:
        assert (ack.status, ack.command, ack.request_id) == (0, 0x0805, 7)
        reserved, wait_ms = struct.unpack("<HH", ack.scd)
        assert reserved == 0
        assert at_ms < patience_ms
        patience_ms = at_ms + wait_ms
    assert last_ms < patience_ms


def test_pending_ack_in_bytes() -> None:
    host = Host(wire=WireOptions(response_time_ms=1000))
    host.function.control.extra_delay_ms = 1460
    host.send(writemem(SI_CONTROL, b"\0\0\0\0", 2))
    assert host.receive().hex(" ") == "55 33 56 43 00 00 05 08 04 00 02 00 00 00 f4 01"  # 500 ms more
    assert host.bus.now_ns == 980 * MS
    assert host.receive().hex(" ") == "55 33 56 43 00 00 03 08 04 00 02 00 00 00 04 00"
    assert host.bus.now_ns == 1460 * MS


def test_a_slow_command_cannot_be_interrupted() -> None:
    """H2: another command gets BUSY, the same one a PENDING_ACK (GenCP 1.3.1, clauses 3.1.1 and 3.1.2)."""
    host = Host()
    host.function.control.extra_delay_ms = 3000
    host.send(READ)
    assert Ack.parse(host.receive()).command == 0x0805
    host.function.control.extra_delay_ms = 0
    assert host.command(readmem(0x1D8, 8, 8)).status == 0x8007
    host.send(READ)
    again = Ack.parse(host.receive())
    assert (again.status, again.command, again.request_id) == (0, 0x0805, 7)
    last = again
    while last.command == 0x0805:
        last = Ack.parse(host.receive(timeout_ms=5000))
    assert (last.status, last.command, last.request_id) == (0, 0x0801, 7)
    assert host.bus.now_ns == 3000 * MS
    assert host.read(0, 4) == b"\1\0\1\0"
    silent(host)


@pytest.mark.parametrize("noise", [b"", b"\0", b"U3VC", b"U3VE" + bytes(20), bytes(100)])
def test_noise_does_not_destroy_an_acknowledge(host: Host, noise: bytes) -> None:
    """B12: what gets no answer changes nothing."""
    host.send(READ)
    host.send(noise)
    assert Ack.parse(host.receive()).request_id == 7
    silent(host)


def test_saving_keeps_the_channel_busy(host: Host) -> None:
    host.set("UserSetSelector", "UserSet1")
    began_ns = host.bus.now_ns
    host.run("UserSetSave")
    assert host.bus.now_ns - began_ns == 20 * MS


# -- the channel by itself ------------------------------------------------------------------------------------


def channel() -> tuple[ControlChannel, Memory]:
    memory = Memory()
    region = memory.add_region("test", 0x100, 0x40)
    region.add(Register("A", 0x100, 4, "RW"))
    region.add(Register("B", 0x104, 4, "R"))
    return ControlChannel(memory, 1000), memory


packets = st.binary(max_size=40) | st.builds(
    lambda flags, command, length, request_id, scd: header(
        flags, command, len(scd) if length is None else length, request_id, scd
    ),
    st.sampled_from([0x4000, 0, 0xC000, 0xFFFF]),
    st.sampled_from([0x0800, 0x0802, 0x0806, 0x0C00]) | st.integers(0, 0xFFFF),
    st.none() | st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.builds(
        lambda address, rest: struct.pack("<Q", address) + rest,
        st.integers(0xF8, 0x148) | st.integers(0, 2**64 - 1),
        st.binary(max_size=20) | st.sampled_from([b"\0\0\4\0", b"\0\0\0\0", b"\0\0\x40\0"]),
    )
    | st.binary(max_size=30),
)


@given(st.lists(packets, max_size=20))
@settings(max_examples=200, deadline=None)
def test_every_transfer_gets_one_answer_or_none(sent: list[bytes]) -> None:
    """A command with the RequestAck flag gets exactly one acknowledge: same id, command id | 1, a status of the
    table; anything else gets silence. What is refused changes nothing."""
    control, memory = channel()
    for packet in sent:
        before = memory.device_read(0x100, 0x40)
        control.receive(memoryview(packet), 0)
        transfer = control.next_transfer(0)
        assert control.next_transfer(0) is None
        if len(packet) < 12 or packet[:4] != b"U3VC" or not packet[5] & 0x40:
            assert transfer is None
            continue
        assert transfer is not None
        raw = bytes(transfer.data)
        status, ack_id, length, request_id = struct.unpack_from("<HHHH", raw, 4)
        assert raw[:4] == b"U3VC"
        assert (len(raw) - 12, request_id) == (length, struct.unpack_from("<H", packet, 10)[0])
        assert len(raw) <= 1024
        Status(status)
        if status:
            assert length == 0
            assert memory.device_read(0x100, 0x40) == before
        if not packet[5] & 0x80:
            assert ack_id == struct.unpack_from("<H", packet, 6)[0] | 1
