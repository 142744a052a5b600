"""Frames as image files: PNG, TIFF, or the payload as it came.

Files are for people unless somebody asks for the numbers: 8 bits a colour, with colours where the camera has a
Bayer pattern (`frames.pictures`). With `as_numbers` they hold the camera's DN: 10 and 12 bits unscaled in 16-bit
files, which look dark in a viewer, and mosaics as they are. Block id, time stamp and pixel format go into the file
(PNG text, TIFF description). A file has its name once it is whole; until then it is called NAME.part.
"""

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from frames.packing import PixelFormatError
from frames.pictures import Pixels, picture, unpack_image
from gadget.whole_file import whole_file
from u3v.errors import U3VError
from u3v.wire.pfnc import BY_CODE
from u3v.wire.stream import Leader

IMAGE_FORMATS = ("png", "tiff", "raw")


def format_name(code: int) -> str:
    """The PFNC name of a pixel format, or its code in hex."""
    known = BY_CODE.get(code)
    return known.name if known is not None else f"{code:#010x}"


def to_pixels(leader: Leader, payload: memoryview) -> Pixels:
    """The frame's DN: (H, W), or (H, W, 3) for RGB; uint8 for 8-bit formats, else uint16.

    Raises U3VError for formats without numbers behind them here, and where the payload is too short.
    """
    name = format_name(leader.pixel_format)
    data = np.frombuffer(payload, np.uint8)
    try:
        return unpack_image(data, leader.size_x, leader.size_y, name, leader.padding_x)
    except PixelFormatError as error:
        raise U3VError(f"{error}: use raw files") from None
    except ValueError as error:
        raise U3VError(str(error)) from None


def write_image(
    path: Path, image_format: str, leader: Leader, payload: memoryview, *, as_numbers: bool = False
) -> None:
    """Write one frame. Raises U3VError (as `to_pixels`) and OSError."""
    with whole_file(path) as part:
        _write(part, image_format, leader, payload, as_numbers)


def _write(path: Path, image_format: str, leader: Leader, payload: memoryview, as_numbers: bool) -> None:
    if image_format == "raw":
        path.write_bytes(payload)
        return
    pixels = to_pixels(leader, payload)
    name = format_name(leader.pixel_format)
    if not as_numbers:
        pixels = picture(pixels, name)
    facts = {
        "BlockID": leader.block_id,
        "Timestamp": leader.timestamp,
        "PixelFormat": name,
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
        file = io.BytesIO()  # a full disk is told apart only where Python writes
        tifffile.imwrite(file, pixels, photometric=kind, description=json.dumps(facts), metadata=None)
        path.write_bytes(file.getbuffer())
    else:
        raise ValueError(f"image format {image_format!r}: must be one of {', '.join(IMAGE_FORMATS)}")
