"""`u3v gadget`: cameras on this machine's USB device controllers, for as long as the loop runs.

FunctionFS where its kernel takes the descriptor 0x24 of USB3 Vision, else GadgetFS, else a line that says what to do.
One lock for each controller: who has it may remove what is there of a camera that was killed.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from gadget.faults.live import check_possible
from gadget.functionfs.transport import FunctionFs, Refused
from gadget.gadgetfs.transport import GadgetFs
from gadget.runner import BuiltCamera, CameraSpec, LoopBench
from gadget.udc import mounts
from gadget.udc.controllers import SYSFS, Controller, choose
from u3v.errors import Mistake, U3VError
from u3v.wire.usb import Speed

PATCH = "scripts/f_fs builds a usb_f_fs module that takes it"
WITHOUT_INFO = (
    "FunctionFS without the descriptor 0x24: hosts miss the camera's GUID and names; Aravis opens the first USB device "
    f"it finds, other programs may not see a camera; {PATCH}"
)


class Transport(Protocol):
    """`notes`: what a person should know of it."""

    notes: list[str]

    def open(self) -> None: ...

    def drop(self) -> None: ...

    def close(self) -> None: ...


def prepared(specs: list[CameraSpec], udcs: tuple[str, ...], sysfs: Path = SYSFS) -> list[Controller]:
    """A controller for each camera; the specs are told what their ports are like. Raises U3VError or Mistake."""
    if len(udcs) > len(specs):
        raise Mistake(f"--udc is given {len(udcs)} times for {len(specs)} camera{'s' * (len(specs) > 1)}")
    for spec in specs:
        _check(spec)
    mounts.need_root()
    taken: set[str] = set()
    chosen = []
    for index, spec in enumerate(specs):
        controller = choose(udcs[index] if index < len(udcs) else "", taken, sysfs)
        taken.add(controller.name)
        spec.real_bus = True
        if controller.speed is Speed.HIGH:
            spec.speed = Speed.HIGH
        chosen.append(controller)
    return chosen


def _check(spec: CameraSpec) -> None:
    """Raises Mistake for what only a modelled bus can do."""
    if spec.clock != "real":
        raise Mistake(f"--clock {spec.clock}: a real host lives in real time")
    if spec.bus is not None:
        raise Mistake("--bus: the bus of a gadget is the real one")
    for fault in spec.faults:
        check_possible(fault)


@contextlib.contextmanager
def served(bench: LoopBench, found: list[Controller], backend: str) -> Iterator[list[Transport]]:
    """Plug each camera of the bench into its controller; all is gone with the context."""
    with contextlib.ExitStack() as stack:
        transports = []
        for built, controller in zip(bench.cameras, found, strict=True):
            stack.enter_context(locked(controller))
            transports.append(_plug(stack, bench, built, controller, backend))
        yield transports


@contextlib.contextmanager
def locked(controller: Controller) -> Iterator[None]:
    """Raises U3VError where another process has the controller."""
    mounts.RUN.mkdir(parents=True, exist_ok=True)
    lock = os.open(mounts.RUN / f"{controller.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise U3VError(f"another `u3v gadget` serves at {controller.name}") from None
        yield
    finally:
        os.close(lock)


def _plug(
    stack: contextlib.ExitStack, bench: LoopBench, built: BuiltCamera, controller: Controller, backend: str
) -> Transport:
    transport, notes = _opened(bench, built, controller, backend)
    stack.callback(transport.close)
    transport.notes = notes + transport.notes

    def drop(now_ns: int) -> None:
        transport.drop()
        built.device.unplug(now_ns)

    def come_back(now_ns: int) -> None:
        built.device.replug(now_ns)
        transport.open()

    built.port.on_drop, built.port.on_return = drop, come_back
    return transport


def _opened(
    bench: LoopBench, built: BuiltCamera, controller: Controller, backend: str
) -> tuple[Transport, list[str]]:
    """The backend that was asked for, or the best one there is."""
    if backend == "gadgetfs":
        return _open(GadgetFs(bench.loop, built.device, controller)), [AT_HIGH_SPEED]
    try:
        return _open(FunctionFs(bench.loop, built.device, controller, built.spec.speed)), []
    except Refused as refused:
        if backend == "functionfs":
            plain = FunctionFs(bench.loop, built.device, controller, built.spec.speed, with_info=False)
            return _open(plain), [WITHOUT_INFO]
        try:
            return _open(GadgetFs(bench.loop, built.device, controller)), [f"{refused}: {AT_HIGH_SPEED}"]
        except U3VError as error:
            raise U3VError(
                f"{refused}, and {error}; {PATCH}, --backend functionfs does without the descriptor"
            ) from None


AT_HIGH_SPEED = f"served by GadgetFS, at High-Speed; {PATCH}, for SuperSpeed and several cameras"


def _open(transport: FunctionFs | GadgetFs) -> Transport:
    try:
        transport.open()
    except BaseException:
        transport.close()
        raise
    return transport
