"""A contact sheet: every scene that needs no file, as a monochrome and a colour camera see it."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from frames.packing import unpack
from frames.scene import SCENES, parse_scene, scene_parameters
from frames.sensor import Sensor, load_sensor
from frames.source import FrameSettings, FrameSource

WIDTH, HEIGHT, GAP, CAPTION, HEADING = 480, 360, 12, 60, 64
PAPER, INK = (32, 32, 32), (235, 235, 235)
EXTRAS = (
    "gradient:axis=radial",
    "wedge:stops=8",
    "star:defocus=4,vignetting=0.7",
    "uniform:photons=9e5,flicker=0.5,flicker_hz=200",
    "bar:speed=20000,bar_width=60",
    "uniform:nm=630",
)


def contact_sheet(sensors: Sequence[str] = ("imx255", "imx412"), columns: int = 5) -> Image.Image:
    """All scenes, each once per sensor, below its heading: an RGB image. Takes about two seconds."""
    texts = [name for name in SCENES if all(p.default is not None for p in scene_parameters(name))]
    texts += EXTRAS
    height = HEADING + -(-len(texts) // columns) * (CAPTION + HEIGHT + GAP)
    sheet = Image.new("RGB", (columns * (WIDTH + GAP) + GAP, len(sensors) * height + GAP), PAPER)
    pen, small, large = ImageDraw.Draw(sheet), ImageFont.load_default(23), ImageFont.load_default(32)
    for block, sensor in enumerate(map(load_sensor, sensors)):
        colour = "monochrome" if sensor.colour == "mono" else "colour"
        heading = f"{sensor.name}: {colour}, {sensor.shutter} shutter"
        pen.text((GAP, block * height + HEADING - 12), heading, INK, large, anchor="ls")
        for k, text in enumerate(texts):
            x = GAP + k % columns * (WIDTH + GAP)
            y = block * height + HEADING + k // columns * (CAPTION + HEIGHT + GAP)
            pen.multiline_text((x, y + CAPTION - 6), caption(text, small.getlength), INK, small, anchor="ld")
            sheet.paste(Image.fromarray(look(text, sensor)), (x, y + CAPTION))
    return sheet


def caption(text: str, length_px: Callable[[str], float]) -> str:
    """A scene's text in lines of at most WIDTH, broken behind commas: "uniform:photons=9e5,\\nflicker=0.5"."""
    lines = [""]
    for part in re.split("(?<=,)", text):
        if lines[-1] and length_px(lines[-1] + part) > WIDTH:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def write_contact_sheet(path: Path) -> None:
    """`contact_sheet` as a file of the kind its name says. Raises OSError, ValueError."""
    contact_sheet().save(path)


def look(text: str, sensor: Sensor) -> npt.NDArray[np.uint8]:
    """A scene as a small corner of the sensor sees it: uint8 (HEIGHT, WIDTH, 3)."""
    source = FrameSource(sensor, parse_scene(text), seed=1, width=WIDTH, height=HEIGHT)
    exposure_us = 9000.0 if sensor.colour == "mono" else 20000.0
    if "flicker" in text or "speed" in text:  # short, so that it shows
        source.scene.photons *= exposure_us / 500
        exposure_us = 500.0
    s = FrameSettings(
        frame=0,
        time_s=1.3,
        exposure_us=exposure_us,
        gain_db=0.0,
        black_level_dn12=sensor.black_level_dn12,
        offset_x=0,
        offset_y=0,
        width=WIDTH,
        height=HEIGHT,
        pixel_format="Mono12",
    )
    out = np.empty(source.payload_size(WIDTH, HEIGHT, "Mono12"), np.uint8)
    source.render_into(out, s)
    raw = unpack(out, WIDTH * HEIGHT, "Mono12").reshape(HEIGHT, WIDTH).astype(np.float32)
    return develop(raw - np.float32(sensor.black_level_dn12), sensor)


def develop(raw: npt.NDArray[np.float32], sensor: Sensor) -> npt.NDArray[np.uint8]:
    """DN12 above black to RGB for looking at: half-resolution colour, white balance, display gamma."""
    if sensor.mosaic is None:
        rgb = np.repeat(raw[:, :, None], 3, axis=2)
    else:
        planes: list[list[npt.NDArray[np.float32]]] = [[], [], []]
        for dy in (0, 1):
            for dx in (0, 1):
                planes[sensor.mosaic[dy][dx]].append(raw[dy::2, dx::2])
        white = sensor.response()
        half = np.stack(
            [np.mean(p, axis=0) * (white[1] / w) for p, w in zip(planes, white, strict=True)], axis=2
        )
        rgb = np.repeat(np.repeat(half, 2, axis=0), 2, axis=1)
    display: npt.NDArray[np.uint8] = (np.clip(rgb / 4095, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
    return display
