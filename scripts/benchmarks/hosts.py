"""The two sides of a measurement: a server in a process of its own, and hosts that take frames from it."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import stdev

from benchmarks.figures import cpu_s, frame_rate
from frames.sensor import load_sensor
from gadget.budget.power import PowerModel
from gadget.loopback import LoopbackBus
from gadget.runner import set_feature
from gadget.usbip.client import UsbipClient
from u3v.camera import Camera
from u3v.host.assembler import plan_stream
from u3v.host.client import U3VClient
from u3v.host.registers import SI_CONTROL
from u3v.host.stream import StreamReader
from u3v.model import load_model
from u3v.usb3v.bootstrap import USB3_VISION
from u3v.usb3v.function import UsbFunction

ROOT = Path(__file__).resolve().parent.parent.parent
MODEL = "acA4096-40um"
U3V = (sys.executable, "-c", "from gadget.cli.main import main; main()")
FULL_RATE = {"DeviceLinkThroughputLimitMode": "Off"}
PATIENCE_MS = 10_000
DEPTH = 4
HEADER_BYTES = 48


class BenchError(Exception):
    """Frames were wrong or lost, or a tool is not there; one line."""


def options(paced: bool, settings: Mapping[str, str]) -> list[str]:
    """The camera options of `u3v`."""
    pairs = {**FULL_RATE, **settings}
    return [
        "--pacing" if paced else "--no-pacing",
        *(text for key, value in pairs.items() for text in ("--set", f"{key}={value}")),
    ]


def reference(settings: Mapping[str, str]) -> Camera:
    """The same camera in this process, to ask for addresses and figures."""
    model = load_model(MODEL)
    camera = Camera(model, load_sensor(model.sensor).timing, PowerModel(model), USB3_VISION)
    for name, text in (*FULL_RATE.items(), *settings.items()):
        set_feature(camera, name, text)
    return camera


class Server:
    """`u3v serve` on a free port, until the end of the context."""

    def __init__(self, paced: bool, settings: Mapping[str, str] = {}, *more: str) -> None:
        self.began_s = time.perf_counter()
        command = [*U3V, "serve", MODEL, "--port", "0", *options(paced, settings), *more]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise BenchError(f"u3v serve: {self.process.communicate()[1].strip()}")
        self.port = int(line.split()[-1])

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate()


@dataclass
class Window:
    """Some frames in a row. `sigma_ms`: standard deviation of the intervals between their ends. `dropped`: by
    the camera, because host or server were too slow for it."""

    fps: float
    mb_per_s: float
    sigma_ms: float
    server_cores: float
    dropped: int


@dataclass
class Host:
    """One connection to a server (`pid`, 0 for one in this process) and the stream over it."""

    pid: int
    camera: Camera
    client: U3VClient
    reader: StreamReader | None = None
    buffers: list[bytearray] = field(default_factory=list)
    taken_ns: int = 0
    """The timestamp of the last frame taken."""

    def write(self, feature: str, value: int) -> None:
        self.client.write_u32(self.camera.features.address[feature], value)

    def start(self) -> None:
        self.reader = StreamReader(self.client)
        size = self.reader.buffer_bytes
        if len(self.buffers) < DEPTH or len(self.buffers[0]) < size:
            self.buffers = [bytearray(size) for _ in range(DEPTH)]
        self.reader.start(self.buffers)
        self.write("AcquisitionStart", 1)

    def stop(self) -> None:
        assert self.reader is not None
        self.write("AcquisitionStop", 1)
        self.reader.stop()
        self.reader = None

    def skip(self, count: int) -> None:
        self._take(count)

    def window(self, count: int) -> Window:
        """Take `count` frames, after others. Raises BenchError where one is not whole."""
        assert self.reader is not None
        dropped_before, begin_ns = self.reader.assembler.discarded, self.taken_ns
        cpu_begin_s, begin_s = cpu_s(self.pid), time.perf_counter()
        ends = self._take(count)
        seconds = ends[-1] - begin_s
        server_s = cpu_s(self.pid) - cpu_begin_s
        intervals = [b - a for a, b in zip(ends, ends[1:], strict=False)]
        fps = frame_rate(count, seconds, (self.taken_ns - begin_ns) / 1e9)
        mb_per_s = fps * self.reader.setup.payload_size / 1e6
        dropped = self.reader.assembler.discarded - dropped_before
        return Window(fps, mb_per_s, stdev(intervals) * 1e3, server_s / seconds, dropped)

    def _take(self, count: int) -> list[float]:
        reader = self.reader
        assert reader is not None
        ends = []
        for _ in range(count):
            frame = reader.next_frame(PATIENCE_MS)
            ends.append(time.perf_counter())
            if not frame.complete or frame.leader is None:
                raise BenchError(f"frame {frame.block_id}: {frame.reason}")
            self.taken_ns = frame.leader.timestamp
            reader.release(frame)
        return ends


def host(server: Server, settings: Mapping[str, str] = {}) -> contextlib.AbstractContextManager[Host]:
    """Our own host on a server's camera, the stream not yet started."""
    return connected(server.port, settings, server.process.pid)


@contextlib.contextmanager
def connected(port: int, settings: Mapping[str, str] = {}, pid: int = 0) -> Iterator[Host]:
    """The same by port."""
    with UsbipClient.connect(port=port) as bus:
        client = U3VClient(bus)
        client.open()
        made = Host(pid, reference(settings), client)
        yield made
        if made.reader is not None:
            made.stop()


def compile_client(folder: Path) -> Path:
    """scripts/bench_client.c as a program. Raises BenchError."""
    source = ROOT / "scripts" / "bench_client.c"
    compiler = shutil.which("cc")
    if compiler is None:
        raise BenchError("needs a C compiler: apt-get install build-essential libusb-1.0-0-dev")
    program = folder / "bench_client"
    command = [compiler, "-O2", "-pthread", str(source), "-o", str(program), "-lusb-1.0"]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        raise BenchError(f"{source.name}: {made.stderr.strip().splitlines()[0]} (libusb-1.0-0-dev?)")
    return program


def client_arguments(settings: Mapping[str, str], count: int, skip: int, *more: str) -> list[str]:
    """What the C client must know of the camera, asked as any host asks: addresses, sizes, plan."""
    camera = reference(settings)
    usb = UsbFunction(camera)
    client = U3VClient(LoopbackBus(usb))
    client.open()
    function = client.function
    stream = function.stream_in
    assert stream is not None
    sirm = client.sirm()
    setup = plan_stream(sirm, stream.max_packet)
    control, base = sirm.address + SI_CONTROL, sirm.address + setup.register_offset
    raw = setup.registers()
    sizes = [(base + at, int.from_bytes(raw[at : at + 4], "little")) for at in range(0, len(raw), 4)]
    at = camera.features.address
    plan = setup.plan
    writes = (
        ("-w", (control, 0)),
        *(("-w", pair) for pair in sizes),
        ("-w", (control, 1)),
        ("-s", (at["AcquisitionStart"], 1)),
        ("-x", (at["AcquisitionStop"], 1)),
        ("-x", (control, 0)),
    )
    identity = usb.identity
    return [
        *("-d", f"{identity.vid:x}:{identity.pid:x}"),
        *("-i", f"{function.control_interface},{function.stream_interface}"),
        *("-e", f"{function.control_out.address},{stream.address}"),
        "-p",
        f"{setup.leader_size},{plan.transfer_size},{plan.transfer_count},{plan.final1_size},{setup.trailer_size}",
        *(text for option, (address, value) in writes for text in (option, f"{address:x}={value:x}")),
        *("-n", str(count), "-k", str(skip), "-q", str(DEPTH - 1), *more),
    ]


Answers = list[dict[str, float]]


def run_client(paced: bool, settings: Mapping[str, str], command: list[str]) -> Answers:
    """One run of a client below `u3v run`; its JSON lines. Raises BenchError."""
    run = [*U3V, "run", MODEL, *options(paced, settings), "--", *command]
    ended = subprocess.run(run, cwd=ROOT, capture_output=True, text=True)
    return checked(answers(ended.stdout, ended.stderr))


def answers(stdout: str, stderr: str) -> Answers:
    """The JSON lines of some output. Raises BenchError where there are none."""
    found = [json.loads(line) for line in stdout.splitlines() if line.startswith("{")]
    if not found:
        raise BenchError((stderr.strip() or stdout.strip() or "no output").splitlines()[-1])
    return found


def checked(found: Answers) -> Answers:
    """Raises BenchError where a client saw wrong frames."""
    for answer in found:
        if answer.get("bad") or answer.get("errors"):
            raise BenchError(f"a client got wrong frames: {json.dumps(answer)}")
    return found


def bare_socket(kind: str, piece_bytes: list[int], frames: int) -> float:
    """MB/s of payload from one process to another that does nothing else: a header and a piece at a time.

    `kind`: "tcp" (loopback) or "unix" (socket pair, 2 MiB of buffer as for vhci).
    """
    ours, theirs = _pair(kind)
    ring = [memoryview(bytearray(os.urandom(4096) * (sum(piece_bytes) // 4096 + 1))) for _ in range(3)]
    pid = os.fork()
    if pid == 0:
        ours.close()
        with contextlib.suppress(OSError):
            for frame in range(frames + 1):
                at = 0
                for size in piece_bytes:
                    _send_all(theirs, [memoryview(bytes(HEADER_BYTES)), ring[frame % 3][at : at + size]])
                    at += size
        os._exit(0)
    theirs.close()
    header = memoryview(bytearray(HEADER_BYTES))
    began_s = 0.0
    with ours:
        for frame in range(frames + 1):
            at = 0
            for size in piece_bytes:
                _receive(ours, header)
                _receive(ours, ring[frame % 3][at : at + size])
                at += size
            began_s = began_s or time.perf_counter()
        seconds = time.perf_counter() - began_s
    os.waitpid(pid, 0)
    return frames * sum(piece_bytes) / seconds / 1e6


def bare_round_trips(kind: str, count: int) -> list[float]:
    """Milliseconds of question and answer between two processes, command and acknowledge as USB/IP sends them."""
    ours, theirs = _pair(kind)
    out, back = HEADER_BYTES + 24, 2 * HEADER_BYTES + 16
    pid = os.fork()
    if pid == 0:
        ours.close()
        with contextlib.suppress(OSError, EOFError):
            while True:
                _receive(theirs, memoryview(bytearray(out)))
                theirs.sendall(bytes(back))
        os._exit(0)
    theirs.close()
    trips = []
    with ours:
        for _ in range(count):
            began_s = time.perf_counter()
            ours.sendall(bytes(out))
            _receive(ours, memoryview(bytearray(back)))
            trips.append((time.perf_counter() - began_s) * 1e3)
    os.waitpid(pid, 0)
    return trips


def _pair(kind: str) -> tuple[socket.socket, socket.socket]:
    if kind == "unix":
        ours, theirs = socket.socketpair()
        with contextlib.suppress(PermissionError):
            theirs.setsockopt(socket.SOL_SOCKET, 32, 2 << 20)  # SO_SNDBUFFORCE
        return ours, theirs
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    for end in (ours, theirs):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ours, theirs


def _send_all(sock: socket.socket, views: list[memoryview]) -> None:
    while views:
        sent = sock.sendmsg(views)
        while views and sent >= len(views[0]):
            sent -= len(views.pop(0))
        if views:
            views[0] = views[0][sent:]


def _receive(sock: socket.socket, view: memoryview) -> None:
    while view:
        length = sock.recv_into(view)
        if not length:
            raise EOFError
        view = view[length:]


class Pinger:
    """Reads a register again and again in a thread of its own; `trips_ms` after the context."""

    def __init__(self, client: U3VClient, address: int, pause_s: float = 0.001) -> None:
        self.trips_ms: list[float] = []
        self._client, self._address = client, address
        self._over = threading.Event()
        self._pause_s = pause_s
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.wait(self._pause_s):
            began_s = time.perf_counter()
            self._client.read(self._address, 4)
            self.trips_ms.append((time.perf_counter() - began_s) * 1e3)

    def __enter__(self) -> "Pinger":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def quantile(values: list[float], share: float) -> float:
    """The value that `share` of all are not above."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


@contextlib.contextmanager
def workshop() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="u3v-bench-") as folder:
        yield Path(folder)
