"""A capture of what crosses a virtual camera's USB port, for Wireshark and tshark.

Link type 220 (LINKTYPE_USB_LINUX_MMAPPED): each request is a pair of records, submission and completion,
behind usbmon's 64-byte header (Linux Documentation/usb/usbmon.rst). Control and event traffic is kept whole;
of stream transfers the first `snaplen` bytes (leaders and trailers are far shorter), so that a camera at full
speed costs a few MB/s of file. Time stamps are wall-clock time: the device's clock plus the offset between
the two at the moment the writer was made.

State: the file, and for each attached device the requests in flight and whether the file already has its
descriptors. Wireshark knows an endpoint to be USB3 Vision only after it has seen the device and the
configuration descriptor pass by. Where the host has not asked for them over this port when the first other
endpoint is used (the local transport: the host reads sysfs; or a capture that begins late), the writer puts
that exchange in front itself: two GET_DESCRIPTOR requests with the ids `SYNTHETIC_ID` and one more, which
never were on the wire.

A file that cannot be written to any more (a full disk) ends the capture, not the cameras: `close` raises what happened.

One thread: that of the loop which owns the devices.
"""

import struct
from functools import partial
from pathlib import Path

from gadget.pcap_file import MAX_RECORD_BYTES, PcapFile
from gadget.usb.device import Observer, UsbDevice
from gadget.usb.in_pipe import Urb
from u3v.wire.usb import STREAM_IN

LINKTYPE_USB_LINUX_MMAPPED = 220
DEFAULT_SNAPLEN = 4096
SYNTHETIC_ID = 0x5359_4E54_0000_0000  # "SYNT"

_USBMON = struct.Struct("<QBBBBHBBqiiII8siiII")
_CONTROL, _BULK = 2, 3
_SETUP_FOLLOWS, _NO_SETUP = 0, ord("-")
_EINPROGRESS = -115
_DT_DEVICE, _DT_CONFIGURATION = 1, 2


class PcapWriter:
    """Write `path`; `attach` each device, `close` at the end. Raises OSError where the file cannot be had.

    `snaplen`: bytes kept of each stream transfer (at least 64). `epoch_ns`: wall-clock time at the device
    clock's zero; by default the device clock is `time.monotonic_ns`.
    """

    def __init__(
        self, path: str | Path, snaplen: int = DEFAULT_SNAPLEN, *, epoch_ns: int | None = None
    ) -> None:
        if not 64 <= snaplen <= MAX_RECORD_BYTES - _USBMON.size:
            raise ValueError(f"a capture keeps 64 to {MAX_RECORD_BYTES - _USBMON.size} bytes, not {snaplen}")
        self._snaplen = snaplen
        self._ports: list[_Port] = []
        self._observers: list[tuple[UsbDevice, Observer]] = []
        self._next_id = 1
        self._file = PcapFile(path, LINKTYPE_USB_LINUX_MMAPPED, epoch_ns)

    def __enter__(self) -> "PcapWriter":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def attach(self, device: UsbDevice, *, bus: int = 1, address: int = 2) -> None:
        """Record what passes `device` from now on, as device `address` (1..127) of bus `bus`."""
        if not 1 <= address <= 127:
            raise ValueError(f"a USB address is 1 to 127, not {address}")
        if any((port.bus, port.address) == (bus, address) for port in self._ports):
            raise ValueError(f"bus {bus} has a device {address} already")
        port = _Port(device, bus, address)
        observer = partial(self._observe, port)
        self._ports.append(port)
        self._observers.append((device, observer))
        device.observers.append(observer)

    def flush(self) -> None:
        """Bring what is buffered into the file."""
        self._file.flush()

    def close(self) -> None:
        """Detach from all devices and complete the file. Raises OSError where the file lacks something."""
        self._detach()
        self._file.close()

    def _detach(self) -> None:
        for device, observer in self._observers:
            device.observers.remove(observer)
        self._observers.clear()
        self._ports.clear()

    def _observe(self, port: "_Port", kind: str, urb: Urb, now_ns: int) -> None:
        if kind == "S":
            if not urb.setup and not port.described:
                self._describe(port, now_ns)
            urb_id = self._next_id
            self._next_id += 1
            port.ids[urb] = urb_id
            self._submission(port, urb_id, now_ns, urb.endpoint, urb.length, urb.setup, urb.data)
            return
        urb_id = port.ids.pop(urb, 0)
        if not urb_id:
            return  # submitted before the writer was attached
        if urb.setup and urb.status == 0:
            port.note(urb.setup, urb.actual)
        chunks = [memoryview(chunk).cast("B") for chunk in urb.chunks]
        self._completion(port, urb_id, now_ns, urb.endpoint, urb.status, urb.actual, chunks, bool(urb.setup))

    def _describe(self, port: "_Port", now_ns: int) -> None:
        """The two requests that Wireshark needs, as if the host had made them just now."""
        descriptors = port.device.descriptors
        pairs = ((_DT_DEVICE, descriptors.device), (_DT_CONFIGURATION, descriptors.configuration))
        for number, (kind, data) in enumerate(pairs):
            setup = struct.pack("<BBHHH", 0x80, 6, kind << 8, 0, len(data))
            self._submission(port, SYNTHETIC_ID + number, now_ns, 0x80, len(data), setup, memoryview(b""))
            chunks = [memoryview(data)]
            self._completion(port, SYNTHETIC_ID + number, now_ns, 0x80, 0, len(data), chunks, True)
            port.note(setup, len(data))

    def _submission(
        self,
        port: "_Port",
        urb_id: int,
        now_ns: int,
        endpoint: int,
        length: int,
        setup: bytes,
        data: memoryview,
    ) -> None:
        if endpoint & 0x80:
            size, payload, flag = length, b"", ord("<")
        else:
            size, payload = len(data), bytes(data[: self._keep(endpoint)])
            flag = 0 if payload else ord(">")
        self._record(
            port, urb_id, "S", now_ns, endpoint, _EINPROGRESS, size, payload, flag, setup, bool(setup)
        )

    def _completion(
        self,
        port: "_Port",
        urb_id: int,
        now_ns: int,
        endpoint: int,
        status: int,
        actual: int,
        chunks: list[memoryview],
        control: bool,
    ) -> None:
        payload = bytearray()
        keep = self._keep(endpoint) if endpoint & 0x80 else 0
        for chunk in chunks:
            payload += chunk[: keep - len(payload)]
            if len(payload) >= keep:
                break
        flag = 0 if payload else ord("<") if endpoint & 0x80 else ord(">")
        self._record(port, urb_id, "C", now_ns, endpoint, status, actual, bytes(payload), flag, b"", control)

    def _keep(self, endpoint: int) -> int:
        return self._snaplen if endpoint == STREAM_IN else MAX_RECORD_BYTES - _USBMON.size

    def _record(
        self,
        port: "_Port",
        urb_id: int,
        kind: str,
        now_ns: int,
        endpoint: int,
        status: int,
        length: int,
        payload: bytes,
        data_flag: int,
        setup: bytes,
        control: bool,
    ) -> None:
        """`length`: of the request (S) or of what crossed (C); `payload` is what the file keeps of it."""
        seconds, us = self._file.instant(now_ns)
        on_wire = _USBMON.size + (length if payload else 0)
        header = _USBMON.pack(
            urb_id,
            ord(kind),
            _CONTROL if control else _BULK,
            endpoint & 0x8F,
            port.address,
            port.bus,
            _SETUP_FOLLOWS if setup else _NO_SETUP,
            data_flag,
            seconds,
            us,
            status,
            length,
            len(payload),
            setup or bytes(8),
            0,
            0,
            0x200 if endpoint & 0x80 else 0,
            0,
        )
        if not self._file.record(now_ns, (header, payload), on_wire):
            self._detach()


class _Port:
    """One attached device. `ids` never holds more than the requests in flight."""

    def __init__(self, device: UsbDevice, bus: int, address: int) -> None:
        self.device = device
        self.bus = bus
        self.address = address
        self.ids: dict[Urb, int] = {}
        self._seen: set[int] = set()

    @property
    def described(self) -> bool:
        """Whether both descriptors have passed by, whole."""
        return len(self._seen) == 2

    def note(self, setup: bytes, actual: int) -> None:
        descriptors = self.device.descriptors
        wanted = {
            bytes((0x80, 6, 0, _DT_DEVICE)): len(descriptors.device),
            bytes((0x80, 6, 0, _DT_CONFIGURATION)): len(descriptors.configuration),
        }
        if actual == wanted.get(setup[:4]):
            self._seen.add(setup[3])
