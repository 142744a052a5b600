"""The groups of benchmarks, and the command line around them."""

import argparse
import gc
import json
import os
import platform
import shlex
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks import control as control_channel
from benchmarks import gadgets, guests, hosts, triggers
from benchmarks import gige as gige_wire
from benchmarks.figures import Bystanders, Figure, of, rss_mb, table
from benchmarks.hosts import BenchError, Host, Server, Window, host
from frames.scene import parse_scene
from frames.sensor import load_sensor
from frames.source import FrameSettings, FrameSource
from gadget.runner import CameraSpec, LoopBench
from gadget.usbip.server import UsbipServer
from gadget.usbip.session import export
from u3v.camera import Camera
from u3v.did_you_mean import hint
from u3v.host.assembler import DEFAULT_TRANSFER_BYTES

FORMATS = ("Mono8", "Mono12p")
NEEDED_MB_PER_S = 379.0
"""What the camera's link carries: 42.7 frames/s of 4096 x 2168 Mono8."""
ARAVIS = ("/usr/bin/python3", "scripts/bench_aravis.py")
SMALL = {"Width": "64", "Height": "64"}


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    frames: int
    windows: int
    small_frames: int
    skip: int = 20

    @classmethod
    def of(cls, quick: bool) -> "Effort":
        return cls(40, 1, 2_000, 10) if quick else cls(100, 3, 10_000)


def pieces(settings: dict[str, str]) -> list[int]:
    """The transfers of one frame as our hosts ask for them, bytes."""
    payload = hosts.reference(settings).wire_bytes
    full, rest = divmod(payload, DEFAULT_TRANSFER_BYTES)
    return [1024, *[DEFAULT_TRANSFER_BYTES] * full, *([rest] if rest else []), 1024]


def modelled_fps(settings: dict[str, str]) -> float:
    return float(hosts.reference(settings).features.get("ResultingFrameRate"))


def sensor(effort: Effort) -> Iterator[Figure]:
    """One thread by its own processor time, frames into a ring of buffers; copies from ring to ring."""
    facts, width, height = load_sensor("imx255"), 4096, 2168
    source = FrameSource(facts, parse_scene("target"), seed=1, width=facts.width_px, height=facts.height_px)
    for name in FORMATS:
        others = Bystanders()
        size = FrameSource.payload_size(width, height, name)
        ring = [np.zeros(size, np.uint8) for _ in range(4)]
        copies = [np.zeros(size, np.uint8) for _ in range(4)]
        render_s, copy_s = [], []
        for frame in range(effort.frames // 2):
            at, to = ring[frame % 4], copies[frame % 4]
            when = frame / 42.7
            settings = FrameSettings(frame, when, 5000.0, 0.0, 0.0, 8, 4, width, height, pixel_format=name)
            began_s = time.thread_time()
            source.render_into(at, settings)
            rendered_s = time.thread_time()
            np.copyto(to, at)
            render_s.append(rendered_s - began_s)
            copy_s.append(time.thread_time() - rendered_s)
        pixels = width * height / 1e6
        yield of(
            "sensor",
            f"{name}, one thread",
            "Mpixel/s",
            [pixels / s for s in render_s[4:]],
            limit=pixels / median(copy_s[4:]),
            limit_is="copy",
            at_least=NEEDED_MB_PER_S,
            others_cores=others.cores(),
        )
    source.close()


def usbip(effort: Effort) -> Iterator[Figure]:
    for name in FORMATS:
        settings = {"PixelFormat": name}
        others = Bystanders()
        limit = hosts.bare_socket("tcp", pieces(settings), effort.frames)
        with Server(False, settings) as server, host(server, settings) as camera:
            windows = stream(camera, effort)
        yield of(
            "usbip",
            f"{name}, as fast as it goes",
            "MB/s",
            [w.mb_per_s for w in windows],
            limit=limit,
            limit_is="bare TCP",
            at_least=NEEDED_MB_PER_S,
            others_cores=others.cores(),
        )
    for name in FORMATS:
        yield from paced_usbip(name, effort)


def paced_usbip(name: str, effort: Effort) -> Iterator[Figure]:
    settings = {"PixelFormat": name}
    others = Bystanders()
    with Server(True, settings) as server, host(server, settings) as camera:
        windows = stream(camera, effort)
    cores, wanted = others.cores(), modelled_fps(settings)
    dropped = sum(w.dropped for w in windows)
    yield paced("usbip", f"{name}, paced", [w.fps for w in windows], wanted, cores, dropped)
    yield of(
        "usbip",
        f"{name}, paced: server",
        "processors",
        [w.server_cores for w in windows],
        limit=1.0,
        limit_is="one",
        at_most=1.0,
        others_cores=cores,
    )
    yield of(
        "usbip",
        f"{name}, paced: interval sigma",
        "ms",
        [w.sigma_ms for w in windows],
        limit=1e3 / wanted,
        limit_is="period",
        others_cores=cores,
    )


def paced(group: str, what: str, fps: list[float], wanted: float, cores: float, dropped: int) -> Figure:
    """Frame rate beside the camera's own, which is also the target, to half a percent."""
    return of(
        group,
        what,
        "frames/s",
        fps,
        limit=wanted,
        limit_is="camera",
        at_least=0.995 * wanted,
        others_cores=cores,
        dropped=dropped,
    )


def stream(camera: Host, effort: Effort) -> list[Window]:
    camera.start()
    camera.skip(effort.skip)
    return [camera.window(effort.frames) for _ in range(effort.windows)]


def local(effort: Effort) -> Iterator[Figure]:
    others = Bystanders()
    limit = hosts.bare_socket("unix", pieces({}), effort.frames)
    with hosts.workshop() as folder:
        command = [
            str(hosts.compile_client(folder)),
            *hosts.client_arguments({}, effort.frames, effort.skip),
        ]
        for is_paced in (False, True):
            runs = [hosts.run_client(is_paced, {}, command)[0] for _ in range(effort.windows)]
            yield rate("local", "C client", is_paced, runs, limit, others.cores())
            others = Bystanders()
    for is_paced in (False, True):
        try:
            runs = hosts.run_client(is_paced, {}, [*ARAVIS, *aravis(effort)])
        except BenchError as error:
            print(f"bench: Aravis: {error}", file=sys.stderr)
            return
        yield rate("local", "Aravis async", is_paced, runs, limit, others.cores())
        others = Bystanders()


def aravis(effort: Effort) -> list[str]:
    numbers = {"--frames": effort.frames, "--runs": effort.windows, "--skip": effort.skip}
    return [str(text) for pair in numbers.items() for text in pair]


def rate(
    group: str, who: str, is_paced: bool, runs: list[dict[str, float]], limit: float, cores: float
) -> Figure:
    """What a client reached: MB/s beside bare sockets, or frames/s beside the camera's."""
    fps = [run["fps"] for run in runs]
    if is_paced:
        dropped = int(sum(run["gaps"] for run in runs))
        return paced(group, f"{who}, paced", fps, modelled_fps({}), cores, dropped)
    size = hosts.reference({}).wire_bytes / 1e6
    return of(
        group,
        f"{who}, as fast as it goes",
        "MB/s",
        [f * size for f in fps],
        limit=limit,
        limit_is="bare socket",
        at_least=NEEDED_MB_PER_S,
        others_cores=cores,
    )


def kernel(effort: Effort) -> Iterator[Figure]:
    """Everything inside User-Mode Linux on one processor: camera, server, kernel, client."""
    others = Bystanders()
    here = shlex.join([sys.executable, str(hosts.ROOT / "scripts" / "bench")])
    with hosts.workshop() as folder:
        client = shlex.join(
            [str(hosts.compile_client(folder)), *hosts.client_arguments({}, effort.frames, effort.skip)]
        )
        again = "; ".join([client] * effort.windows)
        grab = shlex.join([*ARAVIS, *aravis(effort), "--mode"])
        plug = {
            is_paced: shlex.join([*hosts.U3V, "plug", hosts.MODEL, *hosts.options(is_paced, {}), "--"])
            for is_paced in (False, True)
        }
        steps = [
            ("bare", f"{here} --bare unix"),
            ("C client, as fast as it goes", f"{plug[False]} sh -c {shlex.quote(again)}"),
            ("C client, paced", f"{plug[True]} sh -c {shlex.quote(again)}"),
            ("Aravis async, paced", f"{plug[True]} {grab} async"),
            ("Aravis sync, paced", f"{plug[True]} {grab} sync"),
        ]
        script = folder / "steps.sh"
        script.write_text("".join(f"echo '== {name}'\n{line}\n" for name, line in steps))
        command = [
            str(hosts.ROOT / "scripts" / "uml"),
            *("--see", str(folder), "--timeout", "300", "--", "sh", str(script)),
        ]
        ended = subprocess.run(command, cwd=hosts.ROOT, capture_output=True, text=True)
    if ended.returncode:
        raise BenchError(f"scripts/uml: {(ended.stderr.strip() or 'failed').splitlines()[-1]}")
    cores = others.cores()
    found = {}
    for part in ended.stdout.split("== ")[1:]:
        name, _, text = part.partition("\n")
        found[name] = hosts.answers(text, ended.stderr)
    limit = found["bare"][0]["mb_per_s"]
    for name, runs in list(found.items())[1:]:
        who, _, how = name.partition(", ")
        yield rate("kernel", who, how == "paced", hosts.checked(runs), limit, cores)


def usbredir(effort: Effort) -> Iterator[Figure]:
    yield from guests.usbredir(effort.frames, effort.windows, effort.skip)


def gadget(effort: Effort) -> Iterator[Figure]:
    yield from gadgets.gadget(4 * effort.frames)


def control(effort: Effort) -> Iterator[Figure]:
    yield from control_channel.control(effort.frames, effort.windows, effort.skip)


def jitter(effort: Effort) -> Iterator[Figure]:
    yield from triggers.jitter(2 * effort.frames, effort.windows)


def memory(effort: Effort) -> Iterator[Figure]:
    """The server's memory over thousands of frames, full ones before and after."""
    others = Bystanders()
    full = hosts.reference({})
    frame_mb = full.wire_bytes / 1e6
    with Server(False) as server, host(server) as camera:
        pid = server.process.pid
        for _ in range(5):  # until the server has used all the frame buffers that it ever does
            small_and_full(camera, full, effort.small_frames // 20, effort.frames // 4)
        before = rss_mb(pid)
        small_and_full(camera, full, effort.small_frames, effort.frames)
        after = rss_mb(pid)
    cores = others.cores()
    yield Figure("memory", "server, resident", "MB", after, others_cores=cores)
    yield Figure(
        "memory",
        f"server, growth over {effort.small_frames + effort.frames} frames",
        "MB",
        after - before,
        limit=frame_mb,
        limit_is="a frame",
        at_most=2.0,
        others_cores=cores,
    )
    yield Figure(
        "memory",
        f"Python objects, growth over {effort.small_frames // 5} frames",
        "kB",
        traced_growth_kb(effort.small_frames // 5),
        limit=frame_mb * 1e3,
        limit_is="a frame",
        at_most=100.0,
        others_cores=cores,
    )


def small_and_full(camera: Host, full: Camera, small_frames: int, full_frames: int) -> None:
    """Many small frames, then some full ones, then a pause of the host that fills the camera's memory."""
    for name, value in SMALL.items():
        camera.write(name, int(value))
    camera.start()
    camera.skip(small_frames)
    camera.stop()
    for name in SMALL:
        camera.write(name, full.features.get(name))
    camera.start()
    camera.skip(full_frames)
    time.sleep(0.5)
    camera.stop()


def traced_growth_kb(count: int) -> float:
    """Growth of what tracemalloc sees in a process with server and host, small frames."""
    with (
        LoopBench([CameraSpec(hosts.MODEL, paced=False, settings=SMALL)]) as bench,
        UsbipServer(bench.loop, export(bench.cameras[0].device), port=0) as server,
    ):
        thread = threading.Thread(target=bench.loop.run)
        thread.start()
        try:
            with hosts.connected(server.port, SMALL) as camera:
                camera.start()
                tracemalloc.start()
                camera.skip(count)
                gc.collect()
                before = tracemalloc.get_traced_memory()[0]
                camera.skip(count)
                gc.collect()
                after = tracemalloc.get_traced_memory()[0]
                tracemalloc.stop()
        finally:
            bench.loop.call_threadsafe(bench.loop.stop)
            thread.join()
    return (after - before) / 1e3


def start(effort: Effort) -> Iterator[Figure]:
    """From nothing to a frame at a host, machine code already on disk."""
    others = Bystanders()
    bare, whole = [], []
    for _ in range(effort.windows + 2):
        began_s = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import numpy, numba"], check=True)
        bare.append(time.perf_counter() - began_s)
        with Server(True) as server, host(server) as camera:
            camera.start()
            camera.skip(1)
            whole.append(time.perf_counter() - server.began_s)
    yield of(
        "start",
        "u3v serve to the first frame",
        "s",
        whole[1:],
        limit=median(bare[1:]),
        limit_is="import numba",
        at_most=1.5,
        others_cores=others.cores(),
    )


def gige(effort: Effort) -> Iterator[Figure]:
    """On loopback, to a plain UDP socket."""
    yield from gige_wire.figures(1.0 if effort.windows == 1 else 4.0, effort.windows)


GROUPS: dict[str, Callable[[Effort], Iterator[Figure]]] = {
    group.__name__: group
    for group in (sensor, usbip, local, gige, kernel, usbredir, gadget, control, jitter, memory, start)
}


def machine() -> dict[str, object]:
    """The kind of machine, not which one."""
    model = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")),
        platform.machine(),
    )  # fmt: skip
    return {
        "processor": model,
        "processors": len(os.sched_getaffinity(0)),
        "virtual": "hypervisor" in Path("/proc/cpuinfo").read_text(),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
    }


def main(argv: list[str], text: str) -> int:
    parser = argparse.ArgumentParser(
        "bench", description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("group", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="fewer frames, one window each")
    parser.add_argument("--json", metavar="FILE", help="one JSON object into FILE, or - for stdout")
    parser.add_argument("--bare", choices=("tcp", "unix"), help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    unknown = [name for name in asked.group if name not in GROUPS]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}{hint(unknown[0], GROUPS)}")
    if asked.bare:
        print(json.dumps({"mb_per_s": hosts.bare_socket(asked.bare, pieces({}), 100)}))
        return 0
    figures: list[Figure] = []
    failed = 0
    for name in asked.group or GROUPS:
        print(f"bench: {name} ...", file=sys.stderr, flush=True)
        try:
            figures.extend(GROUPS[name](Effort.of(asked.quick)))
        except BenchError as error:
            print(f"bench: {name}: {error}", file=sys.stderr)
            failed = 1
    if asked.json:
        report = json.dumps({"machine": machine(), "figures": [f.as_dict() for f in figures]}, indent=2)
        if asked.json == "-":
            print(report)
        else:
            Path(asked.json).write_text(report + "\n")
    if asked.json != "-":
        about = machine()
        print(
            f"{about['processors']} x {about['processor']}, Linux {about['kernel']}, Python {about['python']}"
        )
        print(table(figures))
    return failed
