"""`u3v plug`: cameras into the kernel's vhci-hcd, for as long as a command runs or until a signal."""

import contextlib
import subprocess
import threading

from gadget.runner import Bench
from gadget.usbip.session import export
from gadget.usbip.vhci import plug
from u3v.errors import U3VError

ENUMERATION_S = 10


def plugged_in(bench: Bench, command: list[str]) -> int:
    """Plug all cameras in, run `command` (or wait for a signal), unplug. Returns the exit status."""
    exported = export(*(c.device for c in bench.cameras))
    status = 0
    with contextlib.ExitStack() as stack:
        for busid, built in zip(exported, bench.cameras, strict=True):
            port = stack.enter_context(plug(bench.loop, exported[busid]))
            if not command:
                print(f"{built.model.maker} {built.model.name} is plugged into vhci port {port}", flush=True)
        if not command:
            print("Ctrl-C unplugs", flush=True)
            bench.loop.run()
            return 0
        _until_configured(bench)
        child = subprocess.Popen(command)

        def wait() -> None:
            nonlocal status
            status = child.wait()
            bench.loop.call_threadsafe(bench.loop.stop)

        waiter = threading.Thread(target=wait)
        waiter.start()
        try:
            bench.loop.run()
        finally:
            if child.poll() is None:
                child.terminate()
            waiter.join()
    return status if status >= 0 else 128 - status


def _until_configured(bench: Bench) -> None:
    """Serve until the kernel has enumerated all cameras. Raises U3VError where it does not."""
    ends_ns = bench.loop.now_ns() + ENUMERATION_S * 10**9
    while not all(c.device.configuration for c in bench.cameras):
        if bench.loop.now_ns() > ends_ns:
            raise U3VError(f"the kernel has not configured the camera within {ENUMERATION_S} s; see dmesg")
        bench.loop.step(0.05)
