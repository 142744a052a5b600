"""A plain Aravis program (system Python, GObject introspection): grab frames, print one JSON object a run.

It knows nothing of the virtual camera. Runs under `u3v run`, or wherever a USB3 Vision camera is plugged in.
"""

import argparse
import hashlib
import json
import sys
import time

import gi

gi.require_version("Aravis", "0.8")
from gi.repository import Aravis  # noqa: E402

PIXEL_MASK = {"Mono8": 1, "Mono10": 2, "Mono12": 2}


def grab(camera: "Aravis.Camera", arguments: argparse.Namespace) -> dict[str, object]:
    mode = Aravis.UvUsbMode.SYNC if arguments.mode == "sync" else Aravis.UvUsbMode.ASYNC
    camera.uv_set_usb_mode(mode)
    x, y, width, height = arguments.roi
    if width:
        camera.set_region(x, y, width, height)
    camera.set_pixel_format_from_string(arguments.format)
    if arguments.unlimited:
        camera.set_string("DeviceLinkThroughputLimitMode", "Off")
    if arguments.rate:
        camera.set_frame_rate(arguments.rate)
    camera.set_acquisition_mode(Aravis.AcquisitionMode.CONTINUOUS)
    payload = camera.get_payload()
    stream = camera.create_stream(None, None)
    for _ in range(arguments.buffers):
        stream.push_buffer(Aravis.Buffer.new_allocate(payload))
    camera.start_acquisition()
    ids, statuses, stamps, digest = [], [], [], set()
    began = time.monotonic()
    while len(statuses) < arguments.count:
        buffer = stream.timeout_pop_buffer(5_000_000)
        if buffer is None:
            statuses.append("TIMEOUT")
            break
        status = buffer.get_status()
        statuses.append(status.value_nick)
        if status == Aravis.BufferStatus.SUCCESS:
            ids.append(buffer.get_frame_id())
            stamps.append(buffer.get_timestamp())
            if len(digest) < 8:
                digest.add(hashlib.sha1(buffer.get_data()).hexdigest())
            if arguments.sleep:
                time.sleep(arguments.sleep)
        stream.push_buffer(buffer)
    seconds = time.monotonic() - began
    camera.stop_acquisition()
    completed, failures, underruns = stream.get_statistics()
    offered = camera.get_integer("VirtualFramesOffered") if arguments.virtual else 0
    discarded = camera.get_integer("VirtualFramesDiscarded") if arguments.virtual else 0
    del stream
    return {
        "frames": statuses.count("success"),
        "bad": sorted(set(statuses) - {"success"}),
        "gaps": sum(b - a - 1 for a, b in zip(ids, ids[1:], strict=False)),
        "first_id": ids[0] if ids else None,
        "completed": completed,
        "failures": failures,
        "underruns": underruns,
        "fps": (len(stamps) - 1) * 1e9 / (stamps[-1] - stamps[0]) if len(stamps) > 1 else 0.0,
        "wall_fps": len(ids) / seconds,
        "different": len(digest),
        "payload": payload,
        "offered": offered,
        "discarded": discarded,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--runs", type=int, default=1, help="start and stop that often")
    parser.add_argument("--mode", choices=["sync", "async"], default="sync")
    parser.add_argument("--roi", type=int, nargs=4, default=[0, 0, 0, 0], metavar=("X", "Y", "W", "H"))
    parser.add_argument("--format", default="Mono8")
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--buffers", type=int, default=10)
    parser.add_argument("--camera", help="device id; default: the first")
    parser.add_argument("--sleep", type=float, default=0.0, help="seconds to sit on each frame")
    parser.add_argument("--unlimited", action="store_true", help="throughput limit off")
    parser.add_argument("--virtual", action="store_true", help="read the virtual camera's own counters")
    arguments = parser.parse_args()
    Aravis.enable_interface("USB3Vision")
    Aravis.disable_interface("GigEVision")
    camera = Aravis.Camera.new(arguments.camera)
    for _ in range(arguments.runs):
        print(json.dumps(grab(camera, arguments)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
