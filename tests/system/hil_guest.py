"""A board with triggers on a pin and its PC, in one kernel: docs/hil.md on gpio-sim's pins and dummy_hcd's port. Runs
as root in scripts/uml.

`hil_guest.py COUNT MODEL [OPTION...]` starts `u3v gadget MODEL OPTION...`, plays the hardware under test on GPIO17 and
watches GPIO27 while docs/examples/hil_host.py waits for COUNT frames; prints one JSON object.
"""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.system.guest import REPOSITORY, U3V, aravis, cameras, ran, started, stopped, until

CONFIGFS = Path("/sys/kernel/config")
IN, OUT = 17, 27
HALF_PERIOD_S = 0.03


def made_pins() -> Path:
    """A chip of 32 pins, as a Raspberry Pi's header has it: where its pins are pulled and looked at."""
    if not (CONFIGFS / "gpio-sim").is_dir():
        subprocess.run(["mount", "-t", "configfs", "none", str(CONFIGFS)], check=True)
    chip = CONFIGFS / "gpio-sim/board"
    bank = chip / "header"
    bank.mkdir(parents=True)
    (bank / "num_lines").write_text("32")
    (chip / "live").write_text("1")
    until("the chip", Path("/dev/gpiochip0").exists)
    name = (bank / "chip_name").read_text().strip()
    return Path("/sys/devices/platform") / (chip / "dev_name").read_text().strip() / name


def main() -> None:
    count, model, *options = sys.argv[1:]
    pins = made_pins()
    pull, strobe = pins / f"sim_gpio{IN}/pull", pins / f"sim_gpio{OUT}/value"
    rises_ns, strobes = [], []  # (before, after) each rising edge; levels seen

    def pulled(level: str) -> None:
        """The pin has a new level; the strobe is looked at until the next one is due."""
        before_ns = time.monotonic_ns()
        pull.write_text(level)
        if level == "pull-up":
            rises_ns.append((before_ns, time.monotonic_ns()))
        ends_s = time.monotonic() + HALF_PERIOD_S
        while time.monotonic() < ends_s:
            strobes.append(int(strobe.read_text()))
            time.sleep(0.001)

    with started([*U3V, "gadget", model, *options]) as board:
        until("a camera", cameras)
        ran(aravis("--count", "1"))  # its sensor has started up when it has given a frame
        host = ["/usr/bin/python3", str(REPOSITORY / "docs/examples/hil_host.py"), count]
        with subprocess.Popen(host, stdout=subprocess.PIPE, text=True) as program:
            while program.poll() is None:
                pulled("pull-up")
                pulled("pull-down")
            said = program.stdout.read()
        ended = stopped(board, signal.SIGTERM)
    edges = sum(b > a for a, b in zip(strobes, strobes[1:], strict=False))
    found = {
        "said": said,
        "status": program.returncode,
        "rises_ns": rises_ns,
        "strobes": edges,
        "ended": ended,
    }
    print(json.dumps(found))


main()
