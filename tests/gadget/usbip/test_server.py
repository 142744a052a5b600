"""The server stepped by hand: no thread, a clock of the test's."""

import errno
import logging
import socket
from collections.abc import Iterator

import pytest

from gadget.time.accepting import PAUSE_NS
from gadget.time.loop import Loop
from gadget.usb import connection as module
from gadget.usb.device import UsbDevice
from gadget.usbip import server
from gadget.usbip.server import UsbipServer, attach_socket
from gadget.usbip.session import export
from tests.gadget.toy import Toy
from tests.gadget.usbip import host
from tests.gadget.usbip.host import ret_submit, ret_unlink
from u3v.errors import U3VError

MIB = 1 << 20


class Rig:
    def __init__(self) -> None:
        self.now_ns = 0
        self.loop = Loop(lambda: self.now_ns)
        self.exports = export(UsbDevice(Toy(), paced=False), UsbDevice(Toy()))
        self.server = UsbipServer(self.loop, self.exports, port=0)
        self.clients: list[socket.socket] = []

    def join(self) -> socket.socket:
        """A client that may not be let in."""
        client = socket.create_connection(("127.0.0.1", self.server.port))
        self.clients.append(client)
        self.loop.step(1)
        return client

    def connect(self, data: bytes = b"", receive_buffer: int = 0) -> socket.socket:
        client = socket.socket()
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect(("127.0.0.1", self.server.port))
        client.setblocking(False)
        self.clients.append(client)
        count = len(self.server.connections)
        self.loop.step(1)
        assert len(self.server.connections) == count + 1
        if data:
            client.sendall(data)
            self.loop.step(1)
        return client

    def imported(self, busid: str = "1-1", receive_buffer: int = 0) -> socket.socket:
        client = self.connect(host.op_import(busid), receive_buffer)
        assert client.recv(320)[:8] == host.op(0x0003)
        client.sendall(host.control_out(1, host.SET_CONFIGURATION_1))
        self.loop.step(1)
        assert host.answers(client.recv(4096)) == [ret_submit(1)]
        return client

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.server.close()
        self.loop.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


def test_list_then_close(rig: Rig) -> None:
    client = rig.connect(host.op(0x8005))
    assert len(client.recv(4096)) == 12 + 2 * 324
    assert client.recv(1) == b""
    assert rig.server.connections == []


def test_second_import_is_refused_until_the_first_has_gone(rig: Rig) -> None:
    first = rig.imported()
    second = rig.connect(host.op_import("1-1"))
    assert second.recv(4096) == host.op(0x0003, status=2)
    assert second.recv(1) == b""
    first.close()
    rig.loop.step(1)
    assert rig.exports["1-1"].session is None
    rig.imported()


def test_two_cameras_two_clients(rig: Rig) -> None:
    one, two = rig.imported("1-1"), rig.imported("1-2")
    one.sendall(host.bulk_out(2, 0x01, b"one"))
    two.sendall(host.bulk_out(2, 0x01, b"two"))
    rig.loop.step(1)
    rig.loop.step(0)
    for client, text in ((one, b"one"), (two, b"two")):
        client.sendall(host.submit(3, 0x81, 64))
        rig.loop.step(1)
        answers = host.answers(client.recv(4096), {2: 3})
        assert answers == [ret_submit(2), ret_submit(3, 0, text)]


def test_a_reader_that_reads_late_gets_everything_in_order(rig: Rig) -> None:
    client = rig.imported(receive_buffer=4096)
    count = 40
    client.sendall(b"".join(host.submit(n, 0x83, MIB) for n in range(10, 10 + count)))
    rig.loop.step(1)
    client.sendall(host.submit(100, 0x82, 64) + host.unlink(101, 100) + host.unlink(102, 10))
    stream = bytearray()
    other = rig.imported("1-2")  # served while the first is blocked
    assert other.fileno() >= 0
    while len(stream) < count * (48 + MIB) + 2 * 48:
        rig.loop.step(0)
        try:
            stream += client.recv(MIB)
        except BlockingIOError:
            pass
    toy = rig.exports["1-1"].device.function
    assert isinstance(toy, Toy)
    expected = [ret_submit(n, 0, toy.block) for n in range(10, 10 + count)]
    assert host.answers(bytes(stream)) == [*expected, ret_unlink(101, -104), ret_unlink(102, 0)]


def test_an_answer_at_a_deadline_leaves_in_the_same_round(rig: Rig) -> None:
    client = rig.imported("1-2")
    client.sendall(host.submit(2, 0x83, 2048))
    rig.loop.step(1)
    due_ns = rig.exports["1-2"].device.next_wakeup_ns()
    assert due_ns is not None
    assert due_ns > 0
    with pytest.raises(BlockingIOError):
        client.recv(1)
    rig.now_ns = due_ns
    rig.loop.step(0)
    [answer] = host.answers(client.recv(4096))
    assert (answer.seqnum, len(answer.data)) == (2, 2048)


def test_an_answer_from_elsewhere_leaves_in_the_next_round(rig: Rig) -> None:
    client = rig.imported()
    client.sendall(host.submit(2, 0x81, 64))
    rig.loop.step(1)
    device = rig.exports["1-1"].device
    assert isinstance(device.function, Toy)
    device.function.echo.append(b"late")
    rig.loop.call_threadsafe(lambda: device.service(0))
    rig.loop.step(1)
    assert host.answers(client.recv(4096)) == [ret_submit(2, 0, b"late")]


def test_a_broken_client_is_closed_and_nobody_else(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    good, bad = rig.imported("1-2"), rig.imported("1-1")
    bad.sendall(b"\xff" * 48)
    with caplog.at_level(logging.WARNING):
        rig.loop.step(1)
    assert bad.recv(1) == b""
    [record] = caplog.records
    assert record.getMessage().endswith(": command 0xffffffff; connection closed")
    assert "\n" not in record.getMessage()
    assert rig.exports["1-1"].session is None
    good.sendall(host.bulk_out(2, 0x01, b"x"))
    rig.loop.step(1)
    assert host.answers(good.recv(4096), {2: 1}) == [ret_submit(2)]


def test_a_client_that_dies(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    client = rig.imported()
    client.sendall(b"".join(host.submit(n, 0x83, MIB) for n in range(2, 40)))
    rig.loop.step(1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes((1, 0, 0, 0, 0, 0, 0, 0)))
    client.close()
    rig.loop.step(1)
    assert rig.server.connections == []
    assert rig.exports["1-1"].device.configuration == 0
    assert not caplog.records


def test_unplugging_closes_the_connection_behind_the_last_answers(rig: Rig) -> None:
    client = rig.imported()
    client.sendall(host.submit(2, 0x82, 64))
    rig.loop.step(1)
    rig.exports["1-1"].device.unplug(0)
    rig.loop.step(0)
    assert host.answers(client.recv(4096)) == [ret_submit(2, -108)]
    assert client.recv(1) == b""


def test_unplugging_waits_for_a_late_reader_without_spinning(rig: Rig) -> None:
    client = rig.imported(receive_buffer=4096)
    client.sendall(b"".join(host.submit(n, 0x83, MIB) for n in range(10, 20)))
    rig.loop.step(1)
    rig.exports["1-1"].device.unplug(0)
    rig.loop.step(0)
    [connection] = rig.server.connections
    assert connection.next_wakeup_ns() is None
    stream = bytearray()
    while rig.server.connections:
        try:
            stream += client.recv(MIB)
        except BlockingIOError:
            pass
        rig.loop.step(0)
    client.setblocking(True)
    while piece := client.recv(MIB):
        stream += piece
    assert [answer.seqnum for answer in host.answers(bytes(stream))] == list(range(10, 20))


def test_a_silent_client_is_dropped(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    client = rig.connect()
    imported = rig.imported()
    rig.now_ns = module.HANDSHAKE_S * 10**9 - 1
    rig.loop.step(0)
    assert len(rig.server.connections) == 2
    rig.now_ns += 1
    with caplog.at_level(logging.WARNING):
        rig.loop.step(0)
    assert client.recv(1) == b""
    assert "no complete request within 10 s" in caplog.text
    assert len(rig.server.connections) == 1
    with pytest.raises(BlockingIOError):
        imported.recv(1)


def test_b17_idle_connections_lock_nobody_out(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that has said nothing for the longest time makes room; who has a camera keeps it."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 3)
    camera = rig.imported("1-1")
    idle = [rig.connect(), rig.connect()]
    late = rig.join()
    assert idle[0].recv(1) == b""
    late.sendall(host.op_import("1-2"))
    rig.loop.step(1)
    assert late.recv(4096)[:8] == host.op(0x0003)
    assert len(rig.server.connections) == 3
    for client in (camera, idle[1]):
        with pytest.raises(BlockingIOError):
            client.recv(1)


def test_more_cameras_in_use_than_connections_are_refused(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 1)
    rig.imported("1-1")
    assert rig.join().recv(1) == b""
    assert len(rig.server.connections) == 1


def test_b7_a_client_that_asks_and_never_reads_is_not_read_either(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends until nobody takes any more; then it reads and gets every answer, in order."""
    monkeypatch.setattr(module, "MAX_QUEUED_BYTES", MIB)
    client = rig.imported(receive_buffer=4096)
    question = host.control_in(0, host.GET_DEVICE_DESCRIPTOR)
    seqnum, refused, unsent = 2, 0, b""
    while refused < 50:
        if not unsent:
            burst = range(seqnum, seqnum + 500)
            unsent = b"".join(question[:4] + n.to_bytes(4, "big") + question[8:] for n in burst)
            seqnum += 500
        try:
            unsent = unsent[client.send(unsent) :]
            refused = 0
        except BlockingIOError:
            refused += 1
        rig.loop.step(0)
    [connection] = rig.server.connections
    waiting = len(connection._queue) * module._ENTRY_BYTES + connection._queued_bytes
    assert module.MAX_QUEUED_BYTES <= waiting < module.MAX_QUEUED_BYTES + 16 * MIB
    stream = bytearray()
    while len(stream) < (seqnum - 2) * (48 + 18):
        rig.loop.step(0)
        try:
            unsent = unsent[client.send(unsent) :] if unsent else b""
        except BlockingIOError:
            pass
        try:
            stream += client.recv(MIB)
        except BlockingIOError:
            pass
    assert [answer.seqnum for answer in host.answers(bytes(stream))] == list(range(2, seqnum))


def test_b17_a_process_without_descriptors_does_not_spin(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks away for a while; who waits gets in when there is room again."""
    listener = rig.server._acceptor.listener
    calls = 0

    class Full:
        def fileno(self) -> int:
            return listener.fileno()

        def accept(self) -> object:
            nonlocal calls
            calls += 1
            raise OSError(errno.EMFILE, "Too many open files")

    acceptor = rig.server._acceptor
    client = socket.create_connection(("127.0.0.1", rig.server.port))
    rig.clients.append(client)
    monkeypatch.setattr(acceptor, "listener", Full())
    for _ in range(100):
        rig.loop.step(0)
    assert calls == 1
    monkeypatch.setattr(acceptor, "listener", listener)
    rig.loop.step(0)
    assert not rig.server.connections
    rig.now_ns += PAUSE_NS
    for _ in range(2):
        rig.loop.step(0)
    assert len(rig.server.connections) == 1


class TestAddress:
    def test_b17_everywhere_is_shown_as_this_machines_address(self, rig: Rig) -> None:
        with UsbipServer(rig.loop, {}, host="0.0.0.0", port=0) as server:
            assert server.is_open_to_others
            assert server.host == "0.0.0.0"
            assert server.address != "0.0.0.0"
            with socket.create_connection((server.address, server.port)):
                rig.loop.step(1)
                assert len(server.connections) == 1

    @pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
    def test_loopback_is_for_this_machine_alone(self, rig: Rig, address: str) -> None:
        with UsbipServer(rig.loop, {}, host=address, port=0) as server:
            assert (server.is_open_to_others, server.address) == (False, address)


def test_closing_the_server_frees_everything(rig: Rig) -> None:
    client = rig.imported()
    rig.server.close()
    assert client.recv(1) == b""
    assert rig.exports["1-1"].session is None
    devices: list[object] = [exported.device for exported in rig.exports.values()]
    assert [service for service in rig.loop.services if service not in devices] == []


def test_socket_options(rig: Rig) -> None:
    rig.connect()
    sock = rig.server.connections[0]._sock
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30


class TestPort:
    def test_taken(self, rig: Rig) -> None:
        port = rig.server.port
        with pytest.raises(U3VError) as error:
            UsbipServer(rig.loop, {}, port=port)
        expected = f"cannot listen on 127.0.0.1 port {port}: Address already in use; try another port"
        assert str(error.value) == expected

    def test_out_of_range(self, rig: Rig) -> None:
        with pytest.raises(U3VError, match=r"the port must be 0\.\.65535"):
            UsbipServer(rig.loop, {}, port=70000)

    def test_unknown_host(self, rig: Rig) -> None:
        with pytest.raises(U3VError, match=r"cannot listen on 192\.0\.2\.1 port 0: .*; try another address"):
            UsbipServer(rig.loop, {}, host="192.0.2.1", port=0)


class TestAttachSocket:
    def test_requests_without_handshake(self, rig: Rig) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            attach_socket(rig.loop, ours, rig.exports["1-1"])
            theirs.sendall(host.control_in(1, host.GET_DEVICE_DESCRIPTOR))
            rig.loop.step(1)
            descriptor = rig.exports["1-1"].device.descriptors.device
            assert host.answers(theirs.recv(4096)) == [ret_submit(1, 0, descriptor)]
            other, unused = socket.socketpair()
            with other, unused, pytest.raises(U3VError, match="device 1-1 is used by another client"):
                attach_socket(rig.loop, other, rig.exports["1-1"])
        rig.loop.step(1)
        assert rig.exports["1-1"].session is None
