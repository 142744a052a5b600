"""GenICam features as they are declared: once, for the register map, the XML and the camera.

A `Feature` is frozen: a name, limits, and functions that compute what changes with the camera's state. For example
`Float(name="Gain", tooltip="...", max=24.0, unit="dB")`. Where its registers are, and what a host's write does, is for
`u3v.feature_set`.
"""

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from u3v.device import Device
from u3v.errors import GenCPError, Status

Value = int | float | str | bool
Bytes = bytes | memoryview
Read = Callable[[Device], Any]
Condition = Callable[[Device], bool]
Action = Callable[[Device], None]
Limit = int | float | Callable[[Device], int | float]

_NEARLY = 1e-6
"""Part of a step by which a multiple of it may be missed in binary."""
MAX_INDEX = 4096
"""Bound of selectors that count: each of their values has registers of its own."""


def while_acquiring(camera: Device) -> bool:
    """The lock of everything that shapes the image: closed while an acquisition runs."""
    return camera.acquisition.active


@dataclass(frozen=True, kw_only=True)
class Feature:
    """What all features have.

    `read` computes the value at each read (the feature is then volatile). `locked` closes a feature for
    writing: the device answers ACCESS_DENIED and the XML says pIsLocked. `available`: pIsAvailable.
    `written` runs after a host write. `selectors`: names of the enumerations, or of the integers that count
    from 0, that choose the instance.
    `address`: a fixed register elsewhere (bootstrap) that holds the value.
    `store` takes what a host has written where `read` computes it. `keeps`: survives resets and power cycles at once.
    `changed_by`: features whose write can change this one's value. `may_differ`: what reads back may not be what was
    written. `volatile`: the camera may change it by itself.
    `busy_ms`: for how long a write of this value keeps the control channel busy.
    `defaults`: values at power-up of instances that differ from the others, by their selectors' values joined with
    commas.
    `hidden`: the camera works with it, but hosts have no node for it.
    """

    name: str
    tooltip: str
    category: str = ""
    access: str = "RW"
    visibility: str = "Beginner"
    selectors: tuple[str, ...] = ()
    read: Read | None = None
    locked: Condition | None = None
    available: Condition | None = None
    written: Action | None = None
    address: int | None = None
    changed_by: tuple[str, ...] = ()
    persistent: bool = False
    keeps: bool = False
    store: Callable[[Device, Value], None] | None = None
    busy_ms: Callable[[Value], int] | None = None
    may_differ: bool = False
    volatile: bool = False
    defaults: Mapping[str, Value] = field(default_factory=dict)
    hidden: bool = False

    def initial_of(self, labels: tuple[str | int, ...]) -> Value:
        """The value at power-up of the instance with these selector values."""
        return self.defaults.get(",".join(map(str, labels)), self.initial())

    @property
    def size(self) -> int:
        """Bytes of the value register."""
        return 4

    def initial(self) -> Value:
        return 0

    def encode(self, value: Value) -> bytes:
        """The register's bytes, little-endian. Raises KeyError, ValueError, TypeError, OverflowError or struct.error
        for what is no value of the feature; limits are not looked at."""
        return struct.pack("<i", value)

    def decode(self, raw: Bytes) -> Value:
        """The value. Raises GenCPError(INVALID_PARAMETER) for bytes that are none."""
        return int(struct.unpack("<i", raw)[0])

    def check(self, camera: Device, value: Value) -> None:
        """Raises GenCPError(INVALID_PARAMETER) for a value that is not allowed now."""


@dataclass(frozen=True, kw_only=True)
class Integer(Feature):
    """IInteger. `bits` 32 or 64."""

    default: int = 0
    min: Limit = 0
    max: Limit = 2**31 - 1
    inc: Limit = 1
    unit: str = ""
    representation: str = "Linear"
    bits: int = 32

    @property
    def size(self) -> int:
        return self.bits // 8

    def initial(self) -> int:
        return self.default

    def encode(self, value: Value) -> bytes:
        return int(value).to_bytes(self.size, "little", signed=True)

    def decode(self, raw: Bytes) -> int:
        return int.from_bytes(raw, "little", signed=True)

    def check(self, camera: Device, value: Value) -> None:
        low, high, inc = (int(limit(camera, x)) for x in (self.min, self.max, self.inc))
        number = int(value)
        if not low <= number <= high or (number - low) % inc:
            raise _out_of_limits(self, value, f"{low} to {high}", inc)


@dataclass(frozen=True, kw_only=True)
class Float(Feature):
    """IFloat, IEEE 754 double. `inc` above 0: values in between are rounded down to a multiple of it (`rounded`)."""

    default: float = 0.0
    min: Limit = 0.0
    max: Limit = 1e9
    inc: float = 0.0
    unit: str = ""
    representation: str = "Linear"

    @property
    def size(self) -> int:
        return 8

    def initial(self) -> float:
        return self.default

    def encode(self, value: Value) -> bytes:
        return struct.pack("<d", value)

    def decode(self, raw: Bytes) -> float:
        return float(struct.unpack("<d", raw)[0])

    def check(self, camera: Device, value: Value) -> None:
        low, high = limit(camera, self.min), limit(camera, self.max)
        if not low <= float(value) <= high:
            raise _out_of_limits(self, value, f"{low:.10g} to {high:.10g}")

    def rounded(self, value: float) -> float:
        """The largest multiple of `inc` up to `value`: 0.3 in steps of 0.1 is 0.3, though 0.3 // 0.1 is 2."""
        return round(math.floor(value / self.inc + _NEARLY) * self.inc, 9) if self.inc else value


def _out_of_limits(feature: Integer | Float, value: Value, limits: str, inc: int = 1) -> GenCPError:
    unit = f" {feature.unit}" if feature.unit else ""
    steps = f" in steps of {inc}" if inc != 1 else ""
    return GenCPError(Status.INVALID_PARAMETER, f"{feature.name} = {value}: must be {limits}{unit}{steps}")


@dataclass(frozen=True, kw_only=True)
class Boolean(Feature):
    """IBoolean: 0 or 1 in 32 bits."""

    default: bool = False

    def initial(self) -> bool:
        return self.default

    def encode(self, value: Value) -> bytes:
        return struct.pack("<I", bool(value))

    def decode(self, raw: Bytes) -> bool:
        return bool(struct.unpack("<I", raw)[0])

    def check_raw(self, raw: bytes) -> None:
        if struct.unpack("<I", raw)[0] > 1:
            raise GenCPError(Status.INVALID_PARAMETER, f"{self.name}: not 0 or 1")


@dataclass(frozen=True, kw_only=True)
class Enumeration(Feature):
    """IEnumeration. `entries`: symbolic name -> value; the Python value is the symbolic name."""

    entries: Mapping[str, int] = field(default_factory=dict)
    default: str = ""

    def initial(self) -> str:
        return self.default or next(iter(self.entries))

    def encode(self, value: Value) -> bytes:
        return struct.pack("<I", self.entries[str(value)])

    def decode(self, raw: Bytes) -> str:
        number = struct.unpack("<I", raw)[0]
        for name, value in self.entries.items():
            if value == number:
                return name
        raise GenCPError(
            Status.INVALID_PARAMETER, f"{self.name} = {number:#x}: not one of {', '.join(self.entries)}"
        )


@dataclass(frozen=True, kw_only=True)
class String(Feature):
    """IString: NUL-padded ASCII of `length` bytes."""

    default: str = ""
    length: int = 64

    @property
    def size(self) -> int:
        return self.length

    def initial(self) -> str:
        return self.default

    def encode(self, value: Value) -> bytes:
        return str(value).encode("ascii", "replace")[: self.length - 1].ljust(self.length, b"\0")

    def decode(self, raw: Bytes) -> str:
        text = bytes(raw).partition(b"\0")[0]
        try:
            return text.decode("ascii")
        except UnicodeDecodeError as error:
            raise GenCPError(Status.INVALID_PARAMETER, f"{self.name}: not ASCII") from error


@dataclass(frozen=True, kw_only=True)
class ByteArray(Feature):
    """IRegister: `length` bytes. The Python value is their hex digits."""

    length: int = 64
    default: str = ""

    @property
    def size(self) -> int:
        return self.length

    def initial(self) -> str:
        return self.default or "00" * self.length

    def encode(self, value: Value) -> bytes:
        raw = bytes.fromhex(str(value))
        if len(raw) != self.length:
            raise ValueError(f"{self.name}: {len(raw)} bytes, not {self.length}")
        return raw

    def decode(self, raw: Bytes) -> str:
        return bytes(raw).hex()


@dataclass(frozen=True, kw_only=True)
class Command(Feature):
    """ICommand: any write of a value other than 0 executes; reads 0 when done."""

    execute: Action = lambda camera: None


def limit(camera: Device, value: Limit) -> int | float:
    """A limit's value now."""
    return value(camera) if callable(value) else value
