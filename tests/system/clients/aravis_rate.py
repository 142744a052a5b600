"""A plain Aravis program: counts frames against the wall clock. The period is the median over all pairs of frames that
are half the run apart, so that one late wake-up of this program does not count.

aravis_rate.py FRAMES [Feature=Value ...]
"""

import json
import statistics
import sys
import time

import gi

gi.require_version("Aravis", "0.8")
from gi.repository import Aravis  # noqa: E402

Aravis.enable_interface("USB3Vision")
Aravis.disable_interface("GigEVision")
SETTLE_S = 1.5  # of the programs' warming up
camera = Aravis.Camera.new(None)
camera.uv_set_usb_mode(Aravis.UvUsbMode.SYNC)
for setting in sys.argv[2:]:
    camera.get_device().set_features_from_string(setting)
stream = camera.create_stream(None, None)
for _ in range(12):
    stream.push_buffer(Aravis.Buffer.new_allocate(camera.get_payload()))
camera.start_acquisition()
arrivals, ids, stamps = [], [], []
while len(ids) < int(sys.argv[1]):
    buffer = stream.timeout_pop_buffer(10_000_000)
    arrivals.append(time.monotonic())
    assert buffer is not None
    assert buffer.get_status() == Aravis.BufferStatus.SUCCESS
    ids.append(buffer.get_frame_id())
    stamps.append(buffer.get_timestamp())
    stream.push_buffer(buffer)
camera.stop_acquisition()
span = ids[-1] - ids[0]
settled = next(number for number, at in enumerate(arrivals) if at > arrivals[0] + SETTLE_S)
arrivals, ids = arrivals[settled:], ids[settled:]
half = len(ids) // 2
periods = [(arrivals[k + half] - arrivals[k]) / (ids[k + half] - ids[k]) for k in range(len(ids) - half)]
print(
    json.dumps(
        {
            "wall_fps": 1 / statistics.median(periods),
            "stamp_fps": span * 1e9 / (stamps[-1] - stamps[0]),
            "resulting_fps": camera.get_float("ResultingFrameRate"),
            "lost": span + 1 - settled - len(ids),
        }
    )
)
