"""The GigE Vision wire: a server in a process of its own, and a plain UDP socket that takes what comes."""

import contextlib
import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev

from benchmarks.figures import TICKS_PER_S, Bystanders, Figure, of
from benchmarks.hosts import ROOT, U3V, BenchError
from frames.sensor import load_sensor
from gadget.budget.power import PowerModel
from u3v.camera import Camera
from u3v.gev.bootstrap import GIGE_VISION
from u3v.model import load_model
from u3v.wire import gev, gvcp, gvsp

MODEL = "VCXG-124M"
ADDRESS = "127.0.4.1"
SIZES = {"1500-byte packets": 1500, "jumbo packets": 9000}
FRAME_BYTES = 4096 * 3000
SCENE_CACHE = 4
"""Frames that are rendered and then repeated: it is the wire that is measured."""
RECEIVE_BYTES = 4 << 20
GOAL_MB_PER_S, GOAL_CORES = 400.0, 0.5
_UDP_SEGMENT = (17, 103)
_TIMESTAMPS = 35
"""SO_TIMESTAMPNS: when the kernel got a packet."""


@dataclass(frozen=True)
class Flow:
    """What came in a while. `lost`: share of the packets that did not; `cores`: of the sending thread; `sigma_us`: of
    the intervals between packets."""

    mb_per_s: float
    cores: float
    sigma_us: float
    lost: float


class Server:
    """`u3v serve` of one camera, which streams to `sink` as soon as it is made; until the end of the context."""

    def __init__(self, packet_bytes: int, paced: bool, sink: socket.socket) -> None:
        options = ["--pacing" if paced else "--no-pacing", "--scene-cache", str(SCENE_CACHE)]
        command = [*U3V, "serve", MODEL, "--wire", "gige", "--interface", ADDRESS, *options]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        if not self.process.stdout.readline():
            raise BenchError(f"u3v serve: {self.process.communicate()[1].strip()}")
        self._control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._start(packet_bytes, sink)
        except BaseException:
            self.__exit__()
            raise

    def _start(self, packet_bytes: int, sink: socket.socket) -> None:
        model = load_model(MODEL)
        camera = Camera(model, load_sensor(model.sensor).timing, PowerModel(model), GIGE_VISION)
        self._control.connect((ADDRESS, gvcp.PORT))
        self._control.settimeout(5)
        ip, port = sink.getsockname()
        for name, value in (
            ("CCP", gev.CCP_CONTROL),
            ("GVCP_Configuration", 1),  # no heartbeat
            ("SCPS", packet_bytes),
            ("SCDA", int.from_bytes(socket.inet_aton(ip), "big")),
            ("SCP", port),
        ):
            self._write(gev.REGISTERS[name].address, struct.pack(">I", value))
        self._write(camera.features.address["AcquisitionStart"], struct.pack("<I", 1))

    def _write(self, address: int, raw: bytes) -> None:
        command = gvcp.Command(gvcp.ACK_REQUIRED, gvcp.Code.WRITEREG, 1, struct.pack(">I", address) + raw)
        self._control.send(command.pack())
        ack = gvcp.parse_ack(self._control.recv(2048))
        if ack.status:
            raise BenchError(f"register {address:#x}: status {ack.status:#06x}")

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()
        self.process.terminate()
        self.process.communicate()


def figures(effort_s: float, windows: int) -> Iterator[Figure]:
    """Figures with packets of 1500 bytes and with jumbo packets."""
    for name, size in SIZES.items():
        others = Bystanders()
        data = size - gvsp.IP_UDP_BYTES - 20
        per_block = -(-FRAME_BYTES // data) + 2
        line = 125e6 * data / (size + gvsp.ETHERNET_BYTES)
        with sink() as here:
            bare = sent_bare(here, size, line, effort_s)
        with sink() as here, Server(size, True, here) as server:
            flow(here, server.process.pid, per_block, 2.0)
            paced = [flow(here, server.process.pid, per_block, effort_s) for _ in range(windows)]
        cores = others.cores()
        yield of(
            "gige",
            f"{name}, paced",
            "MB/s",
            [f.mb_per_s for f in paced],
            limit=line / 1e6,
            limit_is="the wire",
            at_least=0.995 * line / 1e6,
            others_cores=cores,
        )
        yield of(
            "gige",
            f"{name}, paced: the wire's thread",
            "processors",
            [f.cores for f in paced],
            limit=bare.cores,
            limit_is="bare UDP",
            at_most=GOAL_CORES,
            others_cores=cores,
        )
        yield of(
            "gige",
            f"{name}, paced: packet interval sigma",
            "us",
            [f.sigma_us for f in paced],
            limit=bare.sigma_us,
            limit_is="bare UDP",
            others_cores=cores,
        )
        others = Bystanders()
        with sink() as here:
            bare = sent_bare(here, size, None, effort_s)
        with sink() as here, Server(size, False, here) as server:
            flow(here, server.process.pid, per_block, 2.0)
            runs = [flow(here, server.process.pid, per_block, effort_s, stamps=False) for _ in range(windows)]
        yield of(
            "gige",
            f"{name}, as fast as it goes ({100 * fmean(f.lost for f in runs):.0f} % lost)",
            "MB/s",
            [f.mb_per_s for f in runs],
            limit=bare.mb_per_s,
            limit_is="bare UDP",
            at_least=GOAL_MB_PER_S,
            others_cores=others.cores(),
        )


def sink() -> socket.socket:
    """Where packets go."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    made.setsockopt(socket.SOL_SOCKET, _TIMESTAMPS, 1)
    made.bind(("127.0.0.1", 0))
    made.settimeout(20)
    return made


def flow(here: socket.socket, pid: int, per_block: int, seconds: float, *, stamps: bool = True) -> Flow:
    """Take what comes for so long. `per_block`: packets of a frame."""
    buffer = bytearray(65536)
    view = memoryview(buffer)
    took_ns: list[tuple[int, int]] = []
    recvmsg, receive = here.recvmsg_into, here.recv_into
    total = packets = 0
    here.setblocking(False)  # what has piled up meanwhile
    with contextlib.suppress(BlockingIOError):
        while True:
            receive(buffer)
    here.settimeout(20)
    receive(buffer)
    first = _position(view, per_block)
    cpu_s, begin_s = _thread_s(pid), time.perf_counter()
    end_s = begin_s + seconds
    while time.perf_counter() < end_s:
        for _ in range(64):
            if stamps:
                size, ancillary, _, _ = recvmsg([buffer], 64)
                took_ns.append(struct.unpack("qq", ancillary[0][2]))
            else:
                size = receive(buffer)
            total += size
            packets += 1
    seconds, cpu_s = time.perf_counter() - begin_s, _thread_s(pid) - cpu_s
    sent = _position(view, per_block) - first
    at = [s * 1_000_000_000 + ns for s, ns in took_ns]
    sigma = pstdev([b - a for a, b in zip(at, at[1:], strict=False)]) / 1e3 if stamps else 0.0
    payload = total - packets * 20
    lost = max(0.0, 1 - packets / sent) if sent > packets else 0.0
    return Flow(payload / seconds / 1e6, cpu_s / seconds, sigma, lost)


def sent_bare(here: socket.socket, packet_bytes: int, bytes_per_s: float | None, seconds: float) -> Flow:
    """The same from a process that does nothing but send: runs of packets that the kernel cuts, at this rate of payload
    or (None) as fast as it goes."""
    pid = os.fork()
    if pid == 0:
        try:
            _send_for(here.getsockname(), packet_bytes, bytes_per_s, seconds + 5)
        finally:
            os._exit(0)
    try:
        flow(here, pid, 0, 0.5)
        return flow(here, pid, 0, seconds, stamps=bytes_per_s is not None)
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def _send_for(to: tuple[str, int], packet_bytes: int, bytes_per_s: float | None, seconds: float) -> None:
    size = packet_bytes - gvsp.IP_UDP_BYTES
    data = size - 20
    burst_ns = 750_000
    count = 64 if bytes_per_s is None else int(bytes_per_s * burst_ns / 1e9 / data)
    count = min(count, 65000 // size)
    pixels = memoryview(os.urandom(data * count))
    segment = (*_UDP_SEGMENT, struct.pack("H", size))
    period_ns = 0 if bytes_per_s is None else int(count * data * 1e9 / bytes_per_s)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
        due_ns = time.monotonic_ns()
        end_ns = due_ns + int(seconds * 1e9)
        number = 0
        while due_ns < end_ns:
            parts: list[bytes | memoryview] = []
            for k in range(count):
                number += 1
                parts += (struct.pack(">HHB3xQI", 0, 0, 0x83, 0, number), pixels[k * data : k * data + data])
            source.sendmsg(parts, [segment], 0, to)
            due_ns = due_ns + period_ns if period_ns else time.monotonic_ns()
            time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)


def _position(packet: memoryview, per_block: int) -> int:
    """How many packets were sent before this one."""
    block, number = struct.unpack_from(">QI", packet, 8)
    return int(block * per_block + number)


def _thread_s(pid: int) -> float:
    """Processor seconds of a process's first thread."""
    fields = Path(f"/proc/{pid}/task/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / TICKS_PER_S
