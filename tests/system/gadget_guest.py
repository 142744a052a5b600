"""Scenarios with a camera on a USB device controller (dummy_hcd). Runs as root in scripts/uml and scripts/vm, like
guest.py.

`gadget_guest.py TIMES NAME...` plays the named scenarios and writes what each found to NAME.json in $U3V_RIG_OUT.
$CASES are the sizes and formats that Aravis grabs. It judges nothing: gadget_checks.py and gadget_troubles_checks.py
do.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
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
SMALL = ["--roi", "0", "0", "640", "480"]
PATIENT = ["--mode", "async", "--buffers", "20"]
SETTINGS = [*CHEAP, *json.loads(os.environ.get("SETTINGS", "[]"))]
Found = Any


@contextmanager
def gadget(*options: str, models: tuple[str, ...] = (MODEL,)) -> Iterator["subprocess.Popen[str]"]:
    """`u3v gadget`, from when the host has configured its cameras on."""
    before = serials()
    with guest.started([*U3V, "gadget", *models, *SETTINGS, *options]) as program:
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
    """Asynchronous, because Aravis' synchronous reads end after the camera's longest response time: on a busy machine
    what has come of a frame by then is lost. Less than 8 MiB of buffers: with more its thread waits for a place to
    post the next one, and can miss that it shall stop (read in Aravis 0.8.26's source)."""
    return ran(aravis("--count", str(count), *SMALL, *PATIENT))


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
    few = aravis("--count", "2", *SMALL)
    many = [
        "--buffers",
        str(10 * times),
    ]  # as many as come between the last frame that is waited for and the stop
    modes = '[{"mode": "sync"}, {"mode": "async"}]'
    return {
        "cameras": cameras(),
        "lsusb": ran(["lsusb", "-v", "-d", "2676:"]),
        "listed": ran(["arv-tool-0.8"]),
        "sync": ran(aravis("--mode", "sync", "--cases", cases), 3 * PATIENCE_S),
        "async": ran(aravis("--mode", "async", "--cases", cases), 3 * PATIENCE_S),
        "streams": ran(
            [*few, "--buffers", "100", "--cases", modes, "--runs", str(times // 5)], 2 * PATIENCE_S
        ),
        "restarts": ran([*few, *many, "--restarts", str(times)], 2 * PATIENCE_S),
        "killed": ran(
            [
                "/usr/bin/python3",
                str(CLIENTS_DIR / "kill_and_reopen.py"),
                "2",
                *SMALL,
                *PATIENT,
                "--count",
                "10",
            ]
        ),
    }


def functionfs(times: int) -> Found:
    before = len(kernel_messages())
    with gadget("--backend", "functionfs") as program:
        found = body(times)
        found["ended"] = stopped(program, signal.SIGTERM)
    return found | {"kernel": messages_since(before), "left": left()}


def gadgetfs(times: int) -> Found:
    before = len(kernel_messages())
    with gadget("--backend", "gadgetfs") as program:
        found = body(times)
        found["ended"] = stopped(program, signal.SIGINT)
    return found | {"kernel": messages_since(before), "left": left()}


def troubles(backend: str) -> Found:
    """What hosts and people do to a camera that serves; after each of it a client grabs."""
    before = len(kernel_messages())
    seen: dict[str, Any] = {}
    with gadget("--backend", backend) as program:
        with streaming():
            with node().open("rb+") as device:
                fcntl.ioctl(device, USBDEVFS_RESET)
            until("a camera", cameras)
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
        seen["killed"] = program.wait(PATIENCE_S)
    with gadget("--backend", backend) as program:
        seen["after kill -9"] = grabbed()
        seen["ended"] = stopped(program, signal.SIGTERM)
    seen["left"] = left()
    seen["kernel"] = messages_since(before)
    return seen


def troubles_functionfs(_times: int) -> Found:
    return troubles("functionfs")


def troubles_gadgetfs(_times: int) -> Found:
    return troubles("gadgetfs")


def two(_times: int) -> Found:
    """Two processes, each with a camera on a controller of its own."""
    with gadget("--serial", "7001") as first, gadget("--serial", "7002") as second:
        client = ["/usr/bin/python3", str(CLIENTS_DIR / "two_cameras.py"), "20"]
        found = {
            "grabbed": ran([*client, *SMALL, "--buffers", "100"]),
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
    troubles_functionfs,
    troubles_gadgetfs,
    two,
    stock,
    smoke_functionfs,
    smoke_gadgetfs,
)

if __name__ == "__main__":
    guest.SCENARIOS.update({scenario.__name__: scenario for scenario in SCENARIOS})
    sys.exit(guest.main())
