"""Sockets around one GigE Vision camera, in a `Loop`: commands on port 3956, stream and events from ports of their own.

Broadcasts are heard on sockets of their own, which all cameras of a machine share, and answered from the camera's
address. Pixels go from the renderer's buffer to `sendmsg` without a copy. Where the kernel can, it cuts dozens of
packets out of one call (UDP segmentation offload): that takes a quarter of the processor time. A program that reads
packet sockets of this machine (Aravis as root, tcpdump) would see one giant packet then, so as long as there is such
a socket, packets are sent one by one.
"""

import errno
import ipaddress
import logging
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from gadget.time.loop import READ, WRITE, Loop
from u3v.errors import Malformed, Mistake
from u3v.gev.bootstrap import Address
from u3v.gev.control import Datagram, Peer
from u3v.gev.function import Datagrams, GevFunction
from u3v.gev.stream import Packet, Run, Sent, apart
from u3v.wire import gvcp

log = logging.getLogger(__name__)

COMMANDS_AT_ONCE = 64
PACKETS_AT_ONCE = 128
SEND_BUFFER_BYTES = 4 << 20
_SOL_UDP, _UDP_SEGMENT = 17, 103
_SEGMENTS, _SEGMENT_BYTES = 64, 65_000
_IP_MTU_DISCOVER, _PMTUDISC_DONT, _PMTUDISC_DO = 10, 0, 2
_PACKET_SOCKETS = Path("/proc/net/packet")
_LOOK_EACH_NS = 100_000_000
_LOST = (errno.ECONNREFUSED, errno.EMSGSIZE, errno.ENETUNREACH, errno.EHOSTUNREACH)
_NO_OFFLOAD = (errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.EOPNOTSUPP)
"""A packet that is larger than the interface takes, or an interface without checksums: then one by one."""

Observer = Callable[[Peer, Peer, Sequence[bytes | memoryview], int], None]
"""From, to, the parts of the datagram one behind the other, when (ns)."""


class GigeServer:
    """One camera at the address that its registers name, until `close`. Raises Mistake where it cannot be there.

    `through`: what its datagrams go through on their way, such as faults. `observers` hear of each one that comes or
    goes. `offload`: whether the kernel may cut packets.
    """

    def __init__(
        self, loop: Loop, function: GevFunction, through: Datagrams | None = None, *, offload: bool = True
    ) -> None:
        self.function = function
        self.through: Datagrams = through or function
        self.observers: list[Observer] = []
        self.sent_packets = 0
        self.unplugged = False
        self.write_listeners: list[Callable[[int, int, bytes], None]] = []
        self._loop = loop
        self._offload = offload and _kernel_cuts()
        self._looked_ns = self._served_ns = 0
        self._packet_socket = False
        self._sockets: list[socket.socket] = []
        self._waiting: list[Sent] = []
        self._is_blocked = False
        address = function.bootstrap.address
        try:
            self._open(address)
        except OSError as error:
            raise Mistake(_cannot_be_there(address.ip, error)) from None
        function.moved = self.move
        loop.services.append(self)

    def __enter__(self) -> "GigeServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self in self._loop.services:
            self._loop.services.remove(self)
            self.function.clock.leave(self._loop.now_ns())
        self._shut(self._sockets)
        self._sockets = []

    def move(self, address: Address) -> bool:
        """Be somewhere else from now on: whoever had the camera has lost it. False where it cannot be there."""
        before = self._sockets
        try:
            self._open(address)
        except (OSError, ValueError) as error:  # ValueError: a mask that is none
            self._sockets = before
            log.warning("%s: %s", address.ip, error)
            return False
        self._shut(before)
        self.function.control.release()
        return True

    def move_soon(self, ip: str) -> None:
        """Another address of the same net, once what is being done now is done."""

        def move() -> None:
            if self in self._loop.services:  # and not closed meanwhile
                self.move(replace(self.function.bootstrap.address, ip=ip))

        self._loop.call_threadsafe(move)

    def unplug(self, now_ns: int) -> None:
        """The cable is pulled: nobody is heard or answered, and what the camera sends is lost. One that has its power
        still goes on; its host has it until the heartbeat is over."""
        self.function.tick(now_ns)
        self._waiting.clear()
        self.unplugged = True

    def replug(self, now_ns: int) -> None:
        """The cable is in again."""
        self.function.tick(now_ns)
        self.unplugged = False

    def next_wakeup_ns(self) -> int | None:
        due_ns = self.through.next_wakeup_ns()
        if self._is_blocked and due_ns is not None:  # packets wait for the socket: its readiness wakes us
            return max(due_ns, self._served_ns + 1_000_000)
        return due_ns

    def service(self, now_ns: int) -> None:
        """Let everything happen that is due, and send what may be sent."""
        self._served_ns = now_ns
        answers = self.through.tick(now_ns)
        if self.unplugged:
            self.through.events(now_ns)
            self.through.packets(now_ns, PACKETS_AT_ONCE)
            return
        for answer in answers:
            self._send(self._control, answer, now_ns)
        for event in self.through.events(now_ns):
            self._send(self._message, event, now_ns)
        if self._is_blocked:
            return
        if not self._waiting:
            self._waiting = self.through.packets(now_ns, PACKETS_AT_ONCE)
        self._flush(now_ns)

    # -- sockets ------------------------------------------------------------------------------------------

    def _open(self, address: Address) -> None:
        """Sockets at an address, instead of those that are there. Raises OSError, and has changed nothing then but
        `_sockets`."""
        net = ipaddress.IPv4Network(f"{address.ip}/{address.mask}", strict=False)
        self._sockets = []
        try:
            control = self._bind(address.ip, gvcp.PORT)
            broadcasts = [self._bind("255.255.255.255", gvcp.PORT, shared=True)]
            broadcasts.append(self._bind(str(net.broadcast_address), gvcp.PORT, shared=True))
            stream, message = self._bind(address.ip, 0), self._bind(address.ip, 0)
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            stream.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DONT)
            for one in (stream, message):  # a multicast leaves where the camera is, not by the default route
                one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address.ip))
        except OSError:
            self._shut(self._sockets)
            raise
        self._control, self._stream, self._message = control, stream, message
        self._is_blocked = False
        self.function.bootstrap.address = address
        self.function.use_ports(stream.getsockname()[1], message.getsockname()[1])
        for one in (control, *broadcasts):
            self._loop.watch(one, READ, partial(self._commands, one))
        self._loop.watch(stream, READ, self._stream_ready)
        self._loop.watch(message, READ, self._acknowledges)

    def _shut(self, sockets: list[socket.socket]) -> None:
        for one in sockets:
            self._loop.unwatch(one)
            one.close()

    def _bind(self, ip: str, port: int, *, shared: bool = False) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sockets.append(made)
        made.setblocking(False)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((ip, port))
        return made

    # -- commands -----------------------------------------------------------------------------------------

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
        if self.unplugged:
            return
        for one in waiting if self.observers else ():
            self._tell(one.peer, source.getsockname(), (one.data,), now_ns)
        for listener in self.write_listeners:
            for address, data in _writes(waiting):
                listener(now_ns, address, data)
        for answer in self.through.datagrams(waiting, now_ns):
            self._send(self._control, answer, now_ns)
        self.service(now_ns)

    def _send(self, source: socket.socket, datagram: Datagram, now_ns: int) -> None:
        """What cannot be sent is lost, as on any network: hosts ask again."""
        try:
            source.sendto(datagram.data, datagram.peer)
        except OSError as error:
            log.info("to %s port %d: %s", *datagram.peer, error)
            return
        if self.observers:
            self._tell(source.getsockname(), datagram.peer, (datagram.data,), now_ns)

    def _tell(self, source: Peer, to: Peer, parts: Sequence[bytes | memoryview], now_ns: int) -> None:
        for observer in self.observers:
            observer(source, to, parts, now_ns)

    def _acknowledges(self, _mask: int) -> None:
        for one in _drain(self._message):
            if self.observers:
                self._tell(one.peer, self._message.getsockname(), (one.data,), self._loop.now_ns())
            self.function.event.acknowledged(one.data)

    # -- the stream ---------------------------------------------------------------------------------------

    def _flush(self, now_ns: int) -> None:
        destination = self.function.destination
        if not destination[1]:  # the host has closed its port
            self._waiting.clear()
            return
        waiting = self._waiting = _calls(self._waiting, self._cuts(now_ns))
        done = 0
        while done < len(waiting):
            one = waiting[done]
            try:
                self._send_packets(one, destination)
            except BlockingIOError:
                self._is_blocked = True
                self._loop.watch(self._stream, READ | WRITE, self._stream_ready)
                break
            except OSError as error:
                if one.count > 1 and error.errno in _NO_OFFLOAD:
                    self._offload = False
                    waiting[done:] = apart(waiting[done:])
                    continue
                if error.errno not in _LOST:
                    log.warning("stream to %s port %d: %s", *destination, error)
            else:
                for packet in apart([one]) if self.observers else ():
                    self._tell(self._stream.getsockname(), destination, (packet.header, packet.data), now_ns)
            done += 1
            self.sent_packets += one.count
        del waiting[:done]

    def _cuts(self, now_ns: int) -> bool:
        """Whether the kernel is to cut packets now. Whether somebody reads packet sockets is looked up now and then."""
        if self._offload and now_ns - self._looked_ns >= _LOOK_EACH_NS:
            self._looked_ns = now_ns
            self._packet_socket = _is_watched()
        return self._offload and not self._packet_socket

    def _send_packets(self, one: Sent, destination: Peer) -> None:
        if isinstance(one, Run):
            size = struct.pack("H", len(one.parts[0]) + len(one.parts[1]))
            segments = [(_SOL_UDP, _UDP_SEGMENT, size)] if one.count > 1 else []
            self._stream.sendmsg(one.parts, segments, 0, destination)
            return
        if one.whole:
            self._stream.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DO)
        try:
            self._stream.sendmsg([one.header, one.data], [], 0, destination)
        finally:
            if one.whole:
                self._stream.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DONT)

    def _stream_ready(self, mask: int) -> None:
        now_ns = self._loop.now_ns()
        if mask & READ:
            for one in _drain(self._stream):
                if self.observers:
                    self._tell(one.peer, self._stream.getsockname(), (one.data,), now_ns)
        if mask & WRITE:
            self._is_blocked = False
            self._loop.watch(self._stream, READ, self._stream_ready)
            self._flush(now_ns)


def _writes(waiting: list[Datagram]) -> list[tuple[int, bytes]]:
    """The register writes that hosts ask for: (address, data)."""
    found: list[tuple[int, bytes]] = []
    for datagram in waiting:
        try:
            command = gvcp.parse_command(datagram.data)
            if command.code == gvcp.Code.WRITEREG:
                found += gvcp.writes(command.payload)
            elif command.code == gvcp.Code.WRITEMEM:
                found.append(gvcp.memory_write(command.payload))
        except Malformed:
            continue
    return found


def addresses(first: str, count: int) -> list[Address]:
    """Addresses for `count` cameras, from `first` on. Raises Mistake."""
    try:
        start = ipaddress.IPv4Address(first)
    except ValueError:
        raise Mistake(f"--interface {first!r} is no IPv4 address, such as 127.0.0.1") from None
    net = ipaddress.IPv4Network(f"{start}/{8 if start.is_loopback else 24}", strict=False)
    return [Address(str(start + index), str(net.netmask)) for index in range(count)]


def _calls(sent: Iterable[Sent], cuts: bool) -> list[Sent]:
    """The same packets, one by one or as many in each call as the kernel cuts out of it: all of one size, the last one
    may be shorter."""
    if not cuts:
        return list(apart(sent))
    calls: list[Sent] = []
    for one in sent:
        if isinstance(one, Run):
            most = 2 * _most(one.parts)
            calls += [Run(one.parts[at : at + most]) for at in range(0, len(one.parts), most)]
        elif one.whole or not one.data:
            calls.append(one)
        elif calls and isinstance(last := calls[-1], Run) and _takes(last.parts, one):
            last.parts += (one.header, one.data)
        else:
            calls.append(Run([one.header, one.data]))
    return calls


def _most(parts: Sequence[bytes | memoryview]) -> int:
    """How many packets like the first one go in one call."""
    return min(_SEGMENTS, _SEGMENT_BYTES // (len(parts[0]) + len(parts[1])))


def _takes(parts: Sequence[bytes | memoryview], packet: Packet) -> bool:
    """Whether it may follow in the same call. Headers are equally long."""
    return len(parts) < 2 * _most(parts) and len(parts[1]) == len(parts[-1]) >= len(packet.data)


def _kernel_cuts() -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.getsockopt(_SOL_UDP, _UDP_SEGMENT)
        except OSError:
            return False
    return True


def _is_watched() -> bool:
    """Whether a packet socket of this network namespace hears the loopback interface, or all interfaces."""
    try:
        lines = _PACKET_SOCKETS.read_text().splitlines()[1:]
    except OSError:
        return False
    return any(line.split()[4] in ("0", "1") for line in lines)


def _drain(source: socket.socket) -> list[Datagram]:
    """What has come, read: pylon opens firewalls with a datagram to the stream's port."""
    got: list[Datagram] = []
    for _ in range(COMMANDS_AT_ONCE):
        try:
            got.append(Datagram(*source.recvfrom(2048)))
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
