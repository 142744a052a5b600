"""The pictures of README and docs, as they are in the repository (scripts/pictures makes them)."""

from pathlib import Path

import numpy as np
from PIL import Image

from frames.contact import look
from frames.sensor import load_sensor

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"


def test_u10_scenes_have_their_colours() -> None:
    """U10: a palette of 256 colours for 38 scenes turned orange into brown. Every patch of the chart is there."""
    chart = look("colours", load_sensor("imx412")).astype(int)
    patches = [
        chart[y + 20 : y + 60, x + 20 : x + 60].mean(axis=(0, 1)) for y in (4, 94) for x in range(4, 480, 80)
    ]
    with Image.open(PICTURES / "scenes.png") as sheet:
        assert sheet.mode == "RGB"
        shown = np.asarray(sheet, int)
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 5000
    for patch in patches:
        near = (np.abs(shown - patch).max(axis=2) < 8).sum()
        assert near > 500, f"nothing of {patch.round()}"


def test_u10_the_two_shutters_are_named() -> None:
    """U10: nothing said which half is which. Above each there is dark text on white."""
    with Image.open(PICTURES / "shutter.png") as picture:
        strip = np.asarray(picture.convert("L"))[:30]
    for half in np.array_split(strip, 2, axis=1):
        dark = (half < 100).mean()
        assert 0.01 < dark < 0.15
        assert (half > 240).mean() > 0.8
