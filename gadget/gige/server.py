"""Sockets around one GigE Vision camera, in a `Loop`: commands on port 3956, stream and events from ports of their own.

Broadcasts are heard on sockets of their own, which all cameras of a machine share, and answered from the camera's
address. Pixels go from the renderer's buffer to `sendmsg` without a copy. With segmentation offload (`gso`) the kernel
cuts up to 64 packets out of one call; a program that reads packet sockets (Aravis as root) then sees one giant
packet, so it is off unless asked for.
"""

import errno
import ipaddress
import logging
import socket
import struct
from collections import deque
from functools import partial

from gadget.time.loop import READ, WRITE, Loop
from u3v.errors import Mistake
from u3v.gev.bootstrap import Address
from u3v.gev.control import Datagram
from u3v.gev.function import GevFunction
from u3v.gev.stream import Packet
from u3v.wire import gvcp

log = logging.getLogger(__name__)

COMMANDS_AT_ONCE = 64
PACKETS_AT_ONCE = 128
SEND_BUFFER_BYTES = 4 << 20
_SOL_UDP, _UDP_SEGMENT = 17, 103
_SEGMENTS, _SEGMENT_BYTES = 64, 65_000
_IP_MTU_DISCOVER, _PMTUDISC_DONT, _PMTUDISC_DO = 10, 0, 2


class GigeServer:
    """One camera at the address that its registers name, until `close`. Raises Mistake where it cannot be there."""

    def __init__(self, loop: Loop, function: GevFunction, *, gso: bool = False) -> None:
        self.function = function
        self.sent_packets = 0
        self._loop = loop
        self._gso = gso
        self._sockets: list[socket.socket] = []
        self._waiting: deque[Packet] = deque()
        self._is_blocked = False
        address = function.bootstrap.address
        net = ipaddress.IPv4Network(f"{address.ip}/{address.mask}", strict=False)
        try:
            self._control = self._bind(address.ip, gvcp.PORT)
            self._broadcasts = [self._bind("255.255.255.255", gvcp.PORT, shared=True)]
            self._broadcasts.append(self._bind(str(net.broadcast_address), gvcp.PORT, shared=True))
            self._stream = self._bind(address.ip, 0)
            self._message = self._bind(address.ip, 0)
        except OSError as error:
            self.close()
            raise Mistake(_cannot_be_there(address.ip, error)) from None
        self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._stream.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DONT)
        function.use_ports(self._stream.getsockname()[1], self._message.getsockname()[1])
        for one in (self._control, *self._broadcasts):
            loop.watch(one, READ, partial(self._commands, one))
        loop.watch(self._stream, READ, self._stream_ready)
        loop.watch(self._message, READ, self._acknowledges)
        loop.services.append(self)

    def __enter__(self) -> "GigeServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self in self._loop.services:
            self._loop.services.remove(self)
        for one in self._sockets:
            self._loop.unwatch(one)
            one.close()
        self._sockets.clear()

    def next_wakeup_ns(self) -> int | None:
        now_ns = self._loop.now_ns()
        due_ns = self.function.next_wakeup_ns(now_ns)
        if self._is_blocked and due_ns is not None:  # packets wait for the socket: its readiness wakes us
            return max(due_ns, now_ns + 1_000_000)
        return due_ns

    def service(self, now_ns: int) -> None:
        """Let everything happen that is due, and send what may be sent."""
        for answer in self.function.tick(now_ns):
            _send(self._control, answer)
        for event in self.function.events(now_ns):
            _send(self._message, event)
        if self._is_blocked:
            return
        if not self._waiting:
            self._waiting.extend(self.function.packets(now_ns, PACKETS_AT_ONCE))
        self._flush()

    def _bind(self, ip: str, port: int, *, shared: bool = False) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sockets.append(made)
        made.setblocking(False)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((ip, port))
        return made

    def _commands(self, source: socket.socket, _mask: int) -> None:
        waiting = []
        for _ in range(COMMANDS_AT_ONCE):
            try:
                data, peer = source.recvfrom(2048)
            except BlockingIOError:
                break
            except OSError:  # an answer that nobody heard (ICMP)
                continue
            waiting.append(Datagram(data, peer))
        now_ns = self._loop.now_ns()
        for answer in self.function.datagrams(waiting, now_ns):
            _send(self._control, answer)
        self.service(now_ns)

    def _acknowledges(self, _mask: int) -> None:
        for data in _drain(self._message):
            self.function.event.acknowledged(data)

    # -- the stream ---------------------------------------------------------------------------------------

    def _flush(self) -> None:
        destination = self.function.destination
        while self._waiting:
            count = self._run() if self._gso else 1
            run = [self._waiting[k] for k in range(count)]
            try:
                self._send_packets(run, destination)
            except BlockingIOError:
                self._is_blocked = True
                self._loop.watch(self._stream, READ | WRITE, self._stream_ready)
                return
            except OSError as error:
                if error.errno not in (
                    errno.ECONNREFUSED,
                    errno.EMSGSIZE,
                    errno.ENETUNREACH,
                    errno.EHOSTUNREACH,
                ):
                    log.warning("stream to %s port %d: %s", *destination, error)
            for _ in range(count):
                self._waiting.popleft()
            self.sent_packets += count

    def _run(self) -> int:
        """How many of the waiting packets go in one call: all of one size, the last one may be shorter."""
        size, total = len(self._waiting[0]), 0
        for index, packet in enumerate(self._waiting):
            total += len(packet)
            if index == _SEGMENTS or total > _SEGMENT_BYTES or len(packet) > size or packet.whole:
                return max(index, 1)
            if len(packet) < size:
                return index + 1
        return len(self._waiting)

    def _send_packets(self, run: list[Packet], destination: tuple[str, int]) -> None:
        first = run[0]
        buffers = [part for packet in run for part in (packet.header, packet.data)]
        if len(run) > 1:
            segment = (_SOL_UDP, _UDP_SEGMENT, struct.pack("H", len(first)))
            self._stream.sendmsg(buffers, [segment], 0, destination)
            return
        if first.whole:
            self._stream.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DO)
        try:
            self._stream.sendmsg(buffers, [], 0, destination)
        finally:
            if first.whole:
                self._stream.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DONT)

    def _stream_ready(self, mask: int) -> None:
        if mask & READ:
            _drain(self._stream)
        if mask & WRITE:
            self._is_blocked = False
            self._loop.watch(self._stream, READ, self._stream_ready)
            self._flush()


def addresses(first: str, count: int) -> list[Address]:
    """Addresses for `count` cameras, from `first` on. Raises Mistake."""
    try:
        start = ipaddress.IPv4Address(first)
    except ValueError:
        raise Mistake(f"--interface {first!r} is no IPv4 address, such as 127.0.0.1") from None
    net = ipaddress.IPv4Network(f"{start}/{8 if start.is_loopback else 24}", strict=False)
    return [Address(str(start + index), str(net.netmask)) for index in range(count)]


def _send(source: socket.socket, datagram: Datagram) -> None:
    """What cannot be sent is lost, as on any network: hosts ask again."""
    try:
        source.sendto(datagram.data, datagram.peer)
    except OSError as error:
        log.info("to %s port %d: %s", *datagram.peer, error)


def _drain(source: socket.socket) -> list[bytes]:
    """What has come, read: pylon opens firewalls with a datagram to the stream's port."""
    got: list[bytes] = []
    while len(got) < COMMANDS_AT_ONCE:
        try:
            got.append(source.recv(2048))
        except BlockingIOError:
            break
        except OSError:
            continue
    return got


def _cannot_be_there(ip: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{ip} port {gvcp.PORT} is taken, another camera is there: give another address, such as 127.0.0.9"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{ip} is no address of this machine: `ip address` lists those; all of 127.0.0.0/8 work"
    return f"{ip} port {gvcp.PORT}: {error.strerror}"
