"""Facts of a camera's electrical lines, from its model file: what each can be, at which volts, how fast.

In the file every line is a table, such as `[lines.Line1]`: `use` and `format` are words, all else are figures.
"""

from dataclasses import dataclass, fields

from u3v.did_you_mean import hint
from u3v.errors import ModelError
from u3v.figures import Figure, read_figure, read_keys

INPUT, OUTPUT, EITHER = "input", "output", "either"
USES = (INPUT, OUTPUT, EITHER)
FORMATS = ("OptoCoupled", "TTL", "OpenDrain")


@dataclass(frozen=True, slots=True)
class LineFacts:
    """One line. `use`: one of USES; `format`: SFNC's LineFormat. None: the sheet says nothing of it.

    As an input: up to `low_max_v` is low, from `high_min_v` on high, and nobody knows what is between;
    above `safe_max_v` is too much, above `absolute_max_v` destroys. `open_v`: what an unconnected input sees.
    `pulse_min_us`: the shortest pulse it can see. As an output: `on_delay_us` and `off_delay_us` until it
    follows, at most `load_max_ma` through it.
    """

    name: str
    use: str
    format: str
    low_max_v: Figure | None = None
    high_min_v: Figure | None = None
    safe_max_v: Figure | None = None
    absolute_max_v: Figure | None = None
    open_v: Figure | None = None
    pulse_min_us: Figure | None = None
    on_delay_us: Figure | None = None
    off_delay_us: Figure | None = None
    load_max_ma: Figure | None = None

    def number(self, figure: str, default: float) -> float:
        """A figure, or `default` where the sheet says nothing."""
        known: Figure | None = getattr(self, figure)
        return default if known is None else float(known.value)

    @property
    def can_be_input(self) -> bool:
        return self.use != OUTPUT

    @property
    def can_be_output(self) -> bool:
        return self.use != INPUT

    def sheet(self) -> dict[str, Figure]:
        """All figures that the line has."""
        return {name: figure for name in _FIGURES if (figure := getattr(self, name)) is not None}


_WORDS = ("use", "format")
_FIGURES = tuple(f.name for f in fields(LineFacts) if f.name not in ("name", *_WORDS))
_ORDERED = ("low_max_v", "high_min_v", "safe_max_v", "absolute_max_v")


def read_lines(path: str, table: object) -> tuple[LineFacts, ...]:
    """All lines of a model file, in its order. Raises ModelError."""
    if not isinstance(table, dict):
        raise ModelError(path, "lines", "must be a table")
    return tuple(_read_line(path, name, value) for name, value in table.items())


def _read_line(path: str, name: str, value: object) -> LineFacts:
    where = f"lines.{name}"
    if not (name.startswith("Line") and name[4:].isdecimal()):
        raise ModelError(path, where, "is not of the form Line1")
    table = read_keys(path, f"{where}.", value, [*_WORDS, *_FIGURES], _FIGURES)
    for word, choices in (("use", USES), ("format", FORMATS)):
        if table[word] not in choices:
            wrong = f"{table[word]!r} is not one of {', '.join(choices)}{hint(str(table[word]), choices)}"
            raise ModelError(path, f"{where}.{word}", wrong)
    figures = {key: read_figure(path, f"{where}.{key}", table[key]) for key in _FIGURES if key in table}
    line = LineFacts(name, table["use"], table["format"], **figures)
    for key, figure in figures.items():
        if figure.value < 0:
            raise ModelError(path, f"{where}.{key}.value", f"is {figure.value:g}, must be zero or more")
    known = [key for key in _ORDERED if key in figures]
    for low, high in zip(known, known[1:], strict=False):
        if figures[low].value > figures[high].value:
            wrong = f"is {figures[low].value:g}, above {high} ({figures[high].value:g})"
            raise ModelError(path, f"{where}.{low}.value", wrong)
    for key in _ORDERED if line.can_be_input else ():
        if key not in figures:
            raise ModelError(path, f"{where}.{key}", "missing")
    return line
