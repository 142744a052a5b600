"""A bus that tells of requests which ended as only a bad cable, a crash or a lost device ends them."""

from collections.abc import Callable
from typing import TypeVar

from u3v.host.bus import HostBus, ReadBuffer, UsbError, WriteBuffer

T = TypeVar("T")
TROUBLE = {-19: "ENODEV", -62: "ETIME", -71: "EPROTO", -84: "EILSEQ", -108: "ESHUTDOWN"}
"""Linux errnos that a device's own answer (data, NAK, STALL) never makes."""


class WatchedBus:
    """Passes everything on; `tell` gets a request and its error in words."""

    def __init__(self, bus: HostBus, tell: Callable[[str], None]) -> None:
        self._bus = bus
        self._tell = tell

    def control(self, setup: bytes, data_or_length: bytes | int, timeout_ms: int) -> bytes:
        return self._watch("endpoint 0", lambda: self._bus.control(setup, data_or_length, timeout_ms))

    def bulk_out(self, endpoint: int, data: ReadBuffer, timeout_ms: int) -> int:
        return self._watch(f"OUT {endpoint:02X}", lambda: self._bus.bulk_out(endpoint, data, timeout_ms))

    def bulk_in_into(self, endpoint: int, buffer: WriteBuffer, timeout_ms: int) -> int:
        return self._watch(f"IN {endpoint:02X}", lambda: self._bus.bulk_in_into(endpoint, buffer, timeout_ms))

    def submit_in(self, endpoint: int, buffer: WriteBuffer) -> int:
        return self._watch(f"IN {endpoint:02X}", lambda: self._bus.submit_in(endpoint, buffer))

    def wait_in(self, handle: int, timeout_ms: int) -> int:
        return self._watch("a queued IN", lambda: self._bus.wait_in(handle, timeout_ms))

    def cancel_in(self, handle: int) -> None:
        self._watch("a queued IN", lambda: self._bus.cancel_in(handle))

    def close(self) -> None:
        self._bus.close()

    def _watch(self, what: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except UsbError as error:
            if error.status in TROUBLE:
                self._tell(f"{what} ended with {TROUBLE[error.status]}")
            raise
