"""The host's sockets: one camera's control port, the stream, and who is there at all (discovery)."""

import array
import contextlib
import fcntl
import ipaddress
import select
import socket
import struct
import time
from collections.abc import Iterable, Iterator, Sequence

from u3v.errors import Malformed, Mistake, U3VError
from u3v.host.gige.registers import Discovered, parse_discovery
from u3v.wire import gvcp

RECEIVE_BUFFER_BYTES = 32 << 20
DISCOVERY_ID = 0xFFFF
_QUESTION = gvcp.Command(0x11, gvcp.Code.DISCOVERY, DISCOVERY_ID, b"").pack()
_BATCH = 128
_LONGEST_BYTES = 9216
_SO_RCVBUFFORCE = 33
_SIOCGIFCONF = 0x8912
_IFREQ_BYTES = 40


class ControlLink:
    """Datagrams to and from a camera's control port. Raises Mistake where `ip` is no address."""

    def __init__(self, ip: str) -> None:
        try:
            ipaddress.IPv4Address(ip)
        except ValueError:
            raise Mistake(f"gige://{ip}: {ip!r} is no IPv4 address, such as gige://127.0.0.1") from None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.connect((ip, gvcp.PORT))
        except OSError as error:
            self._socket.close()
            raise Mistake(f"gige://{ip}: {error.strerror}") from None
        self.own_ip: str = self._socket.getsockname()[0]

    def send(self, data: bytes) -> None:
        try:
            self._socket.send(data)
        except OSError:
            return  # lost, as on any network: it is sent again

    def receive(self, timeout_ms: int) -> bytes | None:
        if not select.select([self._socket], [], [], timeout_ms / 1000)[0]:
            return None
        try:
            return self._socket.recv(2048)
        except OSError as error:  # ICMP: nobody listens there
            raise U3VError(
                f"no camera answers at {self._socket.getpeername()[0]}: {error.strerror}"
            ) from None

    def close(self) -> None:
        self._socket.close()


class StreamSocket:
    """The socket that the stream comes to, at this machine's address `ip`."""

    def __init__(self, ip: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            self._socket.bind((ip, 0))
        except OSError:
            self._socket.close()
            raise
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
        except OSError:  # without the right to, the kernel's limit is what there is (net.core.rmem_max)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self.ip: str = ip
        self.port: int = self._socket.getsockname()[1]
        self._buffers = [memoryview(bytearray(_LONGEST_BYTES)) for _ in range(_BATCH)]

    def receive(self, timeout_ms: int) -> tuple[int, Sequence[memoryview]]:
        came: list[memoryview] = []
        if select.select([self._socket], [], [], timeout_ms / 1000)[0]:
            for buffer in self._buffers:
                try:
                    size = self._socket.recv_into(buffer)
                except OSError:
                    break
                came.append(buffer[:size])
        return time.monotonic_ns(), came

    def close(self) -> None:
        self._socket.close()


def own_addresses() -> list[str]:
    """The IPv4 addresses of this machine's interfaces that are up, loopback among them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        room = array.array("B", bytes(64 * _IFREQ_BYTES))
        address, size = room.buffer_info()
        (filled, _) = struct.unpack(
            "iL", fcntl.ioctl(any_socket, _SIOCGIFCONF, struct.pack("iL", size, address))
        )
    return [socket.inet_ntoa(room[at + 20 : at + 24]) for at in range(0, filled, _IFREQ_BYTES)]


def discover(wait_s: float, addresses: Iterable[str]) -> list[Discovered]:
    """The cameras that answer a broadcast from one of these addresses, by their address."""
    with contextlib.ExitStack() as stack:
        asking = []
        for address in addresses:
            one = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            asking.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            one.setblocking(False)
            with contextlib.suppress(OSError):  # an interface that went away, or one without broadcasts
                one.bind((address, 0))
                one.sendto(_QUESTION, ("255.255.255.255", gvcp.PORT))
        found = {camera.ip: camera for camera in _answers(asking, wait_s)}
    return sorted(found.values(), key=lambda camera: ipaddress.IPv4Address(camera.ip))


def _answers(asking: Sequence[socket.socket], wait_s: float) -> Iterator[Discovered]:
    """What comes to these sockets within so long."""
    ends_s = time.monotonic() + wait_s
    while (left_s := ends_s - time.monotonic()) > 0:
        for one in select.select(asking, [], [], left_s)[0]:
            with contextlib.suppress(OSError, Malformed):
                ack = gvcp.parse_ack(one.recv(2048))
                if ack.code == gvcp.Code.DISCOVERY and ack.request_id == DISCOVERY_ID and not ack.status:
                    yield parse_discovery(ack.payload)
