"""The client against our server in a thread, and against servers that break the protocol."""

import socket
import struct
import threading
from collections import deque
from collections.abc import Callable

import pytest

from gadget.usbip import client as module
from gadget.usbip.client import UsbipClient
from tests.gadget.usbip import host
from tests.gadget.usbip.conftest import Served
from u3v.errors import U3VError
from u3v.host import bus
from u3v.host.bus import HostBus, UsbError, UsbGone, UsbOverflow, UsbStall, UsbTimeout

MIB = 1 << 20


class TestAgainstOurServer:
    def test_who_it_is(self, served: Served) -> None:
        with UsbipClient.connect(port=served.port) as usb:
            record = usb.record
        assert record is not None
        assert (record.busid, record.devid, record.speed) == ("1-1", 0x10002, 5)
        assert (record.vid, record.pid, record.interface_count) == (0x1209, 1, 3)

    def test_standard_requests(self, served: Served) -> None:
        with UsbipClient.connect(port=served.port) as usb:
            assert bus.get_device_descriptor(usb) == served.exports["1-1"].device.descriptors.device
            configuration = bus.get_configuration_descriptor(usb)
            assert configuration == served.exports["1-1"].device.descriptors.configuration
            assert bus.get_string(usb, 2) == "Toy One"
            assert bus.get_configuration(usb) == 0
            bus.set_configuration(usb, 1)
            assert bus.get_configuration(usb) == 1
            with pytest.raises(UsbStall, match="endpoint 0x80 stalled"):
                bus.get_descriptor(usb, 0x22)

    def test_halt(self, served: Served) -> None:
        with UsbipClient.connect(port=served.port) as usb:
            bus.set_configuration(usb, 1)
            bus.set_halt(usb, 0x83)
            assert bus.is_halted(usb, 0x83)
            with pytest.raises(UsbStall):
                usb.bulk_in_into(0x83, bytearray(1024))
            bus.clear_halt(usb, 0x83)
            assert not bus.is_halted(usb, 0x83)
            assert usb.bulk_in_into(0x83, bytearray(1024)) == 1024
            with pytest.raises(UsbStall):
                usb.bulk_out(0x01, b"stall")

    def test_timeout_takes_the_request_back(self, served: Served) -> None:
        with UsbipClient.connect(port=served.port) as usb:
            bus.set_configuration(usb, 1)
            buffer = bytearray(64)
            with pytest.raises(UsbTimeout, match="endpoint 0x81: no answer in 5 ms"):
                usb.bulk_in_into(0x81, buffer, 5)
            usb.bulk_out(0x01, b"after")  # must not go to the request taken back
            assert usb.bulk_in_into(0x81, buffer) == 5
            assert buffer[:5] == b"after"

    def test_overflow(self, served: Served) -> None:
        with UsbipClient.connect(port=served.port) as usb:
            bus.set_configuration(usb, 1)
            usb.bulk_out(0x01, b"12345678")
            buffer = bytearray(5)
            with pytest.raises(UsbOverflow, match="endpoint 0x81 sent more than 5 bytes"):
                usb.bulk_in_into(0x81, buffer)
            assert buffer == b"12345"

    def test_reads_in_flight(self, served: Served) -> None:
        with UsbipClient.connect(port=served.port) as usb:
            bus.set_configuration(usb, 1)
            buffers = [bytearray(MIB) for _ in range(4)]
            queue = deque((usb.submit_in(0x83, buffer), buffer) for buffer in buffers)
            for _ in range(20):
                handle, buffer = queue.popleft()
                assert usb.wait_in(handle) == MIB
                assert buffer == served.toy().block
                buffer[:] = bytes(MIB)
                queue.append((usb.submit_in(0x83, buffer), buffer))
            for handle, _ in queue:
                usb.cancel_in(handle)
            assert usb._requests == {}

    def test_a_queued_read_survives_its_timeout(self, served: Served) -> None:
        with UsbipClient.connect(port=served.port) as usb:
            bus.set_configuration(usb, 1)
            buffer = bytearray(64)
            handle = usb.submit_in(0x81, buffer)
            with pytest.raises(UsbTimeout):
                usb.wait_in(handle, 5)
            usb.bulk_out(0x01, b"late")
            assert usb.wait_in(handle) == 4
            with pytest.raises(U3VError, match="is not of a queued read"):
                usb.wait_in(handle)
            usb.cancel_in(handle)

    def test_paced_device(self, served: Served) -> None:
        with UsbipClient.connect(port=served.port, busid="1-2") as usb:
            bus.set_configuration(usb, 1)
            assert usb.bulk_in_into(0x83, bytearray(MIB)) == MIB

    def test_threads_share_one_connection(self, served: Served) -> None:
        with UsbipClient.connect(port=served.port) as usb:
            bus.set_configuration(usb, 1)
            wrong: list[str] = []

            def stream() -> None:
                buffer = bytearray(65536)
                for _ in range(200):
                    if usb.bulk_in_into(0x83, buffer, 0) != 65536:
                        wrong.append("stream")

            def wait_in_vain() -> None:
                try:
                    usb.bulk_in_into(0x82, bytearray(64), 20)
                    wrong.append("event")
                except UsbTimeout:
                    pass

            threads = [threading.Thread(target=target) for target in (stream, wait_in_vain, wait_in_vain)]
            for thread in threads:
                thread.start()
            buffer = bytearray(64)
            for n in range(200):
                usb.bulk_out(0x01, b"%d" % n)
                assert buffer[: usb.bulk_in_into(0x81, buffer)] == b"%d" % n
            for thread in threads:
                thread.join()
            assert wrong == []

    def test_closing_wakes_a_waiting_thread(self, served: Served) -> None:
        usb = UsbipClient.connect(port=served.port)
        bus.set_configuration(usb, 1)
        handle = usb.submit_in(0x82, bytearray(64))
        seen: list[str] = []

        def wait() -> None:
            try:
                usb.wait_in(handle, 0)
            except UsbGone as error:
                seen.append(str(error))

        thread = threading.Thread(target=wait)
        thread.start()
        usb.close()
        thread.join()
        assert seen == ["closed"]

    def test_import_refused(self, served: Served) -> None:
        with UsbipClient.connect(port=served.port):
            with pytest.raises(UsbGone, match=r"importing 1-1 from .*: the device is used by another client"):
                UsbipClient.connect(port=served.port)
            with pytest.raises(UsbGone, match="no such device"):
                UsbipClient.connect(port=served.port, busid="9-9")

    def test_unplugged(self, served: Served) -> None:
        device = served.exports["1-1"].device
        with UsbipClient.connect(port=served.port) as usb:
            bus.set_configuration(usb, 1)
            handle = usb.submit_in(0x82, bytearray(64))
            served.loop.call_threadsafe(lambda: device.unplug(served.loop.now_ns()))
            # which of the three it hears of first is a race between its request and the plug
            with pytest.raises(UsbGone, match=r"reset or is gone|connection broke|closed the connection"):
                usb.wait_in(handle)
            with pytest.raises(UsbGone):
                usb.bulk_in_into(0x82, bytearray(64))

    def test_read_only_buffer(self, served: Served) -> None:
        with UsbipClient.connect(port=served.port) as usb, pytest.raises(TypeError, match="writable"):
            usb.submit_in(0x81, memoryview(b"abc"))

    def test_it_is_a_host_bus(self, served: Served) -> None:
        with UsbipClient.connect(port=served.port) as usb:
            as_bus: HostBus = usb
            assert bus.get_configuration(as_bus) == 0


def test_no_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(UsbGone, match=f"no USB/IP server at 127.0.0.1:{port}: Connection refused"):
        UsbipClient.connect(port=port)


def against(answer: Callable[[socket.socket], None], use: Callable[[UsbipClient], None]) -> None:
    """Run `use` on a client whose server is `answer`, in a thread."""
    theirs, ours = socket.socketpair()

    def serve() -> None:
        with theirs:
            answer(theirs)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with UsbipClient(ours) as usb:
            use(usb)
    finally:
        thread.join()


def test_a_server_that_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """B19: in words, after a stated time."""
    monkeypatch.setattr(module, "SEND_S", 0.1)
    theirs, ours = socket.socketpair()
    with theirs, UsbipClient(ours) as usb:
        with pytest.raises(UsbGone, match=r"the USB/IP server takes nothing for 0\.1 s"):
            usb.bulk_out(0x01, bytes(32 << 20))
        with pytest.raises(UsbGone, match="takes nothing"):
            usb.bulk_in_into(0x81, bytearray(64))


def reply(command: int, seqnum: int, status: int, actual: int) -> bytes:
    return struct.pack(">5I5i8x", command, seqnum, 0, 0, 0, status, actual, 0, 0, 0)


class TestAgainstABrokenServer:
    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            (reply(3, 1, 0, 65), "65 bytes for a request of 64"),
            (reply(3, 1, 0, -5), "RET_SUBMIT of -5 bytes"),
            (reply(3, 2, 0, 0), "an answer to 2, which is not waiting"),
            (reply(4, 1, 0, 0), "an answer to 1, which is not waiting"),
            (reply(9, 1, 0, 0), "reply 0x9"),
            (reply(3, 1, 0, 64) + bytes(10), "closed the connection"),
            (b"", "closed the connection"),
            (bytes(20), "closed the connection"),
        ],
    )
    def test_the_device_is_gone(self, answer: bytes, message: str) -> None:
        def server(sock: socket.socket) -> None:
            sock.recv(48)
            sock.sendall(answer)

        def use(usb: UsbipClient) -> None:
            with pytest.raises(UsbGone, match=message):
                usb.bulk_in_into(0x81, bytearray(64))
            with pytest.raises(UsbGone):
                usb.bulk_in_into(0x81, bytearray(64))

        against(server, use)

    def test_a_failed_request(self) -> None:
        def use(usb: UsbipClient) -> None:
            with pytest.raises(UsbError, match="endpoint 0x81 failed with status -71") as error:
                usb.bulk_in_into(0x81, bytearray(64))
            assert error.value.status == -71

        against(lambda sock: sock.sendall(reply(3, 1, -71, 0) if sock.recv(48) else b""), use)

    def test_data_in_pieces(self) -> None:
        def server(sock: socket.socket) -> None:
            sock.recv(48)
            for byte in reply(3, 1, 0, 9) + b"in pieces":
                sock.sendall(bytes((byte,)))

        def use(usb: UsbipClient) -> None:
            buffer = bytearray(64)
            assert usb.bulk_in_into(0x81, buffer) == 9
            assert buffer[:9] == b"in pieces"

        against(server, use)

    def test_unlink_that_came_too_late(self) -> None:
        def server(sock: socket.socket) -> None:
            sock.recv(48)
            assert sock.recv(48) == host.unlink(2, 1).replace(struct.pack(">I", host.DEVID), bytes(4))
            sock.sendall(reply(3, 1, 0, 4) + b"late" + reply(4, 2, 0, 0))

        def use(usb: UsbipClient) -> None:
            assert usb.bulk_in_into(0x81, bytearray(64), 5) == 4

        against(server, use)

    def test_unlink_without_an_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "UNLINK_S", 0.01)

        def server(sock: socket.socket) -> None:
            while sock.recv(48):
                pass

        def use(usb: UsbipClient) -> None:
            with pytest.raises(UsbGone, match=r"does not answer an unlink within 0\.01 s"):
                usb.bulk_in_into(0x81, bytearray(64), 5)

        against(server, use)
