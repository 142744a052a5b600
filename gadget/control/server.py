"""The control socket of the cameras of one process: verbs in, answers and happenings out, on their loop.

Only the user who runs the cameras may connect, and root: the kernel says who somebody is. State of a connection:
lines that have not been answered, answers that its socket has not taken yet, what it waits for and has subscribed
to. Always true: who does not read his answers is not listened to until he does, and his happenings are dropped and
counted meanwhile; nothing that arrives ends the camera.

Verbs besides those of `gadget.front_door.live`: `cameras`, `wait_for` (what, timeout_s), `subscribe` (what: a list, or
all) and `unsubscribe`. The parameter `camera` (serial number, name or index from 0) chooses one of several.
"""

import logging
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gadget.control import places, protocol
from gadget.control.protocol import Request, RpcError
from gadget.front_door.camera_verbs import DEFAULT_WAIT_S, CameraError, NoSuchFeature
from gadget.front_door.live import HAPPENINGS, VERBS, LiveCamera
from gadget.front_door.waits import Waits
from gadget.time.accepting import Acceptor
from gadget.time.loop import READ, WRITE, Loop
from u3v.did_you_mean import hint
from u3v.happenings import Happening

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 32
MAX_WAITS = 64
MAX_UNSENT_BYTES = 1 << 18
_RECEIVE_BYTES = 1 << 16
_CREDENTIALS = struct.Struct("3i")
OWN_VERBS = ("cameras", "wait_for", "subscribe", "unsubscribe")


class ControlServer:
    """Listens at `path` until `close`, which removes it. Only for the loop's thread."""

    def __init__(self, loop: Loop, cameras: Sequence[LiveCamera], path: Path) -> None:
        self.loop = loop
        self.cameras = list(cameras)
        self.path = path
        self.waits = Waits()
        self.connections: list[Connection] = []
        listener = places.listen(path)
        self._inode = path.stat().st_ino
        loop.services.append(self.waits)
        self._acceptor = Acceptor(loop, listener, self._accepted)

    def __enter__(self) -> "ControlServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up on everybody and remove the socket."""
        for connection in list(self.connections):
            connection.close()
        self._acceptor.close()
        self.loop.services.remove(self.waits)
        try:
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()
        except FileNotFoundError:
            pass

    def camera(self, which: Any) -> LiveCamera:
        """The camera that is meant. Raises CameraError."""
        if which is None:
            if len(self.cameras) > 1:
                raise CameraError(f"which camera? {self._choices()}")
            return self.cameras[0]
        for index, live in enumerate(self.cameras):
            state = live.built.camera
            if which in (index, str(index), state.options.serial, state.user_defined_name or None):
                return live
        raise CameraError(f"no camera {which!r}: {self._choices()}")

    def _choices(self) -> str:
        return "one of " + ", ".join(live.built.camera.options.serial for live in self.cameras)

    def _accepted(self, sock: socket.socket, _address: object) -> None:
        pid, uid, _ = _CREDENTIALS.unpack(
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        if uid not in (0, os.geteuid()) or len(self.connections) >= MAX_CONNECTIONS:
            log.warning("control: process %d of user %d is refused", pid, uid)
            sock.close()
            return
        self.connections.append(Connection(self, sock))


class Connection:
    """One program that controls the cameras."""

    def __init__(self, server: ControlServer, sock: socket.socket) -> None:
        self._server = server
        self._sock = sock
        self._lines = protocol.LineReader()
        self._unread: deque[bytes | protocol.TooLong] = deque()
        self._unsent = bytearray()
        self._waits: dict[object, Callable[[], None]] = {}
        self._subscriptions: list[Callable[[], None]] = []
        self._dropped = 0
        sock.setblocking(False)
        server.loop.watch(sock, READ, self._ready)

    def close(self) -> None:
        if self not in self._server.connections:
            return
        self._server.connections.remove(self)
        self._server.loop.unwatch(self._sock)
        self._sock.close()
        for end in [*self._waits.values(), *self._subscriptions]:
            end()
        self._waits.clear()
        self._subscriptions.clear()

    def _ready(self, mask: int) -> None:
        if mask & WRITE:
            self._flush()
        if mask & READ and not self._is_full:
            try:
                data = self._sock.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.close()
                return
            self._unread.extend(self._lines.feed(data))
        while self._unread and not self._is_full:
            self._answer(self._unread.popleft())

    @property
    def _is_full(self) -> bool:
        """Whether the other side has to read before it is listened to."""
        return len(self._unsent) >= MAX_UNSENT_BYTES

    def _answer(self, line: bytes | RpcError) -> None:
        try:
            if isinstance(line, RpcError):
                raise line
            request = protocol.parse_request(line)
            result = self._do(request)
        except RpcError as error:
            self._send(protocol.pack_error(error))
            return
        if request.id is not None and result is not _LATER:
            self._send(protocol.pack_result(request.id, result))

    def _do(self, request: Request) -> Any:
        """Raises RpcError."""
        verb, parameters = request.method.replace("-", "_"), dict(request.params)
        if verb not in VERBS and verb not in OWN_VERBS:
            near = hint(verb, (*VERBS, *OWN_VERBS))
            raise RpcError(protocol.METHOD_NOT_FOUND, f"no verb {request.method!r}{near}", request.id)
        try:
            if verb == "cameras":
                return [live.ask("state", {}) for live in self._server.cameras]
            live = self._server.camera(parameters.pop("camera", None))
            if verb in VERBS:
                return live.ask(verb, parameters)
            if verb == "wait_for":
                return self._wait(live, request, **_only(verb, parameters, "what", "timeout_s"))
            if verb == "subscribe":
                return self._subscribe(live, **_only(verb, parameters, "what"))
            _only(verb, parameters)
            for end in self._subscriptions:
                end()
            self._subscriptions.clear()
            return None
        except CameraError as error:
            data = {"status": error.status} if error.status else None
            code = protocol.NO_FEATURE if isinstance(error, NoSuchFeature) else protocol.REFUSED
            raise RpcError(code, str(error), request.id, data) from error
        except Exception as error:
            log.exception("control: %s failed", verb)
            raise RpcError(
                protocol.INTERNAL_ERROR, f"{verb}: {type(error).__name__}: {error}", request.id
            ) from error

    def _wait(
        self, live: LiveCamera, request: Request, what: Any = None, timeout_s: Any = DEFAULT_WAIT_S
    ) -> Any:
        if (
            isinstance(timeout_s, bool)
            or not isinstance(timeout_s, int | float)
            or not 0 < timeout_s <= 86400
        ):
            raise CameraError(f"timeout_s = {timeout_s!r}: must be a number of seconds up to a day")
        if len(self._waits) >= MAX_WAITS:
            raise CameraError(f"{MAX_WAITS} waits at once are the most")
        key = object()

        def found(answer: dict[str, Any]) -> None:
            finish(protocol.pack_result(request.id, answer))

        def late() -> None:
            text = f"{live.name}: no {what} within {timeout_s:g} s"
            finish(protocol.pack_error(RpcError(protocol.TIMED_OUT, text, request.id)))

        def finish(line: bytes) -> None:
            end = self._waits.pop(key, None)
            if end is not None:
                end()
                self._send(line)

        cancel = self._server.waits.add(live, str(what), found)
        cancel_late = self._server.loop.call_later(timeout_s, late)

        def end() -> None:
            cancel_late()
            cancel()

        self._waits[key] = end
        return _LATER

    def _subscribe(self, live: LiveCamera, what: Any = None) -> list[str]:
        names = list(HAPPENINGS) if what is None else [what] if isinstance(what, str) else what
        if not isinstance(names, list):
            raise CameraError(f"what = {what!r}: must be a list of happenings")
        for name in names:
            if not isinstance(name, str) or name not in HAPPENINGS:
                raise CameraError(f"no happening {name!r}{hint(str(name), HAPPENINGS)}")
        serial = live.built.camera.options.serial

        def hear(happening: Happening, at_ns: int, block_id: int) -> None:
            self._tell({"camera": serial, "what": happening.value, "at_ns": at_ns, "block_id": block_id})

        wanted = [HAPPENINGS[name] for name in names]
        self._subscriptions.append(live.listen(hear, *wanted) if wanted else lambda: None)
        return names

    def _tell(self, happened: dict[str, Any]) -> None:
        if self._is_full:
            self._dropped += 1
            return
        if self._dropped:
            happened["dropped"], self._dropped = self._dropped, 0
        self._send(protocol.pack_request("happened", happened))

    def _send(self, line: bytes) -> None:
        self._unsent += line
        self._flush()

    def _flush(self) -> None:
        if self not in self._server.connections:
            return
        try:
            while self._unsent:
                del self._unsent[: self._sock.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()  # gone; the loop is about to see its end of file
        events = WRITE if self._is_full else READ | WRITE if self._unsent else READ
        self._server.loop.watch(self._sock, events, self._ready)


_LATER = object()
"""The answer comes when it has come true."""


def _only(verb: str, parameters: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in parameters:
        if name not in names:
            raise CameraError(
                f"{verb} takes {', '.join(names) or 'nothing'}, not {name!r}{hint(name, names)}"
            )
    return parameters
