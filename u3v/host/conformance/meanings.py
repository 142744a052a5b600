"""Whether names of the SFNC mean what they say: test patterns, edges of lines, what lines show, operations on files.

Two entries whose values are swapped read and write as well as before; only what the camera does tells them apart.
Lines and files are touched where the camera is virtual and nobody has anything connected to it. Images have 8 bits.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from u3v.host.conformance.camera import Camera, expect, fail
from u3v.host.conformance.effects import eight_bits
from u3v.host.conformance.streaming import frames, streaming

STILL, MOVES, FLAT, DARK, BRIGHT = "is still", "moves", "is flat", "is dark", "is bright"
ROWS, COLUMNS, DIAGONAL = (
    "has rows that are alike",
    "has columns that are alike",
    "has diagonals that are alike",
)
RISES_X, RISES_Y, STEEP = "rises to the right", "rises downwards", "changes with every pixel"
MANY = "has many greys"

_GREY: dict[str, Callable[[float], bool]] = {DARK: lambda mean: mean < 64, BRIGHT: lambda mean: mean > 192}
PATTERNS: dict[str, tuple[set[str], set[str]]] = {
    "Black": ({STILL, FLAT, DARK}, set()),
    "White": ({STILL, FLAT, BRIGHT}, set()),
    "GreyHorizontalRamp": ({STILL, ROWS, RISES_X}, {FLAT}),
    "GreyVerticalRamp": ({STILL, COLUMNS, RISES_Y}, {FLAT}),
    "GreyHorizontalRampMoving": ({MOVES, ROWS}, {FLAT}),
    "GreyVerticalRampMoving": ({MOVES, COLUMNS}, {FLAT}),
    "HorizontalLineMoving": ({MOVES}, {ROWS}),
    "VerticalLineMoving": ({MOVES}, {COLUMNS}),
    "ColorBar": ({STILL, ROWS}, {RISES_X}),
    "FrameCounter": ({MOVES}, set()),
    "Testimage1": ({STILL, DIAGONAL}, {FLAT}),
    "Testimage2": ({MOVES, DIAGONAL, STEEP}, {FLAT}),
    "Testimage3": ({MOVES, DIAGONAL}, {FLAT, STEEP}),
    "Testimage4": ({MOVES, DIAGONAL, STEEP}, {FLAT}),
    "Testimage5": ({MOVES, DIAGONAL}, {FLAT, STEEP}),
}
"""Entry -> what its image is, what it is not: SFNC 2.7 TestPattern, and the test images as Basler documents them."""
VIRTUAL: dict[str, tuple[set[str], set[str]]] = {
    "Off": (set(), {ROWS, COLUMNS, DIAGONAL}),
    "GreyHorizontalRampMoving": ({MANY}, set()),
    "GreyVerticalRampMoving": ({MANY}, set()),
}
"""As PATTERNS, where it is known that the sensor has noise, and ramps go over a small region, too."""
_FLIPPED = {"Testimage2": False, "Testimage3": False, "Testimage4": True, "Testimage5": True}
"""Whether mirroring mirrors them."""
COUNTED = 20
"""Frames after which a counter shows in 8 of 12 bits."""
_SELECTORS = ("TestPattern", "TestImageSelector")
_WINDOW_MS, _QUIET_MS = 15, 60
_IDLE = re.compile(
    r"Off|UserOutput\d|ExposureActive|FrameTriggerWait|FrameBurstTriggerWait|TriggerReady|Timer\d+Active"
)
"""Sources that are low while nothing happens and the user's outputs are."""
_WAITS = {
    "FrameTriggerWait": "FrameStart", "FrameBurstTriggerWait": "FrameBurstStart", "TriggerReady": "FrameStart",
}  # fmt: skip


def is_virtual(camera: Camera) -> bool:
    return "sim" in camera.run.route.abilities


# -- test patterns ----------------------------------------------------------------------------------------------


def traits(images: list[bytes], width: int) -> set[str]:
    """What images look like. Rows and columns are compared with the next but one, for the sake of colour filters."""
    last = images[-1]
    rows = [last[at : at + width] for at in range(0, len(last), width)]
    columns = [bytes(each) for each in zip(*rows, strict=True)]
    alike = {
        ROWS: all(one == other for one, other in zip(rows, rows[2:], strict=False)),
        COLUMNS: all(one == other for one, other in zip(columns, columns[2:], strict=False)),
        DIAGONAL: all(one[1:] == other[:-1] for one, other in zip(rows, rows[1:], strict=False)),
    }
    found = {name for name, holds in alike.items() if holds} | {MOVES if len(set(images)) > 1 else STILL}
    found |= {FLAT} if {ROWS, COLUMNS} <= found else set()
    found |= {RISES_X} if _rises(rows[0]) else set()
    found |= {RISES_Y} if _rises(columns[0]) else set()
    found |= {MANY} if len(set(last)) > 8 else set()
    found |= {STEEP} if all(one != other for one, other in zip(last, last[1:width], strict=False)) else set()
    return found | {name for name, holds in _GREY.items() if holds(sum(last) / len(last))}


def _rises(line: bytes) -> bool:
    return line[0] < line[-1] and all(one <= other for one, other in zip(line, line[2:], strict=False))


def patterns_show(camera: Camera) -> None:
    """Fails where a test pattern is not what its name says."""
    for selector in _SELECTORS:
        if not camera.writable(selector) or not camera.writable("PixelFormat") or not eight_bits(camera):
            continue
        with camera.small(64, 48, PixelFormat=eight_bits(camera)), camera.keep(selector):
            for entry in camera.info(selector).entries:
                wanted, never = PATTERNS.get(entry, (set(), set()))
                if is_virtual(camera):
                    more, less = VIRTUAL.get(entry, (set(), set()))
                    wanted, never = wanted | more, never | less
                if not wanted and not never:
                    continue
                camera.set(selector, entry)
                count = COUNTED if entry == "FrameCounter" else 3
                found = traits([shot.image for shot in frames(camera, count)], camera.get_int("Width"))
                for trait in sorted(wanted - found):
                    expect(False, f"{selector} {entry}: no image that {trait}, but one that {_told(found)}")
                for trait in sorted(never & found):
                    expect(False, f"{selector} {entry}: an image that {trait}")
                if entry in _FLIPPED and is_virtual(camera) and camera.writable("ReverseX"):
                    _is_flipped(camera, entry)


def _is_flipped(camera: Camera, entry: str) -> None:
    with camera.settings(ReverseX=not camera.get("ReverseX")):
        found = traits([frames(camera, 1)[0].image], camera.get_int("Width"))
    flipped = DIAGONAL not in found
    expect(flipped == _FLIPPED[entry], f"{entry} with ReverseX: {'' if flipped else 'not '}mirrored")


def _told(found: set[str]) -> str:
    return ", ".join(sorted(found))


# -- lines ------------------------------------------------------------------------------------------------------


@contextmanager
def line_that_is(camera: Camera, mode: str) -> Iterator[str]:
    """Inside, LineSelector is at a line of this LineMode, not inverted; its name, "" where there is none."""
    names = "LineSelector", "LineMode", "LineInverter", "LineStatus"
    if not is_virtual(camera) or not camera.has(*names) or not camera.writable(names[0]):
        yield ""
        return
    with ExitStack() as stack:
        stack.enter_context(camera.keep("LineSelector"))
        for line in camera.info("LineSelector").entries:
            camera.set("LineSelector", line)
            if camera.get("LineMode") == mode and camera.writable("LineInverter"):
                stack.enter_context(camera.settings(LineInverter=False))
                yield line
                return
        yield ""


def edges_trigger(camera: Camera) -> None:
    """With a trigger for each frame: fails where TriggerActivation does not choose the edge or level of a line.

    A line with nothing connected to it gets its edges from its inverter.
    """
    with line_that_is(camera, "Input") as line:
        ready = camera.writable("TriggerActivation") and line in camera.info("TriggerSource").entries
        if not ready or camera.get("LineStatus"):
            return
        with camera.settings(TriggerSource=line), camera.keep("TriggerActivation"):
            for entry in camera.info("TriggerActivation").entries:
                camera.set("TriggerActivation", entry)
                holds = ACTIVATIONS.get(entry)
                for _ in range(1 if camera.simulated else 3):  # a busy host may have given up too early
                    counts = _frames_around_edges(camera)
                    if holds is None or holds(*counts):
                        break
                else:
                    fail(
                        f"TriggerActivation {entry}: {counts[0]} frames before {line} rises, {counts[1]} while it is"
                        f" high, {counts[2]} after it falls"
                    )


ACTIVATIONS: dict[str, Callable[[int, int, int], bool]] = {
    "RisingEdge": lambda before, high, after: (before, high, after) == (0, 1, 0),
    "FallingEdge": lambda before, high, after: (before, high, after) == (0, 0, 1),
    "AnyEdge": lambda before, high, after: (before, high, after) == (0, 1, 1),
    "LevelHigh": lambda before, high, after: before == 0 and high > 1,
    "LevelLow": lambda before, high, after: before > 0 and after > 1,
}
"""TriggerActivation -> whether it gives these frames before a line rises, while it is high, after it falls."""


def _frames_around_edges(camera: Camera) -> tuple[int, int, int]:
    with streaming(camera) as stream:
        camera.wait_ms(_WINDOW_MS)
        instants = []
        for inverted in (True, False):
            instants.append(camera.latch())
            camera.set("LineInverter", inverted)
            camera.wait_ms(_WINDOW_MS)
        stream.stop_acquisition()
        stamps = []
        while (shot := stream.shot(_QUIET_MS)) is not None:
            stamps.append(shot.timestamp)
    rises, falls = instants
    return (
        sum(at < rises for at in stamps),
        sum(rises <= at < falls for at in stamps),
        sum(at >= falls for at in stamps),
    )


def lines_show(camera: Camera) -> None:
    """Fails where an output does not show the signal that is its LineSource."""
    with line_that_is(camera, "Output") as line:
        if not line or not camera.writable("LineSource"):
            return
        sources = [each for each in camera.info("LineSource").entries if _IDLE.fullmatch(each)]
        with camera.keep("LineSource"), _outputs_low(camera) as outputs:
            _shows(camera, sources, "", "while nothing happens")
            for output in outputs:
                with camera.settings(UserOutputSelector=output, UserOutputValue=True):
                    _shows(camera, sources, output, f"with {output} on")
            for source, trigger in _WAITS.items():
                if source in sources and trigger in camera.info("TriggerSelector").entries:
                    waiting = camera.settings(
                        TriggerSelector=trigger, TriggerSource="Software", TriggerMode="On"
                    )
                    with camera.small(), waiting, streaming(camera):
                        others = [each for each in sources if each not in _WAITS or each == source]
                        _shows(camera, others, source, f"waiting for {trigger}")
            if "ExposureActive" in sources:
                with camera.small(ExposureTime=200_000.0), streaming(camera):
                    camera.wait_ms(20)
                    level = any(_level(camera, "ExposureActive") for _ in range(3))
                    expect(level, "LineSource ExposureActive: LineStatus is low during an exposure")


@contextmanager
def _outputs_low(camera: Camera) -> Iterator[list[str]]:
    """Inside, all of the user's outputs are off; their names."""
    names = "UserOutputSelector", "UserOutputValue"
    outputs = [str(each) for each in camera.info(names[0]).entries] if camera.has(*names) else []
    with ExitStack() as stack:
        stack.enter_context(camera.keep(names[0])) if outputs else None
        for output in outputs:
            stack.enter_context(camera.settings(UserOutputSelector=output, UserOutputValue=False))
        yield outputs


def _level(camera: Camera, source: str) -> bool:
    camera.set("LineSource", source)
    camera.wait_ms(1)
    camera.nodes.refresh()
    return bool(camera.get("LineStatus"))


def _shows(camera: Camera, sources: list[str], high: str, when: str) -> None:
    for source in sources:
        level = _level(camera, source)
        expect(
            level == (source == high),
            f"LineSource {source}: LineStatus is {'high' if level else 'low'} {when}",
        )


# -- files ------------------------------------------------------------------------------------------------------


def files_are_read(camera: Camera) -> None:
    """Fails where opening, reading and closing a file have no effect. Nothing is written."""
    names = (
        "FileSelector",
        "FileOperationSelector",
        "FileOperationExecute",
        "FileOpenMode",
        "FileAccessLength",
    )
    told = "FileOperationStatus", "FileOperationResult", "FileSize"
    if not is_virtual(camera) or not camera.has(*names, *told) or not camera.writable(names[0]):
        return
    with camera.keep(*names[:2], "FileOpenMode", "FileAccessOffset", "FileAccessLength"):
        files = [str(each) for each in camera.info("FileSelector").entries]
        full = [file for file in files if _size(camera, file)]
        file = next((file for file in full if _opens(camera, file)), "")
        expect(file or not full, f"none of {', '.join(full)} can be opened for reading")
        if not file:
            return
        size = min(camera.get_int("FileSize"), int(camera.info("FileAccessLength").maximum or 0))
        camera.set("FileAccessOffset", 0)
        for count in {size, size // 2}:
            camera.set("FileAccessLength", count)
            done, result = _done(camera, "Read"), camera.get_int("FileOperationResult")
            expect(done and result == count, f"{result} bytes of {file} were read, not {count}")
        expect(_done(camera, "Close"), f"{file} was opened, and cannot be closed")
        expect(not _done(camera, "Read"), f"{file} is closed, and can be read")


def _size(camera: Camera, file: str) -> int:
    camera.set("FileSelector", file)
    return camera.get_int("FileSize")


def _opens(camera: Camera, file: str) -> bool:
    camera.set("FileSelector", file)
    camera.set("FileOpenMode", "Read")
    return _done(camera, "Open")


def _done(camera: Camera, operation: str) -> bool:
    """Whether an operation on the selected file was a success."""
    camera.set("FileOperationSelector", operation)
    camera.execute("FileOperationExecute")
    camera.nodes.refresh()
    return camera.get("FileOperationStatus") == "Success"
