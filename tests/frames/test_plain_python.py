"""The kernels without numba, as plain Python: the same bytes, so vectors and fused instructions change nothing."""

import json
import os
import subprocess
import sys
from hashlib import sha256

import numpy as np

from frames.scene import parse_scene
from frames.source import Defects, FrameSource
from tests.frames.cameras import SENSOR, settings

SHAPES: list[dict[str, object]] = [
    {},
    {"reverse_x": True, "pixel_format": "Mono12p"},
    {"binning_horizontal": 2, "binning_vertical": 2, "width": 20, "height": 3},
    {"pixel_format": "Mono8", "gain_db": 20.0, "reverse_y": True},
]
DEFECTS = Defects(row_noise_e=2, column_noise_e=2, hot_pixels=5)


def digests() -> list[str]:
    found = []
    for scene in ("gradient", "gradient:vignetting=0.5"):
        camera = FrameSource(SENSOR, parse_scene(scene), seed=3, width=40, height=6, defects=DEFECTS)
        for shape in SHAPES:
            s = settings(2, **({"width": 40, "height": 6, "defect_correction": False} | shape))
            out = np.zeros(camera.payload_size(s.width, s.height, s.pixel_format), np.uint8)
            camera.render_into(out, s)
            found.append(sha256(out).hexdigest())
    return found


def test_plain_python_gives_the_same_bytes() -> None:
    command = [sys.executable, "-W", "ignore", "-c"]
    command.append(f"import json; from {__name__} import digests; print(json.dumps(digests()))")
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    plain = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    wanted = digests()
    assert json.loads(plain.stdout) == wanted
    assert len(set(wanted)) == len(wanted)
