"""A local server in a thread, and programs that see its cameras."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from gadget.local.build import choose
from gadget.local.launch import private_directory
from gadget.local.node import Node
from gadget.local.server import LocalServer
from gadget.time.loop import Loop
from gadget.usb.device import UsbDevice

T = TypeVar("T")
REPOSITORY = Path(__file__).parents[3]
PATIENCE_S = 60


class Rig:
    """A context manager. `call` runs a function in the server's thread and returns what it returns."""

    def __init__(self, *devices: UsbDevice) -> None:
        self.loop = Loop()
        self._directory = private_directory()
        self.directory = self._directory.__enter__()
        self.server = LocalServer(self.loop, self.directory, devices)
        self._thread = threading.Thread(target=self.loop.run)

    def __enter__(self) -> "Rig":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self.loop.stop)
        self._thread.join()
        self.server.close()
        self.loop.close()
        self._directory.__exit__(None, None, None)

    @property
    def nodes(self) -> list[Node]:
        return self.server.nodes

    def call(self, function: Callable[[], T]) -> T:
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # hand it to the caller's thread
                future.set_exception(error)

        self.loop.call_threadsafe(run)
        return future.result(PATIENCE_S)

    def environment(self, preload: str) -> dict[str, str]:
        library = choose(preload)
        paths = {"PYTHONPATH": str(REPOSITORY)}
        return os.environ | self.call(lambda: self.server.environment(library.path, library.own)) | paths

    def start(
        self, argv: Sequence[str], preload: str, more: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[str]":
        """A client with pipes."""
        return subprocess.Popen(
            argv,
            env=self.environment(preload) | dict(more or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, argv: Sequence[str], preload: str, more: Mapping[str, str] | None = None) -> str:
        """What a client prints; a failing client fails the test with it."""
        with self.start(argv, preload, more) as client:
            try:
                output, _ = client.communicate(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                client.kill()
                output, _ = client.communicate()
                raise AssertionError(f"{argv} hangs:\n{output}") from None
        assert client.returncode == 0, f"{argv} gave {client.returncode}:\n{output}"
        return output


def expect(client: "subprocess.Popen[str]", line: str) -> None:
    """Read up to a line of the client's output."""
    assert client.stdout is not None
    seen = []
    for text in client.stdout:
        seen.append(text)
        if text.strip() == line:
            return
    raise AssertionError(f"the client ended without {line!r}:\n{''.join(seen)}")


def python(script: str, *arguments: str) -> list[str]:
    """A client of tests/system/clients, run by this Python."""
    return [sys.executable, str(REPOSITORY / "tests/system/clients" / script), *arguments]
