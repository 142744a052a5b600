"""The event channel: messages queued for the event endpoint, each sent once, never acknowledged.

State: EI_Control's enable bit, the queue and the running request id. A message is queued only while the
channel is enabled; a full queue drops the newest and counts it.
"""

from collections import deque

from u3v.function import InTransfer, Lease
from u3v.wire.gencp import Event, pack_event

QUEUE_LENGTH = 64
MAX_TRANSFER_BYTES = 1024


class EventChannel:
    """An `EventSink` of the camera's notifications."""

    def __init__(self) -> None:
        self.enabled = False
        self.dropped = 0
        self._queue: deque[bytes] = deque()
        self._request_id = 0
        self._lease = Lease()

    def send(self, event_id: int, timestamp_ns: int, data: bytes = b"") -> bool:
        """Queue one message. False: the channel is off or the queue is full."""
        if not self.enabled:
            return False
        if not self.has_room:
            self.dropped += 1
            return False
        self._request_id = self._request_id % 0xFFFF + 1
        self._queue.append(pack_event(Event(self._request_id, event_id, timestamp_ns, data)))
        return True

    @property
    def has_room(self) -> bool:
        """Whether the queue takes one more message."""
        return len(self._queue) < QUEUE_LENGTH

    def next_transfer(self) -> InTransfer | None:
        return InTransfer(memoryview(self._queue.popleft()), lease=self._lease) if self._queue else None

    def set_enabled(self, enabled: bool) -> None:
        self.enabled = enabled
        self.flush()

    def flush(self) -> None:
        self._queue.clear()
        self._lease.ended = True
        self._lease = Lease()
