"""How fast frames are rendered, beside what copying the same bytes costs in the same run.

    python scripts/bench_sensor.py [--json] [--repeats N] [--threads N] [--check]

Full frames of the IMX255 (4096x2168), the colour IMX412 (4056x3040) and, interpolated to RGB8, the generic colour
sensor (1440x1080) with the full model: moving scene, shot
and read noise, fixed pattern, rolling shutter where there is one. One thread is timed by its own processor time,
so that neighbours on the machine do not count; several threads by the wall clock, one and several in turn. Copies
go from a ring of frames to a ring of frames, as frames do. --check compares with the goals below and exits with
1 if one is missed.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

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
        x, y = (self.source.width - c.width) // 4 * 2, (self.source.height - c.height) // 4 * 2
        return FrameSettings(
            frame, frame / 42.7, 10000.0, 0.0, 0.0, x, y, c.width, c.height, pixel_format=c.pixel_format
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


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=20, help="frames per case (default 20)")
    parser.add_argument("--threads", type=int, default=2, help="threads to compare with one (default 2)")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a goal is missed")
    options = parser.parse_args()
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
