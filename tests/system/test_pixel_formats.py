"""What Aravis receives, byte for byte: test images of a known formula, unpacked here the slow way."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CLIENT = Path(__file__).parent / "clients" / "aravis_raw.py"
WIDTH, HEIGHT = 648, 31

CODES = {
    "Mono8": 0x01080001,
    "Mono10": 0x01100003,
    "Mono10p": 0x010A0046,
    "Mono12": 0x01100005,
    "Mono12p": 0x010C0047,
}


def unpacked(data: bytes, pixel_format: str) -> list[int]:
    """PFNC: the p formats are one stream of bits, least significant first; 10 and 12 are 16-bit words."""
    if pixel_format.endswith("p"):
        depth = int(pixel_format[4:-1])
        bits = int.from_bytes(data, "little")
        return [bits >> k * depth & (1 << depth) - 1 for k in range(len(data) * 8 // depth)]
    size = 1 if pixel_format == "Mono8" else 2
    return [int.from_bytes(data[k : k + size], "little") for k in range(0, len(data), size)]


@pytest.mark.parametrize("pixel_format", CODES)
def test_aravis_gets_the_pixels(pixel_format: str, tmp_path: Path) -> None:
    """Basler's test image 3: (column + row + counter) mod 4096, at the depth of the format."""
    raw = tmp_path / "frame.raw"
    settings = [f"Width={WIDTH}", f"Height={HEIGHT}", f"PixelFormat={pixel_format}"]
    settings.append("TestImageSelector=Testimage3")
    command = [sys.executable, "-m", "gadget", "run", "acA4096-40um", "--", "/usr/bin/python3", str(CLIENT)]
    result = subprocess.run(
        [*command, str(raw), *settings], capture_output=True, text=True, timeout=600, check=False
    )
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    assert said == {
        "status": "success",
        "frame_id": 0,
        "width": WIDTH,
        "height": HEIGHT,
        "pixel_format": CODES[pixel_format],
    }
    pixels = unpacked(raw.read_bytes(), pixel_format)
    depth = 8 if pixel_format == "Mono8" else int(pixel_format[4:6])
    wanted = [(x + y) % 4096 >> 12 - depth for y in range(HEIGHT) for x in range(WIDTH)]
    assert pixels == wanted
