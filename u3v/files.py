"""Files in the camera, as SFNC FileAccessControl opens, reads and writes them.

A `DeviceFile` declares one: who reads it, and what happens to what was written once it is closed. State of `Files`:
which are open and how, and what has been written into them so far. Always true: a file changes when it is closed and
never before, so one whose transfer was interrupted, or failed in part, is
as it was.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from u3v.device import Device
from u3v.errors import GenCPError, Status

OPEN, CLOSE, READ, WRITE, DELETE = "Open", "Close", "Read", "Write", "Delete"
BUFFER_BYTES = 512


@dataclass(frozen=True)
class DeviceFile:
    """`name`: FileSelector's entry. `read`: its content; None: it cannot be read. `write`: takes a new content, or
    raises GenCPError; None: it cannot be written."""

    name: str
    max_bytes: int
    read: Callable[[Device], bytes] | None = None
    write: Callable[[Device, bytes], None] | None = None


class Files:
    """The files of one camera. `succeeded`, `result`: of the last operation (FileOperationStatus and -Result)."""

    def __init__(self, camera: Device, files: Sequence[DeviceFile]) -> None:
        self._camera = camera
        self._files = {file.name: file for file in files}
        self._modes: dict[str, str] = {}
        self._contents: dict[str, bytearray] = {}
        self._spoiled: set[str] = set()
        self.succeeded = True
        self.result = 0

    def size(self, name: str) -> int:
        """Bytes in a file."""
        return len(self._content(self._files[name]))

    def forget(self) -> None:
        """Nothing is open any more, and what was written into open files is lost."""
        self._modes.clear()
        self._contents.clear()
        self._spoiled.clear()

    def execute(self, name: str, operation: str) -> None:
        """One operation on a file. It fails or succeeds; a host's write of the command is acknowledged either way."""
        self.result = 0
        try:
            getattr(self, f"_{operation.lower()}")(self._files[name])
            self.succeeded = True
        except GenCPError:
            self.succeeded, self.result = False, 0
            if operation == WRITE and name in self._modes:
                self._spoiled.add(name)

    def _open(self, file: DeviceFile) -> None:
        mode = str(self._camera.features.get("FileOpenMode"))
        _need(file.name not in self._modes, "it is open already")
        _need("Read" not in mode or file.read is not None, "it cannot be read")
        _need("Write" not in mode or file.write is not None, "it cannot be written")
        self._contents[file.name] = bytearray() if mode == WRITE else bytearray(self._content(file))
        self._modes[file.name] = mode

    def _close(self, file: DeviceFile) -> None:
        mode = self._modes.pop(file.name, None)
        _need(mode is not None, "it is not open")
        content = bytes(self._contents.pop(file.name))
        is_spoiled = file.name in self._spoiled
        self._spoiled.discard(file.name)
        _need(not is_spoiled, "a part of it could not be written")
        if file.write is not None and mode != READ:
            file.write(self._camera, content)

    def _read(self, file: DeviceFile) -> None:
        _need("Read" in self._modes.get(file.name, ""), "it is not open for reading")
        first, length = self._place()
        piece = self._contents[file.name][first : first + length]
        buffer = bytes(piece).ljust(BUFFER_BYTES, b"\0").hex()
        self._camera.features.set("FileAccessBuffer", buffer)
        self.result = len(piece)

    def _write(self, file: DeviceFile) -> None:
        _need("Write" in self._modes.get(file.name, ""), "it is not open for writing")
        first, length = self._place()
        content = self._contents[file.name]
        _need(first <= len(content), "there would be a hole in it")
        _need(first + length <= file.max_bytes, "it would be too large")
        raw = bytes.fromhex(self._camera.features.get("FileAccessBuffer"))
        content[first : first + length] = raw[:length]
        self.result = length

    def _delete(self, file: DeviceFile) -> None:
        _need(file.write is not None and file.name not in self._modes, "it is open, or cannot be written")
        assert file.write is not None
        file.write(self._camera, b"")

    def _place(self) -> tuple[int, int]:
        features = self._camera.features
        return int(features.get("FileAccessOffset")), int(features.get("FileAccessLength"))

    def _content(self, file: DeviceFile) -> bytes:
        return b"" if file.read is None else file.read(self._camera)


def _need(condition: bool, why: str) -> None:
    if not condition:
        raise GenCPError(Status.ACCESS_DENIED, why)
