"""The scenarios of test_usbredir.py: runs as root inside `scripts/vm --usbredir SOCKET`, with this Python.

It writes what each found to NAME.json in $U3V_RIG_OUT, as guest.py does, whose helpers it uses; it judges nothing.
"""

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.system import guest
from tests.system.guest import CLIENTS_DIR, aravis, cameras, kernel_messages, ran, until

SMALL = ["--roi", "0", "0", "640", "480"]
PORT_RESET = """
import usb.core
camera = usb.core.find(idVendor=0x2676)
camera.reset()
print(camera.get_active_configuration().bConfigurationValue)
"""


def enumerated(_times: int) -> Any:
    found = until("a camera", cameras)
    root = Path(f"/sys/bus/usb/devices/usb{found[0]['busnum']}")
    (driver,) = {os.path.basename(os.readlink(path)) for path in [root.resolve().parent / "driver"]}
    return {"cameras": found, "driver": driver}


def lsusb(_times: int) -> Any:
    return ran(["lsusb", "-v", "-d", "2676:"])


def frames(_times: int) -> Any:
    return [ran(aravis("--mode", mode, "--cases", os.environ["CASES"]), 360) for mode in ("sync", "async")]


def streams(times: int) -> Any:
    return ran(aravis(*SMALL, "--count", "2", "--restarts", str(times)), 360)


def killed(_times: int) -> Any:
    client = ["/usr/bin/python3", str(CLIENTS_DIR / "kill_and_reopen.py"), "1"]
    return ran([*client, *SMALL, "--count", "10", "--mode", "async"])


def port_reset(_times: int) -> Any:
    return {"reset": ran([sys.executable, "-c", PORT_RESET]), "grabbed": ran(aravis(*SMALL, "--count", "10"))}


def device_reset(_times: int) -> Any:
    return ran(["/usr/bin/python3", str(CLIENTS_DIR / "reset_client.py")])


def kernel(_times: int) -> Any:
    return kernel_messages()


SCENARIOS = (enumerated, lsusb, frames, streams, killed, port_reset, device_reset, kernel)

if __name__ == "__main__":
    guest.SCENARIOS.update({scenario.__name__: scenario for scenario in SCENARIOS})
    sys.exit(guest.main())
