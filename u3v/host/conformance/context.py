"""What a check has at hand: the requests of `Control`, and facts about the camera that most checks need.

State: facts that were read once (each kept with its evidence and its value, or the reason why it could not be had)
and what `at_start` functions kept. A fact that cannot be had skips the checks that need it: the checks that read the
same bytes themselves are the ones that fail. Always true: `close` and `settle` leave the camera configured, its stream
and events off and its endpoints clear, as far as it lets them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from functools import partial
from typing import Any, Protocol, TypeVar

from u3v.errors import GenCPError, U3VError
from u3v.host.bus import UsbError, UsbGone
from u3v.host.conformance import layout
from u3v.host.conformance.control import Control
from u3v.host.conformance.declare import NEEDS, Check, Failed, Skipped
from u3v.host.conformance.endpoint0 import CONFIGURATION, DEVICE, STRING, Evidence
from u3v.host.conformance.feature_port import FeaturePort
from u3v.host.conformance.journal import Exchange
from u3v.host.conformance.layout import CONTROL, EVENT, STREAM, Layout
from u3v.host.conformance.packets import writemem
from u3v.host.conformance.route import Route
from u3v.host.conformance.xml_file import XmlFile, find_xml
from u3v.host.nodes import DeviceNodes, FeatureError

T = TypeVar("T")


class Guard(Protocol):
    """What a check must leave as it was; see `left_behind`."""

    def is_touched(self, exchanges: list[Exchange]) -> bool: ...

    def put_back(self) -> list[str]: ...


ABRM_CAPABILITY, ABRM_MDRT, ABRM_MANIFEST, ABRM_SBRM = 0x1C4, 0x1CC, 0x1D0, 0x1D8
"""GenCP 1.3 clause 5.4."""
SBRM_CAPABILITY, SBRM_MAX_COMMAND, SBRM_MAX_ACK = 0x04, 0x14, 0x18
SBRM_SIRM, SBRM_EIRM = 0x20, 0x2C
SI_INFO, SI_CONTROL, SI_REQUIRED_PAYLOAD = 0x00, 0x04, 0x08
SI_MAX_LEADER, SI_TRANSFER_SIZE, SI_TRANSFER_COUNT = 0x18, 0x1C, 0x20
EI_CONTROL = 0x00
"""USB3 Vision 1.0, SBRM, SIRM and EIRM."""

FRAME_PATIENCE_MS, IMPATIENT_MS = 15_000, 2_000
"""How long a frame that is due may take: for the first one some cameras have to get ready. No limit of a check."""
FACT_LINES = 2
"""Lines of evidence that are kept with a fact, for the checks that only look at it."""
LONGEST_RESPONSE_MS = 3000
"""A camera that says more is waited for no longer: 600 ms is the most that is sold."""
LONGEST_PACKET = 12 + 0xFFFF
"""A header and as much as its length field can say: buffers are no longer, whatever a camera says."""


class Level(Enum):
    """How much is done. STRICT does what DEFAULT does and lets `should` failures count."""

    QUICK = "quick"
    DEFAULT = "default"
    LONG = "long"
    STRICT = "strict"


class Context(Control):
    """One run's view of one camera."""

    def __init__(self, route: Route, level: Level = Level.DEFAULT) -> None:
        super().__init__(route)
        self.level = level
        self.kept: dict[str, Any] = {}
        self.guard: Guard | None = None
        self.frame_patience_ms = FRAME_PATIENCE_MS
        self._facts: dict[str, Any] = {}
        self._seen: dict[str, list[Evidence]] = {}

    def open(self) -> None:
        """Find the camera's channels, configure it, and learn its limits. Raises UsbGone, nothing else."""
        for step in (self._find_channels, self._be_configured, self._learn_limits):
            with suppress(Failed, Skipped):
                step()

    def _find_channels(self) -> None:
        out, back = self.layout.pipe(CONTROL, inward=False), self.layout.pipe(CONTROL)
        self.control_out, self.control_in = (out.address, back.address) if out and back else (0, 0)
        self.first_device = self.device

    def _be_configured(self) -> None:
        now = self.request(0x80, 8, 0, 0, 1)
        if now.data != bytes([self.layout.value]):
            self.configure(self.layout.value)

    def _learn_limits(self) -> None:
        self.first_word = self.read_whole(0, 4)
        self.response_ms = min(self.number(ABRM_MDRT), LONGEST_RESPONSE_MS) or self.response_ms
        self.max_ack_bytes = max(self.max_ack, 64)

    def lose_patience(self) -> None:
        """A frame that was due did not come: the next ones are not waited for as long, or a run would not end."""
        self.frame_patience_ms = IMPATIENT_MS

    # what the checks may ask

    def count(self, few: int, many: int) -> int:
        """A number of repetitions: `many` as the catalogue has it at level long, else `few`."""
        return many if self.level is Level.LONG else few

    def pause(self, few_ms: int, many_ms: int) -> int:
        """A time to do nothing in, ms: `many_ms` at level long, and on a simulated clock, where it costs nothing."""
        return many_ms if self.route.is_simulated else self.count(few_ms, many_ms)

    def lacking(self, check: Check) -> str:
        """Why this camera on this route cannot have a check; "" if it can."""
        for need in sorted(check.needs):
            if not self._has(need):
                return f"needs {NEEDS[need]}"
        return ""

    def _has(self, need: str) -> bool:
        try:
            if need in ("SS", "HS"):
                return self.speed == need
            if need == "str":
                return self.layout.pipe(STREAM) is not None
            if need == "evt":
                return self.layout.pipe(EVENT) is not None
            if need == "trg":
                return b'"TriggerSoftware"' in self.xml.text
            if need == "pend":
                return bool(self.pending_register)
            if need == "long":
                return self.level is Level.LONG
        except (Failed, Skipped):
            return False
        return need in self.route.abilities

    def fact(self, name: str, read: Callable[[], T]) -> T:
        """Something read once for the whole run. Raises Skipped where it cannot be had."""
        if name not in self._facts:
            try:
                self._facts[name] = read()
            except (Failed, Skipped) as error:
                self._facts[name] = Skipped(f"needs {name}, which could not be had: {error}")
            self._seen[name] = list(self.page.evidence)[-FACT_LINES:]
        elif not self.page.evidence:
            self.page.evidence.extend(self._seen[name])
        value = self._facts[name]
        if isinstance(value, Skipped):
            raise value
        known: T = value
        return known

    # descriptors

    @property
    def device(self) -> bytes:
        """The device descriptor."""
        return self.fact("the device descriptor", lambda: self.got(self.descriptor(DEVICE, 0, 18), 18))

    @property
    def layout(self) -> Layout:
        """The configuration, taken apart."""
        return self.fact("the configuration descriptor", lambda: layout.parse(self.read_configuration()))

    def read_configuration(self) -> bytes:
        """The whole configuration descriptor, read anew. Raises Failed."""
        head = self.got(self.descriptor(CONFIGURATION, 0, 9))
        if len(head) < 4:
            raise Failed(f"the configuration descriptor has {len(head)} bytes")
        return self.got(self.descriptor(CONFIGURATION, 0, int.from_bytes(head[2:4], "little")))

    @property
    def speed(self) -> str:
        """SS or HS: what the host controller says, else what the descriptors tell."""
        if self.route.speed:
            return self.route.speed
        return "SS" if int.from_bytes(self.device[2:4], "little") >= 0x0300 else "HS"

    @property
    def packet_bytes(self) -> int:
        """wMaxPacketSize that bulk endpoints have at this speed."""
        return 1024 if self.speed == "SS" else 512

    def string(self, index: int) -> str:
        """A string descriptor in U.S. English. Raises Failed."""
        raw = self.got(self.descriptor(STRING, index, 255, 0x0409))
        if len(raw) < 2 or raw[1] != STRING or raw[0] != len(raw):
            raise Failed(f"string {index}: bytes {raw.hex(' ')}")
        return raw[2:].decode("utf-16-le", "replace")

    def endpoint(self, protocol: int) -> int:
        """The address of the event or stream endpoint. Raises Skipped."""
        pipe = self.layout.pipe(protocol)
        if pipe is None:
            raise Skipped("there is no such interface")
        return pipe.address

    @property
    def stream_in(self) -> int:
        return self.endpoint(STREAM)

    @property
    def event_in(self) -> int:
        return self.endpoint(EVENT)

    # bootstrap registers that lead on

    def known_number(self, name: str, address: Callable[[], int], size: int) -> int:
        return self.fact(name, lambda: self.number(address(), size))

    @property
    def capability(self) -> int:
        """ABRM Device_Capability."""
        return self.known_number("Device_Capability", lambda: ABRM_CAPABILITY, 8)

    @property
    def sbrm(self) -> int:
        return self.known_number("the SBRM's address", lambda: ABRM_SBRM, 8)

    @property
    def u3vcp(self) -> int:
        """SBRM U3VCP_Capability."""
        return self.known_number("U3VCP_Capability", lambda: self.sbrm + SBRM_CAPABILITY, 8)

    @property
    def max_command(self) -> int:
        name = "Maximum_Command_Transfer_Length"
        return min(self.known_number(name, lambda: self.sbrm + SBRM_MAX_COMMAND, 4), LONGEST_PACKET)

    @property
    def max_ack(self) -> int:
        name = "Maximum_Acknowledge_Transfer_Length"
        return min(self.known_number(name, lambda: self.sbrm + SBRM_MAX_ACK, 4), LONGEST_PACKET)

    @property
    def sirm(self) -> int:
        address = self.known_number("the SIRM's address", lambda: self.sbrm + SBRM_SIRM, 8)
        if not address:
            raise Skipped("there is no SIRM")
        return address

    @property
    def eirm(self) -> int:
        address = self.known_number("the EIRM's address", lambda: self.sbrm + SBRM_EIRM, 8)
        if not address:
            raise Skipped("there is no EIRM")
        return address

    @property
    def xml(self) -> XmlFile:
        """The device description that hosts use: entry 0 of the manifest, as stored and unpacked."""
        return self.fact("the XML file", lambda: find_xml(self))

    @property
    def nodes(self) -> DeviceNodes:
        """GenApi's reference node map over this control channel (needs `gapi`)."""
        return self.fact("the GenApi node map", lambda: self._load(self.xml))

    def _load(self, xml: XmlFile) -> DeviceNodes:
        try:
            return DeviceNodes(FeaturePort(self, xml))
        except (Failed, Skipped, UsbError):
            raise
        except U3VError as error:
            raise Failed(str(error)) from error

    @property
    def pending_register(self) -> tuple[int, int]:
        """(address, bytes) of the register behind SFNC's TestPendingAck: a write of n is answered n ms later."""
        return self.fact("TestPendingAck", self._find_pending)

    def _find_pending(self) -> tuple[int, int]:
        try:
            self.nodes.set("TestPendingAck", 0)
        except (FeatureError, GenCPError) as error:
            raise Failed(str(error)) from None
        written = self.journal.exchanges[-1].packet
        return int.from_bytes(written[12:20], "little"), len(written) - 20

    def slow_command(self, request_id: int, duration_ms: int) -> bytes:
        """A command that takes that long."""
        address, size = self.pending_register
        return writemem(request_id, address, duration_ms.to_bytes(size, "little"))

    # the plug

    def replug(self, speed: str = "") -> None:
        """Pull the plug and put it back (at another speed, where one is given), and configure. Raises Failed."""
        self.route.replug(speed)
        self._be_configured()

    @contextmanager
    def attached_at(self, speed: str) -> Iterator[None]:
        """Plugged in at another speed inside, and back as it was at the end."""
        here = self.speed
        try:
            self.replug(speed)
        except Skipped:
            raise  # the plug was not touched
        except U3VError:
            self.replug(here)
            raise
        try:
            yield
        finally:
            self.replug(here)

    # tidying up

    @contextmanager
    def unconfigured(self) -> Iterator[None]:
        """Configuration 0 inside, the camera's own configuration again at the end. Raises Failed."""
        self.got(self.configure(0))
        try:
            yield
        finally:
            self.got(self.configure(self.layout.value))

    def settle(self, *, quick: bool = False) -> None:
        """After a check that did not pass: bring the camera back to where checks start. Raises UsbGone alone.

        `quick`: nothing went wrong, so an acknowledge that is late is not waited for.
        """
        steps: list[Callable[[], object]] = [self._be_configured]
        with suppress(Failed, Skipped):
            steps += [partial(self._clear, endpoint.address) for endpoint in self.layout.bulk]
        steps += [
            self.catch_up if quick else lambda: self.drain(min(self.silence_ms, 300)),
            lambda: self.wr_number(self.sirm + SI_CONTROL, 0),
            lambda: self.wr_number(self.eirm + EI_CONTROL, 0),
        ]
        for step in steps:
            try:
                step()
            except UsbGone:
                raise
            except U3VError:
                continue

    def _clear(self, endpoint: int) -> None:
        if self.status_of(endpoint):
            self.clear_halt(endpoint)
