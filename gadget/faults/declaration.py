"""What a fault is in words: its name, its parameters, when it strikes. Parsed from text and from tables (TOML).

    parse_fault("lost-trailer:frame=3")                     one fault
    parse_fault("lost-ack:nth=10,times=2,p=0.5,seed=7")     from the 10th command on, twice, each with probability 0.5

A `Kind` is the declaration of one sort of fault, from which text, help, listing, page and tests are made. A `Fault` is
what a person asked for: the name and the parameters that were given. When it strikes is said by the same words for all
of them (`SELECTORS`). Nothing here strikes: `gadget.faults.wrappers` and what is built on it do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from u3v.did_you_mean import hint
from u3v.errors import Mistake

Value = int | float | str
Values = Mapping[str, Any]
HIGHEST = float(2**64 - 1)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. The type of `default` is the type of the value; numbers are from `low` to `high`."""

    name: str
    default: Value
    doc: str
    choices: tuple[str, ...] = ()
    low: float = 0
    high: float = HIGHEST

    def parse(self, value: Any, where: str) -> Value:
        """The value of a text, or of a TOML table. Raises Mistake."""
        if isinstance(self.default, str):
            text = str(value)
            if self.choices and text not in self.choices:
                raise Mistake(
                    f"{where}: {self.name} is {', '.join(self.choices)}, not {text!r}{hint(text, self.choices)}"
                )
            if not text:
                raise Mistake(f"{where}: {self.name} is a name, not ''")
            return text
        kind, word = (float, "a number") if isinstance(self.default, float) else (int, "a whole number")
        try:
            if isinstance(value, bool) or (kind is int and isinstance(value, float)):
                raise ValueError
            number = kind(value) if not isinstance(value, str) or kind is float else int(value, 0)
            if not self.low <= number <= self.high:
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            limits = f"from {self.low:g}" + (f" to {self.high:g}" if self.high != HIGHEST else "")
            raise Mistake(
                f"{where}: {self.name} is {word} {limits}, such as {self.name}={self.example}, not {value!r}"
            ) from None
        return number

    @property
    def example(self) -> Value:
        return max(self.default, 3) if isinstance(self.default, int) else self.default


SELECTORS = (
    Parameter("frame", 0, "strike from the frame with this block id on"),
    Parameter(
        "at_ms", 0.0, "strike from so many ms after the fault was set on (a host's first request counts as 0)"
    ),
    Parameter("nth", 1, "strike from the nth chance on", low=1),
    Parameter("times", 1, "how often it strikes; 0: again and again"),
    Parameter("p", 1.0, "the probability that it strikes when it could", high=1),
    Parameter("seed", 0, "what the chances of p are drawn from; the same seed, the same strikes"),
)
"""When a fault strikes: words that all faults understand."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of fault.

    `make`: the wrapper; `also`: the one that does the same on another wire. `chance`: what `nth` counts, in the
    singular. `times`: how often it strikes unless told otherwise. `from_start`: it changes what the device is, so
    that it cannot be added to one that runs. `imitates`: published cases. `host_should`: what a good host does.
    `fails`: the conformance checks that see it; `legal`: it breaks no rule.
    """

    doc: str
    host_should: str
    make: type[Any]
    chance: str
    parameters: tuple[Parameter, ...] = ()
    times: int = 1
    from_start: bool = False
    imitates: tuple[str, ...] = ()
    fails: tuple[str, ...] = ()
    legal: bool = False
    also: type[Any] | None = None

    def maker(self, wire: str) -> type[Any] | None:
        """What does it to a camera on that wire. None: it cannot be had there."""
        makers = (self.make, self.also)
        return next((one for one in makers if one is not None and one.wire in ("", wire)), None)

    @property
    def known(self) -> dict[str, Parameter]:
        """All parameters it takes, its own ones first."""
        own = {parameter.name: parameter for parameter in self.parameters}
        return own | {p.name: p for p in SELECTORS if p.name not in own}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault as a person asks for it: its name, and the parameters that were given."""

    name: str
    given: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        return f"{self.name}:{','.join(f'{key}={value}' for key, value in self.given)}".rstrip(":")

    def values(self, kind: Kind) -> dict[str, Any]:
        """The kind's own parameters, given or by default."""
        given = dict(self.given)
        return {p.name: given.get(p.name, p.default) for p in kind.parameters}


def fault_from_text(text: str, kinds: Mapping[str, Kind]) -> Fault:
    """ "NAME" or "NAME:KEY=VALUE,...". Raises Mistake."""
    name, _, rest = text.partition(":")
    table: dict[str, Any] = {}
    for part in rest.split(",") if rest else ():
        key, _, value = part.partition("=")
        if key in table:
            raise Mistake(f"fault {text!r}: {key} is given twice")
        table[key] = value
    return fault_from_table(name, table, kinds, f"fault {text!r}")


def fault_from_table(name: str, table: Mapping[str, Any], kinds: Mapping[str, Kind], where: str) -> Fault:
    """A fault from its name and its parameters as texts or numbers. Raises Mistake, which begins with `where`."""
    kind = kinds.get(name)
    if kind is None:
        raise Mistake(f"{where}: no such fault as {name!r}; u3v faults lists them{hint(name, kinds)}")
    given = []
    for key, value in table.items():
        parameter = kind.known.get(key)
        if parameter is None:
            raise Mistake(
                f"{where}: {name} takes {', '.join(kind.known)}, not {key!r}{hint(key, kind.known)}"
            )
        given.append((key, parameter.parse(value, where)))
    return Fault(name, tuple(given))
