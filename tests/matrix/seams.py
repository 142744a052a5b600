"""More places where a mutant's one change stands: registers, nodes of the XML, methods of the camera, the stream.

`rig` has the wrappers at the wire. Here are changes of a camera that behaves differently inside: a method replaced,
a register that reads or takes something else, a node of the XML rewritten, transfers held back or put in between.
"""

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from gadget.faults.registers import find_register
from gadget.faults.wrappers import FunctionWrapper, PassThrough
from gadget.runner import BuiltCamera
from gadget.usb.in_pipe import Urb
from tests.matrix.gencp import answered, is_write_to
from tests.matrix.rig import Spoil, about, acks, ok, wrap, xml_text_changed
from u3v.function import Function, InTransfer
from u3v.memory import Register
from u3v.usb3v.function import UsbFunction
from u3v.wire import gencp
from u3v.wire.usb import CONTROL_OUT

MS = 1_000_000


def innermost(function: Any) -> UsbFunction:
    """The camera's own USB function, behind all wrappers."""
    while not isinstance(function, UsbFunction):
        function = function.inner
    return function


def usb(built: BuiltCamera) -> UsbFunction:
    return innermost(built.function)


def method(of: Callable[[BuiltCamera], Any], name: str, make: Callable[..., Any]) -> Spoil:
    """A method of a part of the camera replaced: `make(the method, built)` is called from then on."""

    def spoil(built: BuiltCamera) -> None:
        part = of(built)
        setattr(part, name, make(getattr(part, name), built))

    return spoil


def acquisition(name: str, make: Callable[..., Any]) -> Spoil:
    return method(lambda built: built.camera.acquisition, name, make)


# -- registers --------------------------------------------------------------------------------------------------


def places(built: BuiltCamera, name: str) -> tuple[int, int]:
    """Address and size of a register with all its instances, one for each value of its selectors."""
    address, size = find_register(name, built.camera)
    return address, sum(each.size for each in instances(built, name)) or size


def instances(built: BuiltCamera, name: str) -> list[Register]:
    address, _ = find_register(name, built.camera)
    return [each for each in built.camera.memory._region(address, 1)._registers if each.name == name]


def lie(name: str, change: Callable[[bytes, BuiltCamera], bytes]) -> Spoil:
    """Reads of a register, all its instances, see `change(bytes, built)`."""

    def spoil(built: BuiltCamera) -> None:
        address, size = find_register(name, built.camera)
        at = {each.address for each in instances(built, name)} or {address}

        def each(ack: bytes, command: gencp.Command | None, now_ns: int) -> list[bytes]:
            kind, first, count = about(command)
            if kind == gencp.READMEM_CMD and first in at and count == size and ok(ack):
                return [ack[:12] + change(ack[12:], built)]
            return [ack]

        acks(each)(built)

    return spoil


def on_write(name: str, then: Callable[..., int | None]) -> Spoil:
    """`then(value bytes, built)` at each write of a register: None: the camera gets it; 0: it is acknowledged, and
    has no effect; else it is refused with that status."""

    def spoil(built: BuiltCamera) -> None:
        at = [(each.address, each.size) for each in instances(built, name)] or [
            find_register(name, built.camera)
        ]

        def status(command: gencp.Command | None, packet: bytes) -> int | None:
            if command is None or not any(is_write_to(*place)(command) for place in at):
                return None
            return then(bytes(command.scd[8:]), built)

        answered(status)(built)

    return spoil


def feature_ignored(name: str) -> Spoil:
    """Writes are acknowledged, and have no effect."""
    return on_write(name, lambda raw, built: 0)


def integer(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def real(change: Callable[[float], float]) -> Callable[[bytes, BuiltCamera], bytes]:
    return lambda raw, built: struct.pack("<d", change(struct.unpack("<d", raw)[0]))


def taken(name: str) -> Spoil:
    """A register takes whatever is written, whatever the camera's state."""

    def spoil(built: BuiltCamera) -> None:
        for each in instances(built, name):
            each.check = None

    return spoil


# -- the XML ----------------------------------------------------------------------------------------------------


def node(name: str, change: Callable[[str], str]) -> Spoil:
    """The text of one node of the XML, from its tag to the end of it."""

    def changed(text: str) -> str:
        found = re.search(rf'  <(\w+) Name="{name}".*?\n  </\1>\n', text, re.DOTALL)
        if found is None:
            raise ValueError(f"the XML has no node {name}")
        new = change(found[0])
        if new == found[0]:
            raise ValueError(f"nothing to change in {found[0]}")
        return text[: found.start()] + new + text[found.end() :]

    return xml_text_changed(changed)


def line(pattern: str, new: str = "") -> Callable[[str], str]:
    """The lines of a node with this in them are another."""
    return lambda text: re.sub(rf"    [^\n]*{pattern}[^\n]*\n", new, text)


def more_nodes(text: str, feature: str = "") -> Spoil:
    """Nodes added at the end; `feature` is one that is to be found under Root."""
    end, root = "</RegisterDescription>", "    <pFeature>DeviceUserID</pFeature>\n"
    more = f"    <pFeature>{feature}</pFeature>\n" if feature else ""
    return xml_text_changed(lambda old: old.replace(end, text + end).replace(root, root + more))


# -- the wire ---------------------------------------------------------------------------------------------------


class Before(FunctionWrapper):
    """`before(endpoint, now_ns)` may answer an IN endpoint itself: a transfer, or False for a NAK; `wakeup()`: when
    it wants to be asked."""

    def __init__(
        self,
        inner: Function,
        before: Callable[..., InTransfer | bool | None],
        wakeup: Callable[[], int | None],
    ) -> None:
        super().__init__(inner)
        self._before, self._wakeup = before, wakeup

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        mine = self._before(endpoint, now_ns)
        if isinstance(mine, InTransfer):
            return mine
        return self.inner.transfer_in(endpoint, now_ns) if mine is None else None

    def next_wakeup_ns(self) -> int | None:
        instants = (self._wakeup(), self.inner.next_wakeup_ns())
        return min((at for at in instants if at is not None), default=None)


def before(make: Callable[[BuiltCamera], Callable[..., InTransfer | bool | None]]) -> Spoil:
    """`make(built)` gives a function (endpoint, now_ns) that may answer instead of the camera; see `Before`."""

    def spoil(built: BuiltCamera) -> None:
        mine = make(built)
        wrap(built, lambda inner: Before(inner, mine, lambda: None))

    return spoil


class Later(FunctionWrapper):
    """Transfers of an endpoint leave when `instant(transfer, now_ns)` says."""

    def __init__(self, inner: Function, endpoint: int, instant: Callable[[InTransfer, int], int]) -> None:
        super().__init__(inner)
        self._endpoint, self._instant = endpoint, instant

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        transfer = self.inner.transfer_in(endpoint, now_ns)
        if transfer is None or endpoint != self._endpoint:
            return transfer
        return replace(transfer, ready_ns=self._instant(transfer, now_ns))


def later(endpoint: int, instant: Callable[[InTransfer, int], int]) -> Spoil:
    return lambda built: wrap(built, lambda inner: Later(inner, endpoint, instant))


class Heard(FunctionWrapper):
    """`hear(what, number, now_ns)` of configurations and halts: "configure", "halt" or "clear"."""

    def __init__(self, inner: Function, hear: Callable[[str, int, int], None]) -> None:
        super().__init__(inner)
        self._hear = hear

    def configure(self, value: int, now_ns: int) -> None:
        self.inner.configure(value, now_ns)
        self._hear("configure", value, now_ns)

    def set_halt(self, endpoint: int, now_ns: int) -> None:
        self.inner.set_halt(endpoint, now_ns)
        self._hear("halt", endpoint, now_ns)

    def clear_halt(self, endpoint: int, now_ns: int) -> None:
        self.inner.clear_halt(endpoint, now_ns)
        self._hear("clear", endpoint, now_ns)


class Slow(PassThrough):
    """Requests to endpoint 0 that match take so long: the route's clock goes on meanwhile."""

    def __init__(self, built: BuiltCamera, match: tuple[int, int], ms: int) -> None:
        self._bus: Any = built.device.on_complete.__self__  # type: ignore[attr-defined]
        self._match, self._ms = match, ms

    def completed(self, urb: Urb, now_ns: int) -> None:
        if urb.setup[:2] == bytes(self._match):
            self._bus.now_ns += self._ms * MS


def slow_request(kind: int, request: int, ms: int) -> Spoil:
    return lambda built: built.device.wrappers.append(Slow(built, (kind, request), ms))


def writes(make: Callable[[BuiltCamera], Callable[[bytes, int], None]]) -> Spoil:
    """`make(built)` gives a function (command packet, now_ns) that hears of every command before the camera does."""

    def spoil(built: BuiltCamera) -> None:
        hear = make(built)

        class Listener(FunctionWrapper):
            def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None:
                if endpoint == CONTROL_OUT:
                    hear(bytes(data), now_ns)
                self.inner.transfer_out(endpoint, data, now_ns)

        wrap(built, Listener)

    return spoil


def write_of(packet: bytes) -> tuple[int, bytes]:
    """Address and data of a WRITEMEM; (-1, b"") of anything else."""
    if packet[6:8] != b"\x02\x08" or len(packet) < 20:
        return -1, b""
    return struct.unpack_from("<Q", packet, 12)[0], packet[20:]


def numbers() -> Iterator[int]:
    n = 0
    while True:
        yield n
        n += 1
