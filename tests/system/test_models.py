"""Every model as real host programs see it: Aravis opens them, lists their features and grabs whole frames."""

import pytest

from tests.system.programs import aravis, need_aravis, objects, with_camera
from u3v.model import load_model, model_names
from u3v.wire.pfnc import PIXEL_FORMATS

CASES = [(name, load_model(name).pixel_formats[0]) for name in model_names()]
CASES += [("IDS-IMX412", "BayerGR12g24IDS"), ("U3V-Color", "BayerRG12p"), ("U3V-Color", "RGB8")]


@pytest.fixture(autouse=True)
def _needs_aravis() -> None:
    need_aravis()


@pytest.mark.parametrize("name", model_names())
def test_aravis_lists_all_features(name: str) -> None:
    done = with_camera(["arv-tool-0.8", "features"], models=name)
    for feature in ("Width", "ExposureTime", "ResultingFrameRate", "PayloadSize", "VirtualWire"):
        assert f"'{feature}'" in done.stdout
    assert "warning" not in done.stderr.lower() and "critical" not in done.stderr.lower()


@pytest.mark.parametrize(("name", "pixel_format"), CASES)
def test_aravis_grabs_at_full_size(name: str, pixel_format: str) -> None:
    """Also the IDS formats, which Aravis has no name for: their payload is read, not derived."""
    (result,) = objects(with_camera(aravis("--count", "10", "--format", pixel_format), models=name).stdout)
    model = load_model(name)
    size = [model.integer(f"{axis}_default_px") for axis in ("width", "height")]
    assert result["payload"] == PIXEL_FORMATS[pixel_format].payload_bytes(*size) > 0
    assert (result["frames"], result["bad"], result["failures"]) == (10, [], 0)
    assert (result["first_id"], result["gaps"]) == (0, 0)
