"""A plain Aravis program (system Python, GObject introspection): grab frames, print one JSON object a case.

It knows nothing of the virtual camera, but for `--virtual`, which reads the counters only that has. Runs under
`u3v run`, or wherever a USB3 Vision camera is plugged in.

A case is the options below, changed by one object of `--cases`. In asynchronous mode Aravis 0.8.26 has a race of
its own: the frame is lost when a program gives a buffer back before the callback that delivered it has returned.
So this program gives each buffer back some frames later, and repeats an asynchronous case in which frames
are missing although the camera has handed over all of them ("attempts" says how often). Its receiving thread
can also lose one buffer after the other, until it has none, spins (each turn an underrun) and fetches no more.
And it can wait for ever for transfers that have ended, which `Nudge` is for.
"""

import argparse
import ctypes
import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections import deque
from pathlib import Path

import gi

gi.require_version("Aravis", "0.8")
from gi.repository import Aravis, GLib  # noqa: E402

ATTEMPTS, BUSY_ATTEMPTS = 3, 10
BUFFER_BYTES = 300_000_000
TIMEOUT_US = 20_000_000
HELD = 4
MOST_POSTED_BYTES = 8 << 20  # ARV_UV_STREAM_MAXIMUM_SUBMIT_TOTAL


class Counters:
    """What the virtual camera says about its frames since this object was made."""

    NAMES = ("Offered", "Delivered", "Discarded")

    def __init__(self, camera: "Aravis.Camera", virtual: bool) -> None:
        self._camera, self._virtual = camera, virtual
        self._before = self._read()

    def since(self) -> dict[str, int]:
        now = self._read()
        return {name.lower(): now[name] - self._before[name] for name in now}

    def _read(self) -> dict[str, int]:
        if not self._virtual:
            return {}
        return {name: self._camera.get_integer(f"VirtualFrames{name}") for name in self.NAMES}


class Nudge(threading.Thread):
    """Has Aravis' receiving thread look again, where this program has got no further (`went_on`) for a second.

    Asynchronously 0.8.26 looks whether a transfer is still out and then waits to be told of its end, without a lock
    around both: told in between, it waits for ever, most likely where a stream is stopped and all transfers end at
    once. 0.8.28 waits 10 ms at most (its commit 6cf942359). A signal ends the wait of 0.8.26. Where a transfer is out
    indeed, because the kernel or the camera does not end it, the thread waits again: that hang remains one.
    """

    EVERY_S = 1.0
    THREAD = "arv_uv_stream"

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.times = self._steps = 0
        self.is_wanted = False
        self._tgkill = ctypes.CDLL(None).tgkill
        signal.signal(signal.SIGURG, lambda *_: None)
        self.start()

    def went_on(self) -> None:
        self._steps += 1

    def run(self) -> None:
        before = -1
        while True:
            time.sleep(self.EVERY_S)
            if self._steps == before and self.is_wanted:
                self._wake()
            before = self._steps

    def _wake(self) -> None:
        for task in Path("/proc/self/task").iterdir():
            try:
                name = (task / "comm").read_text().strip()
            except OSError:  # it has ended
                continue
            if name == self.THREAD:
                self.times += 1
                self._tgkill(os.getpid(), int(task.name), signal.SIGURG)


def grab(
    camera: "Aravis.Camera", case: argparse.Namespace, stop: threading.Event, nudge: Nudge
) -> dict[str, object]:
    """One stream, started, read and stopped `case.restarts + 1` times."""
    nudge.is_wanted = case.mode == "async"
    camera.uv_set_usb_mode(Aravis.UvUsbMode.SYNC if case.mode == "sync" else Aravis.UvUsbMode.ASYNC)
    x, y, width, height = case.roi
    if width:
        camera.set_region(x, y, width, height)
    camera.set_pixel_format_from_string(case.format)
    if case.unlimited:
        camera.set_string("DeviceLinkThroughputLimitMode", "Off")
    if case.rate:
        camera.set_frame_rate(case.rate)
    camera.set_acquisition_mode(Aravis.AcquisitionMode.CONTINUOUS)
    payload = camera.get_payload()
    stream = camera.create_stream(dawdle if case.callback_sleep else None, case.callback_sleep)
    counters = Counters(camera, case.virtual)
    total = case.count * (case.restarts + 1)
    buffers = case.buffers or max(10, min(total + 10, BUFFER_BYTES // payload))
    for _ in range(buffers):
        stream.push_buffer(Aravis.Buffer.new_allocate(payload))
    ids, bad, stamps, held = [], [], [], deque()
    began = time.monotonic()
    for start in range(case.restarts + 1):
        camera.start_acquisition()
        while len(ids) < case.count * (start + 1) or (case.follow and not stop.is_set()):
            buffer = stream.timeout_pop_buffer(TIMEOUT_US)
            nudge.went_on()
            if buffer is None:
                bad.append("TIMEOUT")
                break
            status = buffer.get_status()
            if status == Aravis.BufferStatus.SUCCESS:
                ids.append(buffer.get_frame_id())
                stamps.append(buffer.get_timestamp())
                if case.follow and len(ids) % case.follow == 0:
                    print(json.dumps({"streaming": len(ids)}), flush=True)
                if case.sleep:
                    time.sleep(case.sleep)
            else:
                bad.append(status.value_nick)
            held.append(buffer)
            if len(held) > HELD:
                stream.push_buffer(held.popleft())
        ended = time.monotonic()
        completed, failures, underruns = stream.get_statistics()
        so_far = counters.since()
        camera.stop_acquisition()
        nudge.went_on()
        if bad:
            break
    del stream
    images = [buffer.get_data() for buffer in held]
    return {
        "mode": case.mode,
        "roi": case.roi,
        "format": case.format,
        "frames": len(ids),
        "bad": sorted(set(bad)),
        "gaps": sum(b - a - 1 for a, b in zip(ids, ids[1:], strict=False)),
        "backwards": sum(b <= a for a, b in zip(ids, ids[1:], strict=False)),
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
        "completed": completed,
        "failures": failures,
        "underruns": underruns,
        "fps": (len(stamps) - 1) * 1e9 / (stamps[-1] - stamps[0]) if len(set(stamps)) > 1 else 0.0,
        "wall_fps": len(ids) / (ended - began),
        "different": len({hashlib.sha1(image).digest() for image in images}),
        "sizes": sorted({len(image) for image in images}),
        "payload": payload,
        "buffers": buffers,
        "nudges": nudge.times,
        **so_far,
    }


def dawdle(seconds: float, kind: "Aravis.StreamCallbackType", _buffer: "Aravis.Buffer | None") -> None:
    """A stream callback that works on each frame in Aravis's own receiving thread."""
    if kind == Aravis.StreamCallbackType.BUFFER_DONE:
        time.sleep(seconds)


def lost_by_aravis(case: argparse.Namespace, result: dict[str, object]) -> bool:
    """Frames or buffers are missing, and neither the camera nor the statistics miss any.

    Buffers are, where Aravis says that it has none (underruns) although more were given to it than the program
    holds and than it ever posts at once.
    """
    if case.mode == "sync":
        return bool(case.busy and result["failures"] and not result.get("discarded"))
    if result.get("discarded") or result["failures"]:
        return False
    posted = MOST_POSTED_BYTES // result["payload"] + 2
    no_buffers = result["underruns"] and result["buffers"] - HELD - 1 > posted
    return bool(result["gaps"] or (result["bad"] == ["TIMEOUT"] and no_buffers))


def opened(name: "str | None", busy: bool) -> "Aravis.Camera":
    """Aravis 0.8.26 gives a camera five times 32 ms for its first answers, until it has read how long it may take: on a
    busy machine that can be too short."""
    for _ in range(BUSY_ATTEMPTS if busy else 0):
        try:
            return Aravis.Camera.new(name)
        except GLib.Error as error:
            print(error.message, file=sys.stderr)
    return Aravis.Camera.new(name)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--camera", help="device id; default: the first")
    parser.add_argument("--cases", type=json.loads, default=[{}], help="list of objects; default: one, empty")
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--runs", type=int, default=1, help="make and drop that many streams")
    parser.add_argument("--restarts", type=int, default=0, help="stop and start each stream that often")
    parser.add_argument("--mode", choices=["sync", "async"], default="sync")
    parser.add_argument("--roi", type=int, nargs=4, default=[0, 0, 0, 0], metavar=("X", "Y", "W", "H"))
    parser.add_argument("--format", default="Mono8")
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument(
        "--buffers", type=int, default=0, help="default: enough not to depend on the scheduler"
    )
    parser.add_argument("--sleep", type=float, default=0.0, help="seconds to sit on each frame")
    parser.add_argument("--callback-sleep", type=float, default=0.0, help="the same in the stream's callback")
    parser.add_argument(
        "--busy",
        action="store_true",
        help="the machine may stop for longer than Aravis waits: open the camera again where it has not answered in "
        "time, repeat a synchronous case in which a read has ended early and what had come of its frame is forgotten",
    )
    parser.add_argument(
        "--reopen",
        action="store_true",
        help="only open the camera again, as --busy does: for cases that shall fail",
    )
    parser.add_argument("--unlimited", action="store_true", help="throughput limit off")
    parser.add_argument("--virtual", action="store_true", help="read the virtual camera's own counters")
    parser.add_argument(
        "--follow", type=int, default=0, metavar="N", help="go on until stdin ends; tell every N frames"
    )
    arguments = parser.parse_args()
    stop = threading.Event()
    if arguments.follow:
        threading.Thread(target=lambda: (os.read(0, 1), stop.set()), daemon=True).start()
    nudge = Nudge()
    Aravis.enable_interface("USB3Vision")
    Aravis.disable_interface("GigEVision")
    camera = opened(arguments.camera, arguments.busy or arguments.reopen)
    for changes in arguments.cases:
        case = argparse.Namespace(**vars(arguments) | changes)
        for _ in range(case.runs):
            for attempt in range(1, (BUSY_ATTEMPTS if case.busy else ATTEMPTS) + 1):
                result = grab(camera, case, stop, nudge) | {"attempts": attempt}
                if not lost_by_aravis(case, result):
                    break
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    sys.exit(main())
