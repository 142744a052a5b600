"""A host that sends anything: mutated GenCP packets, setup packets and USB/IP streams, and no order at all.

What must hold after every single case: no exception; every request is answered or can be taken back; an
acknowledge comes exactly where one is due, with a status of the table; what was refused changed nothing; no
queue is longer than its bound. And in the end: nothing has grown, and the camera streams a correct frame.

`--fuzz-cases N` says how many cases; a failure names the case and its bytes. The same N gives the same cases.
"""

import gc
import random
import struct
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gadget.usb.device import UsbDevice
from gadget.usb.in_pipe import EINVAL, EOVERFLOW, EPIPE, OK, Urb
from gadget.usbip.session import Session, export
from tests.u3v.rig import (
    CONTROL_IN,
    CONTROL_OUT,
    EVENT_IN,
    MS,
    PAYLOAD,
    SIRM,
    STREAM_IN,
    Host,
    Painted,
    make_camera,
    picture,
    readmem,
    writemem,
)
from u3v.camera import Camera, Options
from u3v.errors import Status
from u3v.features import Command
from u3v.usb3v.event import QUEUE_LENGTH
from u3v.usb3v.function import UsbFunction

STATUSES = {int(status) for status in Status}
MAX_PARKED = 8
INTERESTING = (0, 1, 2, 3, 4, 7, 8, 11, 12, 13, 63, 64, 1011, 1012, 1013, 1024, 0x7FFF, 0x8000, 0xFFFF)
SETUPS = [
    "80 06 0001 0000 1200", "80 06 0002 0000 ff00", "80 06 000f 0000 1600", "80 06 0103 0904 ff00",
    "80 08 0000 0000 0100", "00 09 0100 0000 0000", "81 0a 0000 0200 0100", "01 0b 0000 0000 0000",
    "80 00 0000 0000 0200", "81 00 0000 0100 0200", "82 00 0000 8300 0200", "02 03 0000 8300 0000",
    "02 01 0000 8300 0000", "02 03 0000 8100 0000", "02 01 0000 8100 0000", "02 01 0000 0100 0000",
    "02 03 0000 8200 0000", "02 01 0000 8200 0000", "00 30 0000 0000 0600", "00 31 0000 0000 0000",
    "00 05 0300 0000 0000", "01 03 0000 0000 0000", "00 03 3000 0000 0000",
]  # fmt: skip


def mutated(rng: random.Random, data: bytes) -> bytes:
    """One to four of: flip a bit, set a byte or word, cut, lengthen, repeat a piece, or all new."""
    raw = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        kind, at = rng.randrange(8), rng.randrange(len(raw) + 1)
        if kind == 0 and at < len(raw):
            raw[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(raw):
            raw[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind == 2 and at + 2 <= len(raw):
            raw[at : at + 2] = rng.choice(INTERESTING).to_bytes(2, "little")
        elif kind == 3 and at + 4 <= len(raw):
            raw[at : at + 4] = rng.choice((*INTERESTING, 2**31, 2**32 - 1)).to_bytes(4, "little")
        elif kind == 4:
            del raw[at:]
        elif kind == 5:
            raw[at:at] = rng.randbytes(rng.choice((1, 2, 4, 8, 30)))
        elif kind == 6:
            raw += raw[at : at + rng.randrange(1, 64)]
        elif rng.random() < 0.1:
            raw = bytearray(rng.randbytes(rng.randrange(64)))
    return bytes(raw[:2048])


def forget(urb: Urb) -> None:
    """The memory behind the data is the camera's again."""
    urb.take_chunks()


PENDING_ACK = b"\x05\x08\x04\x00"
"""Its id and the length of what follows: a refused command 0804 has that id, too."""
RESPONSE_NS = 300 * MS
"""Maximum_Device_Response_Time: until then an acknowledge comes, or a PENDING_ACK."""


class Attacker:
    """One camera on a device, and everything a host can do to it."""

    def __init__(self, seed: int, *, paced: bool, camera: Camera | None = None) -> None:
        self.rng = random.Random(seed)
        self.camera = camera or make_camera(Options(paced=paced))
        self.function = UsbFunction(self.camera)
        self.painted = Painted(self.camera)
        self.device = UsbDevice(self.function, paced=paced, on_complete=forget)
        self.now_ns = 0
        self.parked: list[Urb] = []
        self.commands = _commands(self.camera)
        self.regions = [r for r in self.camera.memory._regions if r.name not in ("manifest", "XML file")]
        self.seen: dict[int, int] = {}
        self.configure()
        self.note()

    def configure(self) -> None:
        self.setup(bytes.fromhex("0009010000000000"))

    def note(self) -> None:
        self.before = [bytes(region.data) for region in self.regions]

    @property
    def is_unchanged(self) -> bool:
        return all(old == region.data for old, region in zip(self.before, self.regions, strict=True))

    def submit(self, urb: Urb) -> int | None:
        """The status; None while it waits."""
        urb.status = 1
        self.device.submit(urb, self.now_ns)
        return None if urb.status == 1 else urb.status

    def wait(self, duration_ns: int) -> None:
        """Let time pass, at most 1000 deadlines of it."""
        end_ns = self.now_ns + duration_ns
        for _ in range(1000):
            at_ns = self.device.next_wakeup_ns()
            if at_ns is None or at_ns > end_ns:
                break
            self.now_ns = max(self.now_ns, at_ns)
            self.device.service(self.now_ns)
        self.now_ns = end_ns
        self.device.service(end_ns)

    # -- the kinds of cases

    def gencp(self, packet: bytes) -> None:
        """A control packet, and the acknowledge that is due or none."""
        self.note()
        status = self.submit(Urb(CONTROL_OUT, len(packet), memoryview(packet)))
        if status == EPIPE:
            assert self.is_unchanged
            return
        assert status == OK
        raw = bytearray()

        def keep(urb: Urb) -> None:
            raw.extend(b"".join(urb.take_chunks()) if urb is ack else b"")

        due = len(packet) >= 12 and packet[:4] == b"U3VC" and bool(packet[5] & 0x40)
        self.device.on_complete = keep
        patience_ns = RESPONSE_NS
        while True:
            raw.clear()
            ack = Urb(CONTROL_IN, 1024)
            status = self.submit(ack)
            if status is None and due:
                self.wait(patience_ns)
                status = None if ack.status == 1 else ack.status
            if raw[6:10] != PENDING_ACK:
                break
            patience_ns = int.from_bytes(raw[14:16], "little") * MS
        self.device.on_complete = forget
        if status == EPIPE:
            return
        if not due:
            assert status is None
            assert self.device.cancel(ack, self.now_ns)
            return
        assert status == OK
        assert raw[:4] == b"U3VC"
        code, ack_id, length, request_id = struct.unpack_from("<HHHH", raw, 4)
        assert code in STATUSES
        assert length == len(raw) - 12 <= 1012
        assert request_id == struct.unpack_from("<H", packet, 10)[0]
        assert packet[5] & 0x80 or ack_id == struct.unpack_from("<H", packet, 6)[0] | 1
        self.seen[code] = self.seen.get(code, 0) + 1
        if code:
            assert length == 0
            assert self.is_unchanged, "a refused command changed something"

    def setup(self, raw: bytes, data: bytes = b"") -> None:
        inward = bool(raw[:1] and raw[0] & 0x80)
        length = int.from_bytes(raw[6:8], "little")
        urb = Urb(
            0x80 if inward else 0, length if inward else len(data), memoryview(b"" if inward else data), raw
        )
        status = self.submit(urb)
        assert status in (OK, EPIPE, EINVAL)
        assert status != EINVAL or len(raw) != 8
        assert urb.actual <= urb.length
        assert self.device.configuration in (0, 1)

    def read(self, endpoint: int, length: int) -> None:
        """A request on an IN endpoint, which may stay parked."""
        urb = Urb(endpoint, length)
        status = self.submit(urb)
        assert status in (None, OK, EPIPE, EOVERFLOW)
        assert urb.actual <= length
        if status is None and endpoint == CONTROL_IN:  # it would get the next acknowledge
            assert self.device.cancel(urb, self.now_ns)
        self.parked = [old for old in (*self.parked, urb) if old.status == 1]
        if len(self.parked) > MAX_PARKED:
            victim = self.parked.pop(self.rng.randrange(len(self.parked)))
            assert self.device.cancel(victim, self.now_ns)

    def stream(self) -> None:
        """What a host does that wants frames; as far as the settings allow, it gets some."""
        self.configure()
        self.gencp(writemem(SIRM + 0x18, struct.pack("<6I", 1024, 65536, 1, 65536, 65536, 1024)))
        self.gencp(writemem(SIRM + 4, b"\1\0\0\0"))
        self.gencp(writemem(self.camera.features.address["AcquisitionStart"], b"\1\0\0\0"))
        for _ in range(self.rng.randrange(12)):
            self.wait(self.rng.choice((0, 10_000, MS)))
            self.read(STREAM_IN, self.rng.choice((1024, 65536, 65536, 300)))
        if self.rng.random() < 0.3:
            self.gencp(writemem(self.camera.features.address["AcquisitionAbort"], b"\1\0\0\0"))

    def check(self) -> None:
        camera = self.camera
        frames = camera.frames
        assert frames.offered == frames.delivered + frames.discarded + frames.in_flight
        assert frames._held_bytes <= frames.memory_bytes
        assert len(self.function.event._queue) <= QUEUE_LENGTH
        assert len(self.function.control._outbox) <= 1
        assert sum(len(pipe._parked) for pipe in self.device._pipes.values()) <= MAX_PARKED + 1

    def case(self) -> bytes:
        """One random case; the bytes that describe it."""
        rng, kind = self.rng, self.rng.random()
        if kind < 0.015:
            self.last = b"stream"
            self.stream()
        elif kind < 0.62:
            packet = rng.choice(self.commands)()
            if rng.random() < 0.6:
                packet = mutated(rng, packet)
            self.last = packet
            self.gencp(packet)
        elif kind < 0.84:
            raw = bytes.fromhex(rng.choice(SETUPS))
            self.last = mutated(rng, raw)[:9] if rng.random() < 0.7 else raw
            self.setup(self.last, rng.randbytes(rng.randrange(8)))
        elif kind < 0.96:
            endpoint = rng.choice(
                (CONTROL_IN, EVENT_IN, STREAM_IN, STREAM_IN, STREAM_IN, rng.randrange(0x80, 0x90))
            )
            if endpoint == 0x80:
                endpoint = STREAM_IN
            length = rng.choice((0, 1, 32, 48, 52, 1024, 1200, 4096, 65536, 1 << 20))
            self.last = bytes((endpoint,)) + length.to_bytes(4, "little")
            self.read(endpoint, length)
        else:
            self.last = b"wait"
            self.wait(rng.choice((0, 1, 100_000, MS, 30 * MS)))
        if rng.random() < 0.02:
            self.configure()
        return self.last


def _commands(camera: Camera) -> list[Callable[[], bytes]]:
    """Makers of valid commands: reads of everything, writes of allowed values, the SI registers."""
    rng = random.Random(1)
    made: list[Callable[[], bytes]] = []

    def fixed(packet: bytes) -> None:
        made.append(lambda: packet)

    for region in camera.memory._regions:
        for register in region._registers:
            if register.size <= 1012:
                fixed(readmem(register.address, register.size, rng.randrange(65536)))
    fixed(readmem(0x100000, 1012))
    for feature in camera.features:
        if feature.access == "RW" and feature.name != "DeviceReset":
            for _, at in camera.features._instances(feature):
                raw = (
                    b"\1\0\0\0"
                    if isinstance(feature, Command)
                    else feature.encode(camera.features.get(feature.name))
                )
                fixed(writemem(at, raw, rng.randrange(65536)))
                fixed(writemem(at, (1).to_bytes(feature.size, "little")))
    start = camera.features.address["AcquisitionStart"]
    for _ in range(30):
        fixed(writemem(start, b"\1\0\0\0"))
        fixed(writemem(SIRM + 4, b"\1\0\0\0"))
        fixed(writemem(0x30000, b"\1\0\0\0"))
        fixed(writemem(0x30008, b"\1\0\0\0"))
        plan = struct.pack(
            "<6I",
            1024,
            rng.choice((0, 400, 1024, 65536)),
            rng.randrange(4),
            rng.choice((0, 176, 1024)),
            0,
            1024,
        )
        fixed(writemem(SIRM + 0x18, plan))
    fixed(writemem(camera.features.address["DeviceReset"], b"\1\0\0\0"))
    return made


def assert_streams(function: UsbFunction) -> None:
    """The next host gets what it asks for: its settings, whole frames, the right pixels, counting ids."""
    host = Host(function=function)
    camera = function.camera
    camera.frames.memory_bytes = 64 << 20
    if camera.features.get("SequencerMode") == "On":  # while it is being configured it cannot be
        host.set("SequencerMode", "Off")
    host.set("TriggerSelector", "FrameBurstStart")
    host.set("TriggerMode", "Off")
    host.set("TriggerSelector", "FrameStart")
    host.set("TriggerMode", "Off")
    for name, value in (
        ("SequencerConfigurationMode", "Off"), ("ExposureAuto", "Off"), ("GainAuto", "Off"),
        ("ExposureMode", "Timed"), ("ChunkModeActive", False),
        ("BinningHorizontal", 1), ("BinningVertical", 1), ("OffsetX", 0), ("OffsetY", 0), ("Width", 40),
        ("Height", 30), ("PixelFormat", "Mono8"), ("AcquisitionMode", "Continuous"), ("ExposureTime", 100.0),
        ("AcquisitionFrameRateEnable", False),
    ):  # fmt: skip
        host.set(name, value)
    host.bus.now_ns = camera.now_ns
    host.start()
    for block_id in range(5):
        frame = host.frame(timeout_ms=60_000)
        first = host.painted.exposures[0].index
        assert (frame.block_id, frame.status, frame.valid) == (block_id, 0, PAYLOAD)
        assert frame.payload == picture(first + block_id, PAYLOAD)


@pytest.fixture
def cases(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--fuzz-cases"))


@pytest.mark.parametrize(("paced", "share"), [(True, 0.45), (False, 0.4)])
def test_fuzzed_requests(cases: int, paced: bool, share: float) -> None:
    attacker = Attacker(20241 + paced, paced=paced)
    count = int(cases * share)
    objects = 0
    for number in range(count):
        began_s = time.monotonic()
        try:
            attacker.case()
            attacker.check()
        except Exception as error:
            pytest.fail(f"case {number}, {attacker.last.hex(' ')}: {error!r}")
        assert time.monotonic() - began_s < 5, f"case {number} took long: {attacker.last.hex(' ')}"
        if number % max(count // 10, 1) == 0:
            attacker.setup(bytes.fromhex("0009000000000000"))
            attacker.configure()
            attacker.parked.clear()
            attacker.painted.exposures.clear()  # type: ignore[attr-defined]
            now = len(gc.get_objects())
            objects = objects or now
            assert now < objects + 20_000, f"after case {number} there are {now} objects, {objects} before"
    if count > 10_000:
        assert {0x0000, 0x8001, 0x8002, 0x8003, 0x8004, 0x8006, 0x800E, 0xA001} <= set(attacker.seen)
    assert_streams(attacker.function)


def _usbip_client(rng: random.Random, camera: Camera) -> bytes:
    """A conversation: an import, then requests and unlinks."""
    out = bytearray(struct.pack(">HHI32s", 0x0111, 0x8003, 0, b"1-1"))
    for seqnum in range(1, rng.randrange(2, 12)):
        kind = rng.randrange(4)
        if kind == 0:
            out += struct.pack(
                ">6I4i8s", 1, seqnum, 0x10002, 1, 0, 0, 255, 0, 0, 0, bytes.fromhex(rng.choice(SETUPS))
            )
        elif kind == 1:
            packet = readmem(rng.choice((0, 0x1D8, 0x20008, 0x200000)), 8)
            out += struct.pack(">6I4i8s", 1, seqnum, 0x10002, 0, 1, 0, len(packet), 0, 0, 0, b"") + packet
        elif kind == 2:
            endpoint, length = rng.choice((1, 2, 3)), rng.choice((64, 1024, 65536))
            out += struct.pack(">6I4i8s", 1, seqnum, 0x10002, 1, endpoint, 0, length, 0, 0, 0, b"")
        else:
            out += struct.pack(
                ">6I4i8s", 2, seqnum, 0x10002, 0, 0, rng.randrange(seqnum + 1), 0, 0, 0, 0, b""
            )
    return bytes(out)


def test_fuzzed_usbip_streams(cases: int) -> None:
    rng = random.Random(20243)
    camera = make_camera()
    function = UsbFunction(camera)
    Painted(camera)
    device = UsbDevice(function, paced=False)
    exports = export(device)
    now_ns = broken = 0
    for number in range(int(cases * 0.15)):
        stream = _usbip_client(rng, camera)
        if rng.random() < 0.9:
            head = 40 if rng.random() < 0.8 else 0  # mostly past the import
            stream = stream[:head] + mutated(rng, stream[head:])
        try:
            session, at, answer = Session(exports), 0, bytearray()
            while at < len(stream):
                size = rng.choice((1, 7, 48, 100, len(stream)))
                now_ns += rng.choice((0, 1000))
                session.receive(stream[at : at + size], now_ns)
                device.service(now_ns)
                at += size
                answer += b"".join(session.take_output())
            broken += bool(session.broken)
            assert len(session._inbox) <= len(stream)
            assert len(session._pending) <= 12
            session.end(now_ns)
            assert exports["1-1"].session is None
            assert device.configuration == 0
            assert not any(pipe._parked for pipe in device._pipes.values())
        except Exception as error:
            pytest.fail(f"case {number}, {stream.hex(' ')}: {error!r}")
    assert broken or cases < 1000
    assert_streams(function)


# -- Hypothesis: fewer cases, but the shortest one that fails -------------------------------------------------

mutations = st.randoms(use_true_random=False)
moves = st.one_of(
    st.tuples(st.just("gencp"), st.binary(max_size=40)),
    st.tuples(st.just("command"), st.integers(0, 10_000)),
    st.tuples(st.just("mutant"), st.integers(0, 10_000)),
    st.tuples(st.just("setup"), st.binary(min_size=8, max_size=8)),
    st.tuples(st.just("known setup"), st.integers(0, len(SETUPS) - 1)),
    st.tuples(
        st.just("read"), st.sampled_from([(e, n) for e in (0x81, 0x82, 0x83) for n in (0, 1, 52, 1024, 5000)])
    ),
    st.tuples(st.just("wait"), st.integers(0, 40 * MS)),
)


@given(st.lists(moves, max_size=30), st.booleans(), mutations)
@settings(max_examples=150, deadline=None)
def test_any_sequence(steps: list[tuple[str, object]], paced: bool, rng: random.Random) -> None:
    attacker = Attacker(0, paced=paced)
    for kind, what in steps:
        if kind == "gencp":
            assert isinstance(what, bytes)
            attacker.gencp(what)
        elif kind in ("command", "mutant"):
            assert isinstance(what, int)
            packet = attacker.commands[what % len(attacker.commands)]()
            attacker.gencp(mutated(rng, packet) if kind == "mutant" else packet)
        elif kind == "setup":
            assert isinstance(what, bytes)
            attacker.setup(what)
        elif kind == "known setup":
            assert isinstance(what, int)
            attacker.setup(bytes.fromhex(SETUPS[what]))
        elif kind == "read":
            assert isinstance(what, tuple)
            attacker.read(*what)
        else:
            assert isinstance(what, int)
            attacker.wait(what)
        attacker.check()
    assert_streams(attacker.function)
