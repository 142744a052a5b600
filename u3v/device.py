"""What the parts of a camera may ask of the camera that they belong to: small Protocols, and nothing behind them.

`u3v.camera` composes the parts, so it imports them; if they imported it, too, there would be a circle. Instead each
part says here what it needs. For example, the feature TimestampLatchValue is read by a function of a `Device`,
`lambda camera: camera.latched_timestamp_ns`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from u3v.happenings import Happening
from u3v.model import Model
from u3v.wire_traits import WireTraits


class Surroundings(Protocol):
    """What the camera is in: its temperature and what it draws from its supply."""

    def temperature_c(self, now_ns: int) -> float: ...

    def current_ma(self, now_ns: int) -> float: ...

    def reaches_ns(self, temperature_c: float, now_ns: int) -> int | None:
        """When the temperature will have passed this one, from either side, if the load stays; None: never."""

    def load(self, now_ns: int, *, configured: bool, bytes_per_s: float) -> None:
        """The camera's state has changed to this."""


class Timing(Protocol):
    """What the core must know of a sensor: its readout. All times in ns, rows in sensor rows."""

    def rows_read(self, height: int, binning_vertical: int) -> int: ...

    def readout_ns(self, height_rows: int) -> int: ...

    def frame_period_ns(self, height_rows: int, exposure_ns: int, link_ns: int) -> int: ...


class Timed(Protocol):
    """A part of the camera with deadlines of its own."""

    def tick(self, now_ns: int) -> None: ...

    def next_wakeup_ns(self) -> int | None: ...


class FeatureValues(Protocol):
    """The values of a camera's features, from the inside: no checks, no hooks."""

    @property
    def declared(self) -> Mapping[str, Any]: ...

    def __contains__(self, name: str) -> bool: ...

    def __iter__(self) -> Iterator[Any]: ...

    def get(self, name: str, **selected: str | int) -> Any: ...

    def get_or(self, name: str, default: Any, **selected: str | int) -> Any: ...

    def set(self, name: str, value: Any, **selected: str | int) -> None: ...

    def snapshot(self) -> Mapping[str, Any]: ...

    def restore(self, values: Mapping[str, Any]) -> None: ...


class AcquisitionEngine(Protocol):
    """The acquisition, as features command and read it."""

    @property
    def active(self) -> bool: ...

    @property
    def timing(self) -> Timing: ...

    def start(self, now_ns: int) -> None: ...

    def stop(self, now_ns: int) -> None: ...

    def abort_command(self, now_ns: int) -> None: ...

    def forget_triggers(self) -> None: ...

    def forget_suspended(self) -> None: ...

    def waits_for(self, trigger: str, now_ns: int) -> bool: ...

    def period_ns(self) -> int: ...

    def sensor_period_ns(self) -> int: ...


class FrameCounts(Protocol):
    """What became of the frames: offered = delivered + discarded + in flight."""

    @property
    def offered(self) -> int: ...

    @property
    def delivered(self) -> int: ...

    @property
    def discarded(self) -> int: ...

    @property
    def in_flight(self) -> int: ...


class WarmthStatus(Protocol):
    """How warm the camera is, in its maker's words."""

    @property
    def status(self) -> str: ...


class FileOperations(Protocol):
    """The camera's files, as features open and read them."""

    @property
    def succeeded(self) -> bool: ...

    @property
    def result(self) -> int: ...

    def size(self, name: str) -> int: ...

    def execute(self, name: str, operation: str) -> None: ...


class SequencerSets(Protocol):
    """The sequencer, as features command and read it."""

    @property
    def active(self) -> int: ...

    def save(self) -> None: ...

    def load(self) -> None: ...

    def switch(self) -> None: ...


class WorldInputs(Protocol):
    """Where signals come in: of a host's command, or of anything that TriggerSource can name."""

    def software_trigger(self, now_ns: int) -> None: ...

    def signal(self, source: str, now_ns: int) -> None: ...


class LineLevels(Protocol):
    """The camera's electrical lines, as features read and set them up."""

    def level(self, name: str) -> bool: ...

    def is_overloaded(self, name: str) -> bool: ...

    def status_all(self) -> int: ...

    def look(self, now_ns: int) -> None: ...


class CounterValues(Protocol):
    """The counters, as features and chunks read and reset them: Counter1 and so on."""

    def value(self, name: str) -> int: ...

    def value_at_reset(self, name: str) -> int: ...

    def reset(self, name: str) -> None: ...


class SignalLevels(Protocol):
    """The signals inside the camera that features set: UserOutput1 and so on."""

    def level(self, name: str, level: bool, at_ns: int) -> None: ...


class Device(Protocol):
    """A camera, as its own parts see it."""

    @property
    def model(self) -> Model: ...

    @property
    def wire(self) -> WireTraits: ...

    @property
    def features(self) -> FeatureValues: ...

    @property
    def acquisition(self) -> AcquisitionEngine: ...

    @property
    def frames(self) -> FrameCounts: ...

    @property
    def thermal(self) -> WarmthStatus: ...

    @property
    def inputs(self) -> WorldInputs: ...

    @property
    def lines(self) -> LineLevels: ...

    @property
    def counters(self) -> CounterValues: ...

    @property
    def signals(self) -> SignalLevels: ...

    @property
    def sequencer(self) -> SequencerSets: ...

    @property
    def files(self) -> FileOperations: ...

    @property
    def surroundings(self) -> Surroundings: ...

    @property
    def now_ns(self) -> int: ...

    @property
    def sensor_rows(self) -> int: ...

    @property
    def wire_bytes(self) -> int: ...

    @property
    def link_bits_per_s(self) -> int: ...

    @property
    def throughput_bytes_per_s(self) -> float: ...

    @property
    def timestamp_ns(self) -> int: ...

    @property
    def latched_timestamp_ns(self) -> int: ...

    @property
    def events_dropped(self) -> int: ...

    @property
    def user_sets(self) -> Mapping[str, Mapping[str, Any]]: ...

    def latch_timestamp(self) -> None: ...

    def happened(self, what: Happening, at_ns: int, block_id: int = 0) -> None: ...

    def reset(self) -> None: ...

    def store_user_set(self, key: str, values: Mapping[str, Any]) -> None: ...

    def advance_clock(self, duration_ns: int) -> None: ...
