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
from tests.matrix.altered import (
    BOS,
    CONFIGURATION,
    DEVICE,
    STREAM_IN,
    STRING,
    Ack,
    Alteration,
    Descriptor,
    Packet,
    Register,
)
from u3v.host.conformance.context import Context
from u3v.host.conformance.declare import Check
from u3v.host.conformance.families import all_checks
from u3v.host.conformance.run import Outcome, Run

HEADER_BYTES, OP_REPLY_BYTES, OP_REQUEST_BYTES = 48, 320, 40
SUBMIT, UNLINK, RET_SUBMIT = 1, 2, 3
Pump = Callable[[socket.socket, socket.socket], None]


class Proxy:
    """One client at a time, to the server on `port`."""

    def __init__(self, port: int, alteration: Alteration) -> None:
        self._to, self._alteration = ("127.0.0.1", port), alteration
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
            data = exactly(client, length) if command == SUBMIT and not direction else b""
            if command == SUBMIT and not direction and endpoint:
                self._alteration.out(endpoint, data)
            server.sendall(head + data)

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
                    self._alteration.back(endpoint, setup, data)
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
    with VirtualCamera("acA4096-40um", Width=648, Height=480) as camera, camera.serve() as address:
        yield int(address.rpartition("/")[0].rpartition(":")[2])


@contextmanager
def through(port: int, alteration: Alteration) -> Iterator[str]:
    proxy = Proxy(port, alteration)
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


CASES: dict[str, tuple[Alteration, str]] = {
    "device class": (Descriptor(DEVICE, 0, 4, 0x10), "USB-DESC-003"),
    "bMaxPacketSize0": (Descriptor(DEVICE, 0, 7, 1), "USB-DESC-004"),
    "wTotalLength": (Descriptor(CONFIGURATION, 0, 2, 1), "USB-CFG-002"),
    "bNumInterfaces": (Descriptor(CONFIGURATION, 0, 4, 4), "USB-CFG-006"),
    "bmAttributes": (Descriptor(CONFIGURATION, 0, 7, 1), "USB-CFG-009"),
    "IAD class": (Descriptor(CONFIGURATION, 0, 13, 1), "U3V-DESC-001"),
    "BOS capabilities": (Descriptor(BOS, 0, 4, 1), "USB-BOS-002"),
    "string's type": (Descriptor(STRING, 1, 1, 4), "USB-STR-002"),
    "prefix of acknowledges": (Ack(0, 1, 12), "GENCP-HDR-001"),
    "command of acknowledges": (Ack(6, 4, 12), "GENCP-HDR-001"),
    "id of acknowledges": (Ack(10, 1, 12), "GENCP-HDR-001"),
    "length of acknowledges": (Ack(8, 1, 12), "GENCP-HDR-001 GENCP-HDR-020"),
    "status of acknowledges": (Ack(5, 0x80, 12), "GENCP-HDR-001"),
    "a byte of the GenICam file": (Register(0x100400, 1), "BOOT-MAN-006"),
    "GenCP_Version": (Register(2, 1), "BOOT-ABRM-001"),
    "block id of leaders": (Packet(STREAM_IN, b"U3VL", 9, 1), "STREAM-007 STREAM-013"),
    "status of trailers": (Packet(STREAM_IN, b"U3VT", 17, 0xA1), "STREAM-014"),
}


@pytest.mark.parametrize("name", CASES)
def test_an_altered_byte_is_caught(name: str, port: int) -> None:
    alteration, expected = CASES[name]
    checks = [check for check in all_checks() if check.id in expected.split() or check.id == "GENCP-HDR-002"]
    with through(port, alteration) as address:
        outcomes = run(address, checks)
    failed = {outcome.check.id for outcome in outcomes if outcome.result == "fail"}
    assert set(expected.split()) <= failed, [(o.check.id, o.result, o.reason) for o in outcomes]


def test_an_honest_proxy_is_not_seen(port: int) -> None:
    ids = {each for _, expected in CASES.values() for each in expected.split()}
    checks = [check for check in all_checks() if check.id in ids]
    with through(port, Alteration()) as address:
        outcomes = run(address, checks)
    assert {(o.check.id, o.result, o.reason) for o in outcomes} == {
        (check.id, "pass", "") for check in checks
    }
