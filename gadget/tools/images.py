"""Frames as image files: PNG (8 or 16 bit), TIFF or the payload as it came. Numbers are the camera's DN.

10- and 12-bit pixels are stored unscaled in 16-bit files, so such a PNG looks dark in a viewer. Block id,
time stamp and pixel format go into the file (PNG text, TIFF description).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from frames.packing import PIXEL_FORMATS, unpack
from u3v.errors import U3VError
from u3v.wire.pfnc import BY_CODE
from u3v.wire.stream import Leader

IMAGE_FORMATS = ("png", "tiff", "raw")

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


def format_name(code: int) -> str:
    """The PFNC name of a pixel format, or its code in hex."""
    known = BY_CODE.get(code)
    return known.name if known is not None else f"{code:#010x}"


def to_pixels(leader: Leader, payload: memoryview) -> Pixels:
    """(H, W) array of DN, (H, W, 3) of RGB8: uint8 for 8-bit formats, else uint16. Raises U3VError for
    formats without numbers behind them here, and where the payload is too short.
    """
    name = format_name(leader.pixel_format)
    known = PIXEL_FORMATS.get(name)
    if known is None:
        raise U3VError(f"pixel format {name} cannot be converted: use raw files")
    width, height = leader.size_x, leader.size_y
    data = np.frombuffer(payload, np.uint8)
    line_bytes = (width * known.bits + 7) // 8
    if leader.padding_x:  # each line by itself, then without its padding
        stride = line_bytes + leader.padding_x
        if data.size < stride * height:
            raise U3VError(f"{data.size} bytes for {height} lines of {stride}")
        rows = data[: stride * height].reshape(height, stride)[:, :line_bytes]
        lines = [_unpack(np.ascontiguousarray(row), width, name) for row in rows]
        return _shaped(np.stack(lines), width, height, name)
    if data.size < (width * height * known.bits + 7) // 8:
        raise U3VError(f"{data.size} bytes for {width} x {height} pixels of {name}")
    return _shaped(_unpack(data, width * height, name), width, height, name)


def _shaped(values: Pixels, width: int, height: int, name: str) -> Pixels:
    channels = PIXEL_FORMATS[name].channels
    return values.reshape((height, width) if channels == 1 else (height, width, channels))


def write_image(path: Path, image_format: str, leader: Leader, payload: memoryview) -> None:
    """Write one frame. Raises U3VError (as `to_pixels`) and OSError."""
    if image_format == "raw":
        path.write_bytes(payload)
        return
    pixels = to_pixels(leader, payload)
    facts = {
        "BlockID": leader.block_id,
        "Timestamp": leader.timestamp,
        "PixelFormat": format_name(leader.pixel_format),
        "OffsetX": leader.offset_x,
        "OffsetY": leader.offset_y,
    }
    if image_format == "png":
        info = PngInfo()
        for key, value in facts.items():
            info.add_text(key, str(value))
        Image.fromarray(pixels).save(path, "PNG", pnginfo=info, compress_level=1)
    elif image_format == "tiff":
        import tifffile

        kind = "rgb" if pixels.ndim == 3 else "minisblack"
        tifffile.imwrite(
            path,
            pixels,
            photometric=kind,
            description=json.dumps(facts),
            metadata=None,
        )
    else:
        raise ValueError(f"image format {image_format!r}: must be one of {', '.join(IMAGE_FORMATS)}")


def _unpack(data: npt.NDArray[np.uint8], count: int, name: str) -> Any:
    known = PIXEL_FORMATS[name]
    if known.layout == "8":
        return data[: count * known.channels]
    return unpack(data, count, name)
