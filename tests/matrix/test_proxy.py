"""A foreign proxy alters single bytes of USB/IP traffic: the checks see it, though nothing of it is ours to know.

The proxy shares no code with the camera or its wrappers: it cuts the messages of both sides after the USB/IP protocol
itself (Linux, Documentation/usb/usbip_protocol.rst).
"""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from gadget import VirtualCamera
from gadget.tools.conformance.routes import open_address
from u3v.host.conformance.context import Context
from u3v.host.conformance.declare import Check
from u3v.host.conformance.families import all_checks
from u3v.host.conformance.run import Outcome, Run

HEADER_BYTES, OP_REPLY_BYTES, OP_REQUEST_BYTES = 48, 320, 40
SUBMIT, UNLINK, RET_SUBMIT = 1, 2, 3
Pump = Callable[[socket.socket, socket.socket], None]
Alter = Callable[[int, bytes, bytearray], None]
"""(endpoint with its direction bit, setup packet, data that the device sent), which it may change."""


class Proxy:
    """One client at a time, to the server on `port`."""

    def __init__(self, port: int, alter: Alter) -> None:
        self._to, self._alter = ("127.0.0.1", port), alter
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._asked: dict[int, tuple[int, bytes]] = {}
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        for sock in (self._listener, *self._sockets):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._to)
            self._sockets += [client, server]
            for pump in (self._requests, self._answers):
                thread = threading.Thread(target=self._until_closed, args=(pump, client, server))
                self._threads.append(thread)
                thread.start()

    def _until_closed(self, pump: Pump, a: socket.socket, b: socket.socket) -> None:
        try:
            pump(a, b)
        except OSError:
            pass
        for sock in (a, b):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        server.sendall(exactly(client, OP_REQUEST_BYTES))
        while True:
            head = exactly(client, HEADER_BYTES)
            command, number, _, direction, endpoint = struct.unpack_from(">5I", head)
            length = struct.unpack_from(">I", head, 24)[0]
            if command == SUBMIT:
                self._asked[number] = (endpoint | (0x80 if direction else 0), head[40:48])
            server.sendall(head + (exactly(client, length) if command == SUBMIT and not direction else b""))

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        client.sendall(exactly(server, OP_REPLY_BYTES))
        while True:
            head = exactly(server, HEADER_BYTES)
            command, number = struct.unpack_from(">2I", head)
            actual = struct.unpack_from(">I", head, 24)[0]
            data = bytearray()
            if command == RET_SUBMIT:
                endpoint, setup = self._asked.pop(number)
                if endpoint & 0x80:
                    data += exactly(server, actual)
                    self._alter(endpoint, setup, data)
            client.sendall(head + data)


def exactly(sock: socket.socket, length: int) -> bytes:
    """Raises OSError where the other side hangs up."""
    data = bytearray()
    while len(data) < length:
        piece = sock.recv(length - len(data))
        if not piece:
            raise OSError("closed")
        data += piece
    return bytes(data)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a camera's own server."""
    with VirtualCamera("acA4096-40um") as camera, camera.serve() as address:
        yield int(address.rpartition("/")[0].rpartition(":")[2])


@contextmanager
def through(port: int, alter: Alter) -> Iterator[str]:
    proxy = Proxy(port, alter)
    try:
        yield f"usbip://127.0.0.1:{proxy.port}/1-1"
    finally:
        proxy.close()


def run(address: str, checks: list[Check]) -> list[Outcome]:
    route = open_address(address, virtual=True)
    try:
        return list(Run(Context(route), checks).outcomes())
    finally:
        route.bus.close()


def descriptor(kind: int, at: int, change: int) -> Alter:
    def alter(endpoint: int, setup: bytes, data: bytearray) -> None:
        if endpoint == 0x80 and setup[:2] == b"\x80\x06" and setup[3] == kind and len(data) > at:
            data[at] ^= change

    return alter


def ack(at: int, change: int, longer_than: int = 12) -> Alter:
    def alter(endpoint: int, setup: bytes, data: bytearray) -> None:
        if endpoint == 0x81 and len(data) > max(at, longer_than):
            data[at] ^= change

    return alter


def file_byte() -> Alter:
    """The last byte of a long acknowledge: a piece of the GenICam file."""

    def alter(endpoint: int, setup: bytes, data: bytearray) -> None:
        if endpoint == 0x81 and len(data) > 500:
            data[-1] ^= 1

    return alter


CASES = {
    "device class": (descriptor(1, 4, 0x10), "USB-DESC-003"),
    "bMaxPacketSize0": (descriptor(1, 7, 1), "USB-DESC-004"),
    "wTotalLength": (descriptor(2, 2, 1), "USB-CFG-002"),
    "bNumInterfaces": (descriptor(2, 4, 4), "USB-CFG-006"),
    "bmAttributes": (descriptor(2, 7, 1), "USB-CFG-009"),
    "IAD class": (descriptor(2, 13, 1), "U3V-DESC-001"),
    "BOS capabilities": (descriptor(15, 4, 1), "USB-BOS-002"),
    "string's type": (descriptor(3, 1, 4), "USB-STR-002"),
    "prefix of acknowledges": (ack(0, 1), "GENCP-HDR-001"),
    "command of acknowledges": (ack(6, 4), "GENCP-HDR-001"),
    "id of acknowledges": (ack(10, 1), "GENCP-HDR-001"),
    "length of acknowledges": (ack(8, 1), "GENCP-HDR-001 GENCP-HDR-020"),
    "status of acknowledges": (ack(5, 0x80), "GENCP-HDR-001"),
    "a byte of the GenICam file": (file_byte(), "BOOT-MAN-006"),
}


@pytest.mark.parametrize("name", CASES)
def test_an_altered_byte_is_caught(name: str, port: int) -> None:
    alter, expected = CASES[name]
    checks = [check for check in all_checks() if check.id in expected.split() or check.id == "GENCP-HDR-002"]
    with through(port, alter) as address:
        outcomes = run(address, checks)
    failed = {outcome.check.id for outcome in outcomes if outcome.result == "fail"}
    assert set(expected.split()) <= failed, [(o.check.id, o.result, o.reason) for o in outcomes]


def test_an_honest_proxy_is_not_seen(port: int) -> None:
    ids = {each for _, expected in CASES.values() for each in expected.split()}
    checks = [check for check in all_checks() if check.id in ids]
    with through(port, lambda endpoint, setup, data: None) as address:
        outcomes = run(address, checks)
    assert {(o.check.id, o.result, o.reason) for o in outcomes} == {
        (check.id, "pass", "") for check in checks
    }
