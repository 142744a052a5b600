"""The features of one camera at work: a register for each value, hidden ones for limits, locks and availability.

State: none of its own; values live in the register bytes and nowhere else. Always true: what a host sees in the hidden
registers is what the device enforces, because both come from the same declaration.
"""

import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, Generic, TypeVar, cast

from u3v.device import Device
from u3v.errors import GenCPError, Status
from u3v.features import (
    MAX_INDEX,
    Boolean,
    ByteArray,
    Command,
    Enumeration,
    Feature,
    Float,
    Integer,
    Value,
    while_acquiring,
)
from u3v.memory import Memory, Region, Register

KEPT = "Kept"
"""Under which name the values that survive by themselves are stored, beside the user sets."""

T = TypeVar("T", int, float, str, bool)


Saved = tuple[tuple[Feature, int, bytes], ...]
"""Some values of a camera: each with its feature, its address and its bytes."""


@dataclass(frozen=True, slots=True)
class Aspect:
    """A hidden register behind a feature: a limit, a lock or availability that changes with the state."""

    node: str
    address: int
    size: int
    is_float: bool


class Handle(Generic[T]):
    """One feature of one camera, found once and read often. `get` decodes the register bytes of the instance that
    the selectors choose now, or that was chosen for good.
    """

    def __init__(self, read: Callable[[], Any]) -> None:
        self._read = read

    def get(self) -> T:
        return cast(T, self._read())


class FeatureSet:
    """The features of one camera at work: where their registers are, and get/set for the device's own use."""

    def __init__(self, camera: Device, features: Iterable[Feature], memory: Memory, region: Region) -> None:
        self._camera = camera
        self._memory = memory
        self._region = region
        self._next = region.base
        self._selected: Mapping[str, str | int] = {}
        self.declared: dict[str, Feature] = {}
        self.address: dict[str, int] = {}
        self.strides: dict[str, tuple[int, ...]] = {}
        self.aspects: dict[tuple[str, str], Aspect] = {}
        for feature in features:
            if feature.name in self.declared:
                raise ValueError(f"feature {feature.name} is declared twice")
            self.declared[feature.name] = feature
        for feature in self.declared.values():
            self._place(feature)

    def __iter__(self) -> Iterator[Feature]:
        return iter(self.declared.values())

    def __contains__(self, name: str) -> bool:
        return name in self.declared

    def get_or(self, name: str, default: Any, **selected: str | int) -> Any:
        """The value of a feature now; `default` where the camera has no such feature."""
        return self.get(name, **selected) if name in self.declared else default

    def get(self, name: str, **selected: str | int) -> Any:
        """The value of a feature now. `selected`: selector values other than the current ones."""
        if not selected and name in self._selected:
            return self._selected[name]
        feature = self.declared[name]
        if feature.read is not None:
            with self._selecting(selected):
                return feature.read(self._camera)
        return feature.decode(self._memory.device_read(self._where(feature, selected), feature.size))

    @property
    def version(self) -> int:
        """Changes with every value."""
        return self._memory.version

    def values(self, name: str) -> list[Value]:
        """A stored feature's value for each choice of its selectors; none where the camera has no such feature."""
        feature = self.declared.get(name)
        if feature is None:
            return []
        return [
            feature.decode(self._memory.device_read(at, feature.size)) for _, at in self._instances(feature)
        ]

    def set(self, name: str, value: Value, **selected: str | int) -> None:
        """Set a value from the inside: no checks, no hooks."""
        feature = self.declared[name]
        self._memory.device_write(self._where(feature, selected), feature.encode(value))

    def host_set(self, name: str, value: Value, **selected: str | int) -> None:
        """Set a value as a host does: refused, rounded, followed by what a host's write is followed by.

        `selected`: selector values other than the current ones, as in `get`.

        Raises GenCPError where a host would get an error status, KeyError for a feature that is not there.
        """
        feature = self.declared[name]
        try:
            raw = feature.encode(value)
        except (KeyError, ValueError, TypeError, OverflowError, struct.error):
            raise GenCPError(Status.INVALID_PARAMETER, f"{name} = {value!r}: no value of it") from None
        with self._selecting(selected):
            self._memory.host_write(self._where(feature, selected), raw)

    def handle(self, name: str, kind: type[T], default: T | None = None, **selected: str | int) -> Handle[T]:
        """For code that reads a feature often. `default`: what cameras without it have (KeyError without one)."""
        feature = self.declared.get(name)
        if feature is None:
            if default is None:
                raise KeyError(name)
            return Handle(lambda: default)
        if feature.read is not None or len(selected) < len(feature.selectors):
            return Handle(lambda: kind(self.get(name, **selected)))
        view = self._memory.view(self._where(feature, selected), feature.size)
        decode = feature.decode
        return Handle(lambda: decode(view))

    def power_up(self) -> None:
        """What a host can write has the values of power-up again; user sets and factory data stay."""
        for feature in self.declared.values():
            resets = "W" in feature.access or isinstance(feature, ByteArray)
            if feature.read is None and feature.address is None and resets and not feature.keeps:
                for labels, at in self._instances(feature):
                    self._memory.device_write(at, feature.encode(feature.initial_of(labels)))

    def snapshot(self) -> dict[str, Value]:
        """All persistent values, "Name" or "Name[Entry]" -> value: what a user set stores."""
        return {key: f.decode(self._memory.device_read(at, f.size)) for key, f, at, _ in self._persistent()}

    def restore(self, values: Mapping[str, Value]) -> None:
        """Set all persistent values; those not in `values` get their defaults. Unknown ones are ignored.

        Where a value is none that the camera takes (a file edited by hand), all get their defaults.
        """
        try:
            self._restore(values)
            for _, feature, at, _ in self._persistent():
                feature.check(self._camera, feature.decode(self._memory.device_read(at, feature.size)))
        except (GenCPError, KeyError, ValueError, TypeError, struct.error, OverflowError):
            self._restore({})

    def kept(self) -> dict[str, Value]:
        """All values that survive power cycles by themselves and are not what they were at first."""
        return {
            key: feature.decode(self._memory.device_read(at, feature.size))
            for key, feature, at, initial in self._each(lambda feature: feature.keeps)
            if self._memory.device_read(at, feature.size) != feature.encode(initial)
        }

    def restore_kept(self, values: Mapping[str, Value]) -> None:
        """Power-on: what was `kept`. What is no value of a feature is ignored."""
        for key, feature, at, _ in self._each(lambda feature: feature.keeps):
            if key in values:
                with suppress(KeyError, ValueError, TypeError, struct.error, OverflowError):
                    self._memory.device_write(at, feature.encode(values[key]))

    def save(self, names: Collection[str]) -> Saved:
        """All instances of these features as they are: for `put`."""
        every = self._each(lambda feature: feature.name in names and feature.read is None)
        return tuple((feature, at, self._memory.device_read(at, feature.size)) for _, feature, at, _ in every)

    def put(self, saved: Saved) -> None:
        """Values as they were when they were saved, without hooks and locks. Nothing changes where one of them would be
        out of the limits that it has now."""
        before = [(at, self._memory.device_read(at, len(raw))) for _, at, raw in saved]
        for _, at, raw in saved:
            self._memory.device_write(at, raw)
        try:
            for feature, _, raw in saved:
                feature.check(self._camera, feature.decode(raw))
        except GenCPError:
            for at, raw in before:
                self._memory.device_write(at, raw)

    def raw(self, name: str) -> bytes:
        """The bytes of all instances of a feature that has one selector, to see whether any has changed."""
        feature, strides = self.declared[name], self.strides[name]
        count = max(self._axis(feature.selectors[0]).values()) + 1
        return self._memory.device_read(self.address[name], strides[0] * count)

    def _restore(self, values: Mapping[str, Value]) -> None:
        for key, feature, at, initial in self._persistent():
            self._memory.device_write(at, feature.encode(values.get(key, initial)))

    def _persistent(self) -> Iterator[tuple[str, Feature, int, Value]]:
        return self._each(lambda feature: feature.persistent and feature.read is None)

    def _each(self, wanted: Callable[[Feature], bool]) -> Iterator[tuple[str, Feature, int, Value]]:
        """Key, feature, address and first value of every instance of the features that are wanted."""
        for feature in self.declared.values():
            if wanted(feature):
                for labels, at in self._instances(feature):
                    key = feature.name + (f"[{','.join(map(str, labels))}]" if labels else "")
                    yield key, feature, at, feature.initial_of(labels)

    def _instances(self, feature: Feature) -> Iterator[tuple[tuple[str | int, ...], int]]:
        base, strides = self.address[feature.name], self.strides[feature.name]
        axes = [self._axis(name) for name in feature.selectors]
        for labels in product(*axes):
            offsets = (e[x] * s for e, x, s in zip(axes, labels, strides, strict=True))
            yield labels, base + sum(offsets)

    def _axis(self, name: str) -> Mapping[str | int, int]:
        """The index of each value that a selector can have."""
        selector = self.declared[name]
        if isinstance(selector, Enumeration):
            return dict(selector.entries.items())
        if isinstance(selector, Integer) and isinstance(selector.max, int) and selector.max < MAX_INDEX:
            return {index: index for index in range(selector.max + 1)}
        raise TypeError(f"selector {name} is no Enumeration, and no Integer from 0 to below {MAX_INDEX}")

    def _where(self, feature: Feature, selected: Mapping[str, str | int]) -> int:
        at = self.address[feature.name]
        for name, stride in zip(feature.selectors, self.strides[feature.name], strict=True):
            entry = selected[name] if name in selected else self.get(name)
            at += self._axis(name)[entry] * stride
        return at

    def _allocate(self, size: int) -> int:
        at = self._next
        self._next += -(-size // 8) * 8
        return at

    def _place(self, feature: Feature) -> None:
        self.strides[feature.name] = ()
        if feature.address is not None:
            self.address[feature.name] = feature.address
            return
        strides: list[int] = []
        span = -(-feature.size // 8) * 8
        for name in feature.selectors:
            strides.append(span)
            span *= max(self._axis(name).values()) + 1
        self.strides[feature.name] = tuple(strides)
        self.address[feature.name] = self._allocate(span)
        for labels, at in self._instances(feature):
            self._region.add(self._register(feature, at, dict(zip(feature.selectors, labels, strict=True))))
            self._memory.device_write(at, feature.encode(feature.initial_of(labels)))
        for kind, source in _dynamic(feature):
            self._place_aspect(feature, kind, source)

    @contextmanager
    def _selecting(self, selected: Mapping[str, str | int]) -> Iterator[None]:
        """What the camera computes meanwhile, it computes for these selectors."""
        before = self._selected
        self._selected = {**before, **selected} if selected else before
        try:
            yield
        finally:
            self._selected = before

    def _register(self, feature: Feature, at: int, selected: Mapping[str, str | int]) -> Register:
        camera = self._camera
        access = {"RO": "R", "WO": "W", "RW": "RW"}[feature.access]
        register = Register(feature.name, at, feature.size, access, busy_ms=partial(_busy_ms, feature))
        if feature.read is not None:
            read = feature.read

            def refresh() -> bytes:
                with self._selecting(selected):
                    return feature.encode(read(camera))

            register.refresh = refresh
        if "W" in access:
            register.check = lambda raw: self._check(feature, raw, selected)
            register.written = lambda: self._written(feature, at, selected)
        return register

    def _check(self, feature: Feature, raw: bytes, selected: Mapping[str, str | int]) -> None:
        """Of the instance that is written, whatever the selectors choose meanwhile."""
        camera = self._camera
        with self._selecting(selected):
            if feature.available is not None and not feature.available(camera):
                raise GenCPError(Status.ACCESS_DENIED, f"{feature.name} is not available now")
            if feature.locked is not None and feature.locked(camera):
                raise GenCPError(Status.ACCESS_DENIED, f"{feature.name} is locked now")
            if isinstance(feature, Boolean):
                feature.check_raw(raw)
            feature.check(camera, feature.decode(raw))

    def _written(self, feature: Feature, at: int, selected: Mapping[str, str | int]) -> None:
        if feature.locked is while_acquiring:
            self._camera.acquisition.forget_suspended()
        if isinstance(feature, Command):
            pressed = any(self._memory.device_read(at, feature.size))
            self._memory.device_write(at, bytes(feature.size))
            if pressed:
                feature.execute(self._camera)
            return
        if isinstance(feature, Float) and feature.inc:
            value = feature.decode(self._memory.device_read(at, feature.size))
            self._memory.device_write(at, feature.encode(feature.rounded(value)))
        with self._selecting(selected):
            if feature.store is not None:
                feature.store(self._camera, feature.decode(self._memory.device_read(at, feature.size)))
            if feature.written is not None:
                feature.written(self._camera)
        if feature.keeps:
            self._camera.store_user_set(KEPT, self.kept())

    def _place_aspect(self, feature: Feature, kind: str, source: Callable[[Device], Any]) -> None:
        is_float = isinstance(feature, Float) and kind in ("Min", "Max")
        size = 8 if is_float else feature.size if kind in ("Min", "Max", "Inc") else 4
        at = self._allocate(size)
        node = f"{feature.name}_{kind}"
        camera = self._camera

        def refresh() -> bytes:
            value = source(camera)
            return struct.pack("<d", value) if is_float else int(value).to_bytes(size, "little", signed=True)

        self._region.add(Register(node, at, size, "R", refresh))
        self.aspects[feature.name, kind] = Aspect(node, at, size, is_float)


def _dynamic(feature: Feature) -> Sequence[tuple[str, Callable[[Device], Any]]]:
    """The aspects of a feature that are computed from the camera's state."""
    found: list[tuple[str, Callable[[Device], Any]]] = []
    for kind in ("Min", "Max", "Inc"):
        value = getattr(feature, kind.lower(), None)
        if callable(value):
            found.append((kind, value))
    if feature.locked is not None:
        found.append(("Locked", feature.locked))
    if feature.available is not None:
        found.append(("Available", feature.available))
    return found


def _busy_ms(feature: Feature, raw: bytes) -> int:
    return feature.busy_ms(feature.decode(raw)) if feature.busy_ms is not None else 0
