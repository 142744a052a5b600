"""One number of a data sheet with its label and its source, and how it is read from TOML."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from u3v.did_you_mean import hint
from u3v.errors import ModelError

KINDS = ("printed", "measured", "assumed")


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a camera: `kind` is "printed", "measured" or "assumed"; `source` says by whom."""

    value: float
    kind: str
    source: str


def read_keys(
    path: str, prefix: str, table: object, known: list[str], optional: Sequence[str] = ()
) -> Mapping[str, Any]:
    """A table with these keys, all but `optional` there. Raises ModelError."""
    if not isinstance(table, dict):
        raise ModelError(path, prefix.rstrip("."), "must be a table")
    for key in table:
        if key not in known:
            raise ModelError(path, prefix + key, f"unknown key{hint(key, known)}")
    for key in known:
        if key not in table and key not in optional:
            raise ModelError(path, prefix + key, "missing")
    return table


def read_figure(path: str, key: str, value: object) -> Figure:
    """A figure from its table. Raises ModelError."""
    table = read_keys(path, f"{key}.", value, ["value", "kind", "source"])
    number, kind, source = table["value"], table["kind"], table["source"]
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise ModelError(path, f"{key}.value", "must be a number")
    if kind not in KINDS:
        raise ModelError(path, f"{key}.kind", f"{kind!r} is not one of {', '.join(KINDS)}")
    if not isinstance(source, str) or not source:
        raise ModelError(path, f"{key}.source", "must say where the figure comes from")
    return Figure(number, kind, source)
