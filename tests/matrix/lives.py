"""Cameras that do not survive something: a transfer is lost, an old one comes again, or nothing comes any more."""

import dataclasses
from collections.abc import Callable
from itertools import count

from gadget.faults.wrappers import FunctionWrapper
from gadget.runner import BuiltCamera
from gadget.usb.in_pipe import ECONNRESET, Urb
from tests.matrix.rig import Spoil, wrap
from u3v.errors import Stall
from u3v.function import Function, InTransfer
from u3v.wire.usb import CONTROL_IN, CONTROL_OUT, EVENT_IN, STREAM_IN

ALL = frozenset({CONTROL_OUT, CONTROL_IN, EVENT_IN, STREAM_IN})
SUPER_SPEED_PACKET, SEQUENCE = 1024, 32
"""Bytes of a packet, and how many sequence numbers there are (USB 3.2 clause 8.6)."""
CONFIGURE, HALT, CLEAR, COMMAND, ENDED = "configure", "halt", "clear", "command", "ended"
"""What `Mortal` hears of, with the configuration, endpoint, packet or URB."""


class Mortal(FunctionWrapper):
    """Once `happens(what, with_what)` has said so, nothing goes through `endpoints` any more (the stream's stalls)."""

    def __init__(
        self, inner: Function, happens: Callable[[str, object], bool], endpoints: frozenset[int]
    ) -> None:
        super().__init__(inner)
        self._happens, self._endpoints, self._dead = happens, endpoints, False

    def hear(self, what: str, with_what: object) -> None:
        self._dead = self._dead or self._happens(what, with_what)

    def configure(self, value: int, now_ns: int) -> None:
        self.hear(CONFIGURE, value)
        self.inner.configure(value, now_ns)

    def set_halt(self, endpoint: int, now_ns: int) -> None:
        self.hear(HALT, endpoint)
        self.inner.set_halt(endpoint, now_ns)

    def clear_halt(self, endpoint: int, now_ns: int) -> None:
        self.hear(CLEAR, endpoint)
        self.inner.clear_halt(endpoint, now_ns)

    def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None:
        if not (self._dead and endpoint in self._endpoints):
            self.inner.transfer_out(endpoint, data, now_ns)
        self.hear(COMMAND, bytes(data))

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        if not self._dead or endpoint not in self._endpoints:
            return self.inner.transfer_in(endpoint, now_ns)
        if endpoint == STREAM_IN:
            raise Stall("dead")  # no host has to wait for what it sees at once
        return None


def dies(what: str, which: Callable[[object], bool], nth: int = 1, endpoints: frozenset[int] = ALL) -> Spoil:
    """Nothing goes through `endpoints` after the nth `what` for which `which` holds."""

    def spoil(built: BuiltCamera) -> None:
        seen = count(1)

        def happens(kind: str, with_what: object) -> bool:
            return kind == what and which(with_what) and next(seen) >= nth

        mortal = wrap(built, lambda inner: Mortal(inner, happens, endpoints))

        def ended(kind: str, urb: Urb, now_ns: int) -> None:
            if kind == "C":
                mortal.hear(ENDED, urb)

        built.device.observers.append(ended)

    return spoil


class Survivor(FunctionWrapper):
    """An acknowledge that nobody has read comes first, whatever was cleared."""

    def __init__(self, inner: Function) -> None:
        super().__init__(inner)
        self._kept: list[InTransfer] = []

    def keep(self, now_ns: int) -> None:
        transfer = self.inner.transfer_in(CONTROL_IN, now_ns)
        if transfer is not None:
            self._kept.append(
                dataclasses.replace(transfer, data=memoryview(bytes(transfer.data)), lease=None)
            )

    def set_halt(self, endpoint: int, now_ns: int) -> None:
        if endpoint == CONTROL_IN:
            self.keep(now_ns)
        self.inner.set_halt(endpoint, now_ns)

    def configure(self, value: int, now_ns: int) -> None:
        self.keep(now_ns)
        self.inner.configure(value, now_ns)

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        if endpoint == CONTROL_IN and self._kept:
            return self._kept.pop(0)
        return self.inner.transfer_in(endpoint, now_ns)


class LastAgain(FunctionWrapper):
    """The last acknowledge is sent once more after each configuration."""

    def __init__(self, inner: Function) -> None:
        super().__init__(inner)
        self._last: bytes = b""
        self._again = False

    def configure(self, value: int, now_ns: int) -> None:
        self._again = bool(value and self._last)
        self.inner.configure(value, now_ns)

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        if endpoint == CONTROL_IN and self._again:
            self._again = False
            return InTransfer(memoryview(self._last))
        transfer = self.inner.transfer_in(endpoint, now_ns)
        if endpoint == CONTROL_IN and transfer is not None:
            self._last = bytes(transfer.data)
        return transfer


class FirstLost(FunctionWrapper):
    """A cleared halt does not restart the sequence: the host drops the next transfer as one that it has already."""

    def __init__(self, inner: Function, endpoint: int) -> None:
        super().__init__(inner)
        self._endpoint, self._sent, self._lose = endpoint, 0, False

    def clear_halt(self, endpoint: int, now_ns: int) -> None:
        if endpoint == self._endpoint:
            self._lose, self._sent = self._lose or self._sent % SEQUENCE > 0, 0
        self.inner.clear_halt(endpoint, now_ns)

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        transfer = self.inner.transfer_in(endpoint, now_ns)
        if endpoint != self._endpoint or transfer is None:
            return transfer
        if self._lose:
            self._lose = False
            return self.inner.transfer_in(endpoint, now_ns)
        self._sent += -(-len(transfer.data) // SUPER_SPEED_PACKET)
        return transfer


class Unstoppable(FunctionWrapper):
    """Configured once, for ever: neither configuration 0 nor a bus reset stops anything."""

    def __init__(self, inner: Function) -> None:
        super().__init__(inner)
        self._configured = False

    def configure(self, value: int, now_ns: int) -> None:
        if not self._configured:
            self.inner.configure(value, now_ns)
        self._configured = self._configured or bool(value)


class NeverCleared(FunctionWrapper):
    """A cleared halt of the stream endpoint does not reach the stream: the old frame goes on."""

    def clear_halt(self, endpoint: int, now_ns: int) -> None:
        if endpoint != STREAM_IN:
            self.inner.clear_halt(endpoint, now_ns)


class LostAfterCancel(FunctionWrapper):
    """What comes after a request was taken back went to that request, and is lost with it."""

    lost = False

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        transfer = self.inner.transfer_in(endpoint, now_ns)
        if endpoint != CONTROL_IN or transfer is None or not self.lost:
            return transfer
        self.lost = False
        return None


def unlinks_lose(built: BuiltCamera) -> None:
    wrapper = wrap(built, LostAfterCancel)

    def ended(kind: str, urb: Urb, now_ns: int) -> None:
        if kind == "C" and urb.endpoint == CONTROL_IN and urb.status == ECONNRESET:
            wrapper.lost = now_ns == urb.submitted_ns  # not one that the host gave up after it had waited

    built.device.observers.append(ended)


class OldDescriptors(FunctionWrapper):
    """The descriptors of the first time, whatever the camera is called since."""

    def __init__(self, inner: Function) -> None:
        super().__init__(inner)
        self._first: dict[object, object] = {}

    def descriptors(self, speed):  # type: ignore[no-untyped-def]
        return self._first.setdefault(speed, self.inner.descriptors(speed))
