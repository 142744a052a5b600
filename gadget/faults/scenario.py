"""Scenarios: several faults with a name, from a file (TOML) or from the presets that come along.

title = "A cable that was stepped on"
imitates = ["AravisProject/aravis#9"]          # optional, as is `host`

[[fault]]
name = "eproto"                                # a name of `u3v faults`, and its parameters as in --fault
nth = 100
p = 0.01
times = 0

[[fault]]
name = "yank"
frame = 20
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gadget.faults.catalogue import FAULTS, parse_fault
from gadget.faults.declaration import Fault, fault_from_table
from u3v.did_you_mean import hint
from u3v.errors import Mistake

PRESETS = Path(__file__).with_name("presets")
PREFIX = "preset:"
_TEXTS = ("title", "host")
_CLIENTS = ("aravis", "pylon", "viva")


@dataclass(frozen=True, slots=True)
class Scenario:
    """`seen`: what real hosts did, by their name (presets only)."""

    name: str
    title: str
    faults: tuple[Fault, ...]
    imitates: tuple[str, ...] = ()
    host: str = ""
    seen: tuple[tuple[str, str], ...] = ()


def load_scenario(path: Path) -> Scenario:
    """Raises Mistake, one line with the file's name."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise Mistake(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Mistake(f"{path}: {error}") from error
    known = (*_TEXTS, "imitates", "seen", "fault")
    for key in table:
        if key not in known:
            raise Mistake(f"{path}: {key!r} is none of {', '.join(known)}{hint(key, known)}")
    for key in _TEXTS:
        if not isinstance(table.get(key, ""), str):
            raise Mistake(f"{path}: {key} is a text")
    imitates = table.get("imitates", [])
    if not isinstance(imitates, list) or not all(isinstance(each, str) for each in imitates):
        raise Mistake(f"{path}: imitates is a list of texts")
    return Scenario(
        path.stem,
        table.get("title", ""),
        tuple(_faults(table.get("fault"), path)),
        tuple(imitates),
        table.get("host", ""),
        tuple(_seen(table.get("seen", {}), path)),
    )


def presets() -> dict[str, Scenario]:
    """Those that come along, by name."""
    return {path.stem: load_scenario(path) for path in sorted(PRESETS.glob("*.toml"))}


def find_scenario(text: str) -> Scenario:
    """A preset's name, or a file's. Raises Mistake."""
    names = [path.stem for path in sorted(PRESETS.glob("*.toml"))]
    if text in names:
        return load_scenario(PRESETS / f"{text}.toml")
    path = Path(text)
    if path.suffix or path.exists() or "/" in text:
        return load_scenario(path)
    raise Mistake(
        f"scenario {text!r}: neither a file nor a preset; u3v faults lists the presets{hint(text, names)}"
    )


def parse_faults(text: str) -> tuple[Fault, ...]:
    """What stands behind `--fault`: one fault, or "preset:NAME". Raises Mistake."""
    if text.startswith(PREFIX):
        return find_scenario(text.removeprefix(PREFIX)).faults
    return (parse_fault(text),)


def _faults(tables: Any, path: Path) -> Iterable[Fault]:
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise Mistake(f"{path}: faults are missing: each is a [[fault]] with a name and its parameters")
    for number, table in enumerate(tables, 1):
        where = f"{path}: fault {number}"
        parameters = dict(table)
        name = parameters.pop("name", None)
        if not isinstance(name, str):
            raise Mistake(f'{where}: its name is missing, such as name = "lost-trailer"')
        yield fault_from_table(name, parameters, FAULTS, where)


def _seen(table: Any, path: Path) -> Iterable[tuple[str, str]]:
    if not isinstance(table, dict):
        raise Mistake(f"{path}: seen is a table of texts")
    for client, text in table.items():
        if client not in _CLIENTS or not isinstance(text, str):
            raise Mistake(
                f"{path}: seen: {client!r} is none of {', '.join(_CLIENTS)}{hint(client, _CLIENTS)}"
            )
        yield client, text
