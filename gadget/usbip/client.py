"""A blocking USB/IP client: a `HostBus` to one device of any USB/IP server. No kernel, no privileges.

State: the requests in flight by sequence number, and where the reader is in the server's byte stream (filling
a header, or the buffer of one request). Always true: at any time one thread at most reads the socket, whoever
needs an answer reads for all the others; data lands in the caller's buffer without a copy in between; a
request ends once, by RET_SUBMIT or by RET_UNLINK. After an error of the connection everything raises UsbGone.
"""

import select
import socket
import struct
import threading
import time
from dataclasses import dataclass

from gadget.usbip import wire
from gadget.usbip.wire import DIR_IN, DIR_OUT, Record, Submit, Unlink
from u3v.errors import Malformed, U3VError
from u3v.host.bus import (
    ReadBuffer,
    UsbError,
    UsbGone,
    UsbOverflow,
    UsbStall,
    UsbTimeout,
    WriteBuffer,
)

UNLINK_S = 20.0
SEND_S = 5.0
_CONNECT_S = 5.0
_JOINED_BYTES = 65536
_NO_SETUP = bytes(8)


@dataclass(slots=True, eq=False)
class _Request:
    seqnum: int
    endpoint: int
    buffer: memoryview
    done: bool = False
    status: int = 0
    actual: int = 0
    unlinks: int = 0  # the victim, if this is an unlink


class UsbipClient:
    """Made by `connect`, or over a connected socket in the request phase. Thread safe."""

    def __init__(self, sock: socket.socket, devid: int = 0, record: Record | None = None) -> None:
        self.record = record
        self._sock = sock
        self._devid = devid
        self._seqnum = 0
        self._requests: dict[int, _Request] = {}
        self._send_lock = threading.Lock()
        self._state = threading.Condition()
        self._reading = False
        self._gone = ""
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._header = memoryview(bytearray(wire.HEADER_BYTES))
        self._filling = self._header
        self._current: _Request | None = None
        sock.settimeout(None)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(SEND_S))
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @classmethod
    def connect(cls, host: str = "127.0.0.1", port: int = wire.PORT, busid: str = "1-1") -> "UsbipClient":
        """Import `busid`. Raises UsbGone where the server or the device cannot be had."""
        sock = _connect(host, port)
        try:
            _send(sock, wire.pack_op(wire.OP_REQ_IMPORT) + wire.pack_busid(busid))
            _expect(sock, wire.OP_REP_IMPORT, f"importing {busid} from {host}:{port}")
            record = wire.parse_record(_read(sock, wire.RECORD_BYTES))
        except BaseException:
            sock.close()
            raise
        return cls(sock, record.devid, record)

    def control(self, setup: bytes, data_or_length: bytes | int, timeout_ms: int = 1000) -> bytes:
        if isinstance(data_or_length, int):
            buffer = memoryview(bytearray(data_or_length))
            request = self._submit(0x80, buffer, len(buffer), setup)
            return bytes(buffer[: self._finish(request, timeout_ms)])
        request = self._submit(0, memoryview(b""), len(data_or_length), setup, data_or_length)
        self._finish(request, timeout_ms)
        return b""

    def bulk_out(self, endpoint: int, data: ReadBuffer, timeout_ms: int = 1000) -> int:
        return self._finish(self._submit(endpoint, memoryview(b""), len(data), data=data), timeout_ms)

    def bulk_in_into(self, endpoint: int, buffer: WriteBuffer, timeout_ms: int = 1000) -> int:
        view = _writable(buffer)
        return self._finish(self._submit(endpoint, view, len(view)), timeout_ms)

    def submit_in(self, endpoint: int, buffer: WriteBuffer) -> int:
        view = _writable(buffer)
        return self._submit(endpoint, view, len(view)).seqnum

    def wait_in(self, handle: int, timeout_ms: int = 1000) -> int:
        request = self._requests.get(handle)
        if request is None:
            raise U3VError(f"handle {handle} is not of a queued read")
        self._wait(request, timeout_ms)
        return self._result(request)

    def cancel_in(self, handle: int) -> None:
        request = self._requests.get(handle)
        if request is not None:
            self._unlink(request)
            self._requests.pop(handle, None)

    def close(self) -> None:
        """Hand the device back to the server. Requests still waiting raise UsbGone."""
        self._end("closed")

    def __enter__(self) -> "UsbipClient":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _submit(
        self,
        endpoint: int,
        buffer: memoryview,
        length: int,
        setup: bytes = _NO_SETUP,
        data: ReadBuffer = b"",
    ) -> _Request:
        inward = DIR_IN if endpoint & 0x80 else DIR_OUT
        flags = 0x200 if inward else 0
        with self._send_lock:
            request = self._new(endpoint, buffer)
            submit = Submit(
                request.seqnum, self._devid, inward, endpoint & 15, flags, length, 0, 0, 0, setup
            )  # fmt: skip
            self._send(wire.pack_submit(submit), data)
        return request

    def _new(self, endpoint: int, buffer: memoryview, unlinks: int = 0) -> _Request:
        """Register before sending: the answer may be read by another thread."""
        self._seqnum = (self._seqnum + 1) & 0xFFFFFFFF
        request = _Request(self._seqnum, endpoint, buffer, unlinks=unlinks)
        self._requests[request.seqnum] = request
        return request

    def _send(self, header: bytes, data: ReadBuffer = b"") -> None:
        if self._gone:
            raise UsbGone(self._gone)
        try:
            if len(data) <= _JOINED_BYTES:
                self._sock.sendall(b"".join((header, data)))
            else:
                self._sock.sendall(header)
                self._sock.sendall(data)
        except BlockingIOError:
            self._end(f"the USB/IP server takes nothing for {SEND_S:g} s")
            raise UsbGone(self._gone) from None
        except OSError as error:
            self._end(f"the USB/IP connection broke: {error.strerror or error}")
            raise UsbGone(self._gone) from None

    def _finish(self, request: _Request, timeout_ms: int) -> int:
        """Wait; on time-out take the request back."""
        try:
            self._wait(request, timeout_ms)
        except UsbTimeout:
            if self._unlink(request):
                self._requests.pop(request.seqnum, None)
                raise
        return self._result(request)

    def _result(self, request: _Request) -> int:
        self._requests.pop(request.seqnum, None)
        status = request.status
        if status == 0:
            return request.actual
        where = f"endpoint {request.endpoint:#04x}"
        if status == -32:
            raise UsbStall(f"{where} stalled")
        if status == -75:
            raise UsbOverflow(f"{where} sent more than {len(request.buffer)} bytes")
        if status in (-108, -19, -84):
            raise UsbGone(f"{where}: the device was reset or is gone (status {status})")
        raise UsbError(f"{where} failed with status {status}", status)

    def _unlink(self, request: _Request) -> bool:
        """True if it was taken back, false if it has its own answer."""
        with self._send_lock:
            unlink = self._new(0, memoryview(b""), unlinks=request.seqnum)
            self._send(wire.pack_unlink(Unlink(unlink.seqnum, self._devid, request.seqnum)))
        try:
            self._wait(unlink, int(UNLINK_S * 1000))
        except UsbTimeout:
            self._end(f"the server does not answer an unlink within {UNLINK_S:g} s")
            raise UsbGone(self._gone) from None
        self._requests.pop(unlink.seqnum, None)
        return not request.done

    def _wait(self, request: _Request, timeout_ms: int) -> None:
        deadline = time.monotonic() + timeout_ms / 1000 if timeout_ms else None
        with self._state:
            while not request.done:
                if self._gone:
                    self._requests.pop(request.seqnum, None)
                    raise UsbGone(self._gone)
                left_s = None if deadline is None else deadline - time.monotonic()
                if left_s is not None and left_s <= 0:
                    raise UsbTimeout(f"endpoint {request.endpoint:#04x}: no answer in {timeout_ms} ms")
                if self._reading:
                    self._state.wait(left_s)
                    continue
                self._reading = True
                self._state.release()
                try:
                    self._read(left_s)
                finally:
                    self._state.acquire()
                    self._reading = False
                    if self._gone:
                        self._sock.close()
                    self._state.notify_all()

    def _read(self, timeout_s: float | None) -> None:
        """Read until some request is done or the time is over. Only the one reader calls this."""
        try:
            while True:
                try:
                    length = self._sock.recv_into(self._filling, 0, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    if not self._poll.poll(None if timeout_s is None else timeout_s * 1000):
                        return
                    continue
                if length == 0:
                    self._end("the USB/IP server closed the connection")
                    return
                self._filling = self._filling[length:]
                if not self._filling and self._advance():
                    return
        except Malformed as error:
            self._end(f"the USB/IP server broke the protocol: {error}")
        except OSError as error:
            self._end(f"the USB/IP connection broke: {error.strerror or error}")

    def _advance(self) -> bool:
        """A header or a buffer is full. True if that ends a request."""
        request = self._current
        if request is None:
            reply = wire.parse_reply(self._header)
            request = self._requests.get(reply.seqnum)
            unlinks = reply.command == wire.RET_UNLINK
            if request is None or request.done or bool(request.unlinks) != unlinks:
                raise Malformed(f"an answer to {reply.seqnum}, which is not waiting")
            request.status, request.actual = reply.status, reply.actual
            if request.endpoint & 0x80 and reply.actual:
                if reply.actual > len(request.buffer):
                    raise Malformed(f"{reply.actual} bytes for a request of {len(request.buffer)}")
                self._current, self._filling = request, request.buffer[: reply.actual]
                return False
        self._current, self._filling = None, self._header
        request.done = True
        return True

    def _end(self, reason: str) -> None:
        """Once. A reader in another thread wakes up by the shutdown and closes the socket itself."""
        with self._state:
            if self._gone:
                return
            self._gone = reason
            try:
                self._sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            if not self._reading:
                self._sock.close()


def _timeval(seconds: float) -> bytes:
    return struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6))


def _writable(buffer: WriteBuffer) -> memoryview:
    view = memoryview(buffer)
    if view.readonly:
        raise TypeError("a read needs a writable buffer")
    return view.cast("B")


def _connect(host: str, port: int) -> socket.socket:
    try:
        return socket.create_connection((host, port), timeout=_CONNECT_S)
    except OSError as error:
        raise UsbGone(f"no USB/IP server at {host}:{port}: {error.strerror or error}") from None


def _expect(sock: socket.socket, code: int, what: str) -> None:
    try:
        got, status = wire.parse_op(_read(sock, wire.OP_HEADER_BYTES))
    except Malformed as error:
        raise UsbGone(f"{what}: {error}") from None
    if status:
        raise UsbGone(f"{what}: {wire.STATUS_TEXT.get(status, f'status {status}')}")
    if got != code:
        raise UsbGone(f"{what}: answer {got:#06x} instead of {code:#06x}")


def _send(sock: socket.socket, data: bytes) -> None:
    try:
        sock.sendall(data)
    except OSError as error:
        raise UsbGone(f"the USB/IP server does not listen: {error.strerror or error}") from None


def _read(sock: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        try:
            piece = sock.recv(length - len(data))
        except OSError as error:
            raise UsbGone(f"the USB/IP server does not answer: {error.strerror or error}") from None
        if not piece:
            raise UsbGone("the USB/IP server closed the connection")
        data += piece
    return data
