import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from gadget.tools.images import format_name, to_pixels, write_image
from u3v.errors import U3VError
from u3v.wire.stream import Leader

RGB8 = 0x02180014
CODES = {"Mono8": 0x01080001, "Mono10": 0x01100003, "Mono10p": 0x010A0046, "Mono12": 0x01100005, "Mono12p": 0x010C0047}  # fmt: skip  # noqa: E501
BITS = {"Mono8": 8, "Mono10": 16, "Mono10p": 10, "Mono12": 16, "Mono12p": 12}
DEPTH = {"Mono8": 8, "Mono10": 10, "Mono10p": 10, "Mono12": 12, "Mono12p": 12}


def stream(values: list[int], bits: int) -> bytes:
    """PFNC: one bit stream, least significant bit first."""
    number = sum(value << bits * place for place, value in enumerate(values))
    return number.to_bytes((len(values) * bits + 7) // 8, "little")


def image(name: str, width: int, height: int, padding: int = 0) -> tuple[Leader, memoryview, list[int]]:
    random_ = random.Random(width * height)
    values = [random_.randrange(1 << DEPTH[name]) for _ in range(width * height)]
    leader = Leader(7, 123456789, CODES[name], width, height, 4, 8, padding)
    if not padding:
        return leader, memoryview(stream(values, BITS[name])), values
    lines = (values[at : at + width] for at in range(0, len(values), width))
    return (
        leader,
        memoryview(b"".join(stream(line, BITS[name]) + b"\xee" * padding for line in lines)),
        values,
    )


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize("shape", [(8, 2), (5, 3), (1, 1), (7, 7)])
@pytest.mark.parametrize("name", CODES)
def test_pixels_are_the_numbers_in_the_bit_stream(name: str, shape: tuple[int, int], padding: int) -> None:
    leader, payload, values = image(name, *shape, padding)
    pixels = to_pixels(leader, payload)
    assert pixels.dtype == (np.uint8 if name == "Mono8" else np.uint16)
    assert pixels.shape == (shape[1], shape[0])
    assert pixels.reshape(-1).tolist() == values


@pytest.mark.parametrize("name", CODES)
def test_png_and_tiff_hold_the_same_numbers(name: str, tmp_path: Path) -> None:
    leader, payload, values = image(name, 33, 17)
    write_image(tmp_path / "a.png", "png", leader, payload, as_numbers=True)
    write_image(tmp_path / "a.tiff", "tiff", leader, payload, as_numbers=True)
    write_image(tmp_path / "a.raw", "raw", leader, payload)
    with Image.open(tmp_path / "a.png") as png:
        assert png.mode == ("L" if name == "Mono8" else "I;16")
        assert np.asarray(png).reshape(-1).tolist() == values
        assert png.info["BlockID"] == "7"
        assert png.info["PixelFormat"] == name
    tiff = tifffile.imread(tmp_path / "a.tiff")
    assert tiff.reshape(-1).tolist() == values
    assert tiff.dtype == (np.uint8 if name == "Mono8" else np.uint16)
    with tifffile.TiffFile(tmp_path / "a.tiff") as file:
        assert '"Timestamp": 123456789' in file.pages[0].tags["ImageDescription"].value
    assert (tmp_path / "a.raw").read_bytes() == payload


def test_what_cannot_be_converted(tmp_path: Path) -> None:
    leader, payload, _ = image("Mono12p", 33, 17)
    with pytest.raises(U3VError, match=r"^841 bytes for 33 x 17 pixels of Mono12p$"):
        to_pixels(leader, payload[:-1])
    yuv = Leader(0, 0, 0x02100032, 8, 8)
    with pytest.raises(U3VError, match=r"^pixel format 0x02100032 cannot be converted: use raw files$"):
        to_pixels(yuv, memoryview(bytes(128)))
    write_image(tmp_path / "a.raw", "raw", yuv, memoryview(bytes(128)))
    with pytest.raises(ValueError, match="image format 'gif': must be one of png, tiff, raw"):
        write_image(tmp_path / "a.gif", "gif", leader, payload)
    assert format_name(0x02100032) == "0x02100032"


@pytest.mark.parametrize("padding", [0, 2])
def test_rgb8_is_a_picture_in_colour(padding: int, tmp_path: Path) -> None:
    wanted = np.random.default_rng(3).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    lines = [line.tobytes() + b"\xee" * padding for line in wanted]
    leader, payload = Leader(7, 1, RGB8, 7, 5, 0, 0, padding), memoryview(b"".join(lines))
    assert np.array_equal(to_pixels(leader, payload), wanted)
    for kind in ("png", "tiff"):
        write_image(tmp_path / f"a.{kind}", kind, leader, payload)
    with Image.open(tmp_path / "a.png") as png:
        assert png.mode == "RGB" and np.array_equal(np.asarray(png), wanted)
    assert np.array_equal(tifffile.imread(tmp_path / "a.tiff"), wanted)
    with pytest.raises(U3VError, match=r"^\d+ bytes for "):
        to_pixels(leader, payload[:-1])


@pytest.mark.parametrize("name", CODES)
def test_files_are_pictures_of_8_bits_by_default(name: str, tmp_path: Path) -> None:
    """U9: no file opens black."""
    leader, payload, values = image(name, 33, 17)
    eight = [value >> (DEPTH[name] - 8) for value in values]
    write_image(tmp_path / "a.png", "png", leader, payload)
    write_image(tmp_path / "a.tiff", "tiff", leader, payload)
    with Image.open(tmp_path / "a.png") as png:
        assert png.mode == "L" and np.asarray(png).reshape(-1).tolist() == eight
        assert png.info["PixelFormat"] == name
    tiff = tifffile.imread(tmp_path / "a.tiff")
    assert tiff.dtype == np.uint8 and tiff.reshape(-1).tolist() == eight


def test_mosaics_become_colours(tmp_path: Path) -> None:
    """U9: BayerRG8 as RGB, and with `as_numbers` as it came."""
    mosaic = np.tile(np.array([[200, 120], [120, 100]], np.uint8), (8, 9))
    leader = Leader(7, 1, 0x01080009, 18, 16)
    for kind in ("png", "tiff"):
        for as_numbers in (False, True):
            path = tmp_path / f"{as_numbers}.{kind}"
            write_image(path, kind, leader, memoryview(mosaic.tobytes()), as_numbers=as_numbers)
            seen = tifffile.imread(path) if kind == "tiff" else np.asarray(Image.open(path))
            if as_numbers:
                assert np.array_equal(seen, mosaic)
            else:
                assert seen.shape == (16, 18, 3)
                red, green, blue = seen[4, 4].tolist()
                assert (red, green) == (200, 120) and 100 < blue <= 120


def test_a_file_that_cannot_be_written_whole_is_not_left_behind(tmp_path: Path) -> None:
    """U4: here for want of room, in a process that may write 4096 bytes a file."""
    script = """
import os, resource, sys
from pathlib import Path
from gadget.tools.images import write_image
from u3v.wire.stream import Leader
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
leader, payload = Leader(7, 1, 0x01080001, 256, 256), memoryview(os.urandom(65536))
for kind in ("png", "tiff", "raw"):
    try:
        write_image(Path(sys.argv[1]) / f"a.{kind}", kind, leader, payload, as_numbers=True)
    except OSError as error:
        print(error.strerror)
"""
    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["File too large"] * 3, done.stderr
    assert list(tmp_path.iterdir()) == []
