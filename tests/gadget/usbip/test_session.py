from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gadget.usb.device import MAX_URB_BYTES, UsbDevice
from gadget.usbip.session import Session, export
from tests.gadget.toy import Toy
from tests.gadget.usbip import host
from tests.gadget.usbip.host import Answer, ret_submit, ret_unlink
from u3v.wire.usb import Speed

SUBMIT_1_MIB = 1 << 20


def whole(data: bytes) -> list[bytes]:
    return [data]


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def odd_pieces(data: bytes) -> list[bytes]:
    return [data[at : at + 47] for at in range(0, len(data), 47)]


FEEDINGS = [whole, byte_by_byte, odd_pieces]


class Host:
    """A session in the request phase of a configured toy, and what it has answered."""

    def __init__(self, *, paced: bool = False, speed: Speed = Speed.SUPER) -> None:
        self.toy = Toy()
        self.exports = export(UsbDevice(self.toy, paced=paced, speed=speed))
        self.exported = self.exports["1-1"]
        self.session = Session({}, self.exported)
        self.now_ns = 0
        self.written: dict[int, int] = {}
        assert self.send(self.control_out(1, host.SET_CONFIGURATION_1)) == [ret_submit(1)]

    def control_out(self, seqnum: int, setup: bytes, data: bytes = b"") -> bytes:
        self.written[seqnum] = len(data)
        return host.control_out(seqnum, setup, data)

    def bulk_out(self, seqnum: int, endpoint: int, data: bytes) -> bytes:
        self.written[seqnum] = len(data)
        return host.bulk_out(seqnum, endpoint, data)

    def send(self, *data: bytes) -> list[Answer]:
        for piece in data:
            self.session.receive(piece, self.now_ns)
        return self.answers()

    def answers(self) -> list[Answer]:
        return host.answers(b"".join(self.session.take_output()), self.written)


@pytest.fixture
def usb() -> Host:
    return Host()


class TestHandshake:
    @pytest.mark.parametrize("feeding", FEEDINGS)
    def test_list(self, feeding: Callable[[bytes], list[bytes]]) -> None:
        session = Session(export(UsbDevice(Toy()), UsbDevice(Toy(), speed=Speed.HIGH)))
        for piece in feeding(host.op(0x8005)):
            assert not session.finished
            session.receive(piece, 0)
        reply = b"".join(session.take_output())
        assert reply[:12] == bytes.fromhex("01110005 00000000 00000002")
        assert len(reply) == 12 + 2 * (312 + 3 * 4)
        first, second = reply[12 : 12 + 324], reply[12 + 324 :]
        assert first[256:288].rstrip(b"\0") == b"1-1"
        assert second[256:288].rstrip(b"\0") == b"1-2"
        assert first[288:312] == bytes.fromhex("00000001 00000002 00000005 1209 0001 0100 ef0201 01 01 03")
        assert second[288:300] == bytes.fromhex("00000001 00000003 00000003")
        assert first[312:] == bytes.fromhex("ef050000 ef050100 ef050200")
        assert session.finished

    def test_a_used_or_unplugged_device_is_not_listed(self) -> None:
        exports = export(UsbDevice(Toy()), UsbDevice(Toy()))
        user = Session(exports)
        user.receive(host.op_import("1-1"), 0)
        exports["1-2"].device.unplug(0)
        session = Session(exports)
        session.receive(host.op(0x8005), 0)
        assert b"".join(session.take_output()) == bytes.fromhex("01110005 00000000 00000000")

    @pytest.mark.parametrize("feeding", FEEDINGS)
    def test_import_and_a_request_behind_it(self, feeding: Callable[[bytes], list[bytes]]) -> None:
        exports = export(UsbDevice(Toy()))
        session = Session(exports)
        request = host.control_in(5, host.GET_DEVICE_DESCRIPTOR)
        for piece in feeding(host.op_import("1-1") + request):
            session.receive(piece, 0)
        reply = b"".join(session.take_output())
        assert reply[:8] == bytes.fromhex("01110003 00000000")
        assert reply[8 + 288 : 8 + 312] == bytes.fromhex(
            "00000001 00000002 00000005 1209 0001 0100 ef0201 01 01 03"
        )
        descriptor = exports["1-1"].device.descriptors.device
        assert host.answers(reply[320:]) == [ret_submit(5, 0, descriptor)]

    @pytest.mark.parametrize(("busid", "status"), [("1-9", 4), ("", 4), ("1-1", 2), ("1-2", 4)])
    def test_refused_import(self, busid: str, status: int) -> None:
        exports = export(UsbDevice(Toy()), UsbDevice(Toy()))
        exports["1-2"].device.unplug(0)
        user = Session(exports)
        user.receive(host.op_import("1-1"), 0)
        session = Session(exports)
        session.receive(host.op_import(busid), 0)
        assert b"".join(session.take_output()) == host.op(0x0003, status=status)
        assert session.finished
        assert not session.broken

    def test_nothing_is_read_after_the_reply(self) -> None:
        session = Session(export(UsbDevice(Toy())))
        session.receive(host.op(0x8005) + host.op_import("1-1"), 0)
        assert session.imported is None
        assert len(b"".join(session.take_output())) == 12 + 324

    @pytest.mark.parametrize(
        ("request_bytes", "reason"),
        [
            (host.op(0x8005, version=0x0100), "protocol version 0x0100, this is 0x0111"),
            (host.op(0x8002), "operation 0x8002"),
            (b"GET / HTTP/1.1\r\n", "protocol version 0x4745, this is 0x0111"),
        ],
    )
    def test_broken(self, request_bytes: bytes, reason: str) -> None:
        session = Session(export(UsbDevice(Toy())))
        session.receive(request_bytes, 0)
        assert session.broken == reason
        assert not session.has_output


class TestRequests:
    @pytest.mark.parametrize("feeding", FEEDINGS)
    def test_echo(self, usb: Host, feeding: Callable[[bytes], list[bytes]]) -> None:
        message = bytes(range(256)) * 20
        stream = usb.bulk_out(2, 0x01, message) + host.submit(3, 0x81, 8192)
        assert usb.send(*feeding(stream)) == [ret_submit(2), ret_submit(3, 0, message)]

    def test_trailing_data_waits_for_its_rest(self, usb: Host) -> None:
        second = usb.bulk_out(3, 0x01, b"second")
        assert usb.send(usb.bulk_out(2, 0x01, b"first") + second[:50]) == [ret_submit(2)]
        assert list(usb.toy.echo) == [b"first"]
        assert usb.send(second[50:]) == [ret_submit(3)]
        assert list(usb.toy.echo) == [b"first", b"second"]

    def test_a_silent_endpoint_blocks_no_other(self, usb: Host) -> None:
        assert usb.send(host.submit(2, 0x82, 1024), host.submit(3, 0x81, 1024)) == []
        assert usb.send(usb.bulk_out(4, 0x01, b"ping")) == [ret_submit(4), ret_submit(3, 0, b"ping")]

    def test_pixels_are_not_copied(self, usb: Host) -> None:
        usb.session.receive(host.submit(2, 0x83, SUBMIT_1_MIB), 0)
        header, view = usb.session.take_output()
        assert len(header) == 48
        assert isinstance(view, memoryview)
        assert view.obj is usb.toy.block
        assert len(view) == SUBMIT_1_MIB

    def test_one_request_over_two_transfers(self, usb: Host) -> None:
        [answer] = usb.send(host.submit(2, 0x83, 3 * SUBMIT_1_MIB))
        assert answer == ret_submit(2, 0, usb.toy.block * 3)

    def test_stall_and_recovery(self, usb: Host) -> None:
        clear_halt = bytes((0x02, 1, 0, 0, 0x01, 0, 0, 0))
        assert usb.send(usb.bulk_out(2, 0x01, b"stall")) == [ret_submit(2, -32)]
        assert usb.send(usb.bulk_out(3, 0x01, b"more")) == [ret_submit(3, -32)]
        assert usb.send(usb.control_out(4, clear_halt)) == [ret_submit(4)]
        assert usb.send(usb.bulk_out(5, 0x01, b"more")) == [ret_submit(5)]
        assert usb.toy.halts == [("clear", 0x01)]

    def test_overflow_carries_what_fitted(self, usb: Host) -> None:
        [_, answer] = usb.send(usb.bulk_out(2, 0x01, b"12345678"), host.submit(3, 0x81, 5))
        assert answer == ret_submit(3, -75, b"12345")

    def test_unknown_endpoint(self, usb: Host) -> None:
        assert usb.send(host.submit(2, 0x8F, 64)) == [ret_submit(2, -32)]
        assert usb.send(usb.bulk_out(3, 0x0F, b"x")) == [ret_submit(3, -32)]

    def test_in_length_limit(self, usb: Host) -> None:
        assert usb.send(host.submit(2, 0x82, MAX_URB_BYTES)) == []
        assert usb.send(host.submit(3, 0x82, MAX_URB_BYTES + 1)) == [ret_submit(3, -22)]

    def test_largest_out(self, usb: Host) -> None:
        message = bytes(4 << 20)
        assert usb.send(usb.bulk_out(2, 0x01, message)) == [ret_submit(2)]
        assert usb.toy.echo[0] == message

    @pytest.mark.parametrize("packets", [1, 1024])
    def test_isochronous_is_refused_and_its_descriptors_skipped(self, usb: Host, packets: int) -> None:
        inward = host.submit(2, 0x83, 64, packets=packets) + bytes(16 * packets)
        outward = host.submit(3, 0x01, 4, b"data" + bytes(16 * packets), packets=packets)
        usb.written[3] = 4
        after = usb.bulk_out(4, 0x01, b"x")
        assert usb.send(inward + outward + after) == [ret_submit(2, -22), ret_submit(3, -22), ret_submit(4)]

    def test_packets_minus_one_is_not_isochronous(self, usb: Host) -> None:
        [answer] = usb.send(host.submit(2, 0x83, 1024, packets=-1))
        assert answer == ret_submit(2, 0, usb.toy.block[:1024])

    def test_setup_that_contradicts_its_direction(self, usb: Host) -> None:
        usb.written[2] = 18
        outward = host.submit(2, 0x00, 18, bytes(18), setup=host.GET_DEVICE_DESCRIPTOR)
        inward = host.submit(3, 0x80, 6, setup=bytes((0x00, 0x30, 0, 0, 0, 0, 6, 0)))
        assert usb.send(outward, inward) == [ret_submit(2, -22), ret_submit(3, -22)]

    def test_in_setup_without_data_stage_comes_as_out(self, usb: Host) -> None:
        # Linux sends wLength 0 as OUT whatever bmRequestType says.
        usb.written[2] = 0
        assert usb.send(host.submit(2, 0x00, 0, setup=bytes((0x80, 8, 0, 0, 0, 0, 0, 0)))) == [ret_submit(2)]

    def test_setup_bytes_count_on_endpoint_0_only(self, usb: Host) -> None:
        request = host.submit(2, 0x83, 1024, setup=host.GET_DEVICE_DESCRIPTOR)
        assert usb.send(request) == [ret_submit(2, 0, usb.toy.block[:1024])]

    def test_set_configuration_ends_what_is_parked(self, usb: Host) -> None:
        assert usb.send(host.submit(2, 0x82, 64)) == []
        answers = usb.send(usb.control_out(3, host.SET_CONFIGURATION_1))
        assert answers == [ret_submit(2, -108), ret_submit(3)]


class TestTime:
    def test_an_answer_of_a_deadline(self) -> None:
        usb = Host(paced=True)
        assert usb.send(host.submit(2, 0x83, SUBMIT_1_MIB)) == []
        due_ns = usb.exported.device.next_wakeup_ns()
        assert due_ns is not None
        usb.exported.device.service(due_ns - 1)
        assert not usb.session.has_output
        usb.exported.device.service(due_ns)
        assert usb.session.has_output
        assert usb.answers() == [ret_submit(2, 0, usb.toy.block)]


class TestUnlink:
    def test_parked(self, usb: Host) -> None:
        assert usb.send(host.submit(2, 0x82, 64), host.unlink(3, 2)) == [ret_unlink(3, -104)]
        assert usb.exported.device.next_wakeup_ns() is None

    def test_answered(self, usb: Host) -> None:
        answers = usb.send(usb.bulk_out(2, 0x01, b"x") + host.unlink(3, 2))
        assert answers == [ret_submit(2), ret_unlink(3, 0)]

    def test_answered_but_still_in_the_output(self, usb: Host) -> None:
        answers = usb.send(host.submit(2, 0x83, 1024) + host.unlink(3, 2))
        assert answers == [ret_submit(2, 0, usb.toy.block[:1024]), ret_unlink(3, 0)]

    def test_twice(self, usb: Host) -> None:
        answers = usb.send(host.submit(2, 0x82, 64), host.unlink(3, 2), host.unlink(4, 2))
        assert answers == [ret_unlink(3, -104), ret_unlink(4, 0)]

    def test_never_submitted(self, usb: Host) -> None:
        assert usb.send(host.unlink(3, 77)) == [ret_unlink(3, 0)]

    def test_amid_others(self, usb: Host) -> None:
        usb.send(*(host.submit(n, 0x81, 64) for n in (2, 3, 4)))
        assert usb.send(host.unlink(9, 3)) == [ret_unlink(9, -104)]
        answers = usb.send(usb.bulk_out(10, 1, b"a") + usb.bulk_out(11, 1, b"b"))
        assert answers == [ret_submit(10), ret_submit(2, 0, b"a"), ret_submit(11), ret_submit(4, 0, b"b")]

    def test_while_data_crosses_the_link(self) -> None:
        usb = Host(paced=True)
        assert usb.send(host.submit(2, 0x83, SUBMIT_1_MIB)) == []
        assert usb.send(host.unlink(3, 2)) == [ret_unlink(3, -104)]
        usb.exported.device.service(10**9)
        assert usb.answers() == []

    def test_the_sequence_number_is_free_again(self, usb: Host) -> None:
        usb.send(host.submit(2, 0x82, 64), host.unlink(3, 2))
        assert usb.send(host.submit(2, 0x83, 1024)) == [ret_submit(2, 0, usb.toy.block[:1024])]


class TestBroken:
    @pytest.mark.parametrize(
        ("message", "reason"),
        [
            (host.submit(9, 0x01, (4 << 20) + 1), "4194305 bytes OUT, the limit is 4194304"),
            (host.submit(9, 0x01, -1), "length -1"),
            (host.submit(9, 0x83, -5), "length -5"),
            (host.submit(9, 0x10, 5), "endpoint 16"),
            (host.submit(9, 0x83, 5, packets=1025), "1025 isochronous packets"),
            (host.op_import("1-1") + bytes(8), "command 0x1118003"),
            (b"\xff" * 48, "command 0xffffffff"),
            (host.submit(2, 0x82, 5), "sequence number 2 used again before its answer"),
        ],
    )
    def test_header_alone_is_enough(self, usb: Host, message: bytes, reason: str) -> None:
        usb.send(host.submit(2, 0x82, 5))
        assert usb.send(message[:48]) == []
        assert reason in usb.session.broken

    def test_nothing_after_it_counts(self, usb: Host) -> None:
        usb.session.receive(bytes(48) + usb.bulk_out(2, 1, b"x"), 0)
        usb.session.receive(usb.bulk_out(3, 1, b"x"), 0)
        assert not usb.toy.echo

    def test_too_many_requests(self, usb: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gadget.usbip.session.MAX_PENDING", 3)
        usb.send(*(host.submit(n, 0x82, 64) for n in (2, 3, 4)), host.unlink(5, 2), host.submit(2, 0x82, 64))
        assert usb.session.broken != "more than 3 requests without an answer"
        usb.send(host.submit(6, 0x82, 64))
        assert usb.session.broken == "more than 3 requests without an answer"


class TestEnd:
    def test_the_device_is_reset_and_free(self) -> None:
        exports = export(UsbDevice(Toy()))
        toy = exports["1-1"].device.function
        assert isinstance(toy, Toy)
        first = Session(exports)
        first.receive(host.op_import("1-1") + host.control_out(1, host.SET_CONFIGURATION_1), 0)
        first.receive(host.submit(2, 0x82, 64), 0)
        first.take_output()
        first.end(0)
        assert not first.has_output
        assert toy.configured == [1, 0]
        second = Session(exports)
        second.receive(host.op_import("1-1"), 0)
        assert b"".join(second.take_output())[:8] == host.op(0x0003)
        assert exports["1-1"].session is second

    def test_without_a_device(self) -> None:
        session = Session({})
        session.end(0)
        assert session.finished


ENDPOINTS = st.sampled_from([0x00, 0x80, 0x01, 0x81, 0x82, 0x83, 0x85, 0x07])
LENGTHS = st.sampled_from([0, 1, 5, 64, 1023, 1024, 4096])
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), ENDPOINTS, LENGTHS, st.sampled_from([0, 0, 0, -1, 2])),
        st.tuples(st.just("unlink"), st.integers(1, 20), st.just(0), st.just(0)),
        st.tuples(st.just("setup"), st.sampled_from([0x00, 0x02, 0x80, 0x82]), st.integers(0, 11), LENGTHS),
        st.tuples(st.just("time"), st.integers(0, 10**7), st.just(0), st.just(0)),
    ),
    max_size=20,
)


@settings(max_examples=150, deadline=None)
@given(ACTIONS, st.lists(st.integers(1, 200), max_size=20))
def test_every_request_is_answered_exactly_once(
    actions: list[tuple[str, int, int, int]], cuts: list[int]
) -> None:
    usb = Host(paced=True)
    requests, unlinks, got = [], [], []
    stream = b""
    for seqnum, (what, a, b, c) in enumerate(actions, 2):
        if what == "time":
            usb.now_ns += a
            usb.exported.device.service(usb.now_ns)
            got += usb.answers()
            continue
        if what == "unlink":
            stream = host.unlink(seqnum, a)
            unlinks.append(seqnum)
        else:
            setup = bytes((a, b, 1, 0, 1, 0)) + c.to_bytes(2, "little") if what == "setup" else bytes(8)
            endpoint, length, packets = (a & 0x80, c, 0) if what == "setup" else (a, b, c)
            trailer = bytes((0 if endpoint & 0x80 else length) + 16 * max(packets, 0))
            stream = host.submit(seqnum, endpoint, length, trailer, setup, packets)
            requests.append(seqnum)
            if not endpoint & 0x80:
                usb.written[seqnum] = length
        cut = cuts.pop() if cuts else 48
        got += usb.send(stream[:cut], stream[cut:])
        assert not usb.session.broken
    for seqnum in requests:
        unlinks.append(1000 + seqnum)
        got += usb.send(host.unlink(1000 + seqnum, seqnum))
    answered = [a.seqnum for a in got if a.command == 3]
    taken_back = [a.seqnum for a in got if a.command == 4 and a.status == -104]
    assert sorted(a.seqnum for a in got if a.command == 4) == sorted(unlinks)
    assert len(answered) == len(set(answered))
    assert len(answered) + len(taken_back) == len(requests)
    assert set(answered) <= set(requests)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=120), max_size=8), st.booleans(), st.integers(0, 47), st.integers(0, 255))
def test_hostile_bytes_never_raise(pieces: list[bytes], imported: bool, at: int, value: int) -> None:
    if imported:
        usb = Host()
        session = usb.session
        mutated = bytearray(host.submit(2, 0x83, 64))
        mutated[at] = value
        pieces = [bytes(mutated), *pieces]
    else:
        session = Session(export(UsbDevice(Toy())))
    for piece in pieces:
        session.receive(piece, 0)
    session.take_output()
    session.end(0)
    assert session.imported is None
