"""The server's sockets: both kinds of clients, bytes nobody should send, the directory, hotplug messages."""

import errno
import gc
import os
import select
import socket
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gadget.local import abi
from gadget.local.launch import private_directory
from gadget.local.server import LocalServer
from gadget.local.tree import kernel_message, udev_message, uevent
from gadget.time.loop import Loop
from gadget.usb.device import UsbDevice
from tests.gadget.toy import Toy
from u3v.function import InTransfer
from u3v.wire.usb import CONTROL_OUT, EVENT_IN, STREAM_IN, Speed

IOCTL, DONE, READ_MEM, WRITE_MEM, READ, WRITE, HELLO, SEEK, IOCTL_WITH = 1, 3, 5, 6, 7, 8, 16, 17, 18
MINUS_ONE = (1 << 64) - 1


class Bench:
    """A server stepped by hand, in this thread."""

    def __init__(self, directory: Path, *devices: UsbDevice) -> None:
        self.now_ns = 0
        self.loop = Loop(lambda: self.now_ns)
        self.server = LocalServer(self.loop, directory, devices)

    def settle(self) -> None:
        """Serve until nothing is left to do."""
        for _ in range(50):
            self.loop.step(0.0)

    def close(self) -> None:
        self.server.close()
        self.loop.close()


class RawClient:
    """Speaks the protocol without a preload library."""

    def __init__(self, bench: Bench, node: str = "001/002", own: bool = True) -> None:
        self.bench = bench
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(bench.server.directory / "ioctl/dev/bus/usb" / node))
        self.sock.setblocking(False)
        self.fd = -1
        self.memory: dict[int, bytes] = {}
        bench.settle()
        if own:
            self.send(HELLO, os.O_RDWR, 0)
            _, fds, _, _ = socket.recv_fds(self.sock, 24, 1)
            (self.fd,) = fds

    def send(self, *words: int, more: bytes = b"") -> None:
        self.sock.sendall(struct.pack("@3Q", *words) + more)
        self.bench.settle()

    def take(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            self.bench.loop.step(0.0)
            try:
                chunk = self.sock.recv(length - len(data))
            except BlockingIOError:
                continue
            assert chunk, "hung up"
            data += chunk
        return data

    def answer(self) -> tuple[int, int]:
        """Serve the server until DONE: (result, errno)."""
        while True:
            command, first, second = struct.unpack("@3Q", self.take(24))
            if command == DONE:
                return first, second
            if command == READ_MEM:
                rest = memoryview(self.memory[first][:second].ljust(second, b"\0"))
                while rest:
                    try:
                        rest = rest[self.sock.send(rest) :]
                    except BlockingIOError:
                        self.bench.loop.step(0.0)
                self.bench.settle()
            else:
                assert command == WRITE_MEM
                self.memory[first] = self.take(second)

    def submit(self, endpoint: int, length: int, at: int = 0x1000) -> tuple[int, int]:
        self.memory[at] = struct.pack("@BBiIPiiiIiIP", 3, endpoint, 0, 0, 0x9000, length, 0, 0, 0, 0, 0, 0)
        self.send(IOCTL, abi.SUBMITURB, at)
        return self.answer()

    def reap(self) -> tuple[int, int]:
        self.send(IOCTL, abi.REAPURBNDELAY, 0x2000)
        return self.answer()

    def events(self) -> int:
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        return dict(poll.poll(0)).get(self.fd, 0)

    def hung_up(self) -> bool:
        self.bench.settle()
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True
        except BlockingIOError:
            return False

    def close(self) -> None:
        self.sock.close()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        self.bench.settle()


@pytest.fixture
def directory() -> Iterator[Path]:
    with private_directory() as path:
        yield path


@pytest.fixture
def bench(directory: Path) -> Iterator[Bench]:
    bench = Bench(directory, UsbDevice(Toy(), paced=False))
    yield bench
    bench.close()


@pytest.fixture
def client(bench: Bench) -> Iterator[RawClient]:
    client = RawClient(bench)
    yield client
    client.close()


def test_poll_follows_the_requests(bench: Bench, client: RawClient) -> None:
    assert client.events() == 0
    client.submit(EVENT_IN, 64)
    assert client.events() == 0
    client.send(IOCTL, abi.DISCARDURB, 0x1000)
    assert client.answer() == (0, 0)
    assert client.events() == select.POLLOUT
    assert client.reap() == (0, 0)
    assert client.events() == 0
    assert client.reap() == (MINUS_ONE, errno.EAGAIN)


def test_a_client_that_writes_into_its_descriptor_harms_itself_only(bench: Bench, client: RawClient) -> None:
    client.submit(STREAM_IN, 64)
    os.set_blocking(client.fd, False)
    os.write(client.fd, bytes(4096))
    assert client.reap() == (0, 0)
    other = RawClient(bench)
    assert other.events() == 0
    other.close()


def test_the_argument_may_come_with_the_question(bench: Bench, client: RawClient) -> None:
    client.send(IOCTL_WITH, abi.CLAIMINTERFACE, 0x1234, more=struct.pack("@I", 2))
    assert client.answer() == (0, 0)
    assert bench.server.nodes[0].claims.keys() == {2}


def test_a_long_transfer_arrives_whole(bench: Bench, client: RawClient) -> None:
    client.submit(STREAM_IN, 8 << 20)
    client.reap()
    assert client.memory[0x9000] == bytes(range(256)) * (8 << 12)
    assert client.memory[0x1000 + 28] == struct.pack("@i", 8 << 20)


def test_frame_memory_is_free_once_the_client_has_it(directory: Path) -> None:
    block = bytearray(1 << 16)

    class Lent(Toy):
        def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
            return InTransfer(memoryview(block)) if endpoint == STREAM_IN else None

    bench = Bench(directory, UsbDevice(Lent(), paced=False))
    client = RawClient(bench)
    gc.disable()
    try:
        client.submit(STREAM_IN, 1 << 16)
        with pytest.raises(BufferError):
            block.append(0)
        client.reap()
        block.append(0)  # would raise as long as a view is held
    finally:
        gc.enable()
        client.close()
        bench.close()


def test_unplug_is_pollerr_and_enodev(bench: Bench, client: RawClient) -> None:
    client.submit(EVENT_IN, 64)
    bench.server.unplug(bench.server.nodes[0])
    assert client.events() & select.POLLERR
    assert client.reap() == (0, 0)
    assert client.memory[0x1004] == struct.pack("@i", -errno.ESHUTDOWN)
    assert client.reap() == (MINUS_ONE, errno.ENODEV)
    client.send(READ, 0x5000, 18)
    assert client.answer() == (MINUS_ONE, errno.ENODEV)


def test_unplug_ends_a_waiting_call(bench: Bench) -> None:
    client = RawClient(bench, own=False)
    client.send(IOCTL, abi.REAPURB, 0x2000)
    bench.server.unplug(bench.server.nodes[0])
    assert client.answer() == (MINUS_ONE, errno.ENODEV)
    client.close()


def test_a_dead_clients_interface_is_free_at_once(bench: Bench, client: RawClient) -> None:
    client.submit(EVENT_IN, 64)
    other = RawClient(bench)
    client.sock.close()  # and the loop has not run since
    assert other.submit(EVENT_IN, 64) == (0, 0)
    other.close()
    assert not bench.server.nodes[0].handles


def test_read_seek_write(bench: Bench, client: RawClient) -> None:
    client.send(READ, 0x5000, 18)
    assert client.answer() == (18, 0)
    assert client.memory[0x5000] == bench.server.nodes[0].device.descriptors.device
    client.send(SEEK, 2, os.SEEK_SET)
    assert client.answer() == (2, 0)
    client.send(SEEK, MINUS_ONE, os.SEEK_CUR)
    assert client.answer() == (1, 0)
    client.send(WRITE, 0x5000, 18)
    assert client.answer() == (MINUS_ONE, errno.EINVAL)


@pytest.mark.parametrize(
    "words",
    [
        (0, 0, 0),
        (HELLO, os.O_RDWR, 0),  # a second time
        (99, 1, 2),
        (IOCTL, 1 << 32, 0),
        (MINUS_ONE, MINUS_ONE, MINUS_ONE),
        (IOCTL_WITH, abi.CONNINFO_EX | 600 << 16, 0),  # longer than we take
        (DONE, 0, 0),
    ],
)
def test_hostile_words_close_that_connection_only(
    bench: Bench, client: RawClient, words: tuple[int, ...]
) -> None:
    other = RawClient(bench)
    client.send(*words)
    assert client.hung_up()
    assert other.submit(EVENT_IN, 64) == (0, 0)
    other.close()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=600),
            st.tuples(
                st.sampled_from([IOCTL, IOCTL_WITH, READ, SEEK, HELLO, 2, 5]),
                st.one_of(
                    st.sampled_from([abi.SUBMITURB, abi.BULK, abi.RESET, abi.REAPURB, abi.SETCONFIGURATION]),
                    st.integers(0, MINUS_ONE),
                ),
                st.integers(0, MINUS_ONE),
            ).map(lambda words: struct.pack("@3Q", *words)),
        ),
        max_size=6,
    )
)
def test_no_bytes_harm_another_client(pieces: list[bytes]) -> None:
    with private_directory() as directory:
        bench = Bench(directory, UsbDevice(Toy(), paced=False))
        hostile, other = RawClient(bench), RawClient(bench)
        for piece in pieces:
            try:
                hostile.sock.sendall(piece)
            except OSError:
                break
            bench.settle()
        hostile.close()
        assert other.submit(EVENT_IN, 64) == (0, 0)
        assert len(bench.server.connections) == 1
        assert bench.server.memory.used_bytes == 64 + 344
        other.close()
        bench.close()


def test_speaking_out_of_turn_hangs_up(bench: Bench, client: RawClient) -> None:
    client.send(READ, 0x5000, 18, more=b"x")
    assert client.hung_up()


def test_speaking_while_the_server_waits_hangs_up(bench: Bench) -> None:
    client = RawClient(bench, own=False)
    client.send(IOCTL, abi.REAPURB, 0x2000)
    client.send(IOCTL, abi.REAPURB, 0x2000)
    assert client.hung_up()
    client.close()


def test_a_question_in_pieces(bench: Bench, client: RawClient) -> None:
    question = struct.pack("@3QI", IOCTL_WITH, abi.CLAIMINTERFACE, 0x1234, 1)
    for at in range(len(question)):
        client.sock.sendall(question[at : at + 1])
        bench.settle()
    assert client.answer() == (0, 0)


def test_announced_bytes_are_not_allocated(bench: Bench, client: RawClient) -> None:
    """An 8 MiB OUT request that never sends its data costs nothing, and dies with its client."""
    client.memory[0x1000] = struct.pack("@BBiIPiiiIiIP", 3, 0x01, 0, 0, 0x9000, 8 << 20, 0, 0, 0, 0, 0, 0)
    client.send(IOCTL, abi.SUBMITURB, 0x1000)
    assert struct.unpack("@3Q", client.take(24)) == (READ_MEM, 0x1000, 56)
    client.sock.sendall(client.memory[0x1000])
    assert struct.unpack("@3Q", client.take(24)) == (READ_MEM, 0x9000, 8 << 20)
    (connection,) = bench.server.connections
    assert len(connection._inbox) == 0
    client.close()
    assert not bench.server.connections
    assert (bench.server.memory.used_bytes, bench.server.memory.out_bytes) == (0, 0)


def test_b17_what_is_sent_and_not_reaped_is_limited_and_not_kept(bench: Bench, client: RawClient) -> None:
    """40 requests of 8 MiB: Linux has room for one (16 MB, less its own overhead), and so have we; the bytes go."""
    client.memory[0x9000] = bytes(8 << 20)
    assert client.submit(CONTROL_OUT, 8 << 20) == (0, 0)
    assert [client.submit(CONTROL_OUT, 8 << 20, at=0x2000 + n) for n in range(3)] == [
        (MINUS_ONE, errno.ENOMEM)
    ] * 3
    (connection,) = bench.server.connections
    assert sum(len(request.urb.data) for request in connection.handle.completed) == 0
    assert client.submit(STREAM_IN, 64 << 20, at=0x8000) == (0, 0), "what is read costs nothing yet"
    client.reap()
    assert client.submit(CONTROL_OUT, 8 << 20) == (0, 0)


def test_b10_a_device_number_in_use_is_not_given_away(bench: Bench) -> None:
    """One camera stays (number 2); the other is reset 130 times."""
    seen = []
    node = bench.server.plug(UsbDevice(Toy()))
    for _ in range(130):
        seen.append(node.number)
        bench.server.unplug(node)
        node.device.replug(0)
        node = bench.server.plug(node.device, node.port)
        assert bench.server.nodes[0].number == 2
    assert seen[:126] == [*range(3, 128), 3]
    assert set(seen) == set(range(3, 128))


def test_b8_a_replugged_camera_shows_its_new_name(bench: Bench) -> None:
    (node,) = bench.server.nodes
    toy, device = node.device.function, node.device
    assert isinstance(toy, Toy)
    toy.identity = replace(toy.identity, user_defined_name="left", serial="SER2")
    bench.server.unplug(node)
    device.replug(0)
    sysfs = bench.server.directory / "sys/bus/usb/devices/1-1"
    node = bench.server.plug(device)
    assert (sysfs / "serial").read_text() == "SER2\n"
    assert device.descriptors.strings[8] == "left"
    assert (sysfs / "descriptors").read_bytes() == node.descriptors


def test_b8_a_reset_rewrites_the_descriptors(bench: Bench, client: RawClient) -> None:
    (node,) = bench.server.nodes
    toy = node.device.function
    assert isinstance(toy, Toy)
    toy.identity = replace(toy.identity, user_defined_name="left")
    before = (bench.server.directory / "sys/bus/usb/devices/1-1/descriptors").read_bytes()
    client.send(IOCTL, abi.RESET, 0)
    assert client.answer() == (0, 0)
    after = (bench.server.directory / "sys/bus/usb/devices/1-1/descriptors").read_bytes()
    assert after == node.descriptors != before


def test_shared_node_says_reap_only_while_there_is_something(bench: Bench) -> None:
    client = RawClient(bench, own=False)
    client.fd = os.open(bench.server.directory / "dev/bus/usb/001/002", os.O_RDWR | os.O_NONBLOCK)
    assert client.events() == 0
    client.submit(STREAM_IN, 64)
    assert client.events() == select.POLLOUT
    client.reap()
    assert client.events() == 0
    client.close()


def test_shared_node_holds_off_whom_it_does_not_mean(bench: Bench) -> None:
    busy, idle = RawClient(bench, own=False), RawClient(bench, own=False)
    busy.submit(STREAM_IN, 64)
    idle.send(IOCTL, abi.REAPURBNDELAY, 0x2000)
    assert not idle.hung_up()  # nothing has come yet
    bench.now_ns += 1_000_000
    bench.settle()
    assert idle.answer() == (MINUS_ONE, errno.EAGAIN)
    busy.close()
    idle.close()


def test_too_many_connections_are_turned_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gadget.local.server.MAX_CONNECTIONS", 1)
    client, late = RawClient(bench), RawClient(bench, own=False)
    assert late.hung_up()
    assert not client.hung_up()
    client.close()
    late.close()


def test_the_tree(bench: Bench) -> None:
    device = bench.server.directory / "sys/bus/usb/devices/1-1"
    expected = {
        "speed": "5000",
        "version": " 3.00",
        "busnum": "1",
        "devnum": "2",
        "bMaxPower": "400mA",
        "bConfigurationValue": "1",
        "bNumInterfaces": " 3",
        "bmAttributes": "80",
        "bMaxPacketSize0": "9",
        "idVendor": "1209",
        "bcdDevice": "0100",
        "manufacturer": "Toy",
        "product": "Toy One",
        "serial": "SER1",
        "dev": "189:1",
    }
    assert {name: (device / name).read_text() for name in expected} == {
        name: f"{value}\n" for name, value in expected.items()
    }
    descriptors = bench.server.nodes[0].device.descriptors
    assert (device / "descriptors").read_bytes() == descriptors.device + descriptors.configuration
    assert (device / "1-1:1.2/bInterfaceProtocol").read_text() == "02\n"
    assert (device / "subsystem").resolve() == (bench.server.directory / "sys/bus/usb").resolve()


def test_high_speed_tree(directory: Path) -> None:
    bench = Bench(directory, UsbDevice(Toy(), speed=Speed.HIGH))
    device = directory / "sys/bus/usb/devices/1-1"
    assert (device / "speed").read_text() == "480\n"
    assert (device / "version").read_text() == " 2.10\n"
    bench.close()


def test_configuration_shows_in_sysfs(bench: Bench, client: RawClient) -> None:
    value = bench.server.directory / "sys/bus/usb/devices/1-1/bConfigurationValue"
    client.send(IOCTL_WITH, abi.SETCONFIGURATION, 0x1234, more=struct.pack("@i", -1))
    assert client.answer() == (0, 0)
    assert value.read_text() == ""
    client.send(IOCTL_WITH, abi.SETCONFIGURATION, 0x1234, more=struct.pack("@I", 1))
    assert client.answer() == (0, 0)
    assert value.read_text() == "1\n"


def test_a_camera_on_a_port_with_too_little_power_is_not_configured(directory: Path) -> None:
    bench = Bench(directory, UsbDevice(Toy(), offered_ma=150))
    assert (directory / "sys/bus/usb/devices/1-1/bMaxPower").read_text() == ""
    bench.close()


def test_ports_and_addresses(bench: Bench) -> None:
    second = bench.server.plug(UsbDevice(Toy()))
    assert (second.port, second.number) == (2, 3)
    with pytest.raises(ValueError, match="port 2 is taken"):
        bench.server.plug(UsbDevice(Toy()), port=2)
    bench.server.unplug(second)
    again = bench.server.plug(UsbDevice(Toy()))
    assert (again.port, again.number) == (2, 4)
    bench.server.unplug(second)  # twice is once
    names = {path.name for path in (bench.server.directory / "sys/bus/usb/devices").iterdir()}
    assert {"1-1", "1-2"} <= names


def test_unplug_leaves_nothing(bench: Bench) -> None:
    bench.server.unplug(bench.server.nodes[0])
    left = [p for p in bench.server.directory.rglob("*") if p.is_fifo() or p.is_symlink() or p.is_file()]
    assert left == []
    assert bench.loop.services == [bench.server]


def test_hotplug_messages_reach_subscribers(bench: Bench) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.connect(str(bench.server.directory / "uevents"))
        listener.setblocking(False)
        bench.settle()
        node = bench.server.nodes[0]
        bench.server.unplug(node)
        message = listener.recv(4096)
        assert message.startswith(b"remove@/devices/platform/u3v.0/usb1/1-1\0ACTION=remove\0")
        assert b"\0DEVNAME=bus/usb/001/002\0" in message
    bench.settle()


def test_udev_message_layout(bench: Bench) -> None:
    """Header of libudev's monitor: prefix, magic (big-endian), sizes, hashes (big-endian)."""
    properties = uevent(bench.server.nodes[0], "add")
    message = udev_message(properties)
    prefix, magic, header, offset, length = struct.unpack_from("=8s4sIII", message)
    assert (prefix, magic, header, offset) == (b"libudev\0", bytes.fromhex("feedcafe"), 40, 40)
    assert length == len(message) - 40
    assert kernel_message(properties).split(b"\0", 1)[1] == message[40:]


def test_umockdev_clients_have_a_view_each(bench: Bench) -> None:
    first = bench.server.environment(Path("/lib/x.so"), own=False)["UMOCKDEV_DIR"]
    second = bench.server.environment(Path("/lib/x.so"), own=False)["UMOCKDEV_DIR"]
    assert first != second
    bench.server.plug(UsbDevice(Toy()))
    for view in (first, second):
        assert (Path(view) / "sys/bus/usb/devices/1-2/devnum").read_text() == "3\n"
        assert (Path(view) / "dev/bus/usb/001/003").is_fifo()
    assert not (Path(first) / "sys").is_symlink()


def test_nothing_is_left_open(directory: Path) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    bench = Bench(directory, UsbDevice(Toy(), paced=False))
    clients = [RawClient(bench) for _ in range(3)]
    clients[0].submit(EVENT_IN, 64)
    bench.server.unplug(bench.server.nodes[0])
    for client in clients:
        client.close()
    bench.close()
    assert descriptors() == before
