"""Plots as pictures, drawn with Pillow: bars for a plan, curves over time for a power run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

INK, GREY, LIGHT, PAPER = (30, 30, 30), (120, 120, 120), (225, 225, 225), (255, 255, 255)
COLOURS = [(31, 119, 180), (255, 127, 14), (44, 160, 44), (148, 103, 189), (140, 86, 75), (23, 190, 207)]
LOST = (214, 39, 40)
_MARGIN = 28


@dataclass(frozen=True, slots=True)
class Bars:
    """A row of horizontal bars. `rows`: label, parts (value, colour) from left to right, and a remark."""

    title: str
    unit: str
    rows: Sequence[tuple[str, Sequence[tuple[float, tuple[int, int, int]]], str]]
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """A panel: `points` (x, y) joined by straight lines; dashed `limits` (y, label)."""

    title: str
    unit: str
    points: Sequence[tuple[float, float]]
    colour: tuple[int, int, int]
    limits: Sequence[tuple[float, str]] = ()


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def bars(title: str, panels: Sequence[Bars], notes: Sequence[str] = ()) -> Image.Image:
    """Panels of bars below each other."""
    width, bar, label = 1000, 30, 230
    height = 70 + sum(64 + (bar + 10) * len(p.rows) for p in panels) + 24 * len(notes) + 10
    picture = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((_MARGIN, 20), title, INK, _font(22))
    top = 70
    for panel in panels:
        draw.text((_MARGIN, top), f"{panel.title} ({panel.unit})", INK, _font(16))
        top += 30
        widest = max([sum(v for v, _ in parts) for _, parts, _ in panel.rows] + [panel.limit or 0.0, 1e-12])
        scale = (width - label - 250) / widest
        bottom = top + (bar + 10) * len(panel.rows)
        for name, parts, remark in panel.rows:
            draw.text((_MARGIN, top + 6), _short(name, 26), INK, _font(14))
            left = float(label)
            for value, colour in parts:
                if value * scale < 0.5:
                    continue
                draw.rectangle((left, top, left + value * scale, top + bar), fill=colour)
                left += value * scale
            draw.text((left + 8, top + 6), remark, INK, _font(14))
            top += bar + 10
        if panel.limit is not None:
            x = label + panel.limit * scale
            draw.line((x, bottom - (bar + 10) * len(panel.rows) - 4, x, bottom - 4), fill=INK, width=2)
        top += 34
    for note in notes:
        draw.text((_MARGIN, top - 14), note, GREY, _font(14))
        top += 24
    return picture


def curves(
    title: str, panels: Sequence[Curve], x_unit: str, marks: Sequence[tuple[float, str]] = ()
) -> Image.Image:
    """Panels over one x axis; `marks` are vertical lines (x, label)."""
    width, panel_height, left, right, gap = 1000, 190, 90, 40, 46
    height = 90 + len(panels) * (panel_height + gap) + 30
    picture = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((_MARGIN, 18), title, INK, _font(22))
    x_end = max(x for panel in panels for x, _ in panel.points) or 1.0
    x_scale = (width - left - right) / x_end
    top = 90
    for index, panel in enumerate(panels):
        bottom = top + panel_height
        values = [y for _, y in panel.points]
        near = [y for y, _ in panel.limits if y <= 1.35 * max(values) + 1e-9]
        low, high = min(values + near), max(values + near)
        low = 0.0 if low >= 0 and low < 0.4 * high else low
        step = _step(high - low)
        low, high = math.floor(low / step) * step, math.ceil(high / step + 1e-9) * step
        if high <= low:
            high = low + step
        y_scale = panel_height / (high - low)

        def y_of(value: float, bottom: int = bottom, low: float = low, scale: float = y_scale) -> float:
            return bottom - (value - low) * scale

        for n in range(round((high - low) / step) + 1):
            y = y_of(low + n * step)
            draw.line((left, y, width - right, y), fill=LIGHT)
            draw.text((left - 8, y), f"{low + n * step:.6g}", GREY, _font(13), anchor="rm")
        x_step = _step(x_end)
        for n in range(int(x_end / x_step + 1e-9) + 1):
            x = left + n * x_step * x_scale
            draw.line((x, top, x, bottom), fill=LIGHT)
            if index == len(panels) - 1:
                draw.text((x, bottom + 8), f"{n * x_step:.6g}", GREY, _font(13), anchor="ma")
        for x_at, text in marks:
            x = left + x_at * x_scale
            draw.line((x, top, x, bottom), fill=GREY)
            if index == 0:
                draw.text((x + 3, top - 20), text, GREY, _font(12))
        for limit, text in panel.limits:
            if low <= limit <= high:
                y = y_of(limit)
                for x in range(left, width - right, 12):
                    draw.line((x, y, x + 6, y), fill=LOST)
                draw.text((width - right - 4, y - 16), text, LOST, _font(12), anchor="ra")
        line = [(left + x * x_scale, y_of(y)) for x, y in panel.points]
        draw.line(line, fill=panel.colour, width=2, joint="curve")
        draw.text((left, top - 34 if index else top - 40), f"{panel.title} ({panel.unit})", INK, _font(16))
        top = bottom + gap
    draw.text((width - right, height - 24), x_unit, GREY, _font(14), anchor="ra")
    return picture


def _step(span: float) -> float:
    """A round number that divides a span into about five."""
    if span <= 0:
        return 1.0
    raw = span / 5
    power = 10 ** math.floor(math.log10(raw))
    return next(float(n * power) for n in (1, 2, 2.5, 5, 10) if n * power >= raw * 0.999)


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
