"""A plain Aravis program for GigE Vision (system Python, GObject introspection): grab frames, print one JSON object.

It knows nothing of the virtual camera.
"""

import argparse
import hashlib
import json
import os
import statistics
import sys
import time

import gi

gi.require_version("Aravis", "0.8")
from gi.repository import Aravis  # noqa: E402

TIMEOUT_US = 20_000_000


def rate(ids: list[int], arrivals: list[float]) -> float:
    """Frames per second: the median over all pairs of frames that are half the run apart, so that one late wake-up of
    this program does not count."""
    half = len(ids) // 2
    periods = [(arrivals[k + half] - arrivals[k]) / (ids[k + half] - ids[k]) for k in range(len(ids) - half)]
    return 1 / statistics.median(periods) if half else 0.0


def resulting_fps(camera: Aravis.Camera) -> float:
    """By either of the names that makers use."""
    names = [
        name for name in ("ResultingFrameRate", "ResultingFrameRateAbs") if camera.is_feature_available(name)
    ]
    return camera.get_float(names[0]) if names else 0.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--camera", help="address or device id; default: the first")
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--size", type=int, nargs=2, metavar=("W", "H"))
    parser.add_argument("--format", default="Mono8")
    parser.add_argument("--packet-size", type=int, default=0)
    parser.add_argument("--packet-delay", type=int, default=0, help="between two packets, ns")
    parser.add_argument("--no-resend", action="store_true")
    parser.add_argument("--set", nargs="*", default=[], metavar="FEATURE=VALUE")
    parser.add_argument("--settle", type=int, default=0, help="frames at the begin that rates leave out")
    parser.add_argument("--frame-retention", type=int, default=100, help="ms")
    parser.add_argument("--until-lost", action="store_true", help="go on until control is lost")
    parser.add_argument("--packet-socket", action="store_true", help="where it has the right to")
    parser.add_argument("--fps", type=float, default=0.0, help="frame rate; default: the camera's")
    parser.add_argument("--announce", action="store_true", help='print "streaming" with the first frame')
    arguments = parser.parse_args()
    Aravis.disable_interface("USB3Vision")
    camera = Aravis.Camera.new(arguments.camera)
    if arguments.size:
        camera.set_region(0, 0, *arguments.size)
    camera.set_pixel_format_from_string(arguments.format)
    if arguments.fps:
        camera.set_frame_rate(arguments.fps)
    if arguments.packet_size:
        camera.gv_set_packet_size_adjustment(Aravis.GvPacketSizeAdjustment.NEVER)
        camera.gv_set_packet_size(arguments.packet_size)
    if arguments.packet_delay:
        camera.gv_set_packet_delay(arguments.packet_delay)
    if not arguments.packet_socket:
        camera.gv_set_stream_options(Aravis.GvStreamOption.PACKET_SOCKET_DISABLED)
    camera.set_acquisition_mode(Aravis.AcquisitionMode.CONTINUOUS)
    for setting in arguments.set:
        camera.get_device().set_features_from_string(setting)
    lost = []
    camera.get_device().connect("control-lost", lost.append)
    payload = camera.get_payload()
    stream = camera.create_stream(None, None)
    stream.set_property("socket-buffer", Aravis.GvStreamSocketBuffer.AUTO)
    stream.set_property("frame-retention", 1000 * arguments.frame_retention)
    stream.set_property(
        "packet-request-ratio", 1.0
    )  # of a frame's packets it asks for a quarter again, at first
    if arguments.no_resend:
        stream.set_property("packet-resend", Aravis.GvStreamPacketResend.NEVER)
    for _ in range(20):
        stream.push_buffer(Aravis.Buffer.new_allocate(payload))
    camera.start_acquisition()
    ids, stamps, arrivals, status, images = [], [], [], {}, set()
    began = time.monotonic()
    while sum(status.values()) < arguments.count or (arguments.until_lost and not lost):
        buffer = stream.timeout_pop_buffer(1_000_000 if arguments.until_lost else TIMEOUT_US)
        if buffer is None and arguments.until_lost and time.monotonic() < began + 60:
            continue
        if buffer is None:
            status["nothing"] = 1
            break
        name = buffer.get_status().value_nick
        status[name] = status.get(name, 0) + 1
        if name == "success":
            if arguments.announce and not ids:
                print("streaming", flush=True)
            ids.append(buffer.get_frame_id())
            stamps.append(buffer.get_timestamp())
            arrivals.append(time.monotonic())
            if len(images) < 3:
                images.add(hashlib.sha1(buffer.get_data()).hexdigest())
        stream.push_buffer(buffer)
    took_s = time.monotonic() - began
    if not lost:
        camera.stop_acquisition()
    names = (
        "n_completed_buffers",
        "n_failures",
        "n_underruns",
        "n_resend_requests",
        "n_resent_packets",
        "n_missing_packets",
        "n_missing_frames",
        "n_duplicated_packets",
        "n_size_mismatch_errors",
    )
    counts = {name: stream.get_info_uint64_by_name(name) for name in names}
    print(
        json.dumps(
            {
                "status": status,
                "first": ids[0] if ids else None,
                "gaps": sum(b - a - 1 for a, b in zip(ids, ids[1:], strict=False)),
                "fps": (len(stamps) - 1) * 1e9 / (stamps[-1] - stamps[0]) if len(stamps) > 1 else 0.0,
                "wall_fps": arguments.count / took_s,
                "rate": rate(ids[arguments.settle :], arrivals[arguments.settle :]),
                "lost": bool(lost),
                "images": len(images),
                "payload": payload,
                "packet_size": 0 if lost else camera.gv_get_packet_size(),
                "resulting_fps": 0 if lost else resulting_fps(camera),
            }
            | counts
        )
    )
    if lost:  # there is nobody to say goodbye to, and Aravis would wait for an answer
        sys.stdout.flush()
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
