"""One open file of one client: the protocol that a preload library speaks in place of the kernel.

The wire is umockdev's ioctl socket protocol: messages of three native 64-bit words (command, two
arguments). A client's open file is one connection; it asks one thing at a time and the server answers with
any number of READ_MEM and WRITE_MEM (the client sends or receives its own memory) and then DONE. Our own
preload first says HELLO and gets a descriptor whose poll() tells it when a request can be reaped; the others
poll the node, a FIFO shared by all clients.

State of a connection: the ioctl being answered (a generator of `usbfs`), the bytes it waits for, the bytes
not yet taken by the socket. Always true: the server never blocks on a client and never allocates what a
client merely announces; anything out of turn closes that connection, frees its claims and cancels its
requests.
"""

import contextlib
import errno
import fcntl
import os
import socket
import struct
from collections import deque
from typing import Protocol

from gadget.local import abi
from gadget.local.node import Answer, Node, Read, Steps, Wait
from gadget.local.usbfs import Handle
from gadget.time.loop import READ, WRITE, Loop

_HEADER = struct.Struct("@3Q")
_IOCTL, _READ_MEM, _WRITE_MEM, _DONE, _READ, _WRITE = 1, 5, 6, 3, 7, 8
_HELLO, _SEEK, _IOCTL_WITH = 16, 17, 18  # only our preload says these
_FAILED = (1 << 64) - 1
_BATCH_BYTES = 4096  # a message this short enters a socket whole or not at all
_RECEIVE_BYTES = 1 << 18
_SEND_VIEWS = 512
_QUESTION_BYTES = _HEADER.size + 512
_HOLD_OFF_NS = 1_000_000


class Hub(Protocol):
    """What a connection asks of the server it belongs to."""

    loop: Loop

    def forget(self, connection: "Connection") -> None:
        """The connection is over."""

    def update_fifo(self, node: Node) -> None:
        """Whether somebody who polls the node's FIFO has something to reap may have changed."""

    def is_shared_node_ready(self, node: Node) -> bool:
        """Whether the node's FIFO says so."""
        ...


class Gate:
    """A pipe of one slot whose write end a client polls: empty means writable means "reap".

    A client may write to it itself, which usbfs refuses and a pipe does not; then poll() tells it nonsense.
    """

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd, self._write_fd = read_fd, write_fd
        fcntl.fcntl(write_fd, fcntl.F_SETPIPE_SZ, 4096)
        self._ready = True
        self.set(False)

    def set(self, ready: bool) -> None:
        if ready == self._ready or self._read_fd < 0:
            return
        self._ready = ready
        with contextlib.suppress(BlockingIOError):
            if ready:
                os.read(self._read_fd, 4096)
            else:
                os.write(self._write_fd, b"\0")

    def close(self) -> None:
        """No reader any more: the client sees POLLERR."""
        for fd in {self._read_fd, self._write_fd} - {-1}:
            os.close(fd)
        self._read_fd = self._write_fd = -1


class Connection:
    """One open file of one client."""

    def __init__(self, server: Hub, sock: socket.socket, node: Node) -> None:
        self.handle = Handle(node, self._on_ready, alive=self._alive)
        self.shared = True
        self.until_ns: int | None = None
        self._server = server
        self._loop = server.loop
        self._sock = sock
        self._gate: Gate | None = None
        self._steps: Steps | None = None
        self._waiting = False
        self._want = 0
        self._argument_at, self._argument = 0, b""
        self._inbox = bytearray()
        self._outbox: deque[list[memoryview]] = deque()
        self._writing = False
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        self._loop.watch(sock, READ, self._event)

    def close(self) -> None:
        if self._sock.fileno() < 0:
            return
        self._loop.unwatch(self._sock)
        self._sock.close()
        self.until_ns = None
        self._waiting = False
        self._outbox.clear()
        self.handle.close(self._loop.now_ns())
        if self._steps is not None:
            self._steps.close()
            self._steps = None
        if self._gate is not None:
            self._gate.close()
        self._server.forget(self)

    def device_gone(self) -> None:
        """After an unplug: poll() tells the client, a waiting call ends."""
        if self._gate is not None:
            self._gate.close()
        self.wake(self._loop.now_ns())

    def wake(self, now_ns: int) -> None:
        """Go on with a call that waits."""
        if self._waiting:
            self._waiting, self.until_ns = False, None
            self._advance((b"", now_ns))

    def _alive(self) -> bool:
        """False where the client has hung up and the loop has not come to it yet; then it is over now."""
        try:
            if self._sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                return True
        except BlockingIOError:
            return True
        except OSError:
            pass
        self.close()
        return False

    def _on_ready(self, handle: Handle) -> None:
        self._update_gate()
        if self._waiting:
            self.wake(self._loop.now_ns())

    def _update_gate(self) -> None:
        if self._gate is not None:
            self._gate.set(self.handle.ready)
        elif self.shared:
            self._server.update_fifo(self.handle.node)

    def _event(self, mask: int) -> None:
        if mask & WRITE:
            self._flush()
        if mask & READ:
            self._receive()

    def _receive(self) -> None:
        asked = self._steps is not None
        want = self._want if asked else _QUESTION_BYTES
        try:
            chunk = self._sock.recv(min(want - len(self._inbox), _RECEIVE_BYTES))
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk or self._waiting or self._outbox:
            self.close()  # hung up, or spoke out of turn
            return
        if self._inbox or (asked and len(chunk) < want):
            self._inbox += chunk
            if asked and len(self._inbox) < want:
                return
            chunk = bytes(self._inbox)
        if asked:
            self._inbox.clear()
            self._advance((chunk, self._loop.now_ns()))
            return
        command, first, second = _HEADER.unpack_from(chunk) if len(chunk) >= _HEADER.size else (0, 0, 0)
        want = _HEADER.size + (first >> 16 & 0x3FFF if command == _IOCTL_WITH else 0)
        if len(chunk) < want <= _QUESTION_BYTES:
            self._inbox[:] = chunk
        elif len(chunk) == want:
            self._inbox.clear()
            self._argument = chunk[_HEADER.size :]
            self._request(command, first, second)
        else:
            self.close()

    def _request(self, command: int, first: int, second: int) -> None:
        now_ns = self._loop.now_ns()
        if command in (_IOCTL, _IOCTL_WITH) and first < 1 << 32:
            self._argument_at = second
            steps = self.handle.ioctl(first, second, now_ns)
            if (
                first == abi.REAPURBNDELAY
                and self.shared
                and not self.handle.ready
                and self._server.is_shared_node_ready(self.handle.node)
            ):
                steps = _held_off(steps, now_ns + _HOLD_OFF_NS)
            self._steps = steps
            self._advance(None)
        elif command == _READ:
            gone = self.handle.node.gone
            data = b"" if gone else self.handle.read(min(second, 1 << 16))
            writes = ((first, [memoryview(data)]),) if data else ()
            self._answer(Answer(-errno.ENODEV if gone else len(data), writes))
        elif command == _WRITE:
            self._answer(Answer(-errno.EINVAL))
        elif command == _SEEK:
            offset = first - (1 << 64) if first >> 63 else first
            self._answer(Answer(self.handle.seek(offset, second)))
        elif command == _HELLO and self._gate is None:
            self._hello(first)
        else:
            self.close()

    def _hello(self, flags: int) -> None:
        self.handle.writable = flags & os.O_ACCMODE == os.O_RDWR
        try:
            read_fd, write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            self._answer(Answer(-(error.errno or errno.EMFILE)))
            return
        self.shared = False
        self._gate = Gate(read_fd, write_fd)
        try:
            socket.send_fds(self._sock, [_HEADER.pack(_DONE, 0, 0)], [write_fd])
        except OSError:
            self.close()
            return
        self._server.update_fifo(self.handle.node)
        if self.handle.node.gone:
            self._gate.close()

    def _advance(self, value: tuple[bytes, int] | None) -> None:
        assert self._steps is not None
        try:
            step = self._steps.send(value)  # type: ignore[arg-type]  # None starts a generator
            while step == (self._argument_at, len(self._argument)):  # came with the question
                step = self._steps.send((self._argument, self._loop.now_ns()))
        except StopIteration as end:
            self._steps = None
            self._answer(end.value)
            return
        if isinstance(step, Read):
            self._want = step.length
            self._send([_view(_HEADER.pack(_READ_MEM, *step))])
        else:
            self._waiting, self.until_ns = True, step.until_ns

    def _answer(self, answer: Answer) -> None:
        """WRITE_MEM each, then DONE.

        umockdev reads a header with one recv() and does not look whether it got all 24 bytes, so for it a
        header never follows long data in the same send.
        """
        batch = bytearray()
        long: list[memoryview] = []
        for address, chunks in answer.writes:
            length = sum(map(len, chunks))
            batch += _HEADER.pack(_WRITE_MEM, address, length)
            if len(batch) + length <= _BATCH_BYTES:
                for chunk in chunks:
                    batch += chunk
            else:
                long += [_view(batch), *chunks]
                batch = bytearray()
                if self.shared:
                    self._send(long)
                    long = []
        if answer.result < 0:
            batch += _HEADER.pack(_DONE, _FAILED, -answer.result)
        else:
            batch += _HEADER.pack(_DONE, answer.result, 0)
        self._update_gate()  # before DONE: our preload asks poll() whether another reap is worth it
        self._send([*long, _view(batch)])

    def _send(self, views: list[memoryview]) -> None:
        self._outbox.append(views)
        if not self._writing:
            self._flush()

    def _flush(self) -> None:
        outbox = self._outbox
        while outbox:
            views = outbox[0]
            try:
                sent = self._sock.sendmsg(views[:_SEND_VIEWS])
            except BlockingIOError:
                break
            except OSError:
                outbox.clear()  # dead; the loop is about to see its end-of-file
                break
            taken = 0
            while taken < len(views) and sent >= len(views[taken]):
                sent -= len(views[taken])
                taken += 1
            if taken == len(views):
                outbox.popleft()
                continue
            del views[:taken]
            views[0] = views[0][sent:]
        if bool(outbox) != self._writing:
            self._writing = bool(outbox)
            self._loop.watch(self._sock, READ | WRITE if outbox else READ, self._event)


def _view(data: bytes | bytearray) -> memoryview:
    return memoryview(data)


def _held_off(steps: Steps, until_ns: int) -> Steps:
    """The shared FIFO woke the wrong client: keep it from polling in a circle."""
    yield Wait(until_ns)
    return (yield from steps)
