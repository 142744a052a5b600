"""A virtual camera in a process of its own, served over USB/IP on loopback: what `u3v grab MODEL` grabs from."""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from u3v.errors import U3VError


@contextmanager
def served(model: str, arguments: Sequence[str] = ()) -> Iterator[str]:
    """Start `u3v serve` for `model`; gives the camera's address. The process ends with the context.

    `arguments`: options of `u3v serve`. Raises U3VError where it does not start.
    """
    command = [sys.executable, "-m", "gadget", "serve", model, "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"port (\d+)", line)
        if found is None:
            reason = process.stderr.read().strip().removeprefix("u3v: ")
            raise U3VError(reason or f"the camera's process ended with {process.wait()}")
        yield f"usbip://127.0.0.1:{found[1]}/1-1"
    finally:
        process.terminate()
        process.communicate()
