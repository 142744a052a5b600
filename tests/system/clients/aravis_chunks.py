"""An Aravis program (system Python) that switches on all chunks and reads them in 20 frames; prints one JSON object.

What Aravis calls a chunk parser knows the camera's XML and the frame, and
not the camera.
"""

import argparse
import json

import gi

gi.require_version("Aravis", "0.8")
from gi.repository import Aravis  # noqa: E402

TIMEOUT_US = 60_000_000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", help="values to read")
    given = parser.parse_args()
    Aravis.enable_interface("USB3Vision")
    Aravis.disable_interface("GigEVision")
    camera = Aravis.Camera.new(None)
    camera.set_region(0, 0, 640, 480)
    chunks = camera.dup_available_enumerations_as_strings("ChunkSelector")
    camera.set_chunks(",".join(chunks))
    payload = camera.get_payload()
    parser = camera.create_chunk_parser()
    stream = camera.create_stream(None, None)
    for _ in range(20):
        stream.push_buffer(Aravis.Buffer.new_allocate(payload))
    camera.start_acquisition()
    frames = []
    for _ in range(20):
        buffer = stream.timeout_pop_buffer(TIMEOUT_US)
        values = {}
        for name in given.names:
            node = camera.get_device().get_feature(name)
            kind = "float" if isinstance(node, Aravis.GcFloatNode) else "integer"
            if isinstance(node, Aravis.GcEnumeration):
                kind = "string"
            values[name] = getattr(parser, f"get_{kind}_value")(buffer, name)
        frames.append(
            {
                "status": buffer.get_status().value_nick,
                "has_chunks": buffer.has_chunks(),
                "frame_id": buffer.get_frame_id(),
                "timestamp": buffer.get_timestamp(),
                **values,
            }
        )
    camera.stop_acquisition()
    print(json.dumps({"chunks": chunks, "payload": payload, "frames": frames}))


if __name__ == "__main__":
    main()
