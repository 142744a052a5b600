"""The PC's side of a hardware-in-the-loop run, with Aravis: wait for triggered frames and say how far apart they are.

/usr/bin/python3 docs/examples/hil_host.py 10                      triggers come in on Line1
/usr/bin/python3 docs/examples/hil_host.py 10 --source Software    without wires: this program triggers
"""

import argparse
import sys

import gi

gi.require_version("Aravis", "0.8")
from gi.repository import Aravis  # noqa: E402

PATIENCE_US = 10_000_000


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    parser.add_argument("--source", default="Line1")
    asked = parser.parse_args()

    camera = Aravis.Camera.new(None)
    for name, value in (
        ("TriggerSelector", "FrameStart"),
        ("TriggerMode", "On"),
        ("TriggerSource", asked.source),
    ):
        camera.set_string(name, value)
    stream = camera.create_stream(None, None)
    for _ in range(10):
        stream.push_buffer(Aravis.Buffer.new_allocate(camera.get_payload()))
    camera.start_acquisition()
    before_ns = 0
    for _ in range(asked.count):
        if asked.source == "Software":
            camera.software_trigger()
        buffer = stream.timeout_pop_buffer(PATIENCE_US)
        if buffer is None:
            print(f"no frame within {PATIENCE_US // 1_000_000} s: does a trigger arrive at {asked.source}?")
            return 1
        at_ns = buffer.get_timestamp()
        apart = f"{(at_ns - before_ns) / 1e6:9.3f} ms after the one before" if before_ns else ""
        good = buffer.get_status() == Aravis.BufferStatus.SUCCESS
        print(
            f"frame {buffer.get_frame_id()}: {'whole' if good else buffer.get_status().value_nick} {apart}".rstrip()
        )
        before_ns = at_ns
        stream.push_buffer(buffer)
    camera.stop_acquisition()
    return 0


if __name__ == "__main__":
    sys.exit(main())
