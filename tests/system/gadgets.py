"""A guest of User-Mode Linux that plays the scenarios of gadget_guest.py, and what its tests have in common."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.system.programs import (
    MODEL,
    REPOSITORY,
    SIZES,
    U3V,
    machine_code,
    need,
    need_aravis,
    ready_rig,
    run,
)

STREAMS = 50
PATIENCE_S = 1800
CASES = [
    {"roi": SIZES["640x480"], "format": "Mono8", "count": 10},
    {"roi": SIZES["odd"], "format": "Mono12p", "count": 10},
    {"roi": SIZES["full"], "format": "Mono8", "count": 2},
]


class Played:
    """The scenarios `names` of `script` in one guest, then those of `outside` on this machine itself: never two at a
    time. `found(name)` is what a scenario saw."""

    def __init__(
        self, out: Path, names: Sequence[str], script: str = "gadget_guest.py", outside: Sequence[str] = ()
    ) -> None:
        need("lsusb", "tshark")
        need_aravis()
        self.out = out
        self._said = ""
        for name in ("Mono8", "Mono12p"):  # machine code is made here, where it is quick
            command = [*U3V, "grab", MODEL, "-n", "1", "--clock", "simulated", "--set", f"PixelFormat={name}"]
            subprocess.run(command, env=os.environ | machine_code("uml"), check=True, capture_output=True)
        options = ["--timeout", str(PATIENCE_S), "--out", str(out), "--env", f"CASES={json.dumps(CASES)}"]
        self._play([ready_rig("uml"), *options, "--"], script, names)
        if outside:
            self._play(["env", f"U3V_RIG_OUT={out}", f"SOCKETS={out}"], script, outside)

    def _play(self, rig: Sequence[str | Path], script: str, names: Sequence[str]) -> None:
        played = [sys.executable, REPOSITORY / "tests/system" / script, str(STREAMS), *names]
        done = run([*rig, *played], patience_s=PATIENCE_S + 60)
        self._said += f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}\n"

    def found(self, name: str) -> Any:
        file = self.out / f"{name}.json"
        assert file.exists(), f"{name} was not played:\n{self._said}"
        result = json.loads(file.read_text())
        assert "error" not in result, result["error"]
        return result["found"]


def output(found: Any) -> str:
    assert found["status"] == 0, found
    return str(found["stdout"])


def only(results: list[Any]) -> Any:
    (result,) = results
    return result


def warnings(kernel: list[str]) -> list[str]:
    """What the kernel says with urgency."""
    return [line for line in kernel if int(line.split(",")[0]) & 7 <= 4]
