"""The description at work: every node against the register behind it, and what the reference GenApi makes of it."""

import math
import re
from collections.abc import Iterator

from u3v.errors import GenCPError, Malformed
from u3v.host.conformance.camera import LEFT_ALONE, Camera, camera_check, expect, fail
from u3v.host.conformance.declare import SHOULD
from u3v.host.conformance.description import Description, to_int
from u3v.host.nodes import FeatureError

_REFUSED = (0x8004, 0x8006)
_REGION = ("OffsetX", "OffsetY", "Height", "Width")
"""What is clipped when another feature leaves it less room; put back from the last to the first."""
_RESTLESS = re.compile(
    r"^(DeviceTemperature|DeviceTemperatureStatus|SensorTemperature|Timestamp|Gev(Timestamp|IEEE1588Status\w*)"
    r"|LineStatus|LineStatusAll|AcquisitionStatus|CounterValue|CounterStatus|TimerValue|TimerStatus|EncoderValue"
    r"|SequencerSetActive|DeviceLinkConnectionStatus)$"
)
"""Features of the SFNC whose values change while nobody writes."""
_LOCKED = ("Width", "Height", "PixelFormat", "BinningHorizontal", "BinningVertical")


@camera_check(
    "XML-007", "load in GenApi's reference implementation", "no exception", "other hosts as observed", needs="gapi",
)  # fmt: skip
def reference_loads(camera: Camera) -> None:
    try:
        camera.load_nodes()
    except Malformed as error:
        fail(str(error))


def available(camera: Camera, node: str) -> bool:
    """Whether the reference implementation lets a node be read now."""
    found = camera.nodes.map.get_node(node)
    try:
        return int(found.get_access_mode()) in (3, 4)  # RO, RW
    except Exception:  # SWIG wraps whatever the port raises
        return False


def _readable(camera: Camera) -> Iterator[tuple[str, int, int]]:
    """Registers that can be read now, with address and length (of long ones as much as one command takes).

    Without GenApi: those that say they can.
    """
    most = (min(camera.run.max_command - 20, camera.run.max_ack - 12)) & ~3
    reference = camera.can_use_nodes()
    for name in camera.description.registers():
        if camera.description.text_of(name, "AccessMode") == "WO":
            continue
        if reference and not available(camera, name):
            continue
        place = camera.place(name)
        if place is not None:
            yield name, place[0], min(place[1], most)


@camera_check(
    "XML-018", "read of every register node readable now", "success",
    "cameras in the field: ChunkModeActive of a Daheng",
)  # fmt: skip
def registers_read(camera: Camera) -> None:
    count = 0
    for name, address, length in _readable(camera):
        ack = camera.run.read(address, min(length, camera.run.max_ack_bytes - 12))
        expect(ack.ok, f"{name} at {address:#x}: {ack}")
        count += 1
    expect(count, "no register node could be read")
    camera.run.note(f"{count} register nodes")


@camera_check(
    "XML-019", "write of the present value to every RW register node (nothing that acts outside or lasts)",
    "success, unchanged", "consistency of the camera", trace="r",
)  # fmt: skip
def registers_rewritten(camera: Camera) -> None:
    for name, address, length in _readable(camera):
        if not writable_register(camera, name):
            continue
        before = camera.read(address, length)
        status = camera.write(address, before)
        expect(not status, f"{name} at {address:#x}: its own value is refused with status {status:#06x}")
        after = camera.read(address, length)
        expect(after == before, f"{name} at {address:#x}: {before.hex()} became {after.hex()}")


def writable_register(camera: Camera, name: str) -> bool:
    """A register that may be written now without doing something: no command, nothing that acts outside or lasts."""
    description = camera.description
    if description.text_of(name, "AccessMode") != "RW":
        return False
    users = camera.users_of(name)
    if LEFT_ALONE.search(name) or any(LEFT_ALONE.search(user) for user in users):
        return False
    if any(description.kind(user) == "Command" for user in users):
        return False
    features = [user for user in users if camera.has(user)]
    return all(camera.info(user).access == "RW" for user in features)


@camera_check(
    "XML-020", "write of the present value to RO register nodes (virtual, or bootstrap only on hardware)",
    "refused (8004, 8006)", "consistency of the camera", SHOULD, needs="sim gapi",
)  # fmt: skip
def read_only_refuses(camera: Camera) -> None:
    for name, address, length in _readable(camera):
        if camera.description.text_of(name, "AccessMode") != "RO":
            continue
        status = camera.write(address, camera.read(address, length))
        expect(status in _REFUSED, f"{name} at {address:#x} is RO: status {status:#06x} for a write")


@camera_check(
    "XML-021", "StringReg", "decodes; no bytes after NUL; not longer than Length", "GenApi 2.1.1 2.8.11",
)  # fmt: skip
def strings(camera: Camera) -> None:
    for name, address, length in _readable(camera):
        if camera.description.kind(name) != "StringReg":
            continue
        raw = camera.read(address, length)
        text, _, rest = raw.partition(b"\0")
        expect(not any(rest), f"{name}: bytes after the end of {text!r}")
        try:
            text.decode("utf-8")
        except UnicodeDecodeError:
            fail(f"{name} holds {raw.hex(' ')}, which is no text")


@camera_check(
    "XML-022", "Enumerations", "values of entries differ; the present value is one of the available entries",
    "GenApi 2.1.1 2.8.10",
)  # fmt: skip
def enumerations(camera: Camera) -> None:
    for name in camera.description.named("Enumeration"):
        entries = camera.description.entries(name)
        expect(len(set(entries.values())) == len(entries), f"{name}: two entries have the same value")
        register = camera.device_register(name)
        place = camera.place(register) if register is not None else None
        if place is None or (
            register is not None and camera.description.text_of(register, "AccessMode") == "WO"
        ):
            continue
        ack = camera.run.read(*place)
        if ack.ok:  # else it is XML-018's
            value = int.from_bytes(ack.scd, "little")
            expect(value in entries.values(), f"{name} holds {value}, which is no entry of it")
        if camera.can_use_nodes() and camera.has(name) and camera.info(name).access in ("RO", "RW"):
            chosen = camera.get(name)
            expect(chosen in camera.info(name).entries, f"{name} is {chosen}, which is not available")


def _numbers(camera: Camera, kind: str) -> Iterator[tuple[str, float, float, float, float]]:
    for name in camera.nodes.names():
        info = camera.info(name)
        if info.kind == kind and info.access in ("RO", "RW"):
            value = float(camera.get(name)) if kind == "Float" else int(camera.get(name))
            yield name, value, info.minimum or 0, info.maximum or 0, info.increment or 1


@camera_check(
    "XML-023", "Integers", "min ≤ value ≤ max, (value-min) % inc = 0, inc ≥ 1", "GenApi 2.1.1 2.8.5", needs="gapi",
)  # fmt: skip
def integers(camera: Camera) -> None:
    for name, value, low, high, step in _numbers(camera, "Integer"):
        expect(step >= 1, f"{name}: increment {step}")
        expect(low <= value <= high, f"{name} is {value}, not within {low} to {high}")
        expect((value - low) % step == 0, f"{name} is {value}: from {low} in steps of {step} it cannot be")


@camera_check("XML-024", "Floats", "finite, min ≤ value ≤ max", "GenApi 2.1.1 2.8.9", needs="gapi")
def floats(camera: Camera) -> None:
    for name, value, low, high, _ in _numbers(camera, "Float"):
        expect(math.isfinite(value), f"{name} is {value}")
        expect(low <= value <= high, f"{name} is {value}, not within {low} to {high}")


@camera_check("XML-025", "Booleans", "register holds OnValue or OffValue", "GenApi 2.1.1 2.8.7", needs="gapi")
def booleans(camera: Camera) -> None:
    for name in camera.description.named("Boolean"):
        values = {
            camera.description.text_of(name, "OnValue") or "1",
            camera.description.text_of(name, "OffValue") or "0",
        }
        if camera.has(name) and camera.info(name).access in ("RO", "RW"):
            node = camera.device_register(name)
            place = camera.place(node) if node is not None else None
            if place is not None:
                value = camera.number(*place)
                expect(value in {to_int(text) for text in values}, f"{name} holds {value:#x}")


@camera_check(
    "XML-026", "Commands idle (readable ones)", "IsDone: register differs from CommandValue", "GenApi 2.1.1 2.8.8",
    needs="gapi",
)  # fmt: skip
def idle_commands(camera: Camera) -> None:
    for name in camera.description.named("Command"):
        node = camera.device_register(name)
        if node is None or camera.description.text_of(node, "AccessMode") == "WO" or not camera.has(name):
            continue
        place, text = camera.place(node), camera.description.text_of(name, "CommandValue")
        if place is None or text is None:
            continue
        ack = camera.run.read(*place)
        if ack.ok:
            busy = int.from_bytes(ack.scd, "little") == to_int(text)
            expect(not busy, f"{name} is idle, and its register still holds {text}")


@camera_check(
    "XML-027", "change Width through the node map, read PayloadSize, *Max, rates through it",
    "fresh values (pInvalidator) = registers", "what hosts ask of an XML", needs="gapi str", trace="r",
)  # fmt: skip
def invalidators(camera: Camera) -> None:
    with camera.settings(OffsetX=0):
        camera.need("Width", "PayloadSize")
        info = camera.info("Width")
        low = int(info.minimum or 0)
        watched = [
            n
            for n in ("PayloadSize", "ResultingFrameRate", "AcquisitionFrameRate", "OffsetX")
            if camera.has(n)
        ]
        before = {name: _with_limits(camera, name) for name in watched}
        with camera.settings(Width=low):
            compare(camera, watched, f"after Width = {low}")
            expect(
                _with_limits(camera, "PayloadSize") != before["PayloadSize"],
                "PayloadSize does not follow Width",
            )
        compare(camera, watched, "after Width was put back")


def _with_limits(camera: Camera, name: str) -> tuple[object, ...]:
    info = camera.info(name)
    return (
        camera.get(name) if info.access in ("RO", "RW") else None,
        info.minimum,
        info.maximum,
        info.access,
    )


def compare(camera: Camera, names: list[str], when: str) -> None:
    """Cached values of features against what comes without a cache."""
    cached = {name: _with_limits(camera, name) for name in names}
    camera.nodes.refresh()
    for name in names:
        fresh = _with_limits(camera, name)
        expect(
            cached[name] == fresh, f"{name} {when}: the node map still has {cached[name]}, the camera {fresh}"
        )


@camera_check(
    "XML-028", "after changes of size, format, binning and exposure: cached nodes against uncached reads",
    "equal; what changes by itself, such as a temperature, is not cached for ever",
    "arv-test --cache-check", SHOULD, needs="gapi", trace="r",
)  # fmt: skip
def caches(camera: Camera) -> None:
    for name in filter(_RESTLESS.search, camera.description.features()):
        _is_not_kept(camera.description, name)
    steady = _steady(camera)
    for name, value in _changes(camera):
        with camera.keep(*_REGION), camera.settings(**{name: value}):
            compare(camera, steady, f"after {name} = {value}")
    compare(camera, steady, "after all was put back")


def _is_not_kept(description: Description, name: str) -> None:
    register = description.register_behind(name)
    if register is None:
        return
    cachable = description.text_of(register, "Cachable") or "WriteThrough"
    polled = any(description.text_of(node, "PollingTime") for node in (name, register))
    expect(
        cachable == "NoCache" or polled,
        f"{name} changes by itself, and its register may be cached ({cachable})",
    )


def _steady(camera: Camera) -> list[str]:
    """Features with a value that does not move by itself, as a temperature does."""
    numbers = ("Integer", "Float", "Enumeration", "Boolean")
    infos = [camera.info(name) for name in camera.nodes.names()]
    names = [info.name for info in infos if info.kind in numbers and info.access != "NI"]
    first = {name: _with_limits(camera, name) for name in names}
    camera.wait_ms(20)
    camera.nodes.refresh()
    return [name for name in names if first[name] == _with_limits(camera, name)]


def _changes(camera: Camera) -> Iterator[tuple[str, str | int | float | bool]]:
    """One change of each feature that other features depend on."""
    for name in ("Width", "Height", "BinningHorizontal", "BinningVertical", "PixelFormat", "ExposureTime"):
        if not camera.writable(name):
            continue
        info = camera.info(name)
        if info.kind == "Enumeration":
            others = [entry for entry in info.entries if entry != camera.get(name)]
            if others:
                yield name, others[-1]
        elif info.minimum is not None and info.maximum is not None and info.maximum > info.minimum:
            yield name, info.minimum if camera.get(name) != info.minimum else info.maximum


@camera_check(
    "XML-029", "TLParamsLocked 1 in the node map",
    "Width, Height, PixelFormat (and binning) not writable; 0: writable",
    "GenApi 2.1.1 2.5; features that hosts need", needs="gapi", trace="r",
)  # fmt: skip
def locks(camera: Camera) -> None:
    camera.need("TLParamsLocked")
    names = [name for name in _LOCKED if camera.has(name) and camera.info(name).access == "RW"]
    expect(names, "Width, Height and PixelFormat are not writable to begin with")
    with camera.settings(TLParamsLocked=1):
        for name in names:
            expect(camera.info(name).access != "RW", f"{name} is writable while TLParamsLocked is 1")
    for name in names:
        expect(camera.info(name).access == "RW", f"{name} is not writable although TLParamsLocked is 0")


@camera_check(
    "XML-030", "pSelected, for each value of each selector",
    "selected nodes are readable or not available; what is set under one entry is not seen under another;"
    " what is found by a selector is selected by it",
    "GenApi 2.1.1 2.8.4", needs="gapi", trace="r",
)  # fmt: skip
def selectors(camera: Camera) -> None:
    description = camera.description
    _selected_is_told(description)
    for selector, element in description.nodes.items():
        chosen = [name for kind, name in description.references(element) if kind == "pSelected"]
        if not chosen or not camera.has(selector) or not camera.writable(selector):
            continue
        with camera.keep(selector):
            _each_entry(camera, selector, chosen)


def _selected_is_told(description: Description) -> None:
    """Fails where the place of a feature's value depends on a selector that does not say so."""
    features = description.features()
    selectors = {name for name in features if name.endswith("Selector")}
    behind = {description.register_behind(name): name for name in selectors}
    told = {
        (name, to)
        for name in selectors
        for kind, to in description.references(description.nodes[name])
        if kind == "pSelected"
    }
    for feature in features:
        way = description.follows(feature)
        for selector in (way & selectors) | {behind[node] for node in way & behind.keys()}:
            if selector != feature:
                expect(
                    (selector, feature) in told,
                    f"{selector} decides where {feature} is, and does not select it",
                )


def _each_entry(camera: Camera, selector: str, chosen: list[str]) -> None:
    values = camera.selector_values(selector)
    for value in values:
        camera.set(selector, value)
        for name in chosen:
            if (
                camera.has(name)
                and camera.info(name).kind != "Command"
                and camera.info(name).access in ("RO", "RW")
            ):
                try:
                    camera.get(name)
                except (GenCPError, FeatureError) as error:
                    fail(f"{name} with {selector} = {value}: {error}")
    if len(values) < 2:
        return
    for name in chosen:
        if not LEFT_ALONE.search(name):
            _is_own(camera, selector, values[0], values[1], name)
            _is_own(camera, selector, values[-1], values[0], name)


def _is_own(camera: Camera, selector: str, first: str | int, second: str | int, name: str) -> None:
    """A value set under one entry is not seen under another."""
    camera.set(selector, first)
    if not camera.writable(name) or camera.info(name).kind not in (
        "Enumeration",
        "Boolean",
        "Integer",
        "Float",
    ):
        return
    other = another_value(camera, name)
    camera.set(selector, second)
    if other is None or not camera.has(name) or camera.info(name).access not in ("RO", "RW"):
        return
    seen = camera.get(name)
    camera.set(selector, first)
    with camera.settings(**{name: other}):
        camera.set(selector, second)
        now = camera.get(name)
        camera.set(selector, first)
        expect(
            now == seen, f"{name} was set with {selector} = {first}, and changed with {selector} = {second}"
        )


def another_value(camera: Camera, name: str) -> str | int | float | bool | None:
    """A legal value that a feature does not have now; None where there is none."""
    info, now = camera.info(name), camera.get(name)
    if info.kind == "Boolean":
        return not now
    if info.kind == "Enumeration":
        return next((entry for entry in info.entries if entry != now), None)
    if info.minimum == info.maximum or info.minimum is None or info.maximum is None:
        return None
    return info.maximum if now == info.minimum else info.minimum


@camera_check(
    "XML-034", "every formula", "evaluates without error at the present values", "GenApi 2.1.1 2.8.13",
    needs="gapi",
)  # fmt: skip
def formulas(camera: Camera) -> None:
    for name, element in camera.description.nodes.items():
        if element.tag not in ("SwissKnife", "IntSwissKnife", "Converter", "IntConverter"):
            continue
        node = camera.nodes.map.get_node(name)
        if node is None or not available(camera, name):
            continue
        try:
            _ = node.value
        except Exception as error:  # SWIG wraps what the formula raises
            fail(f"formula {name}: {str(error).splitlines()[0]}")
