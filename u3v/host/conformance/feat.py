"""FEAT: limits of features, their grids, and what is refused, by a sweep over all that may be written."""

import math
import struct
from collections.abc import Callable, Iterator

from u3v.host.conformance.camera import LEFT_ALONE, Camera, camera_check, camera_of, expect, skip
from u3v.host.conformance.chance import Chance
from u3v.host.conformance.context import Context
from u3v.host.conformance.declare import SHOULD, Phase, check
from u3v.host.conformance.layout import EVENT, STREAM
from u3v.host.conformance.left_behind import AsFound
from u3v.host.conformance.sfnc import PFNC
from u3v.host.nodes import FeatureInfo, FeatureValue

BAD_PARAMETER, ACCESS_DENIED = 0x8002, 0x8006
_SEED = 20240229
_SMALL = 12
"""Most Enumerations count their entries from 0: one that the description has lost is among these numbers."""
_MODES = ("ChunkEnable", "AcquisitionMode", "TriggerMode", "DeviceLinkThroughputLimitMode", "ChunkModeActive")


def swept(camera: Camera, kind: str) -> Iterator[tuple[str, FeatureInfo]]:
    """Every writable feature of a kind, at each value of the selectors above it, up to eight."""
    for name in camera.sweepable():
        for _ in camera.each_selection(name):
            info = camera.info(name)
            if info.kind == kind and info.access == "RW":
                yield name, info


def _set_and_read(camera: Camera, name: str, value: FeatureValue, near: float = 0.0) -> None:
    camera.set(name, value)
    camera.nodes.refresh()
    got = camera.get(name)
    if isinstance(value, float) and isinstance(got, float):
        right = math.isclose(got, value, rel_tol=max(near, 1e-6), abs_tol=1e-6)
    else:
        right = got == value
    expect(right, f"{name} = {value}: it reads {got}")


def _limits(info: FeatureInfo) -> tuple[int, int, int]:
    low, high, step = int(info.minimum or 0), int(info.maximum or 0), int(info.increment or 1)
    return low, high - (high - low) % max(step, 1), max(step, 1)


def _sweep_integers(camera: Camera, values: Callable[[int, int, int], list[int]]) -> None:
    count = 0
    with camera.everything():
        for name, info in swept(camera, "Integer"):
            with camera.keep(name):
                for value in dict.fromkeys(values(*_limits(info))):
                    _set_and_read(camera, name, value)
            count += 1
    if not count:
        skip("no Integer feature is writable")


@camera_check(
    "FEAT-001", "Integer = min, = max", "success, reads back", "GenApi 2.1.1 2.8.5", needs="gapi", trace="r",
)  # fmt: skip
def integer_limits(camera: Camera) -> None:
    _sweep_integers(camera, lambda low, high, step: [low, high])


@camera_check(
    "FEAT-002", "Integer = min + inc, max - inc", "success, reads back", "consistency of the camera", needs="gapi",
    trace="r",
)  # fmt: skip
def integer_steps(camera: Camera) -> None:
    _sweep_integers(camera, lambda low, high, step: [min(low + step, high), max(high - step, low)])


def _raw(camera: Camera, name: str, data: bytes) -> tuple[int, bytes, bytes]:
    """Write bytes to the register behind a feature, then put it back: status, bytes before, bytes after."""
    address, length = camera.register(name)
    before = camera.read(address, length)
    status = camera.write(address, data[:length].ljust(length, b"\0"))
    after = camera.read(address, length)
    if after != before:
        camera.write(address, before)
    return status, before, after


def _pack(value: int, length: int) -> bytes | None:
    try:
        return value.to_bytes(length, "little", signed=value < 0)
    except OverflowError:
        return None


def _raw_integers(
    camera: Camera, values: Callable[[int, int, int], list[int]]
) -> Iterator[tuple[str, int, int, int, int]]:
    """name, value written, status, value before, value after."""
    for name, info in swept(camera, "Integer"):
        if camera.description.register_behind(name) is None:
            continue
        length = camera.register(name)[1]
        for value in values(*_limits(info)):
            data = _pack(value, length)
            signed = _sign(camera, name) == "Signed"
            if data is None or int.from_bytes(data, "little", signed=signed) != value:
                continue
            status, before, after = _raw(camera, name, data)
            yield name, value, status, int.from_bytes(before, "little"), int.from_bytes(after, "little")


def _sign(camera: Camera, name: str) -> str:
    return camera.description.text_of(camera.description.register_behind(name) or "", "Sign") or "Unsigned"


@camera_check(
    "FEAT-003", "raw write of min - inc and max + inc to the register behind (Floats: a thousandth beyond)",
    "refused (8002, 8006), unchanged; clamping noted", "GenCP 1.3 table 6", SHOULD, needs="gapi", trace="r",
)  # fmt: skip
def beyond_limits(camera: Camera) -> None:
    for name, value, status, before, after in _raw_integers(
        camera, lambda low, high, step: [low - step, high + step]
    ):
        if not status and after != before and after != value:
            camera.run.note(f"{name} = {value} became {after}")
            continue
        expect(
            status in (BAD_PARAMETER, ACCESS_DENIED),
            f"{name} = {value} is beyond its limits: status {status:#06x}",
        )
        expect(after == before, f"{name} = {value} was refused, and is {after} now")
    for name, info in swept(camera, "Float"):
        layout = _layout(camera, name)
        low, high = float(info.minimum or 0), float(info.maximum or 0)
        for limit, by in ((low, -1), (high, 1)) if layout else ():
            beyond = limit + by * max(abs(limit), 1) / 1000
            _, _, raw = _raw(camera, name, struct.pack(layout, beyond))
            now = struct.unpack(layout, raw)[0]
            expect(
                not math.isclose(now, beyond, rel_tol=1e-6),
                f"{name} = {beyond} is beyond its limits, {low} to {high}, and taken",
            )


def _layout(camera: Camera, name: str) -> str:
    """How a Float's register holds it; "" where there is none, or a formula in between."""
    register = camera.description.register_behind(name)
    if register is None or camera.description.kind(register) != "FloatReg":
        return ""
    if name != register and camera.description.text_of(name, "pValue") != register:
        return ""
    return "<d" if camera.register(name)[1] == 8 else "<f"


@camera_check(
    "FEAT-004", "raw write off the grid (min + 1 where inc > 1)", "refused, or coerced onto the grid",
    "consistency of the camera", needs="gapi", trace="r",
)  # fmt: skip
def off_grid(camera: Camera) -> None:
    seen = 0
    for name, info in swept(camera, "Integer"):
        low, high, step = _limits(info)
        if step < 2 or high <= low or camera.description.register_behind(name) is None:
            continue
        seen += 1
        data = _pack(low + 1, camera.register(name)[1])
        status, before, after = _raw(camera, name, data or b"")
        now = int.from_bytes(after, "little")
        on_grid = (now - low) % step == 0
        expect(
            on_grid if not status else after == before,
            f"{name} = {low + 1} in steps of {step}: status {status:#06x}, it is {now}",
        )
    if not seen:
        skip("every Integer has steps of 1")


@camera_check(
    "FEAT-005", "Float = min, max", "success, reads back within display precision", "GenApi 2.1.1 2.8.9",
    needs="gapi", trace="r",
)  # fmt: skip
def float_limits(camera: Camera) -> None:
    count = 0
    for name, info in swept(camera, "Float"):
        with camera.keep(name):
            for value in (info.minimum, info.maximum):
                _set_and_read(camera, name, float(value or 0), near=0.01)
        count += 1
    if not count:
        skip("no Float feature is writable")


@camera_check(
    "FEAT-006", "raw NaN, +Inf, -1e30, denormal to Float registers",
    "refused (8002) or clamped; value stays finite and in limits; alive", "consistency of the camera", needs="gapi",
    trace="r",
)  # fmt: skip
def odd_floats(camera: Camera) -> None:
    for name, info in swept(camera, "Float"):
        layout = _layout(camera, name)
        for value in (math.nan, math.inf, -1e30, 5e-324) if layout else ():
            status, before, after = _raw(camera, name, struct.pack(layout, value))
            now = struct.unpack(layout, after)[0]
            expect(status in (0, BAD_PARAMETER, ACCESS_DENIED), f"{name} = {value}: status {status:#06x}")
            near = max(abs(info.minimum or 0), abs(info.maximum or 0)) * 1e-6
            inside = math.isfinite(now) and (info.minimum or 0) - near <= now <= (info.maximum or 0) + near
            expect(inside, f"{name} = {value}: status {status:#06x}, and it is {now} now")
            expect(not status or after == before, f"{name} = {value} was refused, and is {now} now")


@camera_check(
    "FEAT-007", "each available enum entry", "success, reads back; unavailable entries refused or hidden",
    "GenApi 2.1.1 2.8.10", needs="gapi", trace="r",
)  # fmt: skip
def enum_entries(camera: Camera) -> None:
    with camera.everything():
        for name, info in swept(camera, "Enumeration"):
            with camera.keep(name):
                for entry in info.entries:
                    _set_and_read(camera, name, entry)


@camera_check(
    "FEAT-008", "raw undefined enum values: small numbers, codes of PFNC", "refused (8002), unchanged",
    "consistency of the camera", SHOULD,
    needs="gapi", trace="r",
)  # fmt: skip
def undefined_entries(camera: Camera) -> None:
    for name, _ in swept(camera, "Enumeration"):
        if camera.description.register_behind(name) is None:
            continue
        entries = set(camera.description.entries(name).values())
        undefined = {max(entries) + 37, *range(_SMALL)}
        undefined |= set(PFNC.values()) if name == "PixelFormat" else set()
        for value in sorted(undefined - entries):
            data = _pack(value, camera.register(name)[1])
            if data is None:
                continue
            status, before, after = _raw(camera, name, data)
            expect(
                status in (BAD_PARAMETER, ACCESS_DENIED),
                f"{name} = {value}, which is no entry: status {status:#06x}",
            )
            expect(after == before, f"{name} = {value} was refused, and has changed")


@camera_check(
    "FEAT-009", "Boolean both ways; raw 2", "success; 2 refused or reads as On/Off", "consistency of the camera",
    needs="gapi", trace="r",
)  # fmt: skip
def booleans(camera: Camera) -> None:
    for name, _ in swept(camera, "Boolean"):
        with camera.keep(name):
            for value in (not camera.get(name), camera.get(name)):
                _set_and_read(camera, name, value)
        if camera.description.register_behind(name) is None:
            continue
        status, before, after = _raw(camera, name, (2).to_bytes(8, "little"))
        now = int.from_bytes(after, "little")
        expect(
            after == before if status else now in (0, 1), f"{name} = 2: status {status:#06x}, it holds {now}"
        )


@camera_check(
    "FEAT-010", "String of full length, empty, ASCII", "reads back", "consistency of the camera", SHOULD,
    needs="gapi", trace="r",
)  # fmt: skip
def strings(camera: Camera) -> None:
    count = 0
    for name, _ in swept(camera, "String"):
        length = camera.register(name)[1]
        with camera.keep(name):
            for value in ("x" * (length - 1), "", "A camera 09"):
                _set_and_read(camera, name, value)
        count += 1
    if not count:
        skip("no String but the user's name is writable")


@camera_check(
    "FEAT-011", "OffsetX max after Width = max, = min; raw beyond", "max = WidthMax - Width; raw beyond refused",
    "GenApi 2.1.1 2.6 example", needs="str gapi", trace="r",
)  # fmt: skip
def offset_limits(camera: Camera) -> None:
    camera.need("Width", "OffsetX", "WidthMax")
    with camera.settings(OffsetX=0), camera.keep("Width"):
        largest = camera.get_int("WidthMax")
        low, high, _ = _limits(camera.info("Width"))
        for width in (high, low):
            camera.set("Width", width)
            info = camera.info("OffsetX")
            room, step = largest - width, int(info.increment or 1)
            expect(
                info.maximum == room - room % step or info.maximum == room,
                f"OffsetX up to {info.maximum} with Width {width} of {largest}",
            )
            data = _pack(int(info.maximum or 0) + step, camera.register("OffsetX")[1])
            status, before, after = _raw(camera, "OffsetX", data or b"")
            now = int.from_bytes(after, "little")
            expect(status or now + width <= largest, f"OffsetX {now} with Width {width} of {largest}")
            expect(not status or after == before, "a refused OffsetX has changed")


@camera_check(
    "FEAT-012", "Width, OffsetX in both orders, no reads in between",
    "success whenever the end state is legal stepwise", "cameras in the field, Aravis issue 869", needs="str gapi",
    trace="r",
)  # fmt: skip
def both_orders(camera: Camera) -> None:
    camera.need("Width", "OffsetX")
    (width_at, width_bytes), (offset_at, offset_bytes) = camera.register("Width"), camera.register("OffsetX")
    with camera.settings(OffsetX=0), camera.keep("Width"):
        low, high, step = _limits(camera.info("Width"))
        width = max(low, high - 4 * step)
        camera.set("Width", width)
        offset = int(camera.info("OffsetX").maximum or 0)
        camera.set("Width", high)
        steps = [(width_at, width, width_bytes), (offset_at, offset, offset_bytes)]
        steps += [(offset_at, 0, offset_bytes), (width_at, high, width_bytes)]
        for address, value, length in steps:
            status = camera.write(address, value.to_bytes(length, "little"))
            expect(
                not status, f"write of {value} at {address:#x} without a read before: status {status:#06x}"
            )


@camera_check(
    "FEAT-023", "two writes of different features 1 ms apart, read both", "both kept", "consistency of the camera",
    needs="gapi", trace="r",
)  # fmt: skip
def two_writes(camera: Camera) -> None:
    names = [name for name, _ in swept(camera, "Float")] + [name for name, _ in swept(camera, "Integer")]
    chosen = [name for name in dict.fromkeys(names) if camera.description.register_behind(name) is not None][
        :2
    ]
    if len(chosen) < 2:
        skip("fewer than two features are writable")
    with camera.keep(*chosen):
        for values in ("minimum", "maximum"):
            for name in chosen:
                camera.set(name, getattr(camera.info(name), values))
            camera.nodes.refresh()
            for name in chosen:
                due = getattr(camera.info(name), values)
                expect(
                    math.isclose(float(camera.get(name)), float(due), rel_tol=1e-6),
                    f"{name} is {camera.get(name)}, not {due}",
                )


@camera_check(
    "FEAT-025", "writes of 1000 random legal values (seeded) over all swept features",
    "every one success and read back, device consistent (XML-022..025)", "consistency of the camera", needs="gapi",
    trace="r",
)  # fmt: skip
def random_values(camera: Camera) -> None:
    chance = Chance(_SEED)
    names = [
        n for n in camera.nodes.names() if not LEFT_ALONE.search(n) and n not in ("TLParamsLocked", *_MODES)
    ]
    names = [
        n
        for n in names
        if camera.info(n).access == "RW"
        and camera.info(n).kind in ("Integer", "Float", "Boolean", "Enumeration")
    ]
    camera.run.note(f"seed {_SEED}")
    with camera.everything():
        for _ in range(camera.run.count(200, 1000)):
            name = chance.one_of(names)
            info = camera.info(name)
            if info.access != "RW":
                continue
            value = _random_value(chance, info)
            camera.set(name, value)
            got = camera.get(name)
            if isinstance(value, float):
                expect(
                    math.isclose(float(got), value, rel_tol=0.01, abs_tol=1e-6),
                    f"{name} = {value}: it reads {got}",
                )
            else:
                expect(got == value, f"{name} = {value}: it reads {got}")
        camera.run.alive()


def _random_value(chance: Chance, info: FeatureInfo) -> FeatureValue:
    if info.kind == "Boolean":
        return chance.below(2) == 1
    if info.kind == "Enumeration":
        return chance.one_of(info.entries)
    if info.kind == "Integer":
        low, high, step = _limits(info)
        return low + chance.below((high - low) // step + 1) * step
    return chance.between(float(info.minimum or 0), float(info.maximum or 0))


@check(
    "FEAT-026", "at the end of the run: all features, stream and event registers, the user's name, TLParamsLocked",
    "as at the beginning", "consistency", trace="-", phase=Phase.END, at_start=lambda run: _found(run),
)  # fmt: skip
def as_found(run: Context) -> None:
    before, now = run.kept["FEAT-026"], _state(camera_of(run))
    for name, value in before.items():
        expect(now.get(name) == value, f"{name} is {now.get(name)}, at the beginning {value}")


def _found(run: Context) -> dict[str, FeatureValue]:
    """As the camera is before all checks; from now on each check that leaves it otherwise is told of."""
    camera = camera_of(run)
    if camera.can_use_nodes():
        run.guard = AsFound(camera)
    return _state(camera)


def _state(camera: Camera) -> dict[str, FeatureValue]:
    """What a run has to leave as it was."""
    found: dict[str, FeatureValue] = {}
    if camera.can_use_nodes():
        for selection, name, value in camera.snapshot():
            found["".join(f"{selector}={entry} " for selector, entry in selection) + name] = value
    if camera.run.layout.pipe(STREAM) is not None:
        raw = camera.read(camera.run.sirm, 4) + b"".join(
            camera.read(camera.run.sirm + at, 4) for at in range(0x18, 0x30, 4)
        )
        found["the stream registers"] = raw.hex(" ")
        found["SI_Control"] = camera.number(camera.run.sirm + 4)
    if camera.run.layout.pipe(EVENT) is not None:
        found["EI_Control"] = camera.number(camera.run.eirm)
    if camera.run.capability & 1:
        found["User_Defined_Name"] = camera.read(0x184, 64).hex(" ")
    return found
