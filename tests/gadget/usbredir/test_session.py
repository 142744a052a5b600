"""A session and a guest that is not ours: libusbredirparser, with which QEMU speaks, on the other end."""

import struct
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gadget.usb.device import MAX_URB_BYTES, UsbDevice
from gadget.usb.in_pipe import Urb
from gadget.usbredir.session import MAX_PENDING, Session
from tests.gadget.toy import Toy
from tests.gadget.usbredir import guest as library
from tests.gadget.usbredir.guest import ALL_CAPS, Event, Guest, bulk, control
from u3v.wire.usb import Speed

MIB = 1 << 20
SUCCESS, CANCELLED, INVAL, IOERROR, STALL, TIMEOUT, BABBLE = range(7)
CAPS = [
    ALL_CAPS,
    0,
    ALL_CAPS & ~library.IDS_64,
    ALL_CAPS & ~library.LENGTH_32,
    ALL_CAPS & ~library.PACKET_SIZE & ~library.STREAMS,
]


class Bench:
    """A session over a toy, and a guest. `events`: what the guest has made of everything the session sent."""

    def __init__(
        self, caps: int = ALL_CAPS, speed: Speed = Speed.SUPER, offered_ma: int | None = None
    ) -> None:
        self.toy = Toy()
        self.device = UsbDevice(self.toy, paced=False, speed=speed, offered_ma=offered_ma)
        self.session = Session(self.device)
        self.guest = Guest(caps)
        self.greeting = self.pass_on(self.guest.sent())

    def pass_on(self, data: bytes, pieces: int = 0) -> list[Event]:
        """The session takes these bytes, the guest what it answers."""
        step = pieces or len(data) or 1
        for at in range(0, len(data), step):
            self.session.receive(data[at : at + step], 0)
        return self.answers()

    def answers(self) -> list[Event]:
        assert self.session.broken == ""
        events = self.guest.take(b"".join(self.session.take_output()))
        assert self.guest.complaints == []
        return events

    def send(self, kind: str, packet_id: int | None, header: bytes = b"", data: bytes = b"") -> list[Event]:
        return self.pass_on(self.guest.send(kind, packet_id, header, data))

    def configured(self) -> "Bench":
        assert self.send("set_configuration", 1, b"\1")[-1] == Event("configuration_status", 1, (SUCCESS, 1))
        return self


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.guest.close()


def only(events: list[Event]) -> Event:
    (event,) = events
    return event


class TestGreeting:
    @pytest.mark.parametrize("caps", CAPS)
    def test_the_guest_is_told_of_the_device_in_the_right_order(self, caps: int) -> None:
        greeting = Bench(caps).greeting
        assert [event.kind for event in greeting] == ["hello", "ep_info", "interface_info", "device_connect"]
        hello, endpoints, listed, connect = greeting
        assert hello.fields == (b"u3v virtual camera",)
        types, _intervals, owners, sizes = endpoints.fields
        assert {n: kind for n, kind in enumerate(types) if kind != 255} == {
            0: 0,
            16: 0,  # endpoint 0, out and in
            1: 2,
            17: 2,
            18: 2,
            19: 2,  # bulk: 0x01, 0x81, 0x82, 0x83
        }
        assert (owners[1], owners[17], owners[18], owners[19]) == (0, 0, 1, 2)
        if caps & library.PACKET_SIZE:
            assert struct.unpack("<32H", sizes)[0:2] == (512, 1024)
        count, numbers, classes, subclasses, protocols = listed.fields
        assert (count, numbers[:3], classes[:3]) == (3, bytes([0, 1, 2]), b"\xef\xef\xef")
        assert (subclasses[:3], protocols[:3]) == (b"\5\5\5", bytes([0, 1, 2]))
        version = 0x0100 if caps & library.VERSION else 0
        assert connect.fields[:6] == (3, 0xEF, 2, 1, 0x1209, 0x0001)
        assert not version or connect.fields[6] == version

    def test_at_high_speed(self) -> None:
        connect = Bench(speed=Speed.HIGH).greeting[-1]
        assert connect.fields[0] == 2

    @pytest.mark.parametrize("pieces", [1, 5, 13])
    def test_in_pieces(self, pieces: int) -> None:
        session, guest = Session(UsbDevice(Toy())), Guest()
        data = guest.sent() + b""
        for at in range(0, len(data), pieces):
            assert not session.is_settled
            session.receive(data[at : at + pieces], 0)
        assert session.is_settled
        assert len(guest.take(b"".join(session.take_output()))) == 4

    def test_the_bytes_of_the_hello(self) -> None:
        """Typed in after the protocol's text: type 0, length 68, a 32-bit id, a name of 64 bytes, one word of bits."""
        sent = b"".join(Session(UsbDevice(Toy())).take_output())
        assert sent == struct.pack("<III64sI", 0, 68, 0, b"u3v virtual camera", 0x7E)


class TestRequests:
    def test_descriptors(self, bench: Bench) -> None:
        answer = only(bench.send("control_packet", 7, control(0x80, 0x80, 6, 0x0100, 0, 18)))
        raw = bench.device.descriptors.device
        assert answer == Event("control_packet", 7, (0x80, 6, 0x80, SUCCESS, 0x0100, 0, 18), raw)

    def test_a_short_answer_says_how_long_it_is(self, bench: Bench) -> None:
        answer = only(bench.send("control_packet", 7, control(0x80, 0x80, 6, 0x0F00, 0, 4096)))
        assert answer.fields[6] == len(answer.data) == len(bench.device.descriptors.bos)

    def test_data_to_endpoint_0(self, bench: Bench) -> None:
        answer = only(bench.send("control_packet", 8, control(0, 0, 0x30, 0, 0, 6), bytes(6)))  # SET_SEL
        assert (answer.fields[3], answer.fields[6], answer.data) == (SUCCESS, 6, b"")

    def test_what_there_is_not_stalls(self, bench: Bench) -> None:
        answer = only(bench.send("control_packet", 9, control(0x80, 0xC0, 1, 0, 0, 8)))
        assert (answer.fields[3], answer.fields[6], answer.data) == (STALL, 0, b"")

    @pytest.mark.parametrize("caps", CAPS)
    def test_echo(self, caps: int) -> None:
        bench = Bench(caps).configured()
        assert only(bench.send("bulk_packet", 2, bulk(0x01, 5), b"hello")).fields[:3] == (0x01, SUCCESS, 5)
        answer = only(bench.send("bulk_packet", 3, bulk(0x81, 1024)))
        assert (answer.packet_id, answer.fields[:3], answer.data) == (3, (0x81, SUCCESS, 5), b"hello")

    @pytest.mark.parametrize("pieces", [1, 7, 40])
    def test_echo_in_pieces(self, bench: Bench, pieces: int) -> None:
        bench.configured()
        first = bench.guest.send("bulk_packet", 2, bulk(0x01, 5), b"hello")
        second = bench.guest.send("bulk_packet", 3, bulk(0x81, 1024))
        assert [event.data for event in bench.pass_on(first + second, pieces)] == [b"", b"hello"]

    def test_longer_than_16_bits(self, bench: Bench) -> None:
        answer = only(bench.configured().send("bulk_packet", 2**40, bulk(0x83, MIB)))
        assert (answer.packet_id, answer.fields) == (2**40, (0x83, SUCCESS, 0, 0, 16))
        assert answer.data == bench.toy.block

    def test_the_pixels_are_not_copied(self, bench: Bench) -> None:
        bench.configured()
        bench.session.receive(bench.guest.send("bulk_packet", 2, bulk(0x83, MIB)), 0)
        _header, view = bench.session.take_output()
        assert isinstance(view, memoryview) and view.obj is bench.toy.block

    def test_requests_wait_until_there_is_something(self, bench: Bench) -> None:
        bench.configured()
        assert bench.send("bulk_packet", 2, bulk(0x81, 1024)) == []
        echoed, answered = bench.send("bulk_packet", 3, bulk(0x01, 2), b"ab")
        assert {(event.packet_id, event.data) for event in (echoed, answered)} == {(3, b""), (2, b"ab")}

    def test_a_cancelled_request_is_answered_once(self, bench: Bench) -> None:
        bench.configured()
        assert bench.send("bulk_packet", 2, bulk(0x82, 1024)) == []
        answer = only(bench.send("cancel_data_packet", 2))
        assert (answer.packet_id, answer.fields[1:3], answer.data) == (2, (CANCELLED, 0), b"")
        assert bench.send("cancel_data_packet", 2) == []
        assert bench.send("cancel_data_packet", 77) == []

    def test_a_halted_endpoint(self, bench: Bench) -> None:
        bench.configured()
        assert only(bench.send("bulk_packet", 2, bulk(0x01, 5), b"stall")).fields[1] == STALL
        assert only(bench.send("bulk_packet", 3, bulk(0x01, 1), b"a")).fields[1] == STALL
        cleared = bench.send("control_packet", 4, control(0, 2, 1, 0, 0x01, 0))
        assert only(cleared).fields[3] == SUCCESS
        assert only(bench.send("bulk_packet", 5, bulk(0x01, 1), b"a")).fields[1] == SUCCESS

    def test_babble(self, bench: Bench) -> None:
        assert only(bench.configured().send("bulk_packet", 2, bulk(0x83, 1000))).fields[1] == BABBLE

    @pytest.mark.parametrize(
        ("header", "data"),
        [(bulk(0x83, MIB, stream_id=1), b""), (bulk(0x80, 8), b""), (bulk(0x83, MAX_URB_BYTES + 1), b"")],
    )
    def test_what_a_camera_does_not_do_is_invalid(self, bench: Bench, header: bytes, data: bytes) -> None:
        answer = only(bench.configured().send("bulk_packet", 2, header, data))
        assert (answer.fields[1], answer.data) == (INVAL, b"")

    def test_isochronous_and_interrupt_transfers_are_refused(self, bench: Bench) -> None:
        bench.configured()
        assert only(bench.send("start_iso_stream", 2, b"\x84\4\4")).fields == (INVAL, 0x84)
        assert only(bench.send("start_interrupt_receiving", 3, b"\x85")).fields == (INVAL, 0x85)
        answer = only(bench.send("interrupt_packet", 4, struct.pack("<BBH", 0x05, 0, 3), b"abc"))
        assert answer.fields[:2] == (0x05, INVAL)


class Failing:
    """A wrapper, as a fault is one: every answer ends with this status."""

    def __init__(self, status: int) -> None:
        self.status = status

    def submitted(self, urb: Urb, now_ns: int) -> int:
        return 0

    def completed(self, urb: Urb, now_ns: int) -> None:
        urb.finish(self.status)


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (-71, IOERROR),
        (-104, CANCELLED),
        (-108, CANCELLED),
        (-22, INVAL),
        (-32, STALL),
        (-75, BABBLE),
        (-110, TIMEOUT),
    ],
)
def test_faults_of_requests_reach_the_guest(bench: Bench, number: int, status: int) -> None:
    bench.configured()
    bench.device.wrappers.append(Failing(number))
    answer = only(bench.send("bulk_packet", 2, bulk(0x83, MIB)))
    assert (answer.fields[1], len(answer.data)) == (status, MIB)
    assert only(bench.send("control_packet", 3, control(0x80, 0x80, 6, 0x0100, 0, 18))).fields[3] == status


class TestConfigurations:
    def test_set_and_get(self, bench: Bench) -> None:
        assert only(bench.send("get_configuration", 1)).fields == (SUCCESS, 0)
        answers = bench.send("set_configuration", 2, b"\1")
        assert [event.kind for event in answers] == ["ep_info", "interface_info", "configuration_status"]
        assert only(bench.send("get_configuration", 3)).fields == (SUCCESS, 1)
        none, nothing, status = bench.send("set_configuration", 4, b"\0")
        assert set(none.fields[0]) == {0, 255} and nothing.fields[0] == 0
        assert status.fields == (SUCCESS, 0)

    def test_one_that_there_is_not(self, bench: Bench) -> None:
        assert only(bench.send("set_configuration", 2, b"\5")).fields == (STALL, 0)

    def test_a_port_that_offers_too_little(self) -> None:
        assert only(Bench(offered_ma=100).send("set_configuration", 2, b"\1")).fields == (STALL, 0)

    def test_alternate_settings(self, bench: Bench) -> None:
        bench.configured()
        assert bench.send("set_alt_setting", 2, b"\2\0")[-1] == Event(
            "alt_setting_status", 2, (SUCCESS, 2, 0)
        )
        assert only(bench.send("set_alt_setting", 3, b"\2\1")).fields == (STALL, 2, 0)
        assert only(bench.send("get_alt_setting", 4, b"\1")).fields == (SUCCESS, 1, 0)
        assert only(bench.send("get_alt_setting", 5, b"\7")).fields[0] == STALL

    def test_reset_is_a_port_reset(self, bench: Bench) -> None:
        bench.configured()
        assert bench.send("bulk_packet", 2, bulk(0x82, 64)) == []
        answer = only(bench.send("reset", None))
        assert (answer.packet_id, answer.fields[1]) == (2, CANCELLED)
        assert bench.device.configuration == 0 and bench.toy.configured == [1, 0]


class TestComingAndGoing:
    def test_unplugged_and_back(self, bench: Bench) -> None:
        bench.configured()
        assert bench.send("bulk_packet", 2, bulk(0x82, 64)) == []
        bench.device.unplug(0)
        assert bench.session.must_look
        bench.session.look(0)
        cancelled, gone = bench.answers()
        assert (cancelled.fields[1], gone.kind) == (CANCELLED, "device_disconnect")
        bench.device.replug(0)
        assert (
            not bench.session.must_look
        )  # the guest has not acknowledged it: the library does that by itself
        acknowledged = bench.guest.sent()
        assert len(acknowledged) == 16
        assert [event.kind for event in bench.pass_on(acknowledged)] == [
            "ep_info",
            "interface_info",
            "device_connect",
        ]
        bench.configured()

    def test_without_acknowledgements(self) -> None:
        """The library always has them, so this guest is typed in: its only capability is the 64-bit id."""
        device = UsbDevice(Toy())
        session = Session(device)
        session.receive(struct.pack("<III64sI", 0, 68, 0, b"x", library.IDS_64), 0)
        session.take_output()
        device.unplug(0)
        session.look(0)
        assert b"".join(session.take_output()) == message(2, packet_id=0)
        device.replug(0)
        session.look(0)
        told = [struct.unpack_from("<I", part)[0] for part in session.take_output()]
        assert told == [5, 4, 1]

    def test_requests_to_a_device_that_is_gone(self, bench: Bench) -> None:
        bench.configured()
        late = bench.guest.send("bulk_packet", 2, bulk(0x01, 1), b"a")
        bench.device.unplug(0)
        bench.session.look(0)
        bench.answers()
        bench.device.replug(0)
        assert only(bench.pass_on(late)).fields[1] == CANCELLED
        assert list(bench.toy.echo) == []

    def test_unplugged_before_the_guest_came(self) -> None:
        device = UsbDevice(Toy())
        device.unplug(0)
        session, guest = Session(device), Guest()
        session.receive(guest.sent(), 0)
        assert [event.kind for event in guest.take(b"".join(session.take_output()))] == ["hello"]

    def test_the_end_leaves_the_device_to_the_next_guest(self, bench: Bench) -> None:
        bench.configured()
        bench.send("bulk_packet", 2, bulk(0x82, 64))
        bench.session.end(0)
        assert bench.session.finished and not bench.session.has_output
        assert bench.device.configuration == 0
        assert Session(bench.device).has_output

    def test_a_guests_filter(self, bench: Bench) -> None:
        bench.session.receive(bench.guest.send("filter_reject", None), 0)
        assert "filter" in bench.session.broken


# --- What no guest sends.


def message(kind: int, body: bytes = b"", packet_id: int = 1, length: int | None = None) -> bytes:
    return struct.pack("<IIQ", kind, len(body) if length is None else length, packet_id) + body


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (message(1, bytes(10)), "DEVICE_CONNECT, which is not for the side"),
        (message(99), "message 99, which there is not"),
        (message(25, bytes(10)), "START_BULK_RECEIVING"),
        (message(18, bytes(8)), "ALLOC_BULK_STREAMS"),
        (message(3, b"x"), "RESET of 1 bytes, 0 to 0"),
        (message(6, b""), "SET_CONFIGURATION of 0 bytes"),
        (message(100, b"", length=2**32 - 1), "CONTROL_PACKET of 4294967295 bytes"),
        (message(101, b"", length=2**32 - 1), "BULK_PACKET of 4294967295 bytes"),
        (message(23, b"", length=2**31), "FILTER_FILTER of 2147483648 bytes"),
        (message(101, bulk(0x01, 9) + b"abc"), "a bulk packet of 9 bytes with 3"),
        (message(101, bulk(0x81, 3) + b"abc"), "a bulk packet of 3 bytes with 3"),
        (message(100, control(0, 0, 9, 1, 0, 4)), "a control packet of 4 bytes with 0"),
        (message(101, bulk(0x82, 9)) * 2, "packet id 1 used again"),
    ],
)
def test_broken_protocol(bench: Bench, data: bytes, what: str) -> None:
    bench.configured()
    bench.session.receive(data, 0)
    assert what in bench.session.broken
    assert len(bench.session._inbox) < 64


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (struct.pack("<III", 3, 0, 0), "message 3 before the hello"),
        (struct.pack("<III", 0, 2**31, 0), "HELLO of 2147483648 bytes"),
        (struct.pack("<III", 0, 66, 0) + bytes(66), "a hello of 66 bytes"),
    ],
)
def test_broken_greeting(data: bytes, what: str) -> None:
    session = Session(UsbDevice(Toy()))
    session.receive(data, 0)
    assert what in session.broken


def test_a_length_is_refused_before_its_bytes_come(bench: Bench) -> None:
    bench.session.receive(message(101, length=1 << 31)[:16], 0)
    assert "BULK_PACKET of 2147483648 bytes" in bench.session.broken


def test_requests_without_an_end(bench: Bench) -> None:
    bench.configured()
    one = bench.guest.send("bulk_packet", 2, bulk(0x82, 64))
    many = b"".join(one[:8] + n.to_bytes(8, "little") + one[16:] for n in range(MAX_PENDING + 1))
    bench.session.receive(many, 0)
    assert f"more than {MAX_PENDING}" in bench.session.broken


KINDS = st.one_of(st.integers(0, 30), st.integers(98, 106), st.integers(0, 2**32 - 1))
MESSAGES = st.builds(
    message, KINDS, st.binary(max_size=40), st.integers(0, 5), st.none() | st.integers(0, 50)
)


@given(st.lists(st.one_of(st.binary(max_size=60), MESSAGES), max_size=12), st.booleans(), st.integers(1, 60))
def test_hostile_bytes_never_raise(pieces: list[bytes], greeted: bool, step: int) -> None:
    device = UsbDevice(Toy(), paced=False)
    session = Session(device)
    if greeted:
        session.receive(struct.pack("<III64sI", 0, 68, 0, b"x", 0xFF) + message(6, b"\1"), 0)
    data = b"".join(pieces)
    for at in range(0, len(data), step):
        session.receive(data[at : at + step], 0)
    assert all(session.take_output())
    session.end(0)
    assert not session.has_output and device.configuration == 0


MUTATION = st.tuples(st.integers(0, 200), st.integers(0, 255))


@given(st.lists(MUTATION, min_size=1, max_size=4))
def test_spoilt_packets_never_raise(mutations: list[tuple[int, int]]) -> None:
    """Good traffic with a few bytes changed."""
    traffic = bytearray(
        message(6, b"\1")
        + message(100, control(0x80, 0x80, 6, 0x0100, 0, 18), 2)
        + message(101, bulk(0x01, 4) + b"abcd", 3)
        + message(101, bulk(0x81, 64), 4)
        + message(101, bulk(0x82, 64), 5)
        + message(21, b"", 5)
        + message(3)
    )
    for at, value in mutations:
        traffic[at % len(traffic)] = value
    session = Session(UsbDevice(Toy(), paced=False))
    session.receive(struct.pack("<III64sI", 0, 68, 0, b"x", 0xFF), 0)
    session.receive(bytes(traffic), 0)
    session.end(0)


@pytest.mark.parametrize("order", [lambda ids: ids, reversed, sorted])
def test_every_request_has_one_answer(bench: Bench, order: Callable[[list[int]], list[int]]) -> None:
    """Requests that wait, some of them cancelled, then an unplugged cable."""
    bench.configured()
    ids = list(range(10, 30))
    for number in ids:
        bench.send("bulk_packet", number, bulk(0x82, 64))
    answered = []
    for number in list(order(ids))[:10]:
        answered += bench.send("cancel_data_packet", number)
    bench.device.unplug(0)
    bench.session.look(0)
    answered += bench.answers()
    assert answered.pop().kind == "device_disconnect"
    assert sorted(event.packet_id for event in answered) == ids
    assert {event.fields[1] for event in answered} == {CANCELLED}
