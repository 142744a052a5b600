"""The benchmark of the control channel: a register is read again and again while frames stream at the camera's rate."""

import contextlib
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks import hosts
from benchmarks.figures import Bystanders, Figure, of
from benchmarks.hosts import BenchError, Pinger, Server, host, quantile

QUIET_MS, BUSY_MS = 1.0, 4.0
"""What 99 of 100 round trips shall take at most: on a quiet machine, and with one of its processors busy."""
REGISTER = "Width"


@contextlib.contextmanager
def busy(processors: int) -> Iterator[None]:
    """So many processors busy with a program that never waits."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processors)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def control(frames: int, windows: int, skip: int) -> Iterator[Figure]:
    for processors in (0, 1):
        others = Bystanders()
        bare = hosts.bare_round_trips("tcp", 2000)
        with busy(processors):
            found = _usbip(frames, windows, skip)
        yield from _figures("USB/IP", processors, found, bare, others.cores() - processors)
    with hosts.workshop() as folder:
        address = hosts.reference({}).features.address[REGISTER]
        arguments = hosts.client_arguments({}, frames, skip, "-r", f"{address:x}")
        client = [str(hosts.compile_client(folder)), *arguments]
        for processors in (0, 1):
            others = Bystanders()
            bare = hosts.bare_round_trips("unix", 2000)
            with busy(processors):
                runs = [hosts.run_client(True, {}, client)[0] for _ in range(windows)]
            yield from _figures("local", processors, _of_clients(runs), bare, others.cores() - processors)
        others = Bystanders()
        bare = hosts.bare_round_trips("unix", 2000)
        runs = _vhci(folder, shlex.join(client), windows)
        yield from _figures("vhci-hcd on one processor", 0, _of_clients(runs), bare, others.cores())


Trips = list[tuple[float, float]]
"""Of each window: what half of the round trips took at most, and 99 of 100, in ms."""


def _usbip(frames: int, windows: int, skip: int) -> Trips:
    found = []
    with Server(True) as server, host(server) as camera:
        address = camera.camera.features.address[REGISTER]
        camera.start()
        camera.skip(skip)
        for _ in range(windows):
            with Pinger(camera.client, address) as pinger:
                camera.window(frames)
            found.append((median(pinger.trips_ms), quantile(pinger.trips_ms, 0.99)))
    return found


def _of_clients(runs: hosts.Answers) -> Trips:
    return [(run["ping_p50_ms"], run["ping_p99_ms"]) for run in runs]


def _vhci(folder: Path, client: str, windows: int) -> hosts.Answers:
    """Camera, server, kernel and client inside User-Mode Linux."""
    plug = shlex.join([*hosts.U3V, "plug", hosts.MODEL, *hosts.options(True, {}), "--"])
    script = folder / "control.sh"
    script.write_text(f"{plug} sh -c {shlex.quote('; '.join([client] * windows))}\n")
    uml = [
        str(hosts.ROOT / "scripts" / "uml"),
        "--see",
        str(folder),
        "--timeout",
        "300",
        "--",
        "sh",
        str(script),
    ]
    ended = subprocess.run(uml, cwd=hosts.ROOT, capture_output=True, text=True)
    if ended.returncode:
        raise BenchError(f"scripts/uml: {(ended.stderr.strip() or 'failed').splitlines()[-1]}")
    return hosts.checked(hosts.answers(ended.stdout, ended.stderr))


def _figures(where: str, processors: int, found: Trips, bare: list[float], cores: float) -> Iterator[Figure]:
    how = f"{where}, paced" + (", one processor busy" if processors else "")
    for what, samples, limit, at_most in (
        ("median", [half for half, _ in found], median(bare), 0.0),
        ("99 of 100", [most for _, most in found], quantile(bare, 0.99), BUSY_MS if processors else QUIET_MS),
    ):
        yield of(
            "control",
            f"{how}: {what}",
            "ms",
            samples,
            limit=limit,
            limit_is="bare",
            at_most=at_most,
            others_cores=max(cores, 0.0),
        )
