"""How fast Aravis takes frames from the first USB3 Vision camera: one JSON object for each run of frames.

For the system's Python (gi, Aravis 0.8). Nothing is done with the pixels. A buffer goes back one frame later:
Aravis 0.8.26 loses one that returns before the callback that delivered it has ended. The rate is that of the clock
which says the frames took longer, this program's or the camera's (benchmarks/figures.py says why).
"""

import argparse
import json
import time

import gi

gi.require_version("Aravis", "0.8")
from gi.repository import Aravis  # noqa: E402

TIMEOUT_US = 10_000_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=("sync", "async"), default="async")
    parser.add_argument("--skip", type=int, default=20, help="frames at the beginning that do not count")
    parser.add_argument("--frames", type=int, default=100, help="of a run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--buffers", type=int, default=6)
    asked = parser.parse_args()
    Aravis.enable_interface("USB3Vision")
    Aravis.disable_interface("GigEVision")
    camera = Aravis.Camera.new(None)
    camera.uv_set_usb_mode(Aravis.UvUsbMode.SYNC if asked.mode == "sync" else Aravis.UvUsbMode.ASYNC)
    camera.set_acquisition_mode(Aravis.AcquisitionMode.CONTINUOUS)
    payload = camera.get_payload()
    stream = camera.create_stream(None, None)
    for _ in range(asked.buffers):
        stream.push_buffer(Aravis.Buffer.new_allocate(payload))
    camera.start_acquisition()
    held = None
    taken_ns = 0
    for run in range(asked.runs + 1):
        ids: list[int] = []
        bad = 0
        began_s, began_ns = time.monotonic(), taken_ns
        for _ in range(asked.frames if run else asked.skip):
            buffer = stream.timeout_pop_buffer(TIMEOUT_US)
            if buffer is None:
                raise SystemExit("no frame within 10 s")
            if buffer.get_status() == Aravis.BufferStatus.SUCCESS:
                ids.append(buffer.get_frame_id())
                taken_ns = buffer.get_timestamp()
            else:
                bad += 1
            if held is not None:
                stream.push_buffer(held)
            held = buffer
        seconds = max(time.monotonic() - began_s, (taken_ns - began_ns) / 1e9)
        if run:
            gaps = ids[-1] - ids[0] + 1 - len(ids) if ids else 0
            print(json.dumps({"fps": len(ids) / seconds, "gaps": gaps, "bad": bad}), flush=True)
    camera.stop_acquisition()


if __name__ == "__main__":
    main()
