"""Scenarios with a camera on a USB device controller (dummy_hcd). Runs as root in scripts/uml and scripts/vm, like
guest.py.

`gadget_guest.py TIMES NAME...` plays the named scenarios and writes what each found to NAME.json in $U3V_RIG_OUT.
$CASES are the sizes and formats that Aravis grabs. It judges nothing: test_gadget.py does.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.system import guest
from tests.system.guest import (
    CHEAP,
    CLIENTS_DIR,
    MODEL,
    PATIENCE_S,
    U3V,
    aravis,
    cameras,
    kernel_messages,
    ran,
    stopped,
    until,
)

UDC = Path("/sys/class/udc")
CONFIGFS = Path("/sys/kernel/config/usb_gadget")
CLASS_SPECIFIC = Path("/sys/module/usb_f_fs/parameters/class_specific")
USBDEVFS_RESET = 0x5514
SMALL = ["--busy", "--roi", "0", "0", "640", "480"]
PATIENT = [*SMALL, "--mode", "async", "--buffers", "40"]
"""Asynchronous, because Aravis' synchronous reads end after the camera's longest response time: on a busy machine what
has come of a frame by then is lost. More buffers than it posts at once (8 MiB), for without one it spins."""
SETTINGS = [*CHEAP, *json.loads(os.environ.get("SETTINGS", "[]"))]
Found = Any


ASKED_BYTES = 254
"""What impatient.py asks for, and nobody else."""
LATE = [
    sys.executable,
    "-c",
    f"""
import time
from gadget.cli.main import main
from gadget.gadgetfs.transport import GadgetFs
answered = GadgetFs._setup
def late(self, raw):
    time.sleep(0.5 * (raw[6] == {ASKED_BYTES}))
    answered(self, raw)
GadgetFs._setup = late
main()
""",
]
"""u3v that lets impatient.py wait for half a second, after it has heard of its question."""


@contextmanager
def gadget(
    *options: str, models: tuple[str, ...] = (MODEL,), u3v: Sequence[str] = U3V
) -> Iterator["subprocess.Popen[str]"]:
    """`u3v gadget`, from when the host has configured its cameras on."""
    before = serials()
    with guest.started([*u3v, "gadget", *models, *SETTINGS, *options]) as program:
        until("a camera", lambda: len(serials() - before) == len(models) or program.poll() is not None)
        if program.poll() is not None:
            raise RuntimeError(f"u3v gadget ended: {program.stderr.read()}")
        ours = serials() - before
        yield program
    until("no camera", lambda: not ours & serials())


def serials() -> set[str]:
    return {camera["serial"] for camera in cameras()}


def left() -> list[str]:
    """What is there of gadgets: directories, mounts, users of controllers."""
    found = [path.name for path in CONFIGFS.glob("*")]
    found += [
        line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if "/u3v-gadget/" in line
    ]
    return found + [path.parent.name for path in UDC.glob("*/function") if path.read_text().strip()]


def messages_since(count: int) -> list[str]:
    return kernel_messages()[count:]


def grabbed(count: int = 10) -> Found:
    return ran(aravis(*PATIENT, "--count", str(count)))


def node() -> Path:
    (camera,) = cameras()
    return Path(f"/dev/bus/usb/{int(camera['busnum']):03}/{int(camera['devnum']):03}")


@contextmanager
def streaming() -> Iterator["subprocess.Popen[str]"]:
    """An Aravis program in the middle of its stream, which is killed in the end."""
    argv = aravis("--follow", "5", *SMALL)
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        program.stdout.readline()
        try:
            yield program
        finally:
            program.kill()


def rebound() -> Found:
    """The gadget is unbound from its controller in the middle of a stream, and bound again."""
    (controller,) = [path.parent for path in UDC.glob("*/function") if path.read_text().strip()]
    udc = CONFIGFS / f"u3v.{controller.name}" / "UDC"
    with streaming():
        udc.write_text("\n")
        until("no camera", lambda: not cameras())
    udc.write_text(controller.name)
    until("a camera", cameras)
    return grabbed()


def body(times: int) -> Found:
    """The test body of any transport: sizes and formats, starts and stops, clients that are killed."""
    cases = os.environ["CASES"]
    few = [*SMALL, "--count", "2"]
    many = str(10 * times)  # as many as come between the last frame that is waited for and the stop
    modes = '[{"mode": "sync"}, {"mode": "async"}]'
    return {
        "cameras": cameras(),
        "lsusb": ran(["lsusb", "-v", "-d", "2676:"]),
        "listed": ran(["arv-tool-0.8"]),
        "sync": ran(aravis("--mode", "sync", "--busy", "--cases", cases)),
        "async": ran(aravis("--mode", "async", "--busy", "--cases", cases)),
        "streams": ran(aravis(*few, "--buffers", "40", "--cases", modes, "--runs", str(times // 10))),
        "restarts": ran(aravis(*few, "--buffers", many, "--mode", "async", "--restarts", str(times))),
        "killed": ran(
            ["/usr/bin/python3", str(CLIENTS_DIR / "kill_and_reopen.py"), "1", *PATIENT, "--count", "10"]
        ),
    }


def reset() -> None:
    """The host resets the camera's port."""
    with node().open("rb+") as device:
        fcntl.ioctl(device, USBDEVFS_RESET)
    until("a camera", cameras)


def troubles(backend: str, program: "subprocess.Popen[str]") -> Found:
    """What hosts and people do to a camera that serves; after each of it a client grabs."""
    seen: dict[str, Any] = {}
    with streaming():
        reset()
    seen["after a reset"] = grabbed()
    seen["halt cleared"] = ran([sys.executable, str(CLIENTS_DIR / "clear_halt.py")])
    seen["after a clear-halt"] = grabbed()
    if backend == "functionfs":
        seen["after a rebind"] = rebound()
    seen["device reset"] = ran(["/usr/bin/python3", str(CLIENTS_DIR / "reset_client.py")])
    seen["after a device reset"] = grabbed()
    with streaming():
        program.kill()
        until("no camera", lambda: not cameras())
    return seen | {"killed by us": program.wait(PATIENCE_S)}


def served(backend: str, times: int, how: signal.Signals) -> Found:
    before = len(kernel_messages())
    with gadget("--backend", backend) as program:
        found = body(times) | troubles(backend, program)
    with gadget("--backend", backend, u3v=LATE) as program:
        found["after kill -9"] = grabbed()
        found["given up"] = ran([sys.executable, str(CLIENTS_DIR / "impatient.py"), str(ASKED_BYTES)])
        reset()
        found |= {"after late answers": grabbed(), "ended": stopped(program, how)}
    return found | {"kernel": messages_since(before), "left": left()}


def functionfs(times: int) -> Found:
    return served("functionfs", times, signal.SIGTERM)


def gadgetfs(times: int) -> Found:
    return served("gadgetfs", times, signal.SIGINT)


def two(_times: int) -> Found:
    """Two processes, each with a camera on a controller of its own."""
    with gadget("--serial", "7001") as first, gadget("--serial", "7002") as second:
        client = ["/usr/bin/python3", str(CLIENTS_DIR / "two_cameras.py"), "20"]
        found = {
            "grabbed": ran([*client, *PATIENT]),
            "third": ran([*U3V, "gadget", MODEL, "--udc", "dummy_udc.1"]),
        }
        return found | {"ended": [stopped(program, signal.SIGTERM) for program in (first, second)]}


def stock(_times: int) -> Found:
    """FunctionFS as it comes, which refuses the descriptor 0x24."""
    CLASS_SPECIFIC.write_text("0")
    try:
        found: dict[str, Any] = {"check": ran([*U3V, "gadget", "--check"])}
        with gadget() as program:
            found["auto"] = {"cameras": cameras(), "ended": stopped(program, signal.SIGTERM)}
        with gadget("--backend", "functionfs") as program:
            lsusb = ran(["lsusb", "-v", "-d", "2676:"])
            found["asked for"] = {
                "cameras": cameras(),
                "lsusb": lsusb,
                "ended": stopped(program, signal.SIGTERM),
            }
        return found
    finally:
        CLASS_SPECIFIC.write_text("1")


def pylon(_times: int) -> Found:
    """By hand."""
    found = {}
    for backend in ("functionfs", "gadgetfs"):
        with gadget("--backend", backend) as program:
            found[backend] = ran([sys.executable, str(CLIENTS_DIR / "pylon_client.py"), "--count", "100"])
            found[f"{backend} ended"] = stopped(program, signal.SIGTERM)
    return found


def smoke(backend: str, times: int) -> Found:
    """The least, for slow machines: by hand in `scripts/vm`."""
    before = len(kernel_messages())
    with gadget("--backend", backend) as program:
        found = {"cameras": cameras(), "listed": ran(["arv-tool-0.8"]), "grabbed": grabbed(5)}
        found["restarts"] = ran(aravis("--count", "2", *SMALL, "--buffers", "40", "--restarts", str(times)))
        if backend == "functionfs":
            found["after a rebind"] = rebound()
        found["ended"] = stopped(program, signal.SIGTERM)
    return found | {"kernel": messages_since(before), "left": left()}


def smoke_functionfs(times: int) -> Found:
    return smoke("functionfs", times)


def smoke_gadgetfs(times: int) -> Found:
    return smoke("gadgetfs", times)


SCENARIOS = (
    functionfs,
    gadgetfs,
    two,
    stock,
    pylon,
    smoke_functionfs,
    smoke_gadgetfs,
)

if __name__ == "__main__":
    guest.SCENARIOS.update({scenario.__name__: scenario for scenario in SCENARIOS})
    sys.exit(guest.main())
