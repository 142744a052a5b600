"""The usbfs state machine: every ioctl on a fake clock and a fake client memory."""

import errno
import struct

import pytest

from gadget.local import abi, usbfs
from gadget.local.node import Answer, Memory, Node, Read, Steps, Wait
from gadget.local.usbfs import Handle
from gadget.usb.device import MAX_URB_BYTES, UsbDevice
from tests.gadget.toy import Toy
from u3v.wire.usb import CONTROL_IN, CONTROL_OUT, EVENT_IN, STREAM_IN, Speed

URB_AT, BUFFER_AT, RESULT_AT = 0x1000, 0x10_0000, 0x2000


class Client:
    """A process with memory, one open file and a clock."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.ready = 0
        self.now_ns = 0
        self.memory: dict[int, bytes] = {}
        self.handle = Handle(node, self._on_ready)

    def _on_ready(self, _handle: Handle) -> None:
        self.ready += 1

    def load(self, read: Read) -> bytes:
        for at, data in self.memory.items():
            if at <= read.address < at + len(data):
                return data[read.address - at : read.address - at + read.length].ljust(read.length, b"\0")
        raise AssertionError(f"read outside of the client's memory: {read}")

    def start(self, code: int, argument: int) -> tuple[Steps, Read | Wait | Answer]:
        steps = self.handle.ioctl(code, argument, self.now_ns)
        return steps, self.go_on(steps, None)

    def go_on(self, steps: Steps, value: tuple[bytes, int] | None) -> Read | Wait | Answer:
        """Up to the answer or the next Wait."""
        try:
            step = steps.send(value)  # type: ignore[arg-type]
            while isinstance(step, Read):
                step = steps.send((self.load(step), self.now_ns))
            return step
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def ioctl(self, code: int, argument: bytes | int = 0) -> int:
        """The result; what was written lands in `memory`."""
        at = argument
        if isinstance(argument, bytes):
            at = 0x100
            self.memory[at] = argument
        answer = self.start(code, int(at))[1]
        assert isinstance(answer, Answer)
        for address, chunks in answer.writes:
            self.memory[address] = b"".join(chunks)
        return answer.result

    def submit(
        self, endpoint: int, length: int, data: bytes = b"", at: int = URB_AT, kind: int = 3, flags: int = 0
    ) -> int:
        self.memory[BUFFER_AT] = data
        self.memory[at] = struct.pack(
            "@BBiIPiiiIiIP", kind, endpoint, 0, flags, BUFFER_AT, length, 0, 0, 0, 0, 0, 0
        )
        return self.ioctl(abi.SUBMITURB, at)

    def control(
        self, request_type: int, request: int, value: int, index: int, length: int, at: int = URB_AT
    ) -> int:
        setup = struct.pack("<BBHHH", request_type, request, value, index, length)
        return self.submit(0, 8 + length, setup + bytes(length), at, kind=2)

    def reap(self) -> tuple[int, int, int]:
        """(urb address, status, actual length), or (-errno, 0, 0)."""
        self.memory.pop(BUFFER_AT, None)
        result = self.ioctl(abi.REAPURBNDELAY, RESULT_AT)
        if result:
            return result, 0, 0
        at = struct.unpack("@P", self.memory[RESULT_AT])[0]
        return (
            at,
            *struct.unpack("@i", self.memory.pop(at + 4)),
            *struct.unpack("@i", self.memory.pop(at + 28)),
        )


def node_with(toy: Toy | None = None, limit_bytes: int = 0, **options: object) -> Node:
    device = UsbDevice(toy or Toy(), paced=False, **options)  # type: ignore[arg-type]
    node = Node(device, 1, 2, 1, Memory(limit_bytes))
    node.enumerate(0)
    return node


@pytest.fixture
def client() -> Client:
    return Client(node_with())


def test_codes_are_those_of_the_kernel_header() -> None:
    """Values as `printf("%#x")` shows them for linux/usbdevice_fs.h on x86-64."""
    assert abi.SUBMITURB == 0x8038550A
    assert abi.REAPURB == 0x4008550C
    assert abi.CONTROL == 0xC0185500
    assert abi.DISCONNECT_CLAIM == 0x8108551B
    assert abi.GETDRIVER == 0x41045508
    assert abi.DISCARDURB == 0x550B


def test_bulk_out_then_in(client: Client) -> None:
    assert client.submit(CONTROL_OUT, 5, b"hello") == 0
    assert client.reap() == (URB_AT, 0, 5)
    assert client.submit(CONTROL_IN, 100) == 0
    assert client.reap() == (URB_AT, 0, 5)
    assert client.memory[BUFFER_AT] == b"hello"


def test_in_request_waits_until_the_device_has_data(client: Client) -> None:
    assert client.submit(CONTROL_IN, 100, at=0x3000) == 0
    assert client.reap() == (-errno.EAGAIN, 0, 0)
    ready = client.ready
    client.submit(CONTROL_OUT, 2, b"ok")
    assert client.ready > ready
    reaped = {client.reap()[0], client.reap()[0]}
    assert reaped == {0x3000, URB_AT}


def test_the_bytes_are_those_of_the_function_without_a_copy(client: Client) -> None:
    toy = client.node.device.function
    client.submit(STREAM_IN, 1 << 20)
    answer = client.start(abi.REAPURBNDELAY, RESULT_AT)[1]
    assert isinstance(answer, Answer)
    address, chunks = answer.writes[0]
    assert address == BUFFER_AT
    assert all(chunk.obj is toy.block for chunk in chunks)  # type: ignore[attr-defined]


def test_stall_halts_until_clear_halt(client: Client) -> None:
    client.submit(CONTROL_OUT, 5, b"stall")
    assert client.reap() == (URB_AT, -errno.EPIPE, 0)
    client.submit(CONTROL_OUT, 2, b"ok")
    assert client.reap()[1] == -errno.EPIPE
    assert client.ioctl(abi.CLEAR_HALT, struct.pack("@I", CONTROL_OUT)) == 0
    client.submit(CONTROL_OUT, 2, b"ok")
    assert client.reap() == (URB_AT, 0, 2)


def test_set_feature_halt_reaches_the_endpoint(client: Client) -> None:
    assert client.control(0x02, 3, 0, STREAM_IN, 0) == 0
    assert client.reap() == (URB_AT, 0, 0)
    client.submit(STREAM_IN, 64)
    assert client.reap()[1] == -errno.EPIPE


def test_control_in_lands_behind_the_setup_packet(client: Client) -> None:
    assert client.control(0x80, 6, 0x0100, 0, 64) == 0
    client.memory.pop(BUFFER_AT)
    assert client.reap() == (URB_AT, 0, 18)
    assert client.memory[BUFFER_AT + 8] == client.node.device.descriptors.device


def test_unknown_control_request_stalls(client: Client) -> None:
    assert client.control(0xC0, 0x55, 0, 0, 4) == 0
    assert client.reap()[1] == -errno.EPIPE


def test_synchronous_control(client: Client) -> None:
    transfer = struct.pack("@BBHHHIP", 0x80, 6, 0x0100, 0, 18, 1000, 0x5000)
    assert client.ioctl(abi.CONTROL, transfer) == 18
    assert client.memory[0x5000] == client.node.device.descriptors.device
    assert client.ioctl(abi.CONTROL, struct.pack("@BBHHHIP", 0x80, 6, 0, 0, 8, 0, 0x5000)) == -errno.EPIPE


def test_synchronous_bulk_waits_and_times_out(client: Client) -> None:
    client.memory[0x6000] = b"ping"
    assert client.ioctl(abi.BULK, struct.pack("@IIIP", CONTROL_OUT, 4, 0, 0x6000)) == 4
    assert client.ioctl(abi.BULK, struct.pack("@IIIP", CONTROL_IN, 9, 0, 0x7000)) == 4
    assert client.memory[0x7000] == b"ping"
    client.memory[0x100] = struct.pack("@IIIP", EVENT_IN, 9, 30, 0x7000)
    steps, step = client.start(abi.BULK, 0x100)
    assert step == Wait(30_000_000)
    client.now_ns = 30_000_000
    assert client.go_on(steps, (b"", client.now_ns)) == Answer(-errno.ETIMEDOUT)
    assert not client.handle.pending


def test_blocking_reap_waits(client: Client) -> None:
    client.submit(CONTROL_IN, 10)
    steps, step = client.start(abi.REAPURB, RESULT_AT)
    assert step == Wait(None)
    client.submit(CONTROL_OUT, 1, b"x", at=0x3000)
    answer = client.go_on(steps, (b"", 0))
    assert isinstance(answer, Answer) and answer.result == 0


def test_discard(client: Client) -> None:
    client.submit(EVENT_IN, 10)
    assert client.ioctl(abi.DISCARDURB, 0x9999) == -errno.EINVAL
    assert client.ioctl(abi.DISCARDURB, URB_AT) == 0
    assert client.ioctl(abi.DISCARDURB, URB_AT) == -errno.EINVAL
    assert client.reap() == (URB_AT, -errno.ENOENT, 0)


def test_short_not_ok(client: Client) -> None:
    client.submit(CONTROL_OUT, 2, b"ab")
    client.reap()
    client.submit(CONTROL_IN, 10, flags=1)
    assert client.reap() == (URB_AT, -errno.EREMOTEIO, 2)


@pytest.mark.parametrize(
    ("endpoint", "length", "kind", "flags", "error"),
    [
        (STREAM_IN, -1, 3, 0, errno.EINVAL),
        (STREAM_IN, MAX_URB_BYTES + 1, 3, 0, errno.EINVAL),
        (STREAM_IN, 64, 3, 2, errno.EINVAL),  # ISO_ASAP
        (STREAM_IN, 64, 0, 0, errno.EINVAL),  # isochronous
        (STREAM_IN, 64, 1, 0, errno.EINVAL),  # interrupt
        (0x84, 64, 3, 0, errno.ENOENT),
        (0x30, 64, 3, 0, errno.EINVAL),
        (0, 7, 2, 0, errno.EINVAL),
        (0, 64, 3, 0, errno.EINVAL),
    ],
)
def test_bad_submissions(
    client: Client, endpoint: int, length: int, kind: int, flags: int, error: int
) -> None:
    assert client.submit(endpoint, length, kind=kind, flags=flags) == -error
    assert not client.handle.pending and not client.handle.completed


def test_control_buffer_too_short_for_its_setup(client: Client) -> None:
    setup = struct.pack("<BBHHH", 0x80, 6, 0x0100, 0, 18)
    assert client.submit(0, 8 + 17, setup, kind=2) == -errno.EINVAL


def test_oversize_is_refused_before_it_is_read(client: Client) -> None:
    client.memory[URB_AT] = struct.pack(
        "@BBiIPiiiIiIP", 3, CONTROL_OUT, 0, 0, BUFFER_AT, MAX_URB_BYTES + 1, 0, 0, 0, 0, 0, 0
    )
    assert client.start(abi.SUBMITURB, URB_AT)[1] == Answer(-errno.EINVAL)


def test_memory_limit_counts_until_reaped() -> None:
    client = Client(node_with(limit_bytes=1 << 20))
    assert client.submit(EVENT_IN, 1 << 20) == -errno.ENOMEM
    assert client.submit(EVENT_IN, 1 << 19) == 0
    assert client.submit(EVENT_IN, 1 << 19, at=0x3000) == -errno.ENOMEM
    client.ioctl(abi.DISCARDURB, URB_AT)
    assert client.submit(EVENT_IN, 1 << 19, at=0x3000) == -errno.ENOMEM
    client.reap()
    assert client.submit(EVENT_IN, 1 << 19, at=0x3000) == 0
    client.handle.close(0)
    assert client.node.memory.used_bytes == 0


def test_b17_what_clients_send_is_limited_as_on_linux(client: Client) -> None:
    eight_mib = bytes(8 << 20)
    assert client.submit(CONTROL_OUT, len(eight_mib), eight_mib) == 0
    assert client.submit(CONTROL_OUT, len(eight_mib), eight_mib, at=0x3000) == -errno.ENOMEM
    transfer = struct.pack("@IIIP", CONTROL_OUT, 16 << 20, 0, 0x6000)
    assert client.ioctl(abi.BULK, transfer) == -errno.ENOMEM
    assert client.reap() == (URB_AT, 0, 8 << 20)
    assert client.submit(CONTROL_OUT, len(eight_mib), eight_mib) == 0
    client.handle.close(0)
    assert (client.node.memory.used_bytes, client.node.memory.out_bytes) == (0, 0)


def test_b17_a_client_that_dies_while_it_is_read_gives_its_room_back(client: Client) -> None:
    client.memory[URB_AT] = struct.pack(
        "@BBiIPiiiIiIP", 3, CONTROL_OUT, 0, 0, BUFFER_AT, 8 << 20, 0, 0, 0, 0, 0, 0
    )
    steps = client.handle.ioctl(abi.SUBMITURB, URB_AT, 0)
    next(steps)
    assert steps.send((client.memory[URB_AT], 0)) == Read(BUFFER_AT, 8 << 20)
    assert client.node.memory.out_bytes > 8 << 20
    steps.close()
    assert (client.node.memory.used_bytes, client.node.memory.out_bytes) == (0, 0)


def test_b17_discarding_finds_a_request_wherever_it_stands(client: Client) -> None:
    addresses = [0x10000 + 64 * n for n in range(2000)]
    for at in addresses:
        assert client.submit(EVENT_IN, 1, at=at) == 0
    for at in reversed(addresses):
        assert client.ioctl(abi.DISCARDURB, at) == 0
    assert [client.reap()[0] for _ in addresses] == addresses[::-1]
    assert not client.handle.pending and not client.handle.by_address


def test_an_address_submitted_twice_is_discarded_twice(client: Client) -> None:
    assert [client.submit(EVENT_IN, 1) for _ in range(2)] == [0, 0]
    assert [client.ioctl(abi.DISCARDURB, URB_AT) for _ in range(3)] == [0, 0, -errno.EINVAL]


def test_too_many_requests(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usbfs, "MAX_REQUESTS", 2)
    assert [client.submit(EVENT_IN, 1, at=at) for at in (0x3000, 0x4000, 0x5000)] == [0, 0, -errno.ENOMEM]


def test_claims_are_exclusive(client: Client) -> None:
    other = Client(client.node)
    one = struct.pack("@I", 2)
    assert client.ioctl(abi.CLAIMINTERFACE, one) == 0
    assert client.ioctl(abi.CLAIMINTERFACE, one) == 0
    assert other.ioctl(abi.CLAIMINTERFACE, one) == -errno.EBUSY
    assert other.submit(STREAM_IN, 64) == -errno.EBUSY
    assert other.ioctl(abi.RELEASEINTERFACE, one) == -errno.EINVAL
    assert client.ioctl(abi.RELEASEINTERFACE, one) == 0
    assert other.ioctl(abi.CLAIMINTERFACE, one) == 0
    assert client.ioctl(abi.CLAIMINTERFACE, struct.pack("@I", 3)) == -errno.ENOENT
    assert client.ioctl(abi.CLAIMINTERFACE, struct.pack("@I", 64)) == -errno.EINVAL


def test_first_use_claims(client: Client) -> None:
    other = Client(client.node)
    client.submit(STREAM_IN, 64)
    assert other.ioctl(abi.CLAIMINTERFACE, struct.pack("@I", 2)) == -errno.EBUSY


def test_a_claim_of_a_dead_client_is_none(client: Client) -> None:
    other = Client(client.node)
    client.ioctl(abi.CLAIMINTERFACE, struct.pack("@I", 2))
    client.handle.alive = lambda: False
    assert other.ioctl(abi.CLAIMINTERFACE, struct.pack("@I", 2)) == 0


def test_release_ends_the_interfaces_requests(client: Client) -> None:
    client.ioctl(abi.CLAIMINTERFACE, struct.pack("@I", 1))
    client.submit(EVENT_IN, 64)
    client.submit(CONTROL_IN, 64, at=0x3000)
    assert client.ioctl(abi.RELEASEINTERFACE, struct.pack("@I", 1)) == 0
    assert client.reap() == (URB_AT, -errno.ENOENT, 0)
    assert client.reap() == (-errno.EAGAIN, 0, 0)


def test_control_requests_need_the_interface(client: Client) -> None:
    other = Client(client.node)
    client.ioctl(abi.CLAIMINTERFACE, struct.pack("@I", 0))
    assert other.control(0x81, 10, 0, 0, 1) == -errno.EBUSY  # GET_INTERFACE
    assert other.control(0x82, 0, 0, CONTROL_IN, 2) == -errno.EBUSY  # GET_STATUS
    assert other.control(0x82, 0, 0, 0x85, 2) == -errno.ENOENT
    assert other.control(0x80, 0, 0, 0, 2) == 0
    assert other.control(0xC1, 1, 0, 0, 2) == 0  # vendor requests pass


@pytest.mark.parametrize(
    ("flags", "driver", "result"),
    [(0, b"", 0), (2, b"usbfs", -errno.EBUSY), (1, b"usbfs", 0), (1, b"uvcvideo", -errno.EBUSY)],
)
def test_disconnect_claim_of_a_claimed_interface(
    client: Client, flags: int, driver: bytes, result: int
) -> None:
    other = Client(client.node)
    client.submit(EVENT_IN, 64)
    argument = struct.pack("@II256s", 1, flags, driver)
    assert other.ioctl(abi.DISCONNECT_CLAIM, argument) == result
    assert client.reap() == ((URB_AT, -errno.ENOENT, 0) if result == 0 else (-errno.EAGAIN, 0, 0))


def test_get_driver_and_driver_ioctls(client: Client) -> None:
    argument = struct.pack("@I256s", 0, b"")
    assert client.ioctl(abi.GETDRIVER, argument) == -errno.ENODATA
    assert client.ioctl(abi.IOCTL, struct.pack("@iiP", 0, abi.DISCONNECT, 0)) == -errno.ENODATA
    assert client.ioctl(abi.IOCTL, struct.pack("@iiP", 0, abi.CONNECT, 0)) == 0
    assert client.ioctl(abi.IOCTL, struct.pack("@iiP", 9, abi.CONNECT, 0)) == -errno.EINVAL
    client.ioctl(abi.CLAIMINTERFACE, struct.pack("@I", 0))
    assert client.ioctl(abi.GETDRIVER, argument) == 0
    assert client.memory[0x104] == b"usbfs\0"
    assert client.ioctl(abi.IOCTL, struct.pack("@iiP", 0, abi.CONNECT, 0)) == -errno.EBUSY


def test_what_the_device_is(client: Client) -> None:
    assert client.ioctl(abi.GET_SPEED) == 5
    assert client.ioctl(abi.GET_CAPABILITIES, b"1234") == 0
    assert struct.unpack("@I", client.memory[0x100])[0] & 0x1D == 0x1D
    assert client.ioctl(abi.CONNECTINFO, bytes(8)) == 0
    assert client.memory[0x100] == struct.pack("@IB3x", 2, 0)
    assert client.ioctl(abi.CONNINFO_EX | 24 << 16, bytes(24)) == 0
    assert client.memory[0x100][:17] == struct.pack("@IIIIB", 24, 1, 2, 5, 1)
    assert client.ioctl(0x5563) == -errno.ENOTTY


def test_high_speed() -> None:
    assert Client(node_with(speed=Speed.HIGH)).ioctl(abi.GET_SPEED) == 3


def test_set_interface(client: Client) -> None:
    assert client.ioctl(abi.SETINTERFACE, struct.pack("@II", 2, 0)) == 0
    assert client.ioctl(abi.SETINTERFACE, struct.pack("@II", 2, 1)) == -errno.EINVAL
    assert ("clear", STREAM_IN) in client.node.device.function.halts  # type: ignore[attr-defined]


def test_set_configuration(client: Client) -> None:
    configured = client.node.device.function.configured  # type: ignore[attr-defined]
    seen: list[int] = []
    client.node.on_configured = lambda: seen.append(client.node.device.configuration)
    client.ioctl(abi.CLAIMINTERFACE, struct.pack("@I", 0))
    assert client.ioctl(abi.SETCONFIGURATION, struct.pack("@I", 1)) == -errno.EBUSY
    client.ioctl(abi.RELEASEINTERFACE, struct.pack("@I", 0))
    assert client.ioctl(abi.SETCONFIGURATION, struct.pack("@i", -1)) == 0
    assert client.submit(STREAM_IN, 64) == -errno.ESRCH
    assert client.ioctl(abi.CLAIMINTERFACE, struct.pack("@I", 0)) == -errno.ENOENT
    assert client.ioctl(abi.SETCONFIGURATION, struct.pack("@I", 1)) == 0
    assert client.ioctl(abi.SETCONFIGURATION, struct.pack("@I", 2)) == -errno.EINVAL
    assert configured == [1, 0, 1]
    assert seen == [0, 1]


def test_reset_keeps_the_configuration_and_drops_claims(client: Client) -> None:
    other = Client(client.node)
    other.submit(EVENT_IN, 64)
    assert client.ioctl(abi.RESET) == 0
    assert other.reap() == (URB_AT, -errno.ESHUTDOWN, 0)
    assert client.node.device.configuration == 1
    assert not client.node.claims


def test_a_port_with_too_little_power_leaves_it_unconfigured() -> None:
    node = node_with(offered_ma=150)
    assert node.device.configuration == 0
    assert Client(node).submit(STREAM_IN, 64) == -errno.ESRCH


def test_unplug(client: Client) -> None:
    client.submit(EVENT_IN, 64)
    client.node.device.unplug(0)
    assert client.submit(EVENT_IN, 64) == -errno.ENODEV
    assert client.ioctl(abi.CLAIMINTERFACE, struct.pack("@I", 0)) == -errno.ENODEV
    assert client.reap() == (URB_AT, -errno.ESHUTDOWN, 0)
    assert client.reap() == (-errno.ENODEV, 0, 0)


def test_unplug_while_the_server_reads_the_clients_memory(client: Client) -> None:
    client.memory[URB_AT] = struct.pack("@BBiIPiiiIiIP", 3, EVENT_IN, 0, 0, BUFFER_AT, 9, 0, 0, 0, 0, 0, 0)
    steps = client.handle.ioctl(abi.SUBMITURB, URB_AT, 0)
    read = next(steps)
    assert isinstance(read, Read)
    client.node.device.unplug(0)
    answer = client.go_on(steps, (client.load(read), 0))
    assert isinstance(answer, Answer) and answer.result < 0
    assert not client.handle.pending


def test_close_cancels_and_frees(client: Client) -> None:
    other = Client(client.node)
    client.submit(EVENT_IN, 64)
    client.submit(STREAM_IN, 64, at=0x3000)
    client.handle.close(0)
    assert other.submit(EVENT_IN, 64) == 0
    assert other.handle in client.node.handles and client.handle not in client.node.handles


def test_read_gives_the_descriptors(client: Client) -> None:
    whole = client.node.device.descriptors.device + client.node.device.descriptors.configuration
    assert client.handle.read(18) + client.handle.read(1000) == whole
    assert client.handle.read(10) == b""
    assert client.handle.seek(0, 0) == 0
    assert client.handle.read(1) == whole[:1]
    assert client.handle.seek(-2, 1) == -errno.EINVAL
    assert client.handle.seek(0, 2) == -errno.EINVAL


def test_a_file_opened_for_reading_only_reads(client: Client) -> None:
    client.handle.writable = False
    assert client.ioctl(abi.GET_SPEED) == -errno.EPERM
    assert client.handle.read(1) == b"\x12"
