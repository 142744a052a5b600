"""One USB/IP connection as seen by the server, without its socket.

State: the bytes of an unfinished message (`_inbox`), what phase the connection is in (an operation first,
requests after an import), the imported device and the requests without an answer yet (`_pending`, by
sequence number). Always true:
- every request is answered exactly once: by RET_SUBMIT, or by RET_UNLINK with -ECONNRESET;
- `take_output()` gives whole messages in order; a message once started is never given up;
- an answer placed in the output counts as sent: unlinking its request gets status 0 behind it;
- bytes of the client raise nothing: what breaks the protocol sets `broken` and the connection is over.
The shell owes: `receive` for every piece of input, `take_output` after it and whenever `has_output` (the
device may answer at any time), and `end` once, when the connection is gone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gadget.usb.descriptors import interfaces
from gadget.usb.device import UsbDevice
from gadget.usb.in_pipe import ECONNRESET, EINVAL, Urb
from gadget.usbip import wire
from gadget.usbip.wire import DIR_IN, Record, Submit, Unlink
from u3v.errors import Malformed

Buffer = bytes | memoryview

MAX_PENDING = 65536
"""Requests a client may have without an answer: 4 GiB of 64 KiB requests."""


@dataclass(eq=False)
class ExportedDevice:
    """A device under its bus id. `session` is the connection that has imported it."""

    busid: str
    device: UsbDevice
    busnum: int = 1
    devnum: int = 2
    session: "Session | None" = None

    @property
    def devid(self) -> int:
        return self.busnum << 16 | self.devnum

    def record(self) -> Record:
        """What a client's device list says of it."""
        raw, configuration = self.device.descriptors.device, self.device.descriptors.configuration
        return Record(
            self.busid,
            f"/sys/devices/virtual/u3v/{self.busid}",
            self.busnum,
            self.devnum,
            wire.WIRE_SPEED[self.device.speed],
            int.from_bytes(raw[8:10], "little"),
            int.from_bytes(raw[10:12], "little"),
            int.from_bytes(raw[12:14], "little"),
            (raw[4], raw[5], raw[6]),
            configuration[5],
            raw[17],
            configuration[4],
            tuple(i.kind for i in interfaces(configuration) if i.alternate == 0),
        )


def export(*devices: UsbDevice) -> dict[str, ExportedDevice]:
    """The devices under the bus ids 1-1, 1-2, ..."""
    return {
        f"1-{n}": ExportedDevice(f"1-{n}", device, 1, n + 1) for n, device in enumerate(devices, 1)
    }  # fmt: skip


class Session:
    """One connection over `exports`, or right in the request phase of `imported`."""

    def __init__(self, exports: Mapping[str, ExportedDevice], imported: ExportedDevice | None = None) -> None:
        self.finished = False  # close the connection once the output has gone
        self.broken = ""  # close the connection at once, for this reason
        self.imported: ExportedDevice | None = None
        self._exports = exports
        self._inbox = bytearray()
        self._need = wire.OP_HEADER_BYTES
        self._output: list[Buffer] = []
        self._pending: dict[int, Urb] = {}
        if imported is not None:
            self._take(imported)

    @property
    def has_output(self) -> bool:
        return bool(self._output)

    @property
    def is_settled(self) -> bool:
        return self.imported is not None

    @property
    def must_look(self) -> bool:
        return self.imported is not None and self.imported.device.unplugged and not self.finished

    def look(self, now_ns: int) -> None:
        """A device that has been unplugged ends the connection: USB/IP has no other word for it."""
        if self.must_look:
            self.finished = True

    def take_output(self) -> list[Buffer]:
        """What to send now, in order. The views must be dropped once sent."""
        output, self._output = self._output, []
        return output

    def receive(self, data: bytes | memoryview, now_ns: int) -> None:
        """Take any piece of the client's byte stream."""
        self._inbox += data
        at = 0
        try:
            while not (self.finished or self.broken) and len(self._inbox) - at >= self._need:
                at += self._message(at, now_ns)
        except Malformed as error:
            self.broken = str(error)
        del self._inbox[:at]

    def end(self, now_ns: int) -> None:
        """The connection is gone: stop the device and leave it to the next client."""
        exported, self.imported = self.imported, None
        self.finished = True
        self._pending.clear()
        self._output.clear()
        if exported is not None:
            exported.device.bus_reset(now_ns)
            exported.device.on_complete = _ignore
            exported.session = None

    def _take(self, exported: ExportedDevice) -> None:
        exported.session = self
        exported.device.on_complete = self._completed
        self.imported = exported
        self._need = wire.HEADER_BYTES

    def _message(self, at: int, now_ns: int) -> int:
        """Handle the message at `at`. How many bytes it took; 0 where more of it is needed first."""
        if self.imported is None:
            return self._operation(at)
        command = wire.parse_command(self._inbox, at)
        if isinstance(command, Unlink):
            self._unlink(self.imported.device, command, now_ns)
            return wire.HEADER_BYTES
        size = wire.HEADER_BYTES + command.trailer_bytes
        if len(self._inbox) - at < size:
            self._need = size
            return 0
        self._need = wire.HEADER_BYTES
        self._submit(self.imported.device, command, at + wire.HEADER_BYTES, now_ns)
        return size

    def _submit(self, device: UsbDevice, submit: Submit, data_at: int, now_ns: int) -> None:
        if submit.seqnum in self._pending:
            raise Malformed(f"sequence number {submit.seqnum} used again before its answer")
        if len(self._pending) >= MAX_PENDING:
            raise Malformed(f"more than {MAX_PENDING} requests without an answer")
        inward = submit.direction == DIR_IN
        setup = submit.setup if submit.endpoint == 0 else b""
        urb = Urb(submit.endpoint | (0x80 if inward else 0), submit.length, setup=setup, tag=submit.seqnum)
        self._pending[submit.seqnum] = urb
        contradicts = setup and submit.length and inward != bool(setup[0] & 0x80)
        if submit.packets > 0 or contradicts:
            urb.finish(EINVAL)
            self._completed(urb)
            return
        if not inward:
            urb.data = memoryview(bytes(memoryview(self._inbox)[data_at : data_at + submit.length]))
        device.submit(urb, now_ns)

    def _unlink(self, device: UsbDevice, unlink: Unlink, now_ns: int) -> None:
        urb = self._pending.get(unlink.victim)
        status = 0
        if urb is not None and device.cancel(urb, now_ns):
            del self._pending[unlink.victim]
            status = ECONNRESET
        self._output.append(wire.pack_ret_unlink(unlink.seqnum, status))

    def _completed(self, urb: Urb) -> None:
        seqnum = urb.tag
        assert isinstance(seqnum, int)
        if self._pending.pop(seqnum, None) is None:
            return  # the connection has ended
        self._output.append(wire.pack_ret_submit(seqnum, urb.status, urb.actual))
        if urb.endpoint & 0x80:
            self._output += urb.take_chunks()

    def _operation(self, at: int) -> int:
        code, _status = wire.parse_op(self._inbox, at)
        if code == wire.OP_REQ_DEVLIST:
            self._list()
            return wire.OP_HEADER_BYTES
        if code != wire.OP_REQ_IMPORT:
            raise Malformed(f"operation {code:#06x}")
        size = wire.OP_HEADER_BYTES + wire.BUSID_BYTES
        if len(self._inbox) - at < size:
            self._need = size
            return 0
        self._import(wire.parse_busid(self._inbox[at + wire.OP_HEADER_BYTES : at + size]))
        return size

    def _list(self) -> None:
        free = [e.record() for e in self._exports.values() if e.session is None and not e.device.unplugged]
        self._output += [wire.pack_op(wire.OP_REP_DEVLIST), len(free).to_bytes(4, "big")]
        self._output += [wire.pack_record(record) + wire.pack_interfaces(record) for record in free]
        self.finished = True

    def _import(self, busid: str) -> None:
        exported = self._exports.get(busid)
        if exported is None or exported.device.unplugged:
            status = wire.ST_NODEV
        elif exported.session is not None:
            status = wire.ST_DEV_BUSY
        else:
            self._take(exported)
            self._output += [wire.pack_op(wire.OP_REP_IMPORT), wire.pack_record(exported.record())]
            return
        self._output.append(wire.pack_op(wire.OP_REP_IMPORT, status))
        self.finished = True


def _ignore(urb: Urb) -> None:
    """Answers nobody waits for."""
