"""Taking frames from a camera and saying what became of each one.

`grab` opens the stream over any `HostBus`, with requests of several frames queued, and counts every block id:
delivered, incomplete (and why) or discarded (a gap in the ids). The hot path moves bytes into a ring of
buffers made beforehand and nothing else: images are converted and written by worker threads, after the
acquisition where the ring holds all frames, else meanwhile. If they cannot keep up, the camera finds no
request for its data and discards frames: the result's `error` says so and what would be faster. The first file
that cannot be written ends the run.
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gadget.tools.frame_reader import Counts, CountsAcks, FrameReader, Identity, Taken
from gadget.tools.images import IMAGE_FORMATS, format_name, write_image
from u3v.errors import Mistake, U3VError
from u3v.host.assembler import DEFAULT_TRANSFER_BYTES
from u3v.host.bus import HostBus, UsbError, UsbTimeout
from u3v.host.client import U3VClient
from u3v.host.gige.stream import NothingCame
from u3v.host.nodes import DeviceNodes
from u3v.host.stream import MAX_POSTED_FRAMES, StreamLost, StreamReader
from u3v.wire.stream import Leader

DEFAULT_TIMEOUT_S = 5.0
MAX_RING_BYTES = 1 << 29
MAX_REASONS = 20
_WRITERS = 2
_PROGRESS_S = 0.1
_PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class GrabOptions:
    """`frames`: how many to take, complete or not. `output`: directory for image files; None writes none.

    `keep`: write only that many, the first; None writes all. `as_numbers`: files hold the camera's numbers instead
    of a picture for people. `settings`: features to set first, in order.
    `timeout_s`: how long to wait for a transfer, on top of the exposure time. `ring_bytes`: memory for frames.
    """

    frames: int = 1
    output: Path | None = None
    keep: int | None = None
    image_format: str = "png"
    settings: Mapping[str, str] = field(default_factory=dict)
    as_numbers: bool = False
    timeout_s: float = DEFAULT_TIMEOUT_S
    transfer_bytes: int = DEFAULT_TRANSFER_BYTES
    ring_bytes: int = MAX_RING_BYTES

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise Mistake(f"{self.frames} frames: at least one is needed")
        if self.keep is not None and self.keep < 1:
            raise Mistake(f"keep {self.keep} frames: at least one is needed")
        if self.image_format not in IMAGE_FORMATS:
            raise Mistake(f"image format {self.image_format!r}: must be one of {', '.join(IMAGE_FORMATS)}")
        if not self.timeout_s > 0:
            raise Mistake(f"a timeout of {self.timeout_s:g} s: must be more than 0")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: frames taken so far, and files written of how many (0 of 0 without output)."""

    delivered: int
    incomplete: int
    discarded: int
    written: int
    to_write: int


@dataclass(frozen=True, slots=True)
class GrabResult:
    """What became of every block id: `delivered + incomplete + discarded` is their number.

    `last_block_id` is None where no frame came. `reasons`: (block id, why) of incomplete frames, the first
    20. `strays`: pieces that belong to no new block id. `resyncs`: how often leaders and payload had got out
    of step. `stale_acks`: acknowledges that came too late for their command. `after_stop`: frames that came when
    those asked for were there, beyond the sum. `duration_s`: from AcquisitionStart to the last frame; `fps` and
    `mb_per_s` (10^6 bytes) between the first and the last frame, by the slower of this clock and the camera's:
    frames that had waited in the camera come faster than it took them. `error`: why it ended early, or what else went
    wrong, or "".
    """

    vendor: str
    model: str
    serial: str
    pixel_format: str
    width: int
    height: int
    frames: int
    delivered: int
    incomplete: int
    discarded: int
    first_block_id: int | None
    last_block_id: int | None
    strays: int
    resyncs: int
    stale_acks: int
    after_stop: int
    duration_s: float
    fps: float
    mb_per_s: float
    reasons: tuple[tuple[int | None, str], ...]
    files: tuple[str, ...]
    error: str = ""

    @property
    def ok(self) -> bool:
        """All frames asked for were delivered."""
        return not self.error and self.delivered == self.frames

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.ok}

    def lines(self) -> list[str]:
        """The summary for people."""
        if self.last_block_id is None:
            return [f"{self.vendor} {self.model} {self.serial}: no frame came"]
        blocks = f"{self.first_block_id} to {self.last_block_id}"
        late = f"; {self.after_stop} more came before the camera had stopped" if self.after_stop else ""
        out = [
            f"{self.vendor} {self.model} {self.serial}: {self.width} x {self.height} {self.pixel_format}",
            f"block ids {blocks} = {self.delivered} delivered + {self.incomplete} incomplete"
            f" + {self.discarded} discarded{late}",
        ]
        if self.frames > 1:
            out.append(f"{self.fps:.2f} fps, {self.mb_per_s:.1f} MB/s, {self.duration_s:.3f} s")
        if self.resyncs or self.strays:
            out.append(f"out of step {self.resyncs} times, {self.strays} stray pieces")
        if self.stale_acks:
            out.append(f"{self.stale_acks} acknowledges came too late for their command")
        for block_id, reason in self.reasons:
            out.append(f"  block {'?' if block_id is None else block_id}: {reason}")
        if self.incomplete > len(self.reasons):
            out.append(f"  and {self.incomplete - len(self.reasons)} more incomplete frames")
        if self.files:
            more = f" and {len(self.files) - 1} more" if len(self.files) > 1 else ""
            out.append(f"wrote {self.files[0]}{more}")
        return out


def grab(
    bus: HostBus,
    options: GrabOptions,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    clock_s: Callable[[], float] = time.monotonic,
    say: Callable[[str], None] = lambda line: None,
) -> GrabResult:
    """Open the camera, set its features, take the frames, stop it. The bus stays open.

    What happens before the first frame is raised: U3VError and its kinds (FeatureError, GenCPError, UsbError
    ...), OSError for the output directory. What ends the stream early is the result's `error`. `clock_s` is
    the clock that frame rates are measured with (that of a loopback bus for its frames). A
    KeyboardInterrupt ends the stream, and `say` hears of files still to be written; another one drops them.
    """
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
    client = U3VClient(bus)
    client.open()
    nodes = DeviceNodes(client)
    for name, value in options.settings.items():
        nodes.set(name, value)
    abrm, reader = client.abrm, StreamReader(client, options.transfer_bytes)
    identity = Identity(abrm.manufacturer_name, abrm.model_name, abrm.serial_number)
    return Grab(client, identity, nodes, reader, options, on_progress, clock_s, say).run()


class Grab:
    """One run. State: the frames whose buffers are with the writers, what was counted, when frames came."""

    def __init__(
        self,
        client: CountsAcks,
        identity: Identity,
        nodes: DeviceNodes,
        reader: FrameReader,
        options: GrabOptions,
        on_progress: Callable[[Progress], None],
        clock_s: Callable[[], float] = time.monotonic,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._client, self._identity, self._nodes = client, identity, nodes
        self._options = options
        self._on_progress = on_progress
        self._clock_s = clock_s
        self._say = say
        self._reader = reader
        room = max(2, min(options.frames, options.ring_bytes // self._reader.buffer_bytes))
        files = min(options.frames, options.keep or options.frames) if options.output is not None else 0
        enough = min(files + MAX_POSTED_FRAMES, options.frames)  # all kept ones, and requests still queued
        self._keep_all = room >= enough
        self._slots = min(room, max(2, enough))
        self._timeout_ms = int((options.timeout_s + self._exposure_s()) * 1000)
        self._writers: ThreadPoolExecutor | None = None
        self._writing: deque[tuple[Taken, Future[Path]]] = deque()
        self._kept: list[Taken] = []
        self._files: list[str] = []
        self._reasons: list[tuple[int | None, str]] = []
        self._seen = 0
        self._leader: Leader | None = None
        self._error = self._error_of_files = ""
        self._starved = False
        self._began_writing_s = self._wrote_s = 0.0
        self._at_start = self._at_first = self._at_last = 0.0
        self._stamps: deque[int] = deque(maxlen=max(2, options.frames))
        self._next_progress = 0.0

    def run(self) -> GrabResult:
        buffers = [_touched(self._reader.buffer_bytes) for _ in range(self._slots)]
        started = False
        try:
            try:
                self._reader.start(buffers)
                if self._nodes.has("TLParamsLocked"):
                    self._nodes.set("TLParamsLocked", 1)
                self._at_start = self._clock_s()
                self._nodes.execute("AcquisitionStart")
                started = True
                self._take_frames()
            finally:
                self._stop(started)
            self._write_kept()
        except KeyboardInterrupt:
            self._error = self._error or f"interrupted after {self._seen} of {self._options.frames} frames"
        finally:
            if self._writers is not None:
                self._writers.shutdown(cancel_futures=True)
        done = [future for _, future in self._writing if not (future.cancelled() or future.exception())]
        self._files += [str(future.result()) for future in done]
        unwritten = self._files_wanted() - len(self._files)
        if self._error and unwritten and not self._error_of_files:
            self._error += f"; {unwritten} of them not written"
        self._report(force=True)
        return self._result(self._reader.assembler)

    def _take_frames(self) -> None:
        """The hot path. Ends with all frames, or with `error` set."""
        reader, wanted = self._reader, self._options.frames
        try:
            while self._seen < wanted and not self._error_of_files:
                while self._writing and (self._writing[0][1].done() or not reader.posted):
                    self._starved = self._starved or not reader.posted
                    self._collect()
                frame = reader.next_frame(self._timeout_ms)
                self._at_last = self._clock_s()
                if not self._seen:
                    self._at_first = self._at_last
                self._seen += 1
                self._leader = self._leader or frame.leader
                if frame.leader is not None:
                    self._stamps.append(frame.leader.timestamp)
                if not frame.complete:
                    self._note(frame)
                    reader.release(frame)
                elif not self._wants_file():
                    reader.release(frame)
                elif self._keep_all:
                    self._kept.append(frame)
                else:
                    self._write(frame)
                self._report()
        except (UsbTimeout, NothingCame):
            waited = self._timeout_ms / 1000
            self._error = f"nothing came for {waited:g} s after {self._seen} of {wanted} frames"
        except (UsbError, StreamLost) as error:
            self._error = f"{error} after {self._seen} of {wanted} frames"
        except KeyboardInterrupt:
            self._error = f"interrupted after {self._seen} of {wanted} frames"

    def _write_kept(self) -> None:
        left = self._files_wanted() - len(self._files)
        if self._error and left:
            self._say(f"{self._error}: {left} of them still to be written, Ctrl-C again drops these")
        for frame in self._kept:
            while len(self._writing) > _WRITERS:
                self._collect()
            if not self._error_of_files:
                self._write(frame)
        while self._writing:
            self._collect()

    def _files_wanted(self) -> int:
        """Of the frames so far."""
        taken = self._reader.assembler.delivered if self._options.output is not None else 0
        return min(taken, self._options.keep or taken)

    def _wants_file(self) -> bool:
        """Whether the frame that just came is one to write."""
        keep = self._options.keep
        taken = self._reader.assembler.delivered
        return self._options.output is not None and (keep is None or taken <= keep)

    def _note(self, frame: Taken) -> None:
        if len(self._reasons) < MAX_REASONS:
            self._reasons.append((frame.block_id, frame.reason))

    def _stop(self, started: bool) -> None:
        """Stop the camera. If it is gone, or does not listen, the error that is already known counts."""
        try:
            if started:
                self._nodes.execute("AcquisitionStop")
            if self._nodes.has("TLParamsLocked"):
                self._nodes.set("TLParamsLocked", 0)
        except U3VError as error:
            self._error = self._error or f"while stopping: {error}"
        with suppress(U3VError):
            self._reader.stop()

    def _write(self, frame: Taken) -> None:
        output, leader = self._options.output, frame.leader
        assert output is not None and leader is not None
        if self._writers is None:
            self._writers = ThreadPoolExecutor(_WRITERS, "write")
            self._began_writing_s = time.monotonic()
        kind = self._options.image_format
        name = "".join(c if c.isalnum() or c in "-_." else "_" for c in self._identity.model)
        path = output / f"{name or 'frame'}-{leader.block_id:06d}.{kind}"

        def work() -> Path:
            write_image(path, kind, leader, frame.payload, as_numbers=self._options.as_numbers)
            return path

        self._writing.append((frame, self._writers.submit(work)))

    def _collect(self) -> None:
        """Wait for the oldest frame that is with the writers and give its buffer back to the camera."""
        frame, future = self._writing[0]
        while not wait((future,), _PROGRESS_S).done:
            self._report()
        self._writing.popleft()
        try:
            self._files.append(str(future.result()))
            self._wrote_s = time.monotonic()
        except (OSError, U3VError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self._error_of_files = self._error_of_files or f"block {frame.block_id} was not written: {reason}"
        self._reader.release(frame)
        self._report()

    def _report(self, force: bool = False) -> None:
        now_s = time.monotonic()
        if now_s < self._next_progress and not force:
            return
        self._next_progress = now_s + _PROGRESS_S
        counts = self._reader.assembler
        files = (len(self._files), self._files_wanted())
        self._on_progress(Progress(counts.delivered, counts.incomplete, counts.discarded, *files))

    def _lost_to_writers(self) -> str:
        """Why frames are missing, where all buffers were waiting for their files."""
        discarded = self._reader.assembler.discarded
        if not (self._starved and discarded):
            return ""
        kind = self._options.image_format
        span_s = self._wrote_s - self._began_writing_s
        rate = f" at {len(self._files) / span_s:.1f} a second" if span_s > 0 else ""
        faster = {"png": "take --format tiff or raw, ", "tiff": "take --format raw, ", "raw": ""}[kind]
        return (
            f"the camera discarded {discarded} frames: {kind} files could only be written{rate};"
            f" {faster}keep fewer, or lower AcquisitionFrameRate"
        )

    def _exposure_s(self) -> float:
        names = [name for name in ("ExposureTime", "ExposureTimeAbs") if self._nodes.has(name)]
        return float(self._nodes.get(names[0])) / 1e6 if names else 0.0

    def _result(self, counts: Counts) -> GrabResult:
        leader = self._leader
        intervals, span_s = self._seen - 1, self._at_last - self._at_first
        if intervals < 1:
            intervals, span_s = self._seen, self._at_last - self._at_start
        elif len(self._stamps) == self._seen:
            span_s = _slower(span_s, (self._stamps[-1] - self._stamps[0]) / 1e9)
        fps = intervals / span_s if span_s > 0 else 0.0
        some = counts.last_block_id >= counts.first_block_id
        return GrabResult(
            **asdict(self._identity),
            pixel_format=format_name(leader.pixel_format) if leader is not None else "",
            width=leader.size_x if leader is not None else 0,
            height=leader.size_y if leader is not None else 0,
            frames=self._options.frames,
            delivered=counts.delivered,
            incomplete=counts.incomplete,
            discarded=counts.discarded,
            first_block_id=counts.first_block_id if some else None,
            last_block_id=counts.last_block_id if some else None,
            strays=counts.strays,
            resyncs=self._reader.resyncs,
            stale_acks=self._client.stale_acks,
            after_stop=self._reader.after_stop,
            duration_s=max(0.0, self._at_last - self._at_start),
            fps=fps,
            mb_per_s=fps * self._reader.payload_size / 1e6,
            reasons=tuple(self._reasons),
            files=tuple(self._files),
            error=self._error or self._error_of_files or self._lost_to_writers(),
        )


def _touched(size: int) -> bytearray:
    """Memory whose pages are there already."""
    buffer = bytearray(size)
    buffer[::_PAGE_BYTES] = bytes(len(range(0, size, _PAGE_BYTES)))
    return buffer


@contextmanager
def progress_bar(frames: int, enabled: bool) -> Iterator[Callable[[Progress], None]]:
    """A callback for `grab` that draws on stderr; does nothing where `enabled` is false or stderr is no tty."""
    if not enabled or not sys.stderr.isatty():
        yield lambda progress: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[trouble]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        taking = bar.add_task("frames", total=frames, trouble="")
        writing = bar.add_task("files", total=frames, trouble="", visible=False)

        def show(progress: Progress) -> None:
            lost = f"{progress.incomplete} incomplete, {progress.discarded} discarded"
            trouble = lost if progress.incomplete or progress.discarded else ""
            bar.update(taking, completed=progress.delivered + progress.incomplete, trouble=trouble)
            if progress.to_write:
                bar.update(writing, completed=progress.written, total=progress.to_write, visible=True)

        yield show


def _slower(host_s: float, camera_s: float) -> float:
    """The longer of two spans, as long as the camera's is one of seconds at all."""
    return camera_s if host_s < camera_s < 2 * host_s else host_s
