"""The camera under test, as the checks of features, stream and events use it.

State of a `Camera`: its run and, once asked for, its XML and its node map. Always true: `settings` puts
back what it changed, newest first, whatever happened in between.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from functools import cached_property

from u3v.errors import GenCPError, Malformed, U3VError
from u3v.host.bus import HostBus, UsbTimeout
from u3v.host.conformance.context import SI_REQUIRED_PAYLOAD, Context
from u3v.host.conformance.declare import MUST, NEEDS, Phase, Severity, Skipped, check
from u3v.host.conformance.declare import expect as expect
from u3v.host.conformance.declare import fail as fail
from u3v.host.conformance.declare import skip as skip
from u3v.host.conformance.description import Description, to_int
from u3v.host.conformance.feature_port import FeaturePort
from u3v.host.conformance.layout import STREAM
from u3v.host.nodes import DeviceNodes, FeatureError, FeatureInfo, FeatureValue
from u3v.host.registers import (
    CAPABILITY_TIMESTAMP,
    SI_MAX_LEADER,
    SIRM_FIELDS,
    Sirm,
    parse_sirm,
)

MS = 1_000_000
TIMESTAMP, TIMESTAMP_LATCH = 0x1F0, 0x1F8
EI_MAX_LENGTH, EI_TEST = 0x04, 0x08
FIRST_FEATURE = 0x10000
"""Registers below are the bootstrap's own (GenCP 1.3, clause 5.4)."""
ENABLED = b"\x01\0\0\0"
DISABLED = bytes(4)

LEFT_ALONE = re.compile(
    r"DeviceReset|UserSet|FileOperation|FileAccess|Firmware|Update|Factory|Calibration|Password|Persist|Flash"
    r"|DeviceRegisters|DeviceUserID|^Line|UserOutput|Strobe|Light|Illumination|Fan|TEC|Cooler|TemperatureControl"
    r"|Lens|Focus|Iris|Zoom|Laser|Voltage|Shutter|^Ptp|^Action|^Gev|^Test(PendingAck|EventGenerate)|^Virtual"
    r"|^Timestamp(Latch|Reset)|^DefectPixelList|Shading"
)
"""Features that act outside of the camera, or last: read, never written."""
Setting = tuple[tuple[tuple[str, FeatureValue], ...], str, FeatureValue]
"""(selection, feature, value)."""
MAX_SELECTED = 8
"""Values of a selector that are looked at."""
VALUES = ("Integer", "Float", "Enumeration", "Boolean", "String")


class Camera:
    """The features, registers and endpoints of the camera at `run.bus`."""

    def __init__(self, run: Context) -> None:
        self.run = run
        self.now_ns = run.now_ns
        self.wait_ms = run.wait_ms
        self.simulated = run.route.is_simulated

    @property
    def bus(self) -> HostBus:
        return self.run.bus

    # registers

    def read(self, address: int, count: int) -> bytes:
        """Bytes that have to be readable."""
        return self.run.rd(address, count)

    def number(self, address: int, count: int = 4) -> int:
        return int.from_bytes(self.read(address, count), "little")

    def write(self, address: int, data: bytes) -> int:
        """GenCP status of the acknowledge. What the node map had cached is forgotten."""
        status = self.run.write(address, data).status
        if address >= FIRST_FEATURE:
            self.refresh()
        return status

    @property
    def sirm(self) -> Sirm:
        """The stream registers as they are now."""
        raw = b"".join(self.read(self.si + offset, size) for offset, size in SIRM_FIELDS)
        return parse_sirm(self.si, raw)

    @property
    def required_payload(self) -> int:
        """SI_Required_Payload_Size as it is now."""
        return self.number(self.si + SI_REQUIRED_PAYLOAD, 8)

    def plan_registers(self) -> list[bytes]:
        """The six registers of the plan, SI_Maximum_Leader_Size first."""
        return [self.read(self.si + SI_MAX_LEADER + 4 * n, 4) for n in range(6)]

    def put_back_plan(self, kept: list[bytes]) -> None:
        for n, data in enumerate(kept):
            self.write(self.si + SI_MAX_LEADER + 4 * n, data)

    @property
    def si(self) -> int:
        """Address of the stream registers. Skips the check where there are none."""
        _ = self.run.stream_in
        return self.run.sirm

    @property
    def ei(self) -> int:
        """Address of the event registers. Skips the check where there are none."""
        _ = self.run.event_in
        return self.run.eirm

    @property
    def packet(self) -> int:
        """Packet size of the stream endpoint, bytes."""
        pipe = self.run.layout.pipe(STREAM)
        return pipe.max_packet if pipe is not None else self.run.packet_bytes

    @property
    def has_clock(self) -> bool:
        """Whether there is a timestamp register."""
        return bool(self.run.capability & CAPABILITY_TIMESTAMP)

    def latch(self) -> int:
        """The camera's clock, ns."""
        if not self.has_clock:
            skip("the camera has no timestamp register")
        self.run.wr(TIMESTAMP_LATCH, ENABLED)
        return self.number(TIMESTAMP, 8)

    def bytes_on(self, endpoint: int, length: int, timeout_ms: int) -> bytes | None:
        """One IN transfer; None where nothing came in time."""
        buffer = bytearray(length)
        try:
            return bytes(buffer[: self.bus.bulk_in_into(endpoint, buffer, timeout_ms)])
        except UsbTimeout:
            return None

    def come_back(self, patience_ms: int = 15_000) -> None:
        """Wait until the camera answers again. Fails the check where it does not."""
        with self.run.expecting_trouble():
            for _ in range(patience_ms // 100):
                self.wait_ms(100)
                with contextlib.suppress(U3VError):
                    self.run.open()
                    if self.run.read(0, 4).ok:
                        self.refresh()
                        return
        fail(f"the camera does not answer again within {patience_ms} ms")

    def refresh(self) -> None:
        """Forget what the node map had cached."""
        if "nodes" in self.__dict__:
            self.nodes.refresh()

    def reconfigure(self) -> None:
        """SET_CONFIGURATION 0, and back."""
        with self.run.unconfigured():
            pass

    # description and features

    @cached_property
    def description(self) -> Description:
        """The camera's XML. Skips the check where it is none (XML-001 fails)."""
        try:
            return Description(self.run.xml.text)
        except Malformed as error:
            skip(str(error))

    @cached_property
    def nodes(self) -> DeviceNodes:
        """Features by name. Skips the check where the reference GenApi is missing or refuses the XML."""
        if "gapi" not in self.run.route.abilities:
            skip(f"needs {NEEDS['gapi']}")
        try:
            return self.load_nodes()
        except Malformed as error:
            skip(f"features cannot be used by name: {error}")

    def load_nodes(self) -> DeviceNodes:
        """Raises Malformed where the reference GenApi refuses the XML."""
        return DeviceNodes(FeaturePort(self.run, self.run.xml))

    def can_use_nodes(self) -> bool:
        """Whether there is a reference GenApi that takes the XML."""
        try:
            return bool(self.nodes)
        except Skipped:
            return False

    def has(self, *names: str) -> bool:
        return all(self.nodes.has(name) for name in names)

    def info(self, name: str) -> FeatureInfo:
        return self.nodes.info(name)

    def get(self, name: str) -> FeatureValue:
        return self.nodes.get(name)

    def get_int(self, name: str) -> int:
        return int(self.nodes.get(name))

    def get_float(self, name: str) -> float:
        return float(self.nodes.get(name))

    def set(self, name: str, value: FeatureValue) -> None:
        """Fails the check where the camera refuses what its description allows."""
        try:
            self.nodes.set(name, value)
        except (GenCPError, FeatureError) as error:
            fail(f"{name} = {value} is refused: {error}")

    def execute(self, name: str) -> None:
        self.set(name, 1)

    def execute_raw(self, name: str) -> int:
        """Write a command's register, also where it is not available now; the status."""
        address, length = self.register(name)
        value = to_int(self.description.text_of(name, "CommandValue") or "1")
        if value is None or not 0 <= value < 1 << 8 * length:
            skip(f"the CommandValue of {name} is no number that its register holds")
        return self.write(address, value.to_bytes(length, "little"))

    def need(self, *names: str) -> None:
        """Skip the check where a feature is missing."""
        for name in names:
            if not self.nodes.has(name):
                skip(f"the camera has no {name}")

    def writable(self, name: str) -> bool:
        return self.nodes.has(name) and self.nodes.info(name).access == "RW"

    def device_register(self, name: str) -> str | None:
        """The register of the device itself, not of a chunk or an event, behind a feature."""
        register = self.description.register_behind(name)
        return register if register in self._of_device else None

    @cached_property
    def _of_device(self) -> frozenset[str]:
        return frozenset(self.description.registers())

    def register(self, name: str) -> tuple[int, int]:
        """Address and length of the register behind a feature. Skips where there is none."""
        node = self.description.register_behind(name)
        if node is None:
            skip(f"{name} has no register of its own")
        place = self.place(node)
        if place is None:
            skip(f"the address of {node} depends on a formula")
        return place

    def place(self, node: str) -> tuple[int, int] | None:
        """Address and length of a register node with the present selectors; None where a formula says it."""
        return self.description.place(node, self._integer)

    def users_of(self, register: str) -> frozenset[str]:
        """The features whose values are in a register."""
        return frozenset(self._users.get(register, ()))

    @cached_property
    def _users(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in self.description.nodes:
            register = self.description.register_behind(name)
            if register is not None and register != name:
                found.setdefault(register, []).append(name)
        return found

    def _integer(self, name: str) -> int | None:
        """The value of a constant, or of what has a register."""
        value = self.description.constant(name)
        if value is not None:
            return value
        register = self.description.register_behind(name)
        place = self.place(register) if register is not None else None
        return None if place is None else self.number(*place)

    # sweeps

    @cached_property
    def selected_by(self) -> dict[str, list[str]]:
        """Selectors, and what each of them selects."""
        found: dict[str, list[str]] = {}
        for name, element in self.description.nodes.items():
            chosen = [to for kind, to in self.description.references(element) if kind == "pSelected"]
            if chosen and self.has(name):
                found[name] = chosen
        return found

    def selector_values(self, selector: str) -> list[str | int]:
        """Up to eight values of a selector."""
        info = self.info(selector)
        if info.kind == "Enumeration":
            return list(info.entries[:MAX_SELECTED])
        low, high, step = int(info.minimum or 0), int(info.maximum or 0), int(info.increment or 1)
        return list(range(low, high + 1, step)[:MAX_SELECTED])

    def sweepable(self) -> list[str]:
        """Features that a check may write: no selectors, nothing that acts outside or lasts."""
        apart = {*self.selected_by, "TLParamsLocked"}
        return [name for name in self.nodes.names() if name not in apart and not LEFT_ALONE.search(name)]

    def each_selection(self, name: str) -> Iterator[tuple[tuple[str, FeatureValue], ...]]:
        """Once for each value of the selector above a feature, set meanwhile; once where there is none."""
        above = [s for s, chosen in self.selected_by.items() if name in chosen and self.writable(s)]
        if not above or LEFT_ALONE.search(above[0]):
            yield ()
            return
        with self.keep(above[0]):
            for value in self.selector_values(above[0]):
                if value == "Image" and above[0] == "ChunkSelector":
                    continue  # some cameras keep it on whatever is written
                self.set(above[0], value)
                yield ((above[0], value),)

    def snapshot(self) -> list[Setting]:
        """All that a check may write, selectors and TLParamsLocked at the end."""
        found = []
        for name in self.sweepable():
            for selection in self.each_selection(name):
                info = self.info(name)
                if info.access == "RW" and info.kind in VALUES:
                    found.append((selection, name, self.get(name)))
        last = [
            n for n in (*self.selected_by, "TLParamsLocked") if self.writable(n) and not LEFT_ALONE.search(n)
        ]
        return found + [((), name, self.get(name)) for name in last]

    @contextlib.contextmanager
    def everything(self) -> Iterator[None]:
        """All that a check may write is put back, in as many rounds as limits that depend on others need."""
        before = self.snapshot()
        try:
            yield
        finally:
            for _ in range(3):
                if not self._put_all_back(before):
                    break

    def _put_all_back(self, before: list[Setting]) -> bool:
        """Set what differs; whether anything did, or could not be told."""
        differed = False
        for selection, name, value in before:
            try:
                for selector, entry in selection:
                    if self.get(selector) != entry:
                        self.nodes.set(selector, entry)
                if self.get(name) != value:
                    differed = True
                    self.nodes.set(name, value)
            except U3VError:
                differed = True
        return differed

    @contextlib.contextmanager
    def settings(self, **values: FeatureValue) -> Iterator[None]:
        """Set features in this order, those that are there; afterwards as before."""
        before: list[tuple[str, FeatureValue]] = []
        try:
            for name, value in values.items():
                if self.writable(name) and self.get(name) != value:
                    before.append((name, self.get(name)))
                    self.set(name, value)
            yield
        finally:
            self.put_back(before)

    def put_back(self, before: list[tuple[str, FeatureValue]]) -> None:
        """Newest first; what is refused is left, and the last check of a run says so."""
        for name, value in reversed(before):
            with contextlib.suppress(U3VError):
                self.nodes.set(name, value)

    def keep(self, *names: str) -> contextlib.AbstractContextManager[None]:
        """Whatever happens to these features, they are put back, the last one named first."""
        return self._keep([(name, self.get(name)) for name in names if self.writable(name)])

    @contextlib.contextmanager
    def _keep(self, before: list[tuple[str, FeatureValue]]) -> Iterator[None]:
        try:
            yield
        finally:
            self.put_back(before)

    @contextlib.contextmanager
    def small(self, width: int = 64, height: int = 32, /, **values: FeatureValue) -> Iterator[None]:
        """A small region at its top left, short exposures, free running: frames that cost little."""
        wanted: dict[str, FeatureValue] = {"OffsetX": 0, "OffsetY": 0}
        for name, least in (("Width", width), ("Height", height)):
            self.need(name)
            wanted[name] = self.on_grid(name, least)
        if self.has("ExposureTime"):
            info = self.info("ExposureTime")
            wanted["ExposureTime"] = max(1000.0, float(info.minimum or 0))
        for name, value in (("AcquisitionMode", "Continuous"), ("TriggerMode", "Off")):
            if self.has(name):
                wanted[name] = value
        with self.settings(**(wanted | values)):
            yield

    def on_grid(self, name: str, at_least: int) -> int:
        """The smallest legal value of an Integer from `at_least` on; its maximum where that is too much."""
        info = self.info(name)
        low, high, step = int(info.minimum or 0), int(info.maximum or 0), int(info.increment or 1)
        value = low + max(0, -(-(at_least - low) // step)) * step
        return min(value, high - (high - low) % step)


def camera_of(run: Context) -> Camera:
    """The run's camera; what it remembers of the XML and the registers is the run's."""
    if "camera" not in run.kept:
        run.kept["camera"] = Camera(run)
    camera: Camera = run.kept["camera"]
    camera.refresh()
    return camera


def camera_check(
    id: str,
    done: str,
    criterion: str,
    clause: str,
    severity: Severity = MUST,
    *,
    needs: str = "",
    trace: str = "-",
    phase: Phase = Phase.RUN,
) -> Callable[[Callable[[Camera], None]], Callable[[Camera], None]]:
    """`declare.check` for a function that takes the `Camera`."""

    def declared(body: Callable[[Camera], None]) -> Callable[[Camera], None]:
        def run_it(run: Context) -> None:
            body(camera_of(run))

        check(id, done, criterion, clause, severity, needs=needs, trace=trace, phase=phase)(run_it)
        return body

    return declared
