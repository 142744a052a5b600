"""One usbredir connection as seen by the side that has the device, without its socket.

State: the bytes of an unfinished message, the capabilities in force (None before the guest's hello), whether the
guest has the device (`_presence`), and its requests without an answer (`_pending`, by id). Always true:
- every data packet is answered exactly once, a cancelled one with the status CANCELLED;
- after device_disconnect nothing is said of a device until the guest has acknowledged it;
- bytes of the guest raise nothing: what breaks the protocol sets `broken` and the connection is over.
"""

import errno
from collections.abc import Callable
from enum import Enum, auto

from gadget.usb.connection import Buffer
from gadget.usb.descriptors import ENDPOINT, INTERFACE, walk
from gadget.usb.device import UsbDevice
from gadget.usb.endpoint0 import GET_CONFIGURATION, GET_INTERFACE, SET_CONFIGURATION, SET_INTERFACE
from gadget.usb.in_pipe import ECONNRESET, EINVAL, EOVERFLOW, EPIPE, EPROTO, ESHUTDOWN, OK, Urb
from gadget.usbredir import wire
from gadget.usbredir.wire import Bulk, Cap, Caps, Control, Kind, Status
from u3v.errors import Malformed
from u3v.wire.usb import Speed

VERSION = "u3v virtual camera"
MAX_PENDING = 65536
"""Requests a guest may have without an answer."""
_STATUS = {
    OK: Status.SUCCESS,
    ECONNRESET: Status.CANCELLED,
    ESHUTDOWN: Status.CANCELLED,
    EINVAL: Status.INVAL,
    EPROTO: Status.IOERROR,
    EPIPE: Status.STALL,
    EOVERFLOW: Status.BABBLE,
    -errno.ETIMEDOUT: Status.TIMEOUT,
}
Answer = Callable[[Urb], None]


class Presence(Enum):
    """What the guest knows of the device."""

    ABSENT = auto()
    PRESENT = auto()
    LEAVING = auto()
    """It has been told that the device is gone, and has not acknowledged it."""


class Session:
    """One connection over `device`, which it has until `end`."""

    def __init__(self, device: UsbDevice) -> None:
        self.finished = False  # close the connection once the output has gone
        self.broken = ""  # close the connection at once, for this reason
        self.caps: Caps | None = None
        self.device = device
        self._presence = Presence.ABSENT
        self._inbox = bytearray()
        self._need = wire.header_bytes(None)
        self._output: list[Buffer] = [wire.pack_hello(VERSION)]
        self._pending: dict[int, Urb] = {}
        device.on_complete = self._completed

    @property
    def has_output(self) -> bool:
        return bool(self._output)

    @property
    def is_settled(self) -> bool:
        return self.caps is not None

    @property
    def must_look(self) -> bool:
        wrong = Presence.PRESENT if self.device.unplugged else Presence.ABSENT
        return self.caps is not None and self._presence is wrong

    def look(self, now_ns: int) -> None:
        """Tell the guest that the device has come or gone."""
        if self.caps is None or not self.must_look:
            return
        if self.device.unplugged:
            self._output.append(wire.pack(Kind.DEVICE_DISCONNECT, 0, b"", self.caps))
            acknowledged = Cap.DEVICE_DISCONNECT_ACK in self.caps
            self._presence = Presence.LEAVING if acknowledged else Presence.ABSENT
            return
        raw = self.device.descriptors.device
        self._tell_interfaces(self.caps, True)
        self._output.append(
            wire.pack_connect(
                wire.SPEED_SUPER if self.device.speed is Speed.SUPER else wire.SPEED_HIGH,
                (raw[4], raw[5], raw[6]),
                int.from_bytes(raw[8:10], "little"),
                int.from_bytes(raw[10:12], "little"),
                int.from_bytes(raw[12:14], "little"),
                self.caps,
            )
        )
        self._presence = Presence.PRESENT

    def take_output(self) -> list[Buffer]:
        """What to send now, in order. The views must be dropped once sent."""
        output, self._output = self._output, []
        return output

    def receive(self, data: bytes | memoryview, now_ns: int) -> None:
        """Take any piece of the guest's byte stream."""
        self._inbox += data
        at = 0
        try:
            while not (self.finished or self.broken) and len(self._inbox) - at >= self._need:
                at += self._message(at, now_ns)
        except Malformed as error:
            self.broken = str(error)
        del self._inbox[:at]

    def end(self, now_ns: int) -> None:
        """The connection is gone: stop the device and leave it to the next guest."""
        self.finished = True
        self._pending.clear()
        self._output.clear()
        self.device.bus_reset(now_ns)
        self.device.on_complete = _ignore

    def _message(self, at: int, now_ns: int) -> int:
        """Handle the message at `at`. How many bytes it took; 0 where more of it is needed first."""
        header = wire.parse_header(self._inbox, at, self.caps)
        begin = at + wire.header_bytes(self.caps)
        size = begin - at + header.length
        if len(self._inbox) - at < size:
            self._need = size
            return 0
        body = bytes(memoryview(self._inbox)[begin : begin + header.length])
        if self.caps is None:
            self.caps = wire.parse_hello(body) & wire.OUR_CAPS
            self.look(now_ns)
        else:
            self._handle(self.caps, header.kind, header.packet_id, body, now_ns)
        self._need = wire.header_bytes(self.caps)
        return size

    def _handle(self, caps: Caps, kind: Kind, packet_id: int, body: bytes, now_ns: int) -> None:
        if kind is Kind.BULK_PACKET:
            self._bulk(caps, packet_id, wire.parse_bulk(body, caps), now_ns)
        elif kind is Kind.CONTROL_PACKET:
            self._control(caps, packet_id, wire.parse_control(body), now_ns)
        elif kind is Kind.CANCEL_DATA_PACKET:
            self._cancel(packet_id, now_ns)
        elif kind is Kind.RESET:
            if self._presence is Presence.PRESENT:
                self.device.bus_reset(now_ns)
        elif kind is Kind.SET_CONFIGURATION:
            self._set_configuration(caps, packet_id, body[0], now_ns)
        elif kind is Kind.GET_CONFIGURATION:
            self._get_configuration(caps, packet_id, now_ns)
        elif kind is Kind.SET_ALT_SETTING:
            self._set_alternate(caps, packet_id, body[0], body[1], now_ns)
        elif kind is Kind.GET_ALT_SETTING:
            self._get_alternate(caps, packet_id, body[0], now_ns)
        elif kind is Kind.DEVICE_DISCONNECT_ACK:
            if self._presence is Presence.LEAVING:
                self._presence = Presence.ABSENT
                self.look(now_ns)
        elif kind is Kind.FILTER_REJECT:
            self.broken = "the guest's filter (QEMU: filter=...) does not let this camera in"
        elif kind is not Kind.FILTER_FILTER:  # which the guest checks again itself
            self._refuse(caps, kind, packet_id, body)

    # --- Requests with messages of their own are requests on endpoint 0 for the device.

    def _set_configuration(self, caps: Caps, packet_id: int, value: int, now_ns: int) -> None:
        def answer(urb: Urb) -> None:
            if urb.status == OK:
                self._tell_interfaces(caps, bool(value))
            body = bytes((_status(urb), self.device.configuration))
            self._output.append(wire.pack(Kind.CONFIGURATION_STATUS, packet_id, body, caps))

        self._ask(packet_id, (0x00, SET_CONFIGURATION, value, 0, 0), answer, now_ns)

    def _get_configuration(self, caps: Caps, packet_id: int, now_ns: int) -> None:
        def answer(urb: Urb) -> None:
            value = b"".join(urb.take_chunks()) or b"\0"
            self._output.append(
                wire.pack(Kind.CONFIGURATION_STATUS, packet_id, bytes((_status(urb),)) + value, caps)
            )

        self._ask(packet_id, (0x80, GET_CONFIGURATION, 0, 0, 1), answer, now_ns)

    def _set_alternate(self, caps: Caps, packet_id: int, number: int, value: int, now_ns: int) -> None:
        def answer(urb: Urb) -> None:
            if urb.status == OK:
                self._tell_interfaces(caps, True)
            body = bytes((_status(urb), number, value if urb.status == OK else 0))
            self._output.append(wire.pack(Kind.ALT_SETTING_STATUS, packet_id, body, caps))

        self._ask(packet_id, (0x01, SET_INTERFACE, value, number, 0), answer, now_ns)

    def _get_alternate(self, caps: Caps, packet_id: int, number: int, now_ns: int) -> None:
        def answer(urb: Urb) -> None:
            value = b"".join(urb.take_chunks()) or b"\0"
            body = bytes((_status(urb), number)) + value
            self._output.append(wire.pack(Kind.ALT_SETTING_STATUS, packet_id, body, caps))

        self._ask(packet_id, (0x81, GET_INTERFACE, 0, number, 1), answer, now_ns)

    def _ask(
        self, packet_id: int, request: tuple[int, int, int, int, int], answer: Answer, now_ns: int
    ) -> None:
        setup = Control(request[0] & 0x80, request[1], request[0], *request[2:])
        self._submit(packet_id, _control_urb(setup, (packet_id, answer)), now_ns)

    # --- Data packets.

    def _control(self, caps: Caps, packet_id: int, request: Control, now_ns: int) -> None:
        def answer(urb: Urb) -> None:
            chunks = urb.take_chunks()
            inward = sum(map(len, chunks))
            went = inward if request.endpoint & 0x80 else urb.actual
            self._output.append(wire.pack_control(packet_id, request, _status(urb), went, caps, inward))
            self._output += chunks

        urb = _control_urb(request, (packet_id, answer))
        contradicts = request.length and (request.endpoint ^ request.request_type) & 0x80
        self._submit(packet_id, urb, now_ns, EINVAL if contradicts or request.endpoint & 0x7F else OK)

    def _bulk(self, caps: Caps, packet_id: int, request: Bulk, now_ns: int) -> None:
        def answer(urb: Urb) -> None:
            chunks = urb.take_chunks()
            inward = sum(map(len, chunks))
            went = inward if request.endpoint & 0x80 else urb.actual
            self._output.append(wire.pack_bulk(packet_id, request, _status(urb), went, caps, inward))
            self._output += chunks

        urb = Urb(request.endpoint, request.length, memoryview(request.data), tag=(packet_id, answer))
        is_ours = request.endpoint & 0x0F and not request.stream_id
        self._submit(packet_id, urb, now_ns, OK if is_ours else EINVAL)

    def _submit(self, packet_id: int, urb: Urb, now_ns: int, status: int = OK) -> None:
        """Hand a request to the device, or end it with a `status` that is not OK."""
        if packet_id in self._pending:
            raise Malformed(f"packet id {packet_id} used again before its answer")
        if len(self._pending) >= MAX_PENDING:
            raise Malformed(f"more than {MAX_PENDING} packets without an answer")
        self._pending[packet_id] = urb
        if self._presence is not Presence.PRESENT:
            status = ESHUTDOWN
        if status:
            urb.finish(status)
            self._completed(urb)
        else:
            self.device.submit(urb, now_ns)

    def _cancel(self, packet_id: int, now_ns: int) -> None:
        urb = self._pending.get(packet_id)
        if urb is not None and self.device.cancel(urb, now_ns):
            urb.take_chunks()  # what has reached it is lost with it
            urb.actual = 0
            self._completed(urb)

    def _completed(self, urb: Urb) -> None:
        assert isinstance(urb.tag, tuple)
        packet_id, answer = urb.tag
        if self._pending.pop(packet_id, None) is not None:  # else the connection has ended
            answer(urb)

    def _refuse(self, caps: Caps, kind: Kind, packet_id: int, body: bytes) -> None:
        """Isochronous and interrupt transfers: a camera has no such endpoints."""
        if kind in (Kind.START_ISO_STREAM, Kind.STOP_ISO_STREAM):
            reply, answer = Kind.ISO_STREAM_STATUS, bytes((Status.INVAL, body[0]))
        elif kind in (Kind.START_INTERRUPT_RECEIVING, Kind.STOP_INTERRUPT_RECEIVING):
            reply, answer = Kind.INTERRUPT_RECEIVING_STATUS, bytes((Status.INVAL, body[0]))
        else:  # data of such a transfer
            reply, answer = kind, bytes((body[0], Status.INVAL, 0, 0))
        self._output.append(wire.pack(reply, packet_id, answer, caps))

    def _tell_interfaces(self, caps: Caps, configured: bool) -> None:
        """ep_info and interface_info of the one configuration, or of none."""
        endpoints = dict.fromkeys((0x00, 0x80), (wire.TYPE_CONTROL, 0, 0, self.device.speed.max_packet0))
        listed: list[tuple[int, tuple[int, int, int]]] = []
        if configured:
            number = 0
            for raw in walk(self.device.descriptors.configuration):
                if raw[1] == INTERFACE:
                    number = raw[2]
                    listed.append((number, (raw[5], raw[6], raw[7])))
                elif raw[1] == ENDPOINT:
                    size = int.from_bytes(raw[4:6], "little")
                    endpoints[raw[2]] = (raw[3] & 3, raw[6], number, size)
        self._output.append(wire.pack_ep_info(endpoints, caps))
        self._output.append(wire.pack_interface_info(listed, caps))


def _control_urb(request: Control, tag: tuple[int, Answer]) -> Urb:
    setup = bytes((request.request_type, request.request))
    for number in (request.value, request.index, request.length):
        setup += number.to_bytes(2, "little")
    return Urb(request.endpoint, request.length, memoryview(request.data), setup, tag)


def _status(urb: Urb) -> Status:
    return _STATUS.get(urb.status, Status.IOERROR)


def _ignore(urb: Urb) -> None:
    """Answers nobody waits for."""
