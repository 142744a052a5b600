"""A plain Aravis program: sets features, takes one frame, writes its bytes to a file, prints what Aravis says of it.

aravis_raw.py FILE [Feature=Value ...]
"""

import json
import sys

import gi

gi.require_version("Aravis", "0.8")
from gi.repository import Aravis  # noqa: E402

Aravis.enable_interface("USB3Vision")
Aravis.disable_interface("GigEVision")
camera = Aravis.Camera.new(None)
camera.uv_set_usb_mode(Aravis.UvUsbMode.SYNC)
for setting in sys.argv[2:]:
    name, _, value = setting.partition("=")
    camera.get_device().set_features_from_string(f"{name}={value}")
buffer = camera.acquisition(10_000_000)
with open(sys.argv[1], "wb") as file:
    file.write(buffer.get_data())
print(
    json.dumps(
        {
            "status": buffer.get_status().value_nick,
            "frame_id": buffer.get_frame_id(),
            "width": buffer.get_image_width(),
            "height": buffer.get_image_height(),
            "pixel_format": buffer.get_image_pixel_format(),
        }
    )
)
