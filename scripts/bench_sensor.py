"""How fast frames are rendered, beside what copying the same bytes costs in the same run.

    python scripts/bench_sensor.py [--json] [--repeats N] [--threads N]

Frames of 4096x2168 with the full model (moving scene, shot and read noise, fixed pattern). One thread is
timed by its own processor time, so that neighbours on the machine do not count; several threads by the wall
clock. Copies go from a ring of frames to a ring of frames, as frames do, and the two are measured in turn.
"""

import argparse
import json
import time
from collections.abc import Callable
from statistics import median

STARTED = time.perf_counter()

import numpy as np  # noqa: E402  (start-up is timed from here)

from frames.scene import parse_scene  # noqa: E402
from frames.sensor import load_sensor  # noqa: E402
from frames.source import FrameSettings, FrameSource  # noqa: E402

WIDTH, HEIGHT = 4096, 2168
PIXELS = WIDTH * HEIGHT
RING = 8
CAMERA_MPIX_PER_S = 379.5  # Mono8 at the rate of the acA4096-40um's link


def timed(work: Callable[[], object], clock: Callable[[], float]) -> float:
    begin = clock()
    work()
    return clock() - begin


def measure(
    source: FrameSource, pixel_format: str, repeats: int, clock: Callable[[], float]
) -> dict[str, object]:
    size = source.payload_size(WIDTH, HEIGHT, pixel_format)
    ring = [np.zeros(size, np.uint8) for _ in range(RING)]
    others = [np.ones(size, np.uint8) for _ in range(RING)]

    def settings(frame: int) -> FrameSettings:
        return FrameSettings(
            frame, frame / 42.7, 10000.0, 0.0, 0.0, 8, 4, WIDTH, HEIGHT, pixel_format=pixel_format
        )

    begin = time.perf_counter()
    source.warm_up(settings(0))
    first_s = time.perf_counter() - begin
    render_s, copy_s = [], []
    for frame in range(repeats):
        s, out, other = settings(frame), ring[frame % RING], others[frame % RING]
        render_s.append(timed(lambda s=s, out=out: source.render_into(out, s), clock))  # type: ignore[misc]
        copy_s.append(timed(lambda out=out, other=other: np.copyto(other, out), clock))  # type: ignore[misc]
    best, best_copy = PIXELS / min(render_s) / 1e6, PIXELS / min(copy_s) / 1e6
    return {
        "pixel_format": pixel_format,
        "mpix_per_s_best": round(best, 1),
        "mpix_per_s_median": round(PIXELS / median(render_s) / 1e6, 1),
        "copy_mpix_per_s_best": round(best_copy, 1),
        "share_of_copy": round(best / best_copy, 3),
        "first_frame_s": round(first_s, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=30, help="frames per pixel format (default 30)")
    parser.add_argument("--threads", type=int, default=1, help="threads that share a frame (default 1)")
    parser.add_argument(
        "--formats", default="Mono8,Mono10p,Mono12p,Mono12", help="pixel formats, comma separated"
    )
    parser.add_argument("--scene", default="target")
    options = parser.parse_args()
    sensor = load_sensor("imx255")
    source = FrameSource(
        sensor,
        parse_scene(options.scene),
        seed=1,
        width=sensor.width_px,
        height=sensor.height_px,
        threads=options.threads,
    )
    clock = time.thread_time if options.threads == 1 else time.perf_counter
    start_s: float | None = None
    results = []
    for name in options.formats.split(","):
        if start_s is None:
            before = time.perf_counter() - STARTED
            results.append(measure(source, name, options.repeats, clock))
            start_s = before + float(str(results[0]["first_frame_s"]))
        else:
            results.append(measure(source, name, options.repeats, clock))
    source.close()
    report = {
        "width": WIDTH,
        "height": HEIGHT,
        "threads": options.threads,
        "clock": "thread" if options.threads == 1 else "wall",
        "scene": options.scene,
        "imports_to_first_frame_s": round(start_s or 0.0, 3),
        "results": results,
    }
    if options.json:
        print(json.dumps(report, indent=2))
        return
    print(f"{WIDTH}x{HEIGHT}, {options.threads} thread(s), {report['clock']} clock, scene {options.scene}")
    print(f"imports to first frame: {report['imports_to_first_frame_s']} s")
    print(f"{'format':<10} {'Mpix/s best':>12} {'median':>8} {'copy':>8} {'of copy':>8} {'of camera':>10}")
    for r in results:
        of_camera = float(str(r["mpix_per_s_best"])) / CAMERA_MPIX_PER_S
        print(
            f"{r['pixel_format']:<10} {r['mpix_per_s_best']:>12} {r['mpix_per_s_median']:>8}"
            f" {r['copy_mpix_per_s_best']:>8} {r['share_of_copy']:>8} {of_camera:>9.1f}x"
        )


if __name__ == "__main__":
    main()
