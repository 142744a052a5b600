"""The message channel: events as EVENT commands to the port that the host named.

State: the commands that wait for a socket, or for their host's acknowledge. Always true: one that is not acknowledged
is sent again as often as MCRC says, each time after MCTT, and then given up.
"""

import struct
from collections import deque
from dataclasses import dataclass

from u3v.errors import Malformed
from u3v.gev.bootstrap import Bootstrap, ip_text
from u3v.gev.control import Datagram
from u3v.wire import gvcp

MAX_WAITING = 256
_FRAME_ID_BYTES = 8


@dataclass(slots=True)
class _Sent:
    datagram: Datagram
    again_ns: int
    left: int


class EventChannel:
    """A sink for the camera's events."""

    def __init__(self, bootstrap: Bootstrap) -> None:
        self._bootstrap = bootstrap
        self._outgoing: deque[tuple[int, Datagram]] = deque()
        self._sent: dict[int, _Sent] = {}
        self._request_id = 0
        self.dropped = 0
        bootstrap.when_written("MCP", written=self._port_written)

    @property
    def enabled(self) -> bool:
        return bool(self._bootstrap.get("MCP") & 0xFFFF)

    @property
    def has_room(self) -> bool:
        return len(self._outgoing) + len(self._sent) < MAX_WAITING

    def send(self, event_id: int, timestamp_ns: int, data: bytes) -> bool:
        if not self.enabled:
            return False
        if not self.has_room:
            self.dropped += 1
            return False
        (frame_id,) = struct.unpack_from("<Q", data)
        self._request_id = self._request_id % 0xFFFF + 1
        layout = self._bootstrap.layout
        command = gvcp.event(
            event_id,
            layout.block_id(frame_id),
            timestamp_ns,
            self._request_id,
            extended=layout.extended,
            ack=bool(self._bootstrap.get("MCTT")),
            data=data[_FRAME_ID_BYTES:],
        )
        peer = ip_text(self._bootstrap.get("MCDA")), self._bootstrap.get("MCP") & 0xFFFF
        self._outgoing.append((self._request_id, Datagram(command, peer)))
        return True

    def acknowledged(self, datagram: bytes) -> None:
        """The host has answered."""
        try:
            ack = gvcp.parse_ack(datagram)
        except Malformed:
            return
        if ack.code in (gvcp.Code.EVENT, gvcp.Code.EVENTDATA):
            self._sent.pop(ack.request_id, None)

    def take(self, now_ns: int) -> list[Datagram]:
        """What is to be sent now."""
        patience_ns = self._bootstrap.get("MCTT") * 1_000_000
        taken = []
        for request_id, one in list(self._sent.items()):
            if now_ns >= one.again_ns:
                one.left -= 1
                one.again_ns = now_ns + patience_ns
                if one.left < 0:
                    del self._sent[request_id]
                else:
                    taken.append(one.datagram)
        while self._outgoing:
            request_id, datagram = self._outgoing.popleft()
            taken.append(datagram)
            if patience_ns and self.enabled:
                self._sent[request_id] = _Sent(datagram, now_ns + patience_ns, self._bootstrap.get("MCRC"))
        return taken

    def next_wakeup_ns(self) -> int | None:
        if self._outgoing:
            return 0
        return min((one.again_ns for one in self._sent.values()), default=None)

    def stop(self) -> None:
        """The host is gone: what was to be sent is sent once, and nothing again."""
        self._sent.clear()

    def _port_written(self) -> None:
        if not self.enabled:
            self._outgoing.clear()
            self._sent.clear()
