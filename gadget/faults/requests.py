"""Faults of the bus's requests (URBs), and of endpoints: errors, babble, stalls that nobody asked for."""

from typing import Any

from gadget.faults.wrappers import FunctionFault, RequestFault
from gadget.usb.in_pipe import EOVERFLOW, EPROTO, OK, Urb
from u3v.errors import Stall
from u3v.function import InTransfer

EBUSY = -16
_SET_CONFIGURATION = bytes((0, 9))
_GET_DESCRIPTOR = 6


class ProtocolError(RequestFault):
    """The request ends with -EPROTO, as where a cable is bad: a host controller gives up after three tries. Nothing
    of it reaches the camera, which keeps what it has to send."""

    def submitted(self, urb: Urb, now_ns: int) -> int:
        return EPROTO if urb.endpoint == self.values["endpoint"] and self.strikes(now_ns) else OK


class Babble(RequestFault):
    """The endpoint sends more than was asked for: the request ends with -EOVERFLOW."""

    def completed(self, urb: Urb, now_ns: int) -> None:
        if urb.endpoint == self.values["endpoint"] and urb.status == OK and self.strikes(now_ns):
            urb.finish(EOVERFLOW)


class Busy(RequestFault):
    """Another program holds the camera: every request of endpoints other than 0 ends with -EBUSY."""

    def submitted(self, urb: Urb, now_ns: int) -> int:
        return EBUSY if urb.endpoint & 0x7F and self.strikes(now_ns) else OK


class SmallRequestsOnly(RequestFault):
    """Requests of the stream for more than `bytes` get that much only; the rest is lost."""

    def completed(self, urb: Urb, now_ns: int) -> None:
        most = self.values["bytes"]
        if urb.endpoint == self.values["endpoint"] and urb.actual > most and self.strikes(now_ns):
            cut(urb, most)


class BadDescriptor(RequestFault):
    """A byte of a descriptor is another one when the host reads it (`type`: 1 device, 2 configuration, 15 BOS)."""

    def completed(self, urb: Urb, now_ns: int) -> None:
        if not urb.setup or urb.setup[1] != _GET_DESCRIPTOR or urb.setup[3] != self.values["type"]:
            return
        at = self.values["byte"]
        if urb.status == OK and at < urb.actual and self.strikes(now_ns):
            data = bytearray(b"".join(urb.chunks))
            data[at] = self.values["value"]
            urb.chunks[:] = [memoryview(data)]


class LostSetConfiguration(RequestFault):
    """SET_CONFIGURATION fails."""

    def submitted(self, urb: Urb, now_ns: int) -> int:
        return EPROTO if urb.setup[:2] == _SET_CONFIGURATION and self.strikes(now_ns) else OK


class UnaskedStall(FunctionFault):
    """The endpoint stalls, though nobody asked it to; clearing the halt helps."""

    def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None:
        if endpoint == self.values["endpoint"] and self.strikes(now_ns):
            raise Stall("a fault")
        super().transfer_out(endpoint, data, now_ns)

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        transfer = super().transfer_in(endpoint, now_ns)
        if transfer is not None and endpoint == self.values["endpoint"] and self.strikes(now_ns):
            raise Stall("a fault")
        return transfer


class StuckEndpoint(FunctionFault):
    """The endpoint stalls and stays halted, whatever the host clears."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.is_stuck = False

    def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None:
        self._look(endpoint, now_ns, True)
        super().transfer_out(endpoint, data, now_ns)

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        self._look(endpoint, now_ns, False)
        transfer = super().transfer_in(endpoint, now_ns)
        self._look(endpoint, now_ns, transfer is not None)
        return transfer

    def set_halt(self, endpoint: int, now_ns: int) -> None:
        if endpoint == self.values["endpoint"]:
            self.is_stuck = self.is_stuck or self.strikes(now_ns)
        super().set_halt(endpoint, now_ns)

    def _look(self, endpoint: int, now_ns: int, is_chance: bool) -> None:
        if endpoint == self.values["endpoint"]:
            self.is_stuck = self.is_stuck or (is_chance and self.strikes(now_ns))
            if self.is_stuck:
                raise Stall("a fault")


def cut(urb: Urb, most: int) -> None:
    """Take away what a request got beyond so many bytes."""
    left, chunks = most, []
    for chunk in urb.chunks:
        chunks.append(chunk[:left])
        left -= len(chunks[-1])
    urb.chunks[:] = [chunk for chunk in chunks if len(chunk)]
    urb.actual = most
