"""A page for each model, written from what it declares: figures, formats, lines, features, chunks, events, files.

`scripts/model-pages` writes them to docs/models; a test compares. Nothing on them is typed by hand.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields

from gadget.runner import CameraSpec, build_core
from u3v import sfnc
from u3v.camera import Camera
from u3v.features import Boolean, ByteArray, Command, Enumeration, Feature, Float, Integer, String, limit
from u3v.figures import Figure
from u3v.usb3v.bootstrap import USB3_VISION
from u3v.wire.pfnc import PIXEL_FORMATS

SERIAL = "40000001"
MANY = 12
"""Entries of an enumeration that are listed; of longer ones the first and the last."""


def page(name: str) -> str:
    """The page of a built-in model, in Markdown."""
    core = build_core(CameraSpec(name), SERIAL, USB3_VISION)
    camera, model = core.camera, core.model
    try:
        parts = [
            f"# {model.title}",
            "Written by `scripts/model-pages` from what the model declares, and compared by a test.",
            f"{model.sensor_text}. {model.wire_text}. Family `{model.features}`, SFNC {model.sfnc_version}.",
            *_section("Figures", _figures(model.sheet().items())),
            *_section("Pixel formats", _formats(model.pixel_formats)),
            *_section("Lines", _lines(camera)),
            *_features(camera),
            *_section("Chunks", _chunks(camera)),
            *_section("Events", _events(camera)),
            *_section("Files", _files(camera)),
            *_section("User sets", [f"{', '.join(camera.family.user_sets)}. The first is the factory's."]),
            *_section(
                "Sequencer sets", [", ".join(camera.family.sequenced)] if camera.family.sequenced else []
            ),
        ]
    finally:
        core.pixels.source.close()
    return "\n\n".join(parts) + "\n"


def file_name(name: str) -> str:
    return f"{name.lower()}.md"


def _section(title: str, lines: Sequence[str]) -> list[str]:
    """A chapter; where there is nothing it says so."""
    return [f"## {title}", "\n".join(lines) if lines else "None."]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    body = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *body] if body else []


def _figures(figures: Iterable[tuple[str, Figure]]) -> list[str]:
    rows = ((f"`{name}`", _number(figure.value), figure.kind, figure.source) for name, figure in figures)
    return _table(("figure", "value", "kind", "source"), rows)


def _formats(names: Iterable[str]) -> list[str]:
    rows = ((f"`{n}`", f"{PIXEL_FORMATS[n].code:#010x}", PIXEL_FORMATS[n].bits_per_pixel) for n in names)
    return _table(("format", "PFNC code", "bits per pixel"), rows)


def _lines(camera: Camera) -> list[str]:
    rows = []
    for line in camera.model.lines:
        known = ((f.name, getattr(line, f.name)) for f in fields(line))
        figures = [f"{name} {_number(x.value)} ({x.kind})" for name, x in known if isinstance(x, Figure)]
        rows.append((f"`{line.name}`", line.use, line.format, ", ".join(figures)))
    return _table(("line", "use", "format", "limits"), rows)


def _features(camera: Camera) -> list[str]:
    categories: dict[str, list[Feature]] = {}
    for feature in camera.features:
        categories.setdefault(feature.category, []).append(feature)
    parts = [f"## Features\n\n{len(list(camera.features))} features in {len(categories)} categories."]
    for category, members in categories.items():
        rows = [_feature(camera, feature) for feature in members]
        head = ("feature", "kind", "access", "values", "at power-up", "what it is")
        parts += [f"### {category}", "\n".join(_table(head, rows))]
    return parts


def _feature(camera: Camera, feature: Feature) -> tuple[str, ...]:
    by = f" by {', '.join(feature.selectors)}" if feature.selectors else ""
    shown = "" if isinstance(feature, Command | ByteArray) else _value(feature, feature.initial())
    if feature.read is not None or (isinstance(feature, String) and not shown):
        shown = ""
    return (
        f"`{feature.name}`{by}",
        type(feature).__name__,
        feature.access,
        _limits(camera, feature),
        shown,
        feature.tooltip,
    )


def _limits(camera: Camera, feature: Feature) -> str:
    if isinstance(feature, Integer | Float) and feature.access == "RW":
        low, high, inc = (_number(limit(camera, x)) for x in (feature.min, feature.max, feature.inc))
        step = f", step {inc}" if inc not in ("0", "1") else ""
        return f"{low} to {high}{step} {feature.unit}".strip()
    if isinstance(feature, Enumeration):
        names = list(feature.entries)
        return ", ".join(names if len(names) <= MANY else [*names[: MANY - 1], "...", names[-1]])
    if isinstance(feature, ByteArray):
        return f"{feature.length} bytes"
    return feature.unit if isinstance(feature, Integer | Float) else ""


def _value(feature: Feature, value: object) -> str:
    if isinstance(feature, Boolean):
        return "true" if value else "false"
    return _number(value) if isinstance(value, int | float) else str(value)


def _number(value: float) -> str:
    return f"{value:.12g}"


def _chunks(camera: Camera) -> list[str]:
    rows = (
        (
            f"`{chunk.name}`",
            f"{chunk.chunk_id:#06x}",
            chunk.size or "",
            ", ".join(v.feature.name for v in chunk.values),
        )
        for chunk in camera.chunks
    )
    return _table(("chunk", "id", "bytes", "nodes"), rows)


def _events(camera: Camera) -> list[str]:
    rows = ((f"`{e.name}`", f"{e.event_id:#06x}", e.tooltip) for e in sfnc.event_nodes(camera.family))
    return _table(("event", "id", "when"), rows)


def _files(camera: Camera) -> list[str]:
    def ways(read: bool, write: bool) -> str:
        return " and ".join(word for word, has in (("read", read), ("write", write)) if has)

    rows = (
        (f"`{file.name}`", ways(file.read is not None, file.write is not None), file.max_bytes)
        for file in camera.family.files(camera.model)
    )
    return _table(("file", "ways", "bytes at most"), rows)
