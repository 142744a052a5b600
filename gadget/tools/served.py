"""A virtual camera in a process of its own, served over USB/IP on loopback: what `u3v grab MODEL` grabs from.

The process is `u3v serve`, by this very package: it imports nothing from the directory it is started in, so a folder
with a `frames/` or a `numpy.py` in it is a folder like any other. It holds one end of a pipe whose other end only
its parent has: however the parent ends, be it by SIGKILL, the pipe closes and the process ends with it. Signals of
the terminal go to the parent alone, which then ends it in peace. What it says on stderr is read all the time (a
full pipe would stop it) and kept: a camera that drops off its bus says there why.
"""

import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from u3v.errors import U3VError

PATIENCE_S = 20
_MAX_LINES = 200
_ROOT = Path(__file__).parents[2]
_PREFIX, _GOING_ON = "u3v: ", " ..."
"""How lines for people begin; how those end that only say what takes a while."""
_CHILD = """
import os, signal, sys, threading
sys.path.insert(0, sys.argv.pop(1))
import frames, gadget, u3v
del sys.path[0]

def end_with_the_parent():
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=end_with_the_parent, daemon=True).start()
from gadget.cli.main import main
main()
"""


class Served:
    """A camera's process. `address` is for `open_target`; `exit_code` is known when the context is over."""

    def __init__(self, model: str, arguments: Sequence[str]) -> None:
        command = [sys.executable, "-P", "-c", _CHILD, str(_ROOT), "serve", model, "--port", "0", *arguments]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )
        self._lines: deque[str] = deque(maxlen=_MAX_LINES)
        # A daemon: an interrupt in here leaves nobody to end the process, which ends when this one does.
        self._reader = threading.Thread(target=self._read, name="camera's stderr", daemon=True)
        self._reader.start()
        self.pid = self._process.pid
        self.address = ""
        self.exit_code: int | None = None

    @property
    def failed(self) -> bool:
        """Whether the process has ended in another way than it was asked to."""
        return self.exit_code not in (None, 0, -signal.SIGTERM)

    def words(self) -> list[str]:
        """What the camera has said so far; where its process broke down, its last line."""
        lines = list(self._lines)
        told = [line for line in lines if line.startswith(_PREFIX) and not line.endswith(_GOING_ON)]
        said = [line.removeprefix(_PREFIX) for line in told]
        return said or (lines[-1:] if self.failed else [])

    def wait_for_address(self) -> None:
        """Raises U3VError where the camera does not start."""
        assert self._process.stdout is not None
        found = re.search(r"port (\d+)", self._process.stdout.readline())
        if found is None:
            self.end()
            raise U3VError("; ".join(self.words()) or f"the camera's process ended with {self.exit_code}")
        self.address = f"usbip://127.0.0.1:{found[1]}/1-1"

    def end(self) -> None:
        """End the process and hear what it still has to say."""
        with self._process as process:
            process.terminate()
            try:
                self.exit_code = process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                self.exit_code = process.wait()
            self._reader.join()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.append(line.rstrip())


@contextmanager
def served(model: str, arguments: Sequence[str], words: list[str]) -> Iterator[Served]:
    """Start `u3v serve` for `model` with the options `arguments`; the process ends with the context.

    `words` gets what the camera has said by then. Raises U3VError where it does not start.
    """
    camera = Served(model, arguments)
    try:
        camera.wait_for_address()
        try:
            yield camera
        finally:
            camera.end()
            words += camera.words()
    finally:
        camera.end()
