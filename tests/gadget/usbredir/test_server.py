"""The listening socket stepped by hand: no thread, a clock of the test's, a guest that is QEMU's library."""

import logging
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gadget.time.loop import Loop
from gadget.usb.connection import HANDSHAKE_S
from gadget.usb.device import UsbDevice
from gadget.usbredir.server import Place, UsbredirServer, parse_place
from tests.gadget.toy import Toy
from tests.gadget.usbredir.guest import Event, Guest, bulk
from u3v.errors import Mistake, U3VError

MIB = 1 << 20


class Rig:
    def __init__(self, place: Place) -> None:
        self.now_ns = 0
        self.loop = Loop(lambda: self.now_ns)
        self.device = UsbDevice(Toy(), paced=False)
        self.server = UsbredirServer(self.loop, self.device, place)
        self.path = place.path
        self.sockets: list[socket.socket] = []

    def connect(self) -> socket.socket:
        if self.path is None:
            sock = socket.create_connection(("127.0.0.1", self.server.port))
        else:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.connect(str(self.path))
        sock.setblocking(False)
        self.sockets.append(sock)
        self.loop.step(1)
        return sock

    def exchange(self, sock: socket.socket, guest: Guest, data: bytes, wanted: int) -> list[Event]:
        """What the guest makes of the answers, at least `wanted` of them."""
        sock.sendall(data)
        events: list[Event] = []
        while len(events) < wanted:
            self.loop.step(1)
            try:
                events += guest.take(sock.recv(MIB))
            except BlockingIOError:
                pass
        return events

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()
        self.server.close()
        self.loop.close()


@pytest.fixture(params=["tcp", "unix"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(Place(path=tmp_path / "cam" if request.param == "unix" else None))
    yield rig
    rig.close()


def test_a_guest_streams(rig: Rig) -> None:
    sock, guest = rig.connect(), Guest()
    greeting = rig.exchange(sock, guest, guest.sent(), 4)
    assert greeting[-1].kind == "device_connect"
    *_, status = rig.exchange(sock, guest, guest.send("set_configuration", 1, b"\1"), 3)
    assert status.fields == (0, 1)
    asked = b"".join(guest.send("bulk_packet", n, bulk(0x83, MIB)) for n in (2, 3))
    answers = rig.exchange(sock, guest, asked, 2)
    assert isinstance(rig.device.function, Toy)
    assert [(event.packet_id, event.data) for event in answers] == [
        (n, rig.device.function.block) for n in (2, 3)
    ]


def test_one_guest_at_a_time(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    first = rig.connect()
    with caplog.at_level(logging.WARNING):
        second = rig.connect()
    assert second.recv(1) == b"" and "another guest has the camera" in caplog.text
    first.close()
    rig.loop.step(1)
    assert rig.server.connection is None
    third, guest = rig.connect(), Guest()
    assert rig.exchange(third, guest, guest.sent(), 4)[-1].kind == "device_connect"


def test_a_guest_that_says_nothing_is_dropped(rig: Rig) -> None:
    sock = rig.connect()
    rig.now_ns = HANDSHAKE_S * 10**9
    rig.loop.step(0)
    assert len(sock.recv(4096)) == 80 and sock.recv(1) == b""  # our hello, and the end


def test_a_broken_guest_is_dropped(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    sock = rig.connect()
    sock.sendall(bytes(range(12)))
    with caplog.at_level(logging.WARNING):
        rig.loop.step(1)
    assert "before the hello; connection closed" in caplog.text
    assert rig.server.connection is None


def test_a_camera_that_leaves_and_returns(rig: Rig) -> None:
    """What DeviceReset, a brown-out or `u3v ctl unplug` do: the connection stays."""
    sock, guest = rig.connect(), Guest()
    rig.exchange(sock, guest, guest.sent(), 4)
    rig.device.unplug(0)
    assert [event.kind for event in rig.exchange(sock, guest, b"", 1)] == ["device_disconnect"]
    rig.device.replug(0)
    assert rig.exchange(sock, guest, guest.sent(), 3)[-1].kind == "device_connect"


def test_the_socket_file_is_this_users_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "cam"
    rig = Rig(Place(path=path))
    assert path.stat().st_mode & 0o777 == 0o600
    assert rig.server.chardev == f"socket,path={path}" and not rig.server.is_open_to_others
    with pytest.raises(U3VError, match=f"--usbredir {path}: another camera is there already"):
        UsbredirServer(rig.loop, rig.device, Place(path=path))
    rig.close()
    assert not path.exists()


def test_a_killed_servers_socket_file_is_replaced(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "cam"))
    left.close()
    rig = Rig(Place(path=tmp_path / "cam"))
    rig.connect()
    rig.close()


def test_where_tcp_listens() -> None:
    rig = Rig(Place())
    assert rig.server.chardev == f"socket,host=127.0.0.1,port={rig.server.port}"
    assert not rig.server.is_open_to_others
    with pytest.raises(U3VError, match=r"cannot listen on 127\.0\.0\.1 port"):
        UsbredirServer(rig.loop, rig.device, Place(port=rig.server.port))
    rig.close()
    rig = Rig(Place("0.0.0.0"))
    assert rig.server.is_open_to_others
    rig.close()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("4000", Place("127.0.0.1", 4000)),
        (":4000", Place("127.0.0.1", 4000)),
        ("0.0.0.0:0", Place("0.0.0.0", 0)),
        ("[::1]:4000", Place("::1", 4000)),
        ("unix:/tmp/a:b", Place(path=Path("/tmp/a:b"))),
        ("unix:here", Place(path=Path("here"))),
    ],
)
def test_places(text: str, place: Place) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["", "x", "1:x", "70000", "unix:", "-1", "host:"])
def test_no_places(text: str) -> None:
    with pytest.raises(Mistake, match=f"--usbredir {text}: "):
        parse_place(text)
