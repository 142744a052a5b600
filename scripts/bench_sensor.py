"""How fast frames are rendered, beside what copying the same bytes costs in the same run.

    python scripts/bench_sensor.py [--json] [--repeats N] [--threads N] [--check]
    python scripts/bench_sensor.py --against CHECKOUT [--repeats N]

Full frames of the IMX255 (4096x2168), the colour IMX412 (4056x3040) and, interpolated to RGB8, the generic colour
sensor (1440x1080) with the full model: moving scene, shot
and read noise, fixed pattern, rolling shutter where there is one. One thread is timed by its own processor time,
so that neighbours on the machine do not count; several threads by the wall clock, one and several in turn. Copies
go from a ring of frames to a ring of frames, as frames do. --check compares with the goals below and exits with
1 if one is missed.

--against measures another checkout of this repository in the same run: one process for each, which take turns frame
by frame, so that whatever else the machine does hits both alike.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

STARTED = time.perf_counter()

import numpy as np  # noqa: E402  (start-up is timed from here)

from frames.scene import parse_scene  # noqa: E402
from frames.sensor import load_sensor  # noqa: E402
from frames.source import FrameSettings, FrameSource  # noqa: E402

RING = 6
GOALS = {"Mono8": 900, "Mono12p": 700, "BayerGR10g40IDS": 500, "BayerGR12g24IDS": 500, "RGB8": 93}
"""Mpixel/s, one thread; of RGB8 what 60 fps of its camera need."""
MOVING_SHARE_GOAL = 0.8
THREADS_GOAL = 1.7
START_GOAL_S = 1.5


@dataclass(frozen=True)
class Case:
    sensor: str
    width: int
    height: int
    pixel_format: str
    scene: str = "target"
    changes: tuple[tuple[str, Any], ...] = ()

    @property
    def pixels(self) -> int:
        return self.width * self.height


MONO = ("imx255", 4096, 2168)
COLOUR = ("imx412", 4056, 3040)
CASES = [
    Case(*MONO, "Mono8"),
    Case(*MONO, "Mono8", "gradient"),
    Case(*MONO, "Mono8", "conveyor"),
    Case(*MONO, "Mono8", "checkerboard"),
    *(Case(*MONO, name) for name in ("Mono10p", "Mono12p", "Mono12")),
    *(Case(*COLOUR, name) for name in ("BayerGR10g40IDS", "BayerGR12g24IDS")),
    Case("generic-color", 1440, 1080, "RGB8"),
]
MIRRORED = (("reverse_x", True),)
BINNED = (("binning_horizontal", 2), ("binning_vertical", 2))
COMPARED = {
    "full frame": Case(*MONO, "Mono8", "gradient"),
    "full frame, packed": Case(*MONO, "Mono12p", "gradient"),
    "moving target": Case(*MONO, "Mono8"),
    "shaded": Case(*MONO, "Mono8", "gradient:vignetting=0.3"),
    "mirrored": Case(*MONO, "Mono8", "gradient", MIRRORED),
    "mirrored, packed": Case(*MONO, "Mono12p", "gradient", MIRRORED),
    "binned 2 x 2": Case("imx255", 2048, 1084, "Mono8", "gradient", BINNED),
    "1024 x 1024": Case("imx255", 1024, 1024, "Mono8", "gradient"),
    "64 x 64": Case("imx255", 64, 64, "Mono8", "gradient"),
    "colour, packed": Case(*COLOUR, "BayerGR12g24IDS", "gradient"),
    "colour, mirrored": Case(*COLOUR, "BayerGR12g24IDS", "gradient", MIRRORED),
    "colour, binned": Case("imx412", 2028, 1520, "BayerGR12g24IDS", "gradient", BINNED),
}


class Run:
    """A frame source with a ring of buffers."""

    def __init__(self, case: Case, threads: int = 1) -> None:
        sensor = load_sensor(case.sensor)
        scene = parse_scene(case.scene)
        size = FrameSource.payload_size(case.width, case.height, case.pixel_format)
        self.case = case
        self.source = FrameSource(
            sensor, scene, seed=1, width=sensor.width_px, height=sensor.height_px, threads=threads
        )
        self.ring = [np.zeros(size, np.uint8) for _ in range(RING)]
        self.others = [np.ones(size, np.uint8) for _ in range(RING)]

    def settings(self, frame: int) -> FrameSettings:
        c = self.case
        changes = dict(c.changes)
        x, y = (self.source.width - c.width) // 4 * 2, (self.source.height - c.height) // 4 * 2
        if "binning_horizontal" in changes:
            x = y = 0
        place = x, y, c.width, c.height
        return FrameSettings(
            frame, frame / 42.7, 10000.0, 0.0, 0.0, *place, pixel_format=c.pixel_format, **changes
        )

    def render(self, frame: int) -> None:
        self.source.render_into(self.ring[frame % RING], self.settings(frame))

    def copy(self, frame: int) -> None:
        np.copyto(self.others[frame % RING], self.ring[frame % RING])


def timed(work: Callable[[int], None], frame: int, clock: Callable[[], float]) -> float:
    begin = clock()
    work(frame)
    return clock() - begin


def measure(case: Case, repeats: int) -> dict[str, object]:
    begin = time.perf_counter()
    run = Run(case)
    run.render(0)
    first_s = time.perf_counter() - begin
    render_s, copy_s = [], []
    for frame in range(1, repeats + 1):
        render_s.append(timed(run.render, frame, time.thread_time))
        copy_s.append(timed(run.copy, frame, time.thread_time))
    run.source.close()
    best, best_copy = case.pixels / min(render_s) / 1e6, case.pixels / min(copy_s) / 1e6
    return {
        "sensor": case.sensor,
        "pixel_format": case.pixel_format,
        "scene": case.scene,
        "mpix_per_s_best": round(best, 1),
        "mpix_per_s_median": round(case.pixels / median(render_s) / 1e6, 1),
        "copy_mpix_per_s_best": round(best_copy, 1),
        "first_frame_s": round(first_s, 3),
    }


def measure_threads(case: Case, threads: int, repeats: int) -> float:
    """How many times faster several threads are than one, best frames, wall clock, in turn."""
    one, many = Run(case), Run(case, threads)
    times: tuple[list[float], list[float]] = ([], [])
    for frame in range(repeats + 2):
        for run, list_ in zip((one, many), times, strict=True):
            list_.append(timed(run.render, frame, time.perf_counter))
    one.source.close()
    many.source.close()
    return min(times[0][2:]) / min(times[1][2:])


def missed(report: dict[str, object], results: list[dict[str, object]]) -> list[str]:
    """The goals that were not reached, one line each."""
    out = []
    best = {(str(r["pixel_format"]), str(r["scene"])): float(str(r["mpix_per_s_best"])) for r in results}
    for name, goal in GOALS.items():
        if best[name, "target"] < goal:
            out.append(f"{name}: {best[name, 'target']} Mpix/s, goal {goal}")
    for scene in ("target", "conveyor"):
        share = best["Mono8", scene] / best["Mono8", "gradient"]
        if share < MOVING_SHARE_GOAL:
            out.append(f"{scene}: {share:.2f} of a still scene's speed, goal {MOVING_SHARE_GOAL}")
    if float(str(report["start_s"])) > START_GOAL_S:
        out.append(f"start to first frame: {report['start_s']} s, goal {START_GOAL_S}")
    if float(str(report["threads_gain"])) < THREADS_GOAL:
        out.append(f"{report['threads']} threads: {report['threads_gain']} times faster, goal {THREADS_GOAL}")
    return out


def serve_turns() -> None:
    """The other side of --against: for each line that names a case, render a frame and print its seconds."""
    name, run = "", None
    for frame, line in enumerate(sys.stdin, 1):
        if line.strip() != name:
            name = line.strip()
            if run is not None:
                run.source.close()
            run = Run(COMPARED[name])
            run.render(0)
        assert run is not None
        print(timed(run.render, frame, time.thread_time), flush=True)


class Checkout:
    """This script with the frames package of a checkout, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "frames" / "source.py").is_file():
            sys.exit(
                f"bench_sensor.py: {folder} is no checkout of this repository: it has no frames/source.py"
            )
        code = f"import sys; sys.path.insert(0, {str(folder)!r}); sys.argv[0] = {__file__!r};"
        code += f"import runpy; runpy.run_path({__file__!r}, run_name='__turns__')"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder
        )

    def turn(self, name: str) -> float:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(name, file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def compare(other: Path, repeats: int) -> None:
    """Print Mpix/s of this and another checkout, case by case: the best and the median frame."""
    here, there = Checkout(Path(__file__).parents[1]), Checkout(other)
    print(f"{'':<20} {'here, Mpix/s':>18} {'there':>18} {'ratio':>13}   (best and median frames)")
    for name, case in COMPARED.items():
        here.turn(name), there.turn(name)
        turns = max(repeats, min(500, repeats * CASES[0].pixels // case.pixels))
        pairs = [(here.turn(name), there.turn(name)) for _ in range(turns)]
        a, b = (
            [case.pixels / 1e6 / value for value in (min(s), median(s))] for s in zip(*pairs, strict=True)
        )
        ratios = f"{a[0] / b[0]:>7.2f}{a[1] / b[1]:>7.2f}"
        print(f"{name:<20} {a[0]:>10.0f} {a[1]:>7.0f} {b[0]:>10.0f} {b[1]:>7.0f} {ratios}")
    here.close()
    there.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=20, help="frames per case (default 20)")
    parser.add_argument("--threads", type=int, default=2, help="threads to compare with one (default 2)")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a goal is missed")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="compare with another checkout")
    options = parser.parse_args()
    if options.against is not None:
        compare(options.against.resolve(), options.repeats)
        return
    before = time.perf_counter() - STARTED
    results = []
    for case in CASES:
        results.append(measure(case, options.repeats))
    report: dict[str, object] = {
        "start_s": round(before + float(str(results[0]["first_frame_s"])), 3),
        "threads": options.threads,
        "threads_gain": round(measure_threads(CASES[0], options.threads, options.repeats), 2),
        "results": results,
    }
    report["missed"] = missed(report, results)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print(f"start to first frame: {report['start_s']} s")
        print(f"{options.threads} threads: {report['threads_gain']} times one thread (wall clock)")
        print(
            f"{'sensor':<13} {'format':<16} {'scene':<13} {'Mpix/s best':>11} {'median':>8} {'fps':>6} {'copy':>8}"
        )
        for case, r in zip(CASES, results, strict=True):
            fps = float(str(r["mpix_per_s_median"])) * 1e6 / case.pixels
            print(
                f"{r['sensor']:<13} {r['pixel_format']:<16} {r['scene']:<13} {r['mpix_per_s_best']:>11}"
                f" {r['mpix_per_s_median']:>8} {fps:>6.1f} {r['copy_mpix_per_s_best']:>8}"
            )
        for line in missed(report, results):
            print(f"missed: {line}")
    if options.check and report["missed"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
elif __name__ == "__turns__":
    serve_turns()
