"""What a person does to a camera that runs, on one transport after the other. Runs as root in scripts/uml.

`transports_guest.py 0 NAME...` plays the transports and writes what each showed to NAME.json in $U3V_RIG_OUT.
`transports_guest.py --inside` does it where the camera is there already (`u3v run`), `--virtual-machine` where its
control socket is not (scripts/vm, which `transports_guest.py 0 usbredir` starts, outside of any rig). It judges
nothing: test_transports.py does.
"""

import itertools
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from gadget.control.client import RemoteCamera
from tests.system import guest
from tests.system.gadget_guest import gadget
from tests.system.guest import (
    CLIENTS_DIR,
    MODEL,
    OUT,
    PATIENCE_S,
    REPOSITORY,
    U3V,
    aravis,
    cameras,
    ran,
    started,
    stopped,
    until,
)

SOCKET = Path(os.environ.get("SOCKETS", "/dev/shm")) / "camera.sock"
SOCKET_OF_QEMU = SOCKET.with_suffix(".usbredir")
VM = REPOSITORY / "scripts/vm"
FAULT = "lost-trailer:frame=3"
WEAK_CABLE_OHM = 4.0


def grabbed() -> Any:
    """Frames that end in a short packet: of others a gadget has the trailer in one piece with the end of the pixels."""
    return ran(aravis("--reopen", "--count", "10", "--roi", "0", "0", "644", "480"))


def is_there() -> bool:
    """In the eyes of the kernel; where that knows nothing (`u3v run`), of libusb."""
    if "U3V_LOCAL_DIR" in os.environ:
        return bool(ran(["lsusb", "-d", "2676:"])["status"] == 0)
    return bool(cameras())


def told(verb: str) -> Any:
    """What a person at the camera's side does or asks."""
    with RemoteCamera(SOCKET) as camera:
        if verb == "state":
            return camera.state()["state"]
        if verb == "faults":
            return [dict(fault) for fault in camera.faults.list()]
        if verb == "forgive":
            camera.faults.clear()
        elif verb == "weaken":
            camera.supply(cable_ohm=WEAK_CABLE_OHM)
        elif verb == "unplug":
            camera.unplug()
        elif verb == "mend":
            camera.supply(cable_ohm=0.0)
            camera.replug()
        elif verb == "link":
            return ran([*U3V, "ctl", "-c", str(SOCKET), "get", "DeviceLinkSpeed"])
    return None


_numbers = itertools.count()


def have_told(verb: str) -> Any:
    """The same, from where the control socket is not: who reads this puts the answer in the place of its number."""
    print(json.dumps({"tell": verb}), flush=True)
    return {"answer": next(_numbers)}


def steps(attach: Callable[[], object] = lambda: None, tell: Callable[[str], Any] = told) -> Any:
    """Frames with a fault, events, a feature by `u3v ctl`, a brown-out, the cable pulled and plugged in. `attach`:
    what a host has to do for a camera that is back."""
    until("a camera", is_there)
    found = {
        "grabbed": grabbed(),
        "events": ran([sys.executable, str(CLIENTS_DIR / "event_client.py")]),
        "link": tell("link"),
        "faults": tell("faults"),
    }
    tell("forgive")
    for name, cause in (("weak", "weaken"), ("unplugged", "unplug")):
        tell(cause)
        until("no camera", lambda: not is_there())
        found[name] = tell("state")
        tell("mend")
        attach()
        until("a camera", is_there)
    return found | {"grabbed again": grabbed()}


def options(name: str) -> list[str]:
    """Of a camera that can be watched, controlled and spoilt."""
    watched = ["--control", str(SOCKET), "--pcap", str(OUT / f"{name}.pcap"), "--fault", FAULT]
    slow = ["--set", "AcquisitionFrameRateEnable=1", "--set", "AcquisitionFrameRate=20"]  # for busy machines
    return ["--pacing", "--scene", "uniform:photons=20000", *slow, *watched]


def usbip(_times: int) -> Any:
    def attach() -> None:
        until(
            "a camera to attach",
            lambda: ran(["usbip", "attach", "-r", "127.0.0.1", "-b", "1-1"])["status"] == 0,
        )

    with started([*U3V, "serve", MODEL, *options("usbip")]) as program:
        until("the server", SOCKET.exists)
        attach()
        return steps(attach) | {"ended": stopped(program, signal.SIGTERM)}


def vhci(_times: int) -> Any:
    with started([*U3V, "plug", MODEL, *options("vhci")]) as program:
        return steps() | {"ended": stopped(program, signal.SIGTERM)}


def preload(_times: int) -> Any:
    inside = [sys.executable, __file__, "--inside"]
    done = ran([*U3V, "run", MODEL, *options("preload"), "--", *inside])
    return json.loads(done["stdout"].splitlines()[-1]) | {"ended": done}


def functionfs(_times: int) -> Any:
    with gadget("--backend", "functionfs", *options("functionfs")) as program:
        return steps() | {"ended": stopped(program, signal.SIGTERM)}


def gadgetfs(_times: int) -> Any:
    with gadget("--backend", "gadgetfs", *options("gadgetfs")) as program:
        return steps() | {"ended": stopped(program, signal.SIGTERM)}


def usbredir(_times: int) -> Any:
    """The camera here, its host a virtual machine."""
    SOCKET_OF_QEMU.unlink(missing_ok=True)
    serve = [*U3V, "serve", MODEL, "--usbredir", f"unix:{SOCKET_OF_QEMU}", *options("usbredir")]
    inside = [sys.executable, __file__, "--virtual-machine"]
    answers: list[Any] = []

    def answered(found: dict[str, Any]) -> Any:
        return answers[found["answer"]] if set(found) == {"answer"} else found

    with started(serve) as program:
        assert program.stdout is not None
        program.stdout.readline()
        with started(
            [str(VM), "--timeout", str(3 * PATIENCE_S), "--usbredir", str(SOCKET_OF_QEMU), "--", *inside]
        ) as vm:
            assert vm.stdout is not None and vm.stderr is not None
            for line in vm.stdout:
                said = json.loads(line, object_hook=answered)
                if "tell" not in said:
                    return said | {"ended": stopped(program, signal.SIGTERM)}
                answers.append(told(said["tell"]))
            raise RuntimeError(f"scripts/vm: {vm.stderr.read()}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--inside"]:
        print(json.dumps(steps()))
        sys.exit(0)
    if sys.argv[1:] == ["--virtual-machine"]:
        print(json.dumps(steps(tell=have_told)))
        sys.exit(0)
    ways = (usbip, vhci, preload, functionfs, gadgetfs, usbredir)
    guest.SCENARIOS.update({each.__name__: each for each in ways})
    sys.exit(guest.main())
