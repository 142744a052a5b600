"""A capture of what crosses the sockets of GigE Vision cameras, for Wireshark and tshark.

Link type 1 (Ethernet): each datagram with the headers that it has on a network, one packet at a time even where the
kernel cuts several out of one call. Cameras have their own MAC addresses, everybody else one made of the IPv4 address
(02:00 and its four bytes). Commands, events, leaders and trailers are kept whole; of image data the first `snaplen`
bytes, so that a camera at full speed costs a few MB/s of file. UDP checksums are 0, which says that there is none.

State: the file. One thread: that of the loop which owns the servers.
"""

import socket
import struct
from collections.abc import Sequence
from pathlib import Path

from gadget.gige.server import GigeServer
from gadget.pcap_file import PcapFile
from u3v.gev.control import Peer

LINKTYPE_ETHERNET = 1
DEFAULT_SNAPLEN = 128
_ETHERNET = struct.Struct(">6s6sH")
_IPV4 = struct.Struct(">BBHHHBBH4s4s")
_UDP = struct.Struct(">HHHH")
_HEADERS = _ETHERNET.size + _IPV4.size + _UDP.size
_IPV4_TYPE, _UDP_PROTOCOL, _TIME_TO_LIVE = 0x0800, 17, 64
_BROADCAST = b"\xff" * 6


class GigePcap:
    """Write `path`; `attach` each camera, `close` at the end. Raises OSError where the file cannot be had.

    `snaplen`: bytes kept of the data of a stream packet. `epoch_ns`: as that of `PcapFile`.
    """

    def __init__(
        self, path: str | Path, snaplen: int = DEFAULT_SNAPLEN, *, epoch_ns: int | None = None
    ) -> None:
        self._file = PcapFile(path, LINKTYPE_ETHERNET, epoch_ns)
        self._snaplen = snaplen
        self._servers: list[GigeServer] = []
        self._next_id = 0

    def __enter__(self) -> "GigePcap":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def attach(self, server: GigeServer) -> None:
        """Record what this camera sends and hears from now on."""
        self._servers.append(server)
        server.observers.append(self.observe)

    def close(self) -> None:
        """Complete the file. Raises OSError where it lacks something."""
        for server in self._servers:
            server.observers.remove(self.observe)
        self._servers.clear()
        self._file.close()

    def observe(self, source: Peer, to: Peer, parts: Sequence[bytes | memoryview], now_ns: int) -> None:
        """One datagram. Its first part is kept whole, of a second one the begin."""
        size = sum(map(len, parts))
        first, *rest = parts
        kept = [first, *(part[: self._snaplen] for part in rest)]
        head = self._headers(source, to, size)
        self._file.record(now_ns, (head, *kept), _HEADERS + size)

    def _headers(self, source: Peer, to: Peer, size: int) -> bytes:
        self._next_id = (self._next_id + 1) & 0xFFFF
        from_ip, to_ip = socket.inet_aton(source[0]), socket.inet_aton(to[0])
        length = _IPV4.size + _UDP.size + size
        words = (0x45, 0, length, self._next_id, 0, _TIME_TO_LIVE, _UDP_PROTOCOL)
        checksum = _checksum(_IPV4.pack(*words, 0, from_ip, to_ip))
        return (
            _ETHERNET.pack(self._mac(to[0], to_ip), self._mac(source[0], from_ip), _IPV4_TYPE)
            + _IPV4.pack(*words, checksum, from_ip, to_ip)
            + _UDP.pack(source[1], to[1], _UDP.size + size, 0)
        )

    def _mac(self, ip: str, raw: bytes) -> bytes:
        if raw == _BROADCAST[:4]:
            return _BROADCAST
        for bootstrap in (server.function.bootstrap for server in self._servers):
            if bootstrap.address.ip == ip:
                return bootstrap.mac.to_bytes(6, "big")
        return b"\x02\x00" + raw


def _checksum(header: bytes) -> int:
    """Of an IPv4 header (RFC 791)."""
    total: int = sum(struct.unpack(">10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - (total + (total >> 16) & 0xFFFF)
