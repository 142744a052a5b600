"""A virtual camera in a process of its own, served over USB/IP on loopback: what `u3v grab MODEL` grabs from."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from u3v.errors import U3VError
from u3v.wire.usb import Speed


@contextmanager
def served(model: str, options: Mapping[str, Any]) -> Iterator[str]:
    """Start `u3v serve` for `model`; gives the camera's address. The process ends with the context.

    `options` are those of `u3v serve` as the command line parses them. Raises U3VError where it does not start.
    """
    command = [sys.executable, "-m", "gadget", "serve", model, "--port", "0", *_arguments(options)]
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


def _arguments(options: Mapping[str, Any]) -> list[str]:
    arguments = []
    for name, value in options.items():
        option = "--" + name.replace("_", "-")
        if name == "pacing":
            arguments.append("--pacing" if value else "--no-pacing")
        elif name == "strict":
            arguments.append("--strict" if value else "--lenient")
        elif name == "speed":
            arguments += [option, value.label if isinstance(value, Speed) else value]
        elif isinstance(value, tuple):
            arguments += [part for each in value for part in (option, str(each))]
        elif value not in (None, "", ()):
            arguments += [option, str(value)]
    return arguments
