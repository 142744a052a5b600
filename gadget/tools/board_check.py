"""`u3v gadget --check`: what this machine can be as a USB device, line by line, and what a camera on it lacks."""

import os
import platform
from collections.abc import Callable
from pathlib import Path

from gadget.catalogue import find_model
from gadget.functionfs.transport import accepts_device_info
from gadget.tools.gadget_mode import AT_HIGH_SPEED, PATCH
from gadget.udc import mounts
from gadget.udc.controllers import NO_CONTROLLER, SYSFS, Controller, controllers
from u3v.errors import U3VError
from u3v.wire.usb import Speed

MODEL = "acA4096-40um"
"""Whose descriptors are tried; all models have the same."""
BOARD = Path("/proc/device-tree/model")
THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
ENDPOINTS = "3 IN, 1 OUT"


def look(
    sysfs: Path = SYSFS,
    accepts: Callable[[Controller], bool] | None = None,
    board: Path = BOARD,
    throttled: Path = THROTTLED,
) -> list[str]:
    """One line for each thing, "name: what it is". `accepts`: whether a controller's FunctionFS takes 0x24."""
    lines = [f"machine: {_board(board)}", f"kernel: Linux {platform.release()}", *_power(throttled)]
    found = controllers(sysfs)
    if not found:
        return [*lines, f"controller: none: {NO_CONTROLLER}", "backend: none"]
    for each in found:
        speed = {Speed.SUPER: "SuperSpeed", Speed.HIGH: "High-Speed", None: "slower than High-Speed"}[
            each.speed
        ]
        user = f"in use by {each.user}" if each.user else "free"
        lines.append(f"controller: {each.name}, {speed}, {user}, {each.state or 'state unknown'}")
    free = [each for each in found if not each.user and each.speed is not None]
    lines.append(f"endpoints: a camera needs {ENDPOINTS}; whether they are there shows when it is plugged in")
    if not free:
        return [*lines, "backend: none: no controller is free; unbind what uses it"]
    return lines + _backend(free[0], accepts or _accepts)


def _backend(controller: Controller, accepts: Callable[[Controller], bool]) -> list[str]:
    try:
        takes = accepts(controller)
    except U3VError as error:
        return [f"FunctionFS: {error}", *_gadgetfs()]
    if takes:
        at = "SuperSpeed" if controller.speed is Speed.SUPER else "High-Speed"
        return ["FunctionFS: takes the U3V descriptor 0x24", f"backend: functionfs, {at}; nothing is lost"]
    return [f"FunctionFS: refuses the U3V descriptor 0x24; {PATCH}", *_gadgetfs()]


def _gadgetfs() -> list[str]:
    mounts.load("gadgetfs")
    if not mounts.knows("gadgetfs"):
        return ["GadgetFS: not in this kernel (modprobe gadgetfs fails)", "backend: none"]
    return ["GadgetFS: there", f"backend: gadgetfs: {AT_HIGH_SPEED}"]


def _accepts(controller: Controller) -> bool:
    if os.geteuid() != 0:
        raise U3VError("only root can try it: sudo u3v gadget --check")
    model, _ = find_model(MODEL)
    return accepts_device_info(model.identity("40000001"), controller)


def _board(path: Path) -> str:
    try:
        return path.read_text().rstrip("\0\n")
    except OSError:
        return platform.machine()


def _power(path: Path) -> list[str]:
    """A Raspberry Pi says whether its supply is too weak: bit 0 now, bit 16 since it started."""
    try:
        bits = int(path.read_text(), 16)
    except (OSError, ValueError):
        return ["power: this machine does not say whether its supply is good"]
    if bits & 0x1:
        return ["power: under-voltage now: the host's port or the cable is too weak; use a powered hub"]
    if bits & 0x10000:
        return ["power: there was under-voltage since it started; use a better cable or a powered hub"]
    return ["power: no under-voltage since it started"]
