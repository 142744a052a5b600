"""A plain viva-genicam program (a strict U3V host in Rust): read all features, stream; prints one JSON object."""

import argparse
import json

import viva_genicam as vg


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--roi", type=int, nargs=2, default=[640, 480], metavar=("W", "H"))
    parser.add_argument("--format", default="Mono8")
    parser.add_argument("--gige", action="store_true", help="GigE Vision instead of USB3 Vision")
    arguments = parser.parse_args()
    devices = vg.discover() if arguments.gige else vg.discover_u3v()
    connect = vg.connect_gige if arguments.gige else vg.connect_u3v
    bad_nodes = []
    with connect(devices[0]) as camera:
        for name in camera.nodes():
            try:
                info = camera.node_info(name)
                if info is not None and info.readable:
                    camera.get(name)
            except vg.GenicamError as error:
                if "no chunk or event data is attached" in str(error):
                    continue  # event nodes have no value before an event
                bad_nodes.append(f"{name}: {error}")
        camera.set_integer("Width", arguments.roi[0])
        camera.set_integer("Height", arguments.roi[1])
        camera.set_enum("PixelFormat", arguments.format)
        exposure = "ExposureTime" if "ExposureTime" in camera.nodes() else "ExposureTimeAbs"
        camera.set_float(exposure, 2000.0)
        ids, shapes = [], set()
        with camera.stream() as frames:
            for frame in frames:
                ids.append(frame.block_id)
                shapes.add((frame.height, frame.width))
                if len(ids) == arguments.count:
                    break
            stats = frames.stats()
        result = {
            "devices": len(devices),
            "nodes": len(camera.nodes()),
            "bad_nodes": bad_nodes,
            "skipped": [str(s) for s in camera.skipped()],
            "frames": len(ids),
            "gaps": sum(b - a - 1 for a, b in zip(ids, ids[1:], strict=False)),
            "too_late": stats.frames_backpressure,
            "lost": stats.frames_incomplete + stats.frames_missed + stats.frames_unsupported,
            "transfer_errors": stats.transfer_errors,
            "resends": stats.resend_requested,
            "exposure_us": camera.get_float(exposure),
            "shapes": sorted(shapes),
        }
    print(json.dumps(result, default=str))


if __name__ == "__main__":
    main()
