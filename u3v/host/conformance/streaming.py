"""Taking frames transfer by transfer, exactly as a plan of the SI registers announces them, and judging each.

A `Plan` is what a host writes into the six SI registers; `Shot` is what came for one frame: the bytes of each
transfer. `defects` says what is wrong with a row of shots, by the id of the check whose rule it breaks.
Layouts: leader and trailer of USB3 Vision 1.0, little-endian.
"""

import contextlib
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from u3v.errors import U3VError
from u3v.host.bus import UsbError, UsbOverflow, UsbTimeout, clear_halt
from u3v.host.conformance.camera import DISABLED, ENABLED, Camera, expect, fail
from u3v.host.registers import SI_CONTROL, SI_MAX_LEADER

LEADER, TRAILER = b"U3VL", b"U3VT"
IMAGE, IMAGE_WITH_CHUNKS, CHUNKS, GENDC = 0x0001, 0x4001, 0x4000, 0x1001
LEADER_BYTES, TRAILER_BYTES, CHUNK_TRAILER_BYTES = 52, 32, 36
MOST_PAYLOAD, MOST_QUEUED, MOST_MARK = 1 << 30, 1 << 28, 1 << 20
"""Bytes of a frame, of frames that are asked for ahead, of a leader or trailer, that buffers are made for."""
MANY = 4096
"""Transfers of one frame that are asked for at most: a plan may announce four thousand million."""

_LEADER = struct.Struct("<4sHHQHHQIIIIIHH")
_TRAILER = struct.Struct("<4sHHQHHQI")


@dataclass(frozen=True, slots=True)
class Plan:
    """The SI registers +0x18 to +0x2C; bytes, `count` in transfers."""

    size: int
    count: int
    final1: int = 0
    final2: int = 0
    leader: int = 1024
    trailer: int = 1024

    @property
    def registers(self) -> tuple[int, int, int, int, int, int]:
        return (self.leader, self.size, self.count, self.final1, self.final2, self.trailer)

    def transfers(self) -> Iterator[int]:
        if self.size:
            for _ in range(self.count):
                yield self.size
        yield from (size for size in (self.final1, self.final2) if size)


@dataclass(slots=True)
class Shot:
    """One frame as it came. `at_ns`: the run's clock when the leader was there, and the trailer."""

    plan: Plan
    leader: bytes
    payload: list[bytes] = field(default_factory=list)
    trailer: bytes = b""
    at_ns: tuple[int, int] = (0, 0)
    trouble: str = ""

    @property
    def image(self) -> bytes:
        return b"".join(self.payload)

    @property
    def lengths(self) -> list[int]:
        return [len(part) for part in self.payload]

    @property
    def block_id(self) -> int:
        return int(self.head(8))

    @property
    def timestamp(self) -> int:
        return int(self.head(20))

    def head(self, offset: int, layout: str = "<Q") -> int:
        """A number of the leader; fails the check where the leader is too short for it."""
        if len(self.leader) < offset + struct.calcsize(layout):
            fail(f"a leader of {len(self.leader)} bytes: {self.leader[:64].hex(' ')}")
        return int(struct.unpack_from(layout, self.leader, offset)[0])


def round_up(value: int, step: int) -> int:
    return -(-value // step) * step


def usual_plan(camera: Camera, transfer: int = 1 << 16) -> Plan:
    """Whole packets, the rest rounded up to the alignment. Fails where the sizes are not of this world."""
    sirm = camera.sirm
    marks = max(sirm.required_leader, sirm.required_trailer, sirm.alignment)
    expect(
        sirm.required_payload <= MOST_PAYLOAD and marks <= MOST_MARK,
        f"SI_Required_Payload_Size {sirm.required_payload}, leader {sirm.required_leader}, trailer"
        f" {sirm.required_trailer}, alignment {sirm.alignment}: no host has room for that",
    )
    step = max(sirm.alignment, camera.packet)
    size = max(transfer // step * step, step)
    count, rest = divmod(sirm.required_payload, size)
    return Plan(
        size if count else 0,
        count,
        round_up(rest, sirm.alignment),
        0,
        round_up(max(sirm.required_leader, LEADER_BYTES), step),
        round_up(max(sirm.required_trailer, CHUNK_TRAILER_BYTES), step),
    )


class Stream:
    """An enabled stream. `shot()` takes the next frame; requests for `depth` frames are queued ahead."""

    def __init__(self, camera: Camera, plan: Plan, depth: int) -> None:
        self.camera = camera
        self.plan = plan
        self.depth = max(1, min(depth, MOST_QUEUED // (sum(islice(plan.transfers(), MANY)) or 1)))
        self.acquiring = False
        self._posted: deque[deque[tuple[int, bytearray]]] = deque()

    def program(self) -> int:
        """Write the six registers; the first status that is not 0."""
        statuses = [
            self.camera.write(self.camera.si + SI_MAX_LEADER + 4 * n, struct.pack("<I", value))
            for n, value in enumerate(self.plan.registers)
        ]
        return next((status for status in statuses if status), 0)

    def enable(self) -> int:
        return self.camera.write(self.camera.si + SI_CONTROL, ENABLED)

    def post(self) -> None:
        """Queue the requests of one more frame: exactly the announced transfers."""
        sizes = [self.plan.leader, *islice(self.plan.transfers(), MANY), self.plan.trailer]
        requests: deque[tuple[int, bytearray]] = deque()
        for size in sizes:
            buffer = bytearray(size)
            requests.append((self.camera.bus.submit_in(self.camera.run.stream_in, buffer), buffer))
        self._posted.append(requests)

    def begin(self) -> None:
        """Queue requests, then AcquisitionStart."""
        while len(self._posted) < self.depth:
            self.post()
        self.start_acquisition()

    def start_acquisition(self) -> None:
        self.camera.execute("AcquisitionStart")
        self.acquiring = True

    def stop_acquisition(self, command: str = "AcquisitionStop") -> None:
        self.camera.execute(command)
        self.acquiring = False

    def shot(self, timeout_ms: int = 0) -> Shot | None:
        """The next frame; None where none begins in time (0: the run's patience). Fails where one does not end."""
        awaited, timeout_ms = not timeout_ms, timeout_ms or self.camera.run.frame_patience_ms
        while len(self._posted) < self.depth:
            self.post()
        requests = self._posted[0]
        try:
            leader = self._take(requests, timeout_ms)
        except UsbTimeout:
            if awaited:
                self.camera.run.lose_patience()
            return None
        shot = Shot(self.plan, leader, at_ns=(self.camera.now_ns(), 0))
        try:
            while len(requests) > 1:
                shot.payload.append(self._take(requests, timeout_ms))
            shot.trailer = self._take(requests, timeout_ms)
        except UsbOverflow as error:
            shot.trouble = f"more bytes than announced: {error}"
        except UsbTimeout:
            shot.trouble = f"the frame does not go on after {len(shot.payload)} payload transfers"
            self.camera.run.lose_patience()
        self._posted.popleft()
        if shot.trouble:
            self.drop()
        shot.at_ns = (shot.at_ns[0], self.camera.now_ns())
        return shot

    def shots(self, count: int) -> list[Shot]:
        """That many frames; fails where fewer come."""
        found: list[Shot] = []
        while len(found) < count:
            patience_ms = self.camera.run.frame_patience_ms
            shot = self.shot()
            if shot is None:
                fail(f"{len(found)} of {count} frames came, then nothing for {patience_ms} ms")
            found.append(shot)
            if shot.trouble:
                fail(f"frame {len(found) - 1}: {shot.trouble}")
        return found

    def _take(self, requests: deque[tuple[int, bytearray]], timeout_ms: int) -> bytes:
        handle, buffer = requests[0]
        try:
            length = self.camera.bus.wait_in(handle, timeout_ms)
        except UsbTimeout:
            raise
        except UsbError:
            requests.popleft()
            raise
        requests.popleft()
        return bytes(buffer[:length])

    def silence(self, timeout_ms: int) -> None:
        """Fails where a transfer ends within this time."""
        shot = self.shot(timeout_ms)
        if shot is not None:
            fail(f"{len(shot.leader)} bytes came where nothing was due: {shot.leader[:52].hex(' ')}")

    def to_leader(self, most: int = 64) -> None:
        """With no request queued: read on until a leader has gone by, then the rest of its frame."""
        room = round_up(max(self.plan.leader, 1 << 16), self.camera.packet)
        for _ in range(most):
            data = self.camera.bytes_on(self.camera.run.stream_in, room, self.camera.run.frame_patience_ms)
            if data is None:
                fail("nothing more comes")
            if data[:4] == LEADER:
                for size in (*islice(self.plan.transfers(), MANY), self.plan.trailer):
                    self.camera.bytes_on(self.camera.run.stream_in, size, self.camera.run.frame_patience_ms)
                return
        fail(f"no leader in {most} transfers")

    def drop(self) -> None:
        """Take all requests back, newest first."""
        for handle, _ in reversed([request for frame in self._posted for request in frame]):
            with contextlib.suppress(U3VError):
                self.camera.bus.cancel_in(handle)
        self._posted.clear()

    def close(self) -> None:
        """Stop, take requests back, disable. What fails here has failed before, or is found by the next check."""
        if self.acquiring and self.camera.has("AcquisitionStop"):
            with contextlib.suppress(U3VError):
                self.stop_acquisition()
        self.drop()
        with contextlib.suppress(U3VError):
            self.camera.write(self.camera.si + SI_CONTROL, DISABLED)


@contextlib.contextmanager
def streaming(
    camera: Camera, plan: Plan | None = None, *, depth: int = 2, begin: bool = True
) -> Iterator[Stream]:
    """A stream that runs: off, halt cleared, programmed, enabled and, with `begin`, acquiring. Off afterwards."""
    camera.need("AcquisitionStart", "AcquisitionStop")
    camera.write(camera.si + SI_CONTROL, DISABLED)
    clear_halt(camera.bus, camera.run.stream_in)
    kept = camera.plan_registers()
    stream = Stream(camera, plan or usual_plan(camera), depth)
    try:
        status = stream.program() or stream.enable()
        expect(not status, f"{stream.plan} is refused with status {status:#06x}")
        if begin:
            stream.begin()
        yield stream
    finally:
        stream.close()
        with contextlib.suppress(U3VError):
            camera.put_back_plan(kept)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the leaders have to say: the features at enable. `payload`: SI_Required_Payload_Size, bytes."""

    payload: int
    pixel_format: int | None = None
    region: tuple[int, int, int, int] | None = None
    first_id: int | None = 0
    chunks: bool = False


def expected(camera: Camera) -> Expected:
    """From the features and registers as they are now."""
    names = ("Width", "Height", "OffsetX", "OffsetY")
    width, height, x, y = (camera.get_int(name) if camera.has(name) else 0 for name in names)
    code = None
    if camera.has("PixelFormat"):
        code = camera.description.entries("PixelFormat").get(str(camera.get("PixelFormat")))
    chunks = camera.has("ChunkModeActive") and bool(camera.get("ChunkModeActive"))
    return Expected(camera.sirm.required_payload, code, (width, height, x, y), 0, chunks)


def planned(plan: Plan, payload: int) -> list[int]:
    """Bytes of each payload transfer for a frame of `payload` bytes."""
    sizes, left = [], payload
    for size in islice(plan.transfers(), MANY):
        sizes.append(min(size, left))
        left -= sizes[-1]
    return sizes


Defect = tuple[str, str]


def defects(shots: Sequence[Shot], want: Expected) -> Iterator[Defect]:
    """(id of the check whose rule is broken, what is wrong) over frames in the order they came."""
    last: Shot | None = None
    for number, shot in enumerate(shots):
        for name, text in _of_shot(shot, want, last):
            yield name, f"frame {number}: {text}"
        last = shot if len(shot.leader) >= LEADER_BYTES else last


def _of_shot(shot: Shot, want: Expected, last: Shot | None) -> Iterator[Defect]:
    if shot.trouble:
        yield "STREAM-011", shot.trouble
    if shot.leader[:4] != LEADER:
        where = "STREAM-001" if last is None else "STREAM-018"
        yield where, f"{len(shot.leader)} bytes without the leader's magic: {shot.leader[:52].hex(' ')}"
        if len(shot.leader) < LEADER_BYTES:
            return
    if len(shot.leader) < LEADER_BYTES:
        yield "STREAM-002", f"a leader of {len(shot.leader)} bytes, not {LEADER_BYTES}"
        return
    yield from _of_leader(shot, want, last)
    yield from _of_payload(shot, want)
    yield from _of_trailer(shot, want)


def _of_leader(shot: Shot, want: Expected, last: Shot | None) -> Iterator[Defect]:
    _, pad0, size, block_id, pad1, kind, stamp, code, x, y, left, top, padding, pad2 = _LEADER.unpack_from(
        shot.leader
    )
    if size != len(shot.leader) or len(shot.leader) > shot.plan.leader:
        yield (
            "STREAM-002",
            f"leader size {size}, {len(shot.leader)} bytes came of {shot.plan.leader} announced",
        )
    if pad0 or pad1 or pad2:
        yield "STREAM-003", f"reserved fields of the leader are {pad0:#x}, {pad1:#x}, {pad2:#x}"
    legal = (IMAGE_WITH_CHUNKS, CHUNKS) if want.chunks else (IMAGE,)
    if kind not in legal:
        yield "STREAM-004", f"payload type {kind:#06x}, not {legal[0]:#06x}"
    if want.pixel_format is not None and code != want.pixel_format:
        yield "STREAM-005", f"pixel format {code:#010x}, the feature says {want.pixel_format:#010x}"
    if want.region is not None and (x, y, left, top) != want.region:
        yield "STREAM-005", f"region {(x, y, left, top)}, the features say {want.region}"
    if padding:
        yield "STREAM-006", f"padding of {padding} bytes per line"
    due = want.first_id if last is None else last.block_id + 1
    if due is not None and block_id != due:
        yield "STREAM-007", f"block id {block_id}, {due} was due"
    if last is not None and stamp <= last.timestamp:
        yield "STREAM-008", f"timestamp {stamp} ns after {last.timestamp} ns"


def _of_payload(shot: Shot, want: Expected) -> Iterator[Defect]:
    total = sum(shot.lengths)
    if total != want.payload:
        yield "STREAM-010", f"{total} payload bytes, {want.payload} are required"
    for number, (got, due) in enumerate(zip(shot.lengths, planned(shot.plan, want.payload), strict=False)):
        if got != due and (got == 0 or due == 0):
            yield "STREAM-017", f"transfer {number} has {got} bytes where {due} were due"
        elif got != due:
            yield "STREAM-011", f"transfer {number} has {got} bytes, {due} were due"


def _of_trailer(shot: Shot, want: Expected) -> Iterator[Defect]:
    raw = shot.trailer
    if raw[:4] != TRAILER or len(raw) < TRAILER_BYTES:
        yield "STREAM-012", f"{len(raw)} bytes where the trailer was due: {raw[:52].hex(' ')}"
        return
    _, pad0, size, block_id, status, pad1, valid, size_y = _TRAILER.unpack_from(raw)
    legal = (CHUNK_TRAILER_BYTES,) if want.chunks else (TRAILER_BYTES,)
    if size != len(raw) or size not in legal or size > shot.plan.trailer:
        yield "STREAM-012", f"trailer size {size}, {len(raw)} bytes came, {legal[0]} are due"
    if pad0 or pad1:
        yield "STREAM-003", f"reserved fields of the trailer are {pad0:#x}, {pad1:#x}"
    if block_id != shot.block_id:
        yield "STREAM-013", f"trailer of block {block_id} after the leader of block {shot.block_id}"
    if status:
        yield "STREAM-014", f"trailer status {status:#06x}"
    if valid != sum(shot.lengths):
        yield "STREAM-015", f"valid payload size {valid}, {sum(shot.lengths)} bytes came"
    if size_y != shot.head(36, "<I"):
        yield "STREAM-016", f"trailer says {size_y} lines, the leader {shot.head(36, '<I')}"


WHOLE = {f"STREAM-{n:03}" for n in (1, 2, 4, 5, 10, 11, 12, 13, 14, 15, 16, 17, 18)}
"""Rules of one frame: what makes it whole. Lines may be padded where the payload accounts for it (STREAM-006)."""


def expect_whole(shots: Sequence[Shot], want: Expected, what: str = "") -> None:
    """Every frame is as announced; block ids are not looked at."""
    for name, text in defects(shots, replace(want, first_id=None)):
        if name in WHOLE:
            fail(f"{what}{text}")


def frames(camera: Camera, count: int = 3, plan: Plan | None = None, *, what: str = "") -> list[Shot]:
    """`count` whole frames with the features as they are."""
    want = expected(camera)
    with streaming(camera, plan) as stream:
        shots = stream.shots(count)
    expect_whole(shots, want, what)
    return shots
