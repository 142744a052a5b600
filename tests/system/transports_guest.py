"""What a person does to a camera that runs, on one transport after the other. Runs as root in scripts/uml.

`transports_guest.py 0 NAME...` plays the transports and writes what each showed to NAME.json in $U3V_RIG_OUT.
`transports_guest.py --inside SOCKET` does it where the camera is there already (`u3v run`). It judges nothing:
test_transports.py does.
"""

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from gadget.control.client import RemoteCamera
from tests.system import guest
from tests.system.gadget_guest import gadget
from tests.system.guest import CLIENTS_DIR, MODEL, OUT, U3V, aravis, ran, started, stopped, until

SOCKET = Path("/dev/shm/camera.sock")
FAULT = "lost-trailer:frame=3"
WEAK_CABLE_OHM = 4.0


def grabbed() -> Any:
    """Frames that end in a short packet: of others a gadget has the trailer in one piece with the end of the pixels."""
    return ran(aravis("--count", "10", "--roi", "0", "0", "644", "480"))


def is_there() -> bool:
    """In the eyes of libusb, wherever this runs."""
    return bool(ran(["lsusb", "-d", "2676:"])["status"] == 0)


def steps(attach: Callable[[], object] = lambda: None) -> Any:
    """Frames with a fault, events, a feature by `u3v ctl`, a brown-out, the cable pulled and plugged in. `attach`:
    what a host has to do for a camera that is back."""
    until("a camera", is_there)
    found = {
        "grabbed": grabbed(),
        "events": ran([sys.executable, str(CLIENTS_DIR / "event_client.py")]),
        "link": ran([*U3V, "ctl", "-c", str(SOCKET), "get", "DeviceLinkSpeed"]),
    }

    def leaves_and_returns(camera: RemoteCamera) -> str:
        until("no camera", lambda: not is_there())
        state = str(camera.state()["state"])
        camera.supply(cable_ohm=0.0)
        camera.replug()
        attach()
        until("a camera", is_there)
        return state

    with RemoteCamera(SOCKET) as camera:
        found["faults"] = [dict(fault) for fault in camera.faults.list()]
        camera.faults.clear()
        camera.supply(cable_ohm=WEAK_CABLE_OHM)
        found["weak"] = leaves_and_returns(camera)
        camera.unplug()
        found["unplugged"] = leaves_and_returns(camera)
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


if __name__ == "__main__":
    if sys.argv[1:] == ["--inside"]:
        print(json.dumps(steps()))
        sys.exit(0)
    guest.SCENARIOS.update({each.__name__: each for each in (usbip, vhci, preload, functionfs, gadgetfs)})
    sys.exit(guest.main())
