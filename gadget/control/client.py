"""Control of a camera in another process: `connect()` finds it, `RemoteCamera` has the verbs of every camera.

    camera = gadget.connect()               # the only one that runs, or the one this program was started for
    camera.features["ExposureTime"] = 2000
    camera.wait_for("frame 10", timeout_s=5)
    for happened in camera.happenings("FrameStart"):
        ...

State of a `RemoteCamera`: its connection, the id of the last request, happenings that came while an answer was
awaited. Not thread safe: a program that asks from several threads makes several connections.
"""

import os
import socket
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gadget.control import places, protocol
from gadget.control.protocol import Answer, LineReader, Request, RpcError
from gadget.front_door.camera_verbs import CameraError, CameraTimeout, CameraVerbs, NoSuchFeature

PATIENCE_S = 10.0
"""The longest wait for an answer, beyond what a verb takes by itself."""
_ERRORS = {protocol.TIMED_OUT: CameraTimeout, protocol.NO_FEATURE: NoSuchFeature}


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that happened in a camera. `at_ns`: on the camera's clock."""

    what: str
    at_ns: int
    block_id: int


class RemoteCamera(CameraVerbs):
    """One camera behind the control socket at `path`. A context manager; `close` hangs up, the camera stays."""

    def __init__(self, path: Path, camera: str | int | None = None) -> None:
        self.path = path
        self._camera = camera
        self._id = 0
        self._lines = LineReader(protocol.MAX_ANSWER_BYTES)
        self._arrived: deque[Answer | Request] = deque()
        self._happened: deque[Happened] = deque(maxlen=10_000)
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._sock.connect(str(path))
        except OSError as error:
            self._sock.close()
            raise CameraError(f"{path}: no camera answers: {error.strerror or error}") from None

    def __enter__(self) -> "RemoteCamera":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._sock.close()

    def cameras(self) -> list[dict[str, Any]]:
        """The state of all cameras of that process."""
        return list(self._ask("cameras"))

    def happenings(self, *what: str, timeout_s: float | None = None) -> Iterator[Happened]:
        """Subscribe, and give one happening after the other; all kinds, if none is named.

        Raises CameraTimeout where none comes within `timeout_s`, CameraError where the camera's process ends.
        """
        self._ask("subscribe", **({"what": list(what)} if what else {}))
        return self._next_happenings(timeout_s)

    def _next_happenings(self, timeout_s: float | None) -> Iterator[Happened]:
        try:
            while True:
                while not self._happened:
                    self._take(self._message(timeout_s, "nothing happened"))
                yield self._happened.popleft()
        finally:
            if self._sock.fileno() >= 0:
                self._ask("unsubscribe")
                self._happened.clear()

    def _ask(self, verb: str, **parameters: Any) -> Any:
        self._id += 1
        sent = dict(parameters)
        if self._camera is not None and verb != "cameras":
            sent["camera"] = self._camera
        try:
            line = protocol.pack_request(verb, sent, self._id)
        except TypeError as error:
            raise CameraError(f"{verb}: {error}") from None
        try:
            self._sock.sendall(line)
        except OSError:
            raise CameraError(f"{self.path}: the camera's process has ended") from None
        patience_s = PATIENCE_S + parameters.get("timeout_s", 0.0)
        while True:
            answer = self._take(self._message(patience_s, "no answer"))
            if answer is None or answer.id not in (self._id, None):
                continue
            if answer.error is None:
                return answer.result
            kind = _ERRORS.get(answer.error.code, CameraError)
            status = answer.error.data.get("status", "") if isinstance(answer.error.data, dict) else ""
            raise kind(str(answer.error), status)

    def _take(self, message: Answer | Request) -> Answer | None:
        """An answer; a happening is kept for who waits for it."""
        if isinstance(message, Answer):
            return message
        if message.method == "happened":
            about = message.params
            self._happened.append(Happened(about["what"], about["at_ns"], about["block_id"]))
        return None

    def _message(self, timeout_s: float | None, otherwise: str) -> Answer | Request:
        while not self._arrived:
            self._sock.settimeout(timeout_s)
            try:
                data = self._sock.recv(1 << 16)
            except TimeoutError:
                raise CameraTimeout(f"{self.path}: {otherwise} within {timeout_s:g} s") from None
            except OSError:
                data = b""
            if not data:
                raise CameraError(f"{self.path}: the camera's process has ended")
            for line in self._lines.feed(data):
                if isinstance(line, RpcError):
                    raise CameraError(f"{self.path}: {line}")
                try:
                    self._arrived.append(protocol.parse_answer(line))
                except RpcError as error:
                    raise CameraError(f"{self.path}: {error}") from None
        return self._arrived.popleft()


def connect(camera: str | int | None = None, path: str | Path | None = None) -> RemoteCamera:
    """A camera that runs in another process of this user, under `u3v run`, `serve` or `plug`.

    `camera`: its serial number, name, model or process id, or the path of its socket; without it the one that this
    program was started for (by `u3v run`), else the only one that runs. Raises CameraError, which lists the choices.
    """
    if path is not None:
        return RemoteCamera(Path(path), camera)
    if isinstance(camera, str) and "/" in camera:
        return RemoteCamera(Path(camera))
    ours = os.environ.get(places.VARIABLE)
    if ours:
        return RemoteCamera(Path(ours), camera)
    return _find(None if camera is None else str(camera))


def running() -> list[tuple[Path, dict[str, Any]]]:
    """All cameras of this user that can be controlled: (socket, state)."""
    found = []
    for path in places.clean(places.directory()):
        try:
            with RemoteCamera(path) as camera:
                found += [(path, state) for state in camera.cameras()]
        except CameraError:
            pass  # it ended meanwhile
    return found


def _find(which: str | None) -> RemoteCamera:
    cameras = running()
    if not cameras:
        raise CameraError("no camera runs; start one: u3v serve acA4096-40um")
    fitting = [
        (path, state)
        for path, state in cameras
        if which is None or which in (state["serial"], state["name"], state["model"], places.process_of(path))
    ]
    if len(fitting) == 1:
        path, state = fitting[0]
        return RemoteCamera(path, state["serial"])
    lines = "; ".join(f"{state['model']} {state['serial']} at {path}" for path, state in cameras)
    problem = "which camera?" if fitting else f"no camera {which!r}:"
    raise CameraError(f"{problem} {lines}")
