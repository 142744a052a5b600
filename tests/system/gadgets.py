"""Guests of User-Mode Linux that play the scenarios of gadget_guest.py, each on a processor of its own, and what their
tests have in common."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.system.programs import (
    MODEL,
    REPOSITORY,
    SIZES,
    U3V,
    end,
    machine_code,
    need,
    need_aravis,
    ready_rig,
    start,
)

STREAMS = 50
PATIENCE_S = 900
CASES = [
    {"roi": SIZES["640x480"], "format": "Mono8", "count": 10},
    {"roi": SIZES["odd"], "format": "Mono12p", "count": 10},
    {"roi": SIZES["full"], "format": "Mono8", "count": 2},
]


class Guests:
    """One guest for each of `boots`, which names the scenarios of `script` that it plays; `outside` are played on this
    machine itself. `found(name)` is what a scenario saw."""

    def __init__(
        self,
        out: Path,
        boots: Iterable[Sequence[str]],
        script: str = "gadget_guest.py",
        outside: Sequence[str] = (),
    ) -> None:
        need("lsusb", "tshark")
        need_aravis()
        ready_rig("uml")
        self.out = out
        self._said = ""
        for name in ("Mono8", "Mono12p"):  # machine code is made here, where it is quick
            command = [*U3V, "grab", MODEL, "-n", "1", "--clock", "simulated", "--set", f"PixelFormat={name}"]
            subprocess.run(command, env=os.environ | machine_code("uml"), check=True, capture_output=True)
        processors = sorted(os.sched_getaffinity(0))
        options = ["--timeout", str(PATIENCE_S), "--out", str(out), "--env", f"CASES={json.dumps(CASES)}"]
        self._programs: list[subprocess.Popen[str]] = []
        for index, names in enumerate(boots):
            cpu = ["--cpu", str(processors[index % len(processors)])]
            self._start([REPOSITORY / "scripts/uml", *options, *cpu, "--"], script, names)
        if outside:
            self._start(["env", f"U3V_RIG_OUT={out}", f"SOCKETS={out}"], script, outside)

    def _start(self, rig: Sequence[str | Path], script: str, names: Sequence[str]) -> None:
        played = [sys.executable, REPOSITORY / "tests/system" / script, str(STREAMS), *names]
        self._programs.append(start([*rig, *played], cwd=REPOSITORY))

    def found(self, name: str) -> Any:
        for program in self._programs:
            if program.returncode is None:
                stdout, stderr = program.communicate()
                self._said += f"exit code {program.returncode}\n{stdout}\n{stderr}\n"
        file = self.out / f"{name}.json"
        assert file.exists(), f"{name} was not played:\n{self._said}"
        result = json.loads(file.read_text())
        assert "error" not in result, result["error"]
        return result["found"]

    def close(self) -> None:
        for program in self._programs:
            end(program)
            program.communicate()


def output(found: Any) -> str:
    assert found["status"] == 0, found
    return str(found["stdout"])


def only(results: list[Any]) -> Any:
    (result,) = results
    return result


def warnings(kernel: list[str]) -> list[str]:
    """What the kernel says with urgency."""
    return [line for line in kernel if int(line.split(",")[0]) & 7 <= 4]
