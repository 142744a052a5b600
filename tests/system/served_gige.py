"""A camera that `u3v serve --wire gige` serves on loopback, and an Aravis program that grabs from it."""

import contextlib
import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

from tests.system.programs import CLIENTS, SYSTEM_PYTHON, U3V, end, need_aravis, start

ADDRESS = "127.0.3.1"


class Camera:
    """A camera that is served; `counts` after its end: offered, delivered, discarded, left behind, held;
    none where no host came."""

    def __init__(self, model: str, *options: object) -> None:
        words = ["serve", model, "--wire", "gige", "--interface", ADDRESS, *map(str, options)]
        self.process = start([*U3V, *words])
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(f"  {ADDRESS}"), (line, self.process.communicate())
        self.counts: list[int] = []

    def stop(self) -> None:
        self.process.send_signal(2)
        _, stderr = self.process.communicate(timeout=60)
        for told in [line for line in stderr.splitlines() if "frames offered" in line]:
            self.counts = [
                int(number) for number in re.findall(r"(\d+) (?:frames|deliv|disc|after|held)", told)
            ]
            offered, *rest = self.counts
            assert len(rest) == 4 and offered == sum(rest), told


@contextlib.contextmanager
def served(model: str, *options: object) -> Iterator[Camera]:
    need_aravis()
    camera = Camera(model, *options)
    try:
        yield camera
        camera.stop()
    finally:
        end(camera.process)
        camera.process.communicate()


def aravis(*options: object, address: str = ADDRESS) -> dict[str, Any]:
    argv = [SYSTEM_PYTHON, CLIENTS / "gige_client.py", "--camera", address, *map(str, options)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result
