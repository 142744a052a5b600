"""What was said on the control channel during a run, for the checks that judge all of it, and for plots."""

from dataclasses import dataclass, field

from u3v.host.conformance.packets import Ack


@dataclass(slots=True)
class Exchange:
    """A command and what came back. `due`: an answer was to be expected."""

    packet: bytes
    check: str
    sent_ns: int
    due: bool
    answer: Ack | None = None
    strays: tuple[Ack, ...] = ()
    """Acknowledges with another request id that came while this one was waited for."""
    overflow: bool = False
    """The answer was longer than the buffer for it."""


@dataclass(slots=True)
class Journal:
    """`exchanges` in order; `stalls` are (check, endpoint) of bulk endpoints that stalled without being asked to.

    `series` are measurements for the report's plots: name (with unit) -> values.
    """

    exchanges: list[Exchange] = field(default_factory=list)
    stalls: list[tuple[str, int]] = field(default_factory=list)
    refused_writes: list[tuple[str, str]] = field(default_factory=list)
    """(check, what changed) where a refused write had an effect."""
    troubles: list[tuple[str, str]] = field(default_factory=list)
    """(check, request and error) of requests that ended as only a bad cable or a lost device ends them."""
    series: dict[str, list[float]] = field(default_factory=dict)

    def record(self, name: str, value: float) -> None:
        self.series.setdefault(name, []).append(value)
