"""A measured figure beside its limit, how it is printed, and what the rest of the machine did meanwhile."""

import os
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
DISTURBED_CORES = 0.25


@dataclass(frozen=True)
class Figure:
    """`value`: the median of `samples`. `limit`: what bounds it, in the same unit. Targets: 0 is none.
    `dropped`: frames that a paced camera had to drop."""

    group: str
    what: str
    unit: str
    value: float
    samples: tuple[float, ...] = ()
    limit: float | None = None
    limit_is: str = ""
    at_least: float = 0.0
    at_most: float = 0.0
    others_cores: float = 0.0
    dropped: int = 0

    @property
    def ratio(self) -> float | None:
        return self.value / self.limit if self.limit else None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        if self.at_least:
            return self.value >= self.at_least
        return self.value <= self.at_most if self.at_most else None

    def as_dict(self) -> dict[str, object]:
        return asdict(self) | {"ratio": self.ratio, "met": self.met}


def of(group: str, what: str, unit: str, samples: Sequence[float], **rest: object) -> Figure:
    """A figure from several samples."""
    return Figure(group, what, unit, median(samples), tuple(samples), **rest)  # type: ignore[arg-type]


def frame_rate(intervals: int, host_s: float, camera_s: float) -> float:
    """Frames per second over some intervals between frames, by the clock that says they took longer.

    `camera_s`: between the frames' own timestamps. A host that was held up finds up to a camera's memory full of
    frames waiting, which then come as fast as the link is: seven frames of a second ago among the next hundred,
    and by the host's clock alone a camera of 42.7 frames/s makes 45.6.
    """
    return intervals / max(host_s, camera_s)


class Bystanders:
    """Processors that programs other than this one and its children use, from its making on."""

    def __init__(self) -> None:
        self._began_s, self._busy_s, self._own_s = time.monotonic(), _busy_s(), _own_s()

    def cores(self) -> float:
        busy_s, own_s = _busy_s() - self._busy_s, _own_s() - self._own_s
        return max(0.0, (busy_s - own_s) / (time.monotonic() - self._began_s))


def cpu_s(pid: int) -> float:
    """Processor seconds a process and its reaped children have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS_PER_S


def rss_mb(pid: int) -> float:
    """Resident memory of a process, MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(pid)


def _busy_s() -> float:
    user, nice, system, _idle, _wait, irq, softirq, *_ = Path("/proc/stat").read_text().split()[1:9]
    return sum(map(int, (user, nice, system, irq, softirq))) / TICKS_PER_S


def _own_s() -> float:
    """This process, its descendants, and those of them that are gone."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
    total = sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    family = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in family and pid not in family}:
        family |= more
    for pid in family - {os.getpid()}:
        try:
            total += cpu_s(pid)
        except OSError:
            continue
    return total


def table(figures: Sequence[Figure]) -> str:
    """The figures as aligned text."""
    rows = [("", "figure", "median", "min .. max", "unit", "limit", "ratio", "target", "others")]
    group = ""
    for f in figures:
        spread = f"{_short(min(f.samples))} .. {_short(max(f.samples))}" if len(f.samples) > 1 else ""
        target = ""
        if f.met is not None:
            target = f">= {_short(f.at_least)}" if f.at_least else f"<= {_short(f.at_most)}"
            target += "" if f.met else "  MISSED"
        target += f"  ({f.dropped} frames dropped)" if f.dropped else ""
        others = f"{f.others_cores:.1f}" + (" !" if f.others_cores > DISTURBED_CORES else "")
        limit = f"{_short(f.limit)} {f.limit_is}" if f.limit else ""
        ratio = f"{f.ratio:.2f}" if f.ratio is not None else ""
        name = f.group if f.group != group else ""
        group = f.group
        rows.append((name, f.what, _short(f.value), spread, f.unit, limit, ratio, target, others))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    numbers = {2, 6}
    return "\n".join(
        "  ".join(
            cell.rjust(w) if i in numbers else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
