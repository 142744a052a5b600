"""Requests of a check: standard requests on endpoint 0 and bare bulk transfers, with their answers as they are.

A verdict comes from what the device did. Where the host's own kernel refuses to send a request the check is
skipped. Evidence is kept of everything; how much of it a report shows is the report's affair.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from u3v.host import bus as usb
from u3v.host.bus import ReadBuffer, UsbError, UsbGone, UsbOverflow, UsbStall, UsbTimeout
from u3v.host.conformance import declare
from u3v.host.conformance.declare import Failed, Skipped
from u3v.host.conformance.route import Route

TIMEOUT_MS = 1000
KEPT_EVIDENCE = 40
NOTED = 8
"""Lines of a judgement over the run that a report shows."""
STALL, NO_ANSWER, TOO_MUCH = "STALL", "no answer", "more than there was room for"
"""How requests end that do not succeed, in a report's words; others are called by their errno."""
_NOT_SENT = (-2, -5, -13, -16, -22)
"""ENOENT, EIO, EACCES, EBUSY, EINVAL of usbfs: what the kernel says instead of sending a request."""

DEVICE, CONFIGURATION, STRING, QUALIFIER, OTHER_SPEED, BOS = 0x01, 0x02, 0x03, 0x06, 0x07, 0x0F

DESCRIPTORS = {
    DEVICE: "device", CONFIGURATION: "configuration", STRING: "string", QUALIFIER: "device qualifier",
    OTHER_SPEED: "other speed configuration", BOS: "BOS",
}  # fmt: skip
REQUESTS = {
    0: "GET_STATUS", 1: "CLEAR_FEATURE", 3: "SET_FEATURE", 5: "SET_ADDRESS", 6: "GET_DESCRIPTOR", 7: "SET_DESCRIPTOR",
    8: "GET_CONFIGURATION", 9: "SET_CONFIGURATION", 10: "GET_INTERFACE", 11: "SET_INTERFACE", 12: "SYNCH_FRAME",
    48: "SET_SEL", 49: "SET_ISOCH_DELAY",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Evidence:
    """A line of a report: what was done, the bytes that came (or went), and what they mean."""

    what: str
    data: bytes = b""
    means: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """How a request ended. `error` is "" where it succeeded, else STALL, NO_ANSWER, TOO_MUCH or an errno."""

    what: str
    data: bytes
    error: str = ""

    @property
    def ok(self) -> bool:
        return not self.error

    @property
    def stalled(self) -> bool:
        return self.error == STALL

    def __str__(self) -> str:
        return f"{self.what}: {self.error or f'{len(self.data)} bytes'}"


@dataclass(slots=True)
class Page:
    """What one check leaves for the report."""

    notes: list[str] = field(default_factory=list)
    evidence: deque[Evidence] = field(default_factory=lambda: deque(maxlen=KEPT_EVIDENCE))


class Requests:
    """`route` is the way to the camera; `page` belongs to the check that runs."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.page = Page()

    @property
    def bus(self) -> usb.HostBus:
        return self.route.bus

    def now_ns(self) -> int:
        return self.route.now_ns()

    def wait_ms(self, duration_ms: float) -> None:
        self.route.wait(int(duration_ms * 1e6))

    # what a check says

    def note(self, text: str) -> None:
        """Something a reader of the report should know, whatever the result."""
        self.page.notes.append(text)

    def show(self, what: str, data: bytes = b"", means: str = "") -> None:
        self.page.evidence.append(Evidence(what, bytes(data), means))

    expect = staticmethod(declare.expect)
    skip = staticmethod(declare.skip)

    def none_of(self, wrong: Sequence[str], what: str) -> None:
        """Raises Failed where there are any; the first of them are noted."""
        for line in wrong[:NOTED]:
            self.note(line)
        if wrong:
            raise Failed(f"{len(wrong)} {what}, the first in {wrong[0]}")

    def same(self, got: object, wanted: object, what: str) -> None:
        """Raises Failed unless two things are equal."""
        if got != wanted:
            raise Failed(f"{what} is {_text(got)}, not {_text(wanted)}")

    # endpoint 0

    def request(
        self,
        request_type: int,
        request: int,
        value: int = 0,
        index: int = 0,
        data_or_length: bytes | int = 0,
        timeout_ms: int = TIMEOUT_MS,
    ) -> Reply:
        """A control request as USB 3.2 clause 9.3 numbers it: IN takes a length, OUT its data (or 0: none).

        Raises Skipped where the host would not send it, UsbGone.
        """
        inward = bool(request_type & 0x80)
        if not inward and isinstance(data_or_length, int):
            data_or_length = bytes(data_or_length)
        length = data_or_length if isinstance(data_or_length, int) else len(data_or_length)
        setup = usb.setup_packet(request_type, request, value, index, length)
        what = f"request {request_type:02X} {request:02X} {value:04X} {index:04X} {length}"
        means = describe_request(request_type, request, value)
        return self._done(what, lambda: self.bus.control(setup, data_or_length, timeout_ms), means)

    def descriptor(self, kind: int, number: int = 0, length: int = 255, language: int = 0) -> Reply:
        """GET_DESCRIPTOR; strings are asked for in `language`."""
        return self.request(0x80, 6, kind << 8 | number, language, length)

    def got(self, reply: Reply, length: int | None = None) -> bytes:
        """The data of a request that has to succeed (with so many bytes). Raises Failed."""
        if not reply.ok:
            raise Failed(f"{reply.what}: {reply.error}")
        if length is not None and len(reply.data) != length:
            raise Failed(f"{reply.what}: {len(reply.data)} bytes instead of {length}")
        return reply.data

    def stalls(self, reply: Reply) -> None:
        """Raises Failed unless the device answered STALL."""
        if not reply.stalled:
            raise Failed(f"{reply}, where a STALL is due")

    def status_of(self, endpoint: int) -> int:
        """GET_STATUS of an endpoint. Raises Failed."""
        return int.from_bytes(self.got(self.request(0x82, 0, 0, endpoint, 2), 2), "little")

    def set_halt(self, endpoint: int) -> None:
        self.got(self.request(0x02, 3, 0, endpoint))

    def clear_halt(self, endpoint: int) -> None:
        self.got(self.request(0x02, 1, 0, endpoint))

    def configure(self, value: int) -> Reply:
        return self.request(0x00, 9, value)

    # bulk endpoints, as they are

    def bulk_in(self, endpoint: int, length: int, timeout_ms: int) -> Reply:
        buffer = bytearray(length)
        what = f"IN {endpoint:02X}, room for {length} bytes"
        return self._done(what, lambda: bytes(buffer[: self.bus.bulk_in_into(endpoint, buffer, timeout_ms)]))

    def bulk_out(self, endpoint: int, data: ReadBuffer, timeout_ms: int = TIMEOUT_MS) -> Reply:
        def send() -> bytes:
            self.bus.bulk_out(endpoint, data, timeout_ms)
            return b""

        return self._done(f"OUT {endpoint:02X}, {len(data)} bytes", send)

    def _done(self, what: str, call: Callable[[], bytes], means: str = "") -> Reply:
        try:
            reply = Reply(what, call())
        except UsbStall:
            reply = Reply(what, b"", STALL)
        except UsbTimeout:
            reply = Reply(what, b"", NO_ANSWER)
        except UsbOverflow:
            reply = Reply(what, b"", TOO_MUCH)
        except UsbGone:
            self.show(what, b"", "the device is gone")
            raise
        except UsbError as error:
            if error.status in _NOT_SENT and "raw0" not in self.route.abilities:
                raise Skipped(f"{what}: the host would not send it ({error})") from None
            reply = Reply(what, b"", f"error {error.status}")
        self.show(
            what, reply.data, f"{means}: {reply.error}" if means and reply.error else means or reply.error
        )
        return reply


def describe_request(request_type: int, request: int, value: int) -> str:
    """A standard request by its name (USB 3.2 table 9-4); "" for others."""
    name = REQUESTS.get(request, "") if not request_type & 0x60 else ""
    if name.endswith("DESCRIPTOR"):
        kind = DESCRIPTORS.get(value >> 8, f"type {value >> 8:#04x}")
        return f"{name}, {kind}" + (f" {value & 0xFF}" if value & 0xFF else "")
    return name


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex(" ") if len(value) <= 32 else f"{value[:32].hex(' ')} ... ({len(value)} bytes)"
    return (
        f"{value:#x}" if isinstance(value, int) and not isinstance(value, bool) and value > 9 else repr(value)
    )
