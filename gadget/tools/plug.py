"""`u3v plug`: cameras into the kernel's vhci-hcd, for as long as a command runs or until a signal."""

import contextlib
import subprocess

from gadget.local.launch import serve_until_end
from gadget.runner import LoopBench
from gadget.time.loop import Loop
from gadget.time.sigkill_guard import Keeper
from gadget.usb.port import Port
from gadget.usbip.session import ExportedDevice, export
from gadget.usbip.vhci import plug
from u3v.errors import U3VError

ENUMERATION_S = 10


def plugged_in(bench: LoopBench, command: list[str]) -> int:
    """Plug all cameras in, run `command` (or wait for a signal), unplug. Returns the exit status."""
    exported = export(*(c.device for c in bench.cameras))
    with contextlib.ExitStack() as stack:
        for busid, built in zip(exported, bench.cameras, strict=True):
            plugged = stack.enter_context(contextlib.ExitStack())
            port = plugged.enter_context(plug(bench.loop, exported[busid]))
            _connect(built.port, plugged, bench.loop, exported[busid])
            if not command:
                print(f"{built.model.maker} {built.model.name} is plugged into vhci port {port}", flush=True)
        if not command:
            print("Ctrl-C unplugs", flush=True)
            bench.loop.run()
            return 0
        if not _until_configured(bench):
            return 0
        keeper = stack.enter_context(Keeper())
        child = subprocess.Popen(command)
        keeper.client(child.pid)
        return serve_until_end(bench.loop, child)


def _connect(port: Port, plugged: contextlib.ExitStack, loop: Loop, exported: ExportedDevice) -> None:
    """Let the kernel see a camera that drops off the bus and comes back."""

    def drop(now_ns: int) -> None:
        port.device.unplug(now_ns)
        plugged.close()

    def come_back(now_ns: int) -> None:
        port.device.replug(now_ns)
        plugged.enter_context(plug(loop, exported))

    port.on_drop, port.on_return = drop, come_back


def _until_configured(bench: LoopBench) -> bool:
    """Serve until the kernel has enumerated all cameras: configured them, or been refused that for want of
    current. False where we are to end before. Raises U3VError where it does neither.
    """
    ends_ns = bench.loop.now_ns() + ENUMERATION_S * 10**9
    while not all(c.device.configuration or c.device.ep0.refused for c in bench.cameras):
        if bench.loop.stopping:
            return False
        if bench.loop.now_ns() > ends_ns:
            raise U3VError(f"the kernel has not configured the camera within {ENUMERATION_S} s; see dmesg")
        bench.loop.step(0.05)
    return True
