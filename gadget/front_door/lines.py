"""The lines of a camera, for people: `camera.lines["Line1"].volts = 24`, `.pulse(us=50)`, `.wire(...)`.

The same for a camera in this process and for one behind a control socket: every method is a verb.
"""

from collections.abc import Callable, Iterator
from typing import Any

Ask = Callable[..., Any]


class LineHandle:
    """One line of one camera. Assigning `volts` connects the world to it; None disconnects it."""

    def __init__(self, ask: Ask, name: str, camera: str) -> None:
        self._ask = ask
        self._camera = camera
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.name} of {self._camera}>"

    @property
    def state(self) -> dict[str, Any]:
        """Direction, volts, level, load and what is wrong with it."""
        return dict(self._ask("lines")[self.name])

    @property
    def volts(self) -> float | None:
        """What the world applies; None: nothing is connected."""
        volts: float | None = self.state["volts"]
        return volts

    @volts.setter
    def volts(self, volts: float | None) -> None:
        self._ask("apply", line=self.name, volts=volts)

    @property
    def level(self) -> bool:
        """The level that the camera sees or shows, behind debouncer and inverter."""
        return bool(self.state["level"])

    @property
    def damaged(self) -> bool:
        return bool(self.state["damaged"])

    @property
    def overloaded(self) -> bool:
        return bool(self.state["overloaded"])

    def pulse(
        self,
        *,
        us: float,
        volts: float | None = None,
        after_us: float = 0.0,
        times: int = 1,
        every_us: float | None = None,
    ) -> None:
        """High for so long, then 0 V; `times` of it, one `every_us`. `volts`: 24, or what the line stands."""
        self._ask(
            "pulse", line=self.name, us=us, volts=volts, after_us=after_us, times=times, every_us=every_us
        )

    def load(self, ma: float) -> None:
        """What hangs on the output draws so much while it is on."""
        self._ask("load", line=self.name, ma=ma)

    def repair(self) -> None:
        """As new, with nothing connected."""
        self._ask("repair", line=self.name)

    def wire(self, to: "LineHandle", *, volts: float | None = None) -> None:
        """Lead this output to an input of the same bench, which has `volts` while the output is on."""
        LineHandles(self._ask).wire(self.name, to.name, to._camera, volts)


class LineHandles:
    """A camera's lines by name."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def __getitem__(self, name: str) -> LineHandle:
        known = list(self)
        if name not in known:
            self._ask("apply", line=name)  # which says so in one line
        return LineHandle(self._ask, name, str(self._ask("state")["serial"]))

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._ask("lines") if name != "troubles")

    def wire(self, line: str, to: str, of: str | None = None, volts: float | None = None) -> None:
        """Lead an output to the input `to` of the camera `of` (serial number, name, index), None being this one."""
        self._ask("wire", line=line, to=to, of=of, volts=volts)

    @property
    def troubles(self) -> list[str]:
        """Too many volts, too much current, what was damaged: one line each, oldest first."""
        return list(self._ask("lines")["troubles"])
