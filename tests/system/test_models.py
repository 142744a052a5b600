"""Every model as real host programs see it: Aravis opens them, lists their features and grabs whole frames."""

import json
import shlex
from functools import cache
from typing import Any

import pytest

from tests.system.programs import aravis, need_aravis, objects, with_camera
from u3v.model import load_model, model_names
from u3v.wire.pfnc import PIXEL_FORMATS

CASES = [(name, load_model(name).pixel_formats[0]) for name in model_names()]
CASES += [("IDS-IMX412", "BayerGR12g24IDS"), ("U3V-Color", "BayerRG12p"), ("U3V-Color", "RGB8")]


@pytest.fixture(autouse=True)
def _needs_aravis() -> None:
    need_aravis()


@cache
def shown(name: str) -> tuple[str, dict[str, Any], str]:
    """What one camera shows: its features, frames of each of the formats, and what was said of errors."""
    frames = aravis(
        "--count", "10", "--cases", json.dumps([{"format": each} for model, each in CASES if model == name])
    )
    done = with_camera(
        ["sh", "-c", f"arv-tool-0.8 features && exec {shlex.join(frames)}"], "--no-pacing", models=name
    )
    return done.stdout, {result["format"]: result for result in objects(done.stdout)}, done.stderr


@pytest.mark.parametrize("name", model_names())
def test_aravis_lists_all_features(name: str) -> None:
    listed, _, complaints = shown(name)
    for feature in ("Width", "ExposureTime", "ResultingFrameRate", "PayloadSize", "VirtualWire"):
        assert f"'{feature}'" in listed
    assert "warning" not in complaints.lower() and "critical" not in complaints.lower()


@pytest.mark.parametrize(("name", "pixel_format"), CASES)
def test_aravis_grabs_at_full_size(name: str, pixel_format: str) -> None:
    """Also the IDS formats, which Aravis has no name for: their payload is read, not derived."""
    result = shown(name)[1][pixel_format]
    model = load_model(name)
    size = [model.integer(f"{axis}_default_px") for axis in ("width", "height")]
    assert result["payload"] == PIXEL_FORMATS[pixel_format].payload_bytes(*size) > 0
    assert (result["frames"], result["bad"], result["failures"]) == (10, [], 0)
    assert (result["first_id"], result["gaps"]) == (0, 0)
