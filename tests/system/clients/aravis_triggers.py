"""A plain Aravis program: frames by software trigger and by a line, one JSON object.

It knows nothing of the virtual camera; the pulses on its line are given by the command in the arguments.
"""

import argparse
import json
import subprocess
import sys

import gi

gi.require_version("Aravis", "0.8")
from gi.repository import Aravis  # noqa: E402

PATIENCE_US = 60_000_000
SILENCE_US = 300_000
WARM_UPS = 5


def ignored_bytes(stream: "Aravis.Stream") -> int:
    """Bytes that came without a leader that Aravis knows of."""
    return int(stream.get_info_uint64_by_name("n_ignored_bytes"))


def frame_ids(camera: "Aravis.Camera", source: str, give: "object", count: int) -> dict[str, object]:
    """Acquire with this source ("": freely); give so many triggers, one frame after each.

    The features are set by name: Aravis' own `set_trigger` wants a FrameStart, which an IDS camera does not have.
    Aravis reads a leader with a time-out, over and over, and drops one that comes in the instant between two reads
    (0.8.26; one of some hundred triggers on one processor). Its pixels came all the same, as "ignored" bytes: such
    a trigger is given once more, and told.
    """
    device = camera.get_device()
    device.set_string_feature_value("TriggerMode", "On" if source else "Off")
    if source:
        device.set_string_feature_value("TriggerSource", source)
    stream = camera.create_stream(None, None)
    for _ in range(8):
        stream.push_buffer(Aravis.Buffer.new_allocate(camera.get_payload()))
    camera.start_acquisition()
    early = bool(source) and stream.timeout_pop_buffer(SILENCE_US) is not None
    good = leaders_dropped = 0
    for _ in range(count):
        give()
        buffer = stream.timeout_pop_buffer(PATIENCE_US)
        if buffer is None and ignored_bytes(stream):
            leaders_dropped += 1
            give()
            buffer = stream.timeout_pop_buffer(PATIENCE_US)
        good += buffer is not None and buffer.get_status() == Aravis.BufferStatus.SUCCESS
        if buffer is not None:
            stream.push_buffer(buffer)
    late = bool(source) and stream.timeout_pop_buffer(SILENCE_US) is not None
    camera.stop_acquisition()
    if leaders_dropped:
        print(f"Aravis dropped {leaders_dropped} leaders at a time-out of its own", file=sys.stderr)
    return {"good": good, "early": early, "late": late}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--line", help="default: software triggers only")
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("pulse", nargs="*", help="command that gives a pulse on the line")
    given = parser.parse_args()
    Aravis.disable_interface("GigEVision")
    camera = Aravis.Camera.new(None)
    camera.set_region(0, 0, 240, 240)
    camera.set_acquisition_mode(Aravis.AcquisitionMode.CONTINUOUS)
    device = camera.get_device()
    for _ in range(WARM_UPS):  # a camera that has just been opened needs time for its first frame
        if frame_ids(camera, "", lambda: None, 1)["good"]:
            break
    found = {
        "software": frame_ids(camera, "Software", camera.software_trigger, given.count),
        "sources": list(device.dup_available_enumeration_feature_values_as_strings("TriggerSource")),
    }
    if given.line:
        pulse = lambda: subprocess.run(given.pulse, check=True, timeout=60)  # noqa: E731
        found["line"] = frame_ids(camera, given.line, pulse, given.count)
        found["status"] = device.get_integer_feature_value("LineStatusAll")
    device.set_string_feature_value("TriggerMode", "Off")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
