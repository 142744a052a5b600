"""FEAT: what features and the stream owe each other: sizes that follow, locks while it runs, exposure that counts."""

import math
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from u3v.errors import U3VError
from u3v.host.conformance.camera import LEFT_ALONE, VALUES, Camera, camera_check, expect, skip
from u3v.host.conformance.declare import INFO, SHOULD
from u3v.host.conformance.description import to_int
from u3v.host.conformance.effects import (
    automatic_is_off,
    brightness_follows,
    counters_count,
    eight_bits,
    sets_are_kept,
)
from u3v.host.conformance.meanings import files_are_read, lines_show
from u3v.host.conformance.sfnc import PFNC, bits_per_pixel
from u3v.host.conformance.streaming import expect_whole, expected, frames, streaming
from u3v.host.nodes import FeatureValue

BINNINGS = ("BinningHorizontal", "BinningVertical", "DecimationHorizontal", "DecimationVertical")
_PATTERNS = ("TestPattern", "TestImageSelector", "TestPatternGeneratorSelector")
_LOCKED = (
    "Width",
    "Height",
    "PixelFormat",
    "BinningHorizontal",
    "BinningVertical",
    "ChunkModeActive",
    "ChunkEnable",
)
_MODE = re.compile(r"(Mode|Enable|Enabled|Auto|Active)$")
_HARMLESS = re.compile(r"^(CounterReset|TimerReset|TimestampLatch|SequencerSetLoad)$")
_VOLATILE = re.compile(r"^SequencerSetSave$")
"""Commands that may be executed; the latter one only where nobody misses what it overwrites."""
_LEGAL_LOCKED = (0x8006, 0x800F, 0x8007, 0x8004, 0x8002)


def payload_of_region(camera: Camera) -> int | None:
    """Bytes that an image of the present size and format has; None where the format's bits are not known."""
    name = str(camera.get("PixelFormat"))
    bits = bits_per_pixel(name, camera.description.entries("PixelFormat").get(name, 0))
    if bits is None:
        return None
    return -(-camera.get_int("Width") * camera.get_int("Height") * bits // 8)


@camera_check(
    "FEAT-013", "binning, decimation each value",
    "WidthMax, Width, SI_Required_Payload_Size follow; region stays legal", "SFNC 2.7", needs="str gapi", trace="r",
)  # fmt: skip
def binning(camera: Camera) -> None:
    names = [name for name in BINNINGS if camera.writable(name)]
    if not names:
        skip("neither binning nor decimation")
    for name in names:
        with camera.keep("OffsetX", "OffsetY", "Height", "Width", name):
            full = camera.get_int("WidthMax") if "Horizontal" in name else camera.get_int("HeightMax")
            info = camera.info(name)
            for factor in range(int(info.minimum or 1), min(int(info.maximum or 1), 8) + 1):
                camera.set(name, factor)
                camera.nodes.refresh()
                axis = "Width" if "Horizontal" in name else "Height"
                largest = camera.get_int(f"{axis}Max")
                expect(
                    largest <= full // factor or factor == 1,
                    f"{axis}Max is {largest} with {name} {factor}, before {full}",
                )
                used = camera.get_int(axis) + camera.get_int("OffsetX" if axis == "Width" else "OffsetY")
                expect(
                    used <= largest, f"{axis} and its offset make {used} of {largest} with {name} {factor}"
                )
                payload = camera.required_payload
                expect(
                    camera.get_int("PayloadSize") == payload,
                    f"PayloadSize and the register differ with {name} {factor}",
                )
                due = payload_of_region(camera)
                expect(
                    due is None or payload >= due,
                    f"{payload} bytes of payload for {due} of image with {name} {factor}",
                )


@camera_check(
    "FEAT-014", "ReverseX/Y, test patterns", "SI_Required_Payload_Size unchanged", "consistency of the camera",
    SHOULD, needs="str gapi", trace="r",
)  # fmt: skip
def same_size(camera: Camera) -> None:
    before = camera.required_payload
    seen = 0
    for name in ("ReverseX", "ReverseY", *_PATTERNS):
        if not camera.writable(name):
            continue
        info = camera.info(name)
        values: tuple[FeatureValue, ...] = info.entries if info.kind == "Enumeration" else (True, False)
        with camera.keep(name):
            for value in values:
                camera.set(name, value)
                seen += 1
                now = camera.required_payload
                expect(now == before, f"{name} = {value}: {now} bytes of payload, before {before}")
    if not seen:
        skip("neither mirroring nor test patterns")


@camera_check(
    "FEAT-015", "all PixelFormats x {smallest, odd, largest} region",
    "PayloadSize = ceil(Width x Height x bits / 8) (+ padding told by leader, + chunks) by the PFNC code or name;"
    " PixelSize has its bits",
    "PFNC; SFNC 2.7 PixelSize; consistency of the camera", needs="str gapi", trace="r",
)  # fmt: skip
def payload_sizes(camera: Camera) -> None:
    camera.need("PixelFormat", "Width", "Height", "PayloadSize")
    with (
        camera.settings(OffsetX=0, OffsetY=0, ChunkModeActive=False),
        camera.keep("Height", "Width", "PixelFormat"),
    ):
        formats: tuple[FeatureValue, ...] = (camera.get("PixelFormat"),)
        if camera.writable("PixelFormat"):
            formats = camera.info("PixelFormat").entries
        for chosen in formats:
            if camera.writable("PixelFormat"):
                camera.set("PixelFormat", chosen)
            if camera.has("PixelSize") and chosen in PFNC:
                size, bits = camera.get("PixelSize"), bits_per_pixel(str(chosen), PFNC[str(chosen)])
                expect(size == f"Bpp{bits}", f"{chosen} has {bits} bits per pixel, PixelSize is {size}")
            for width, height in _regions(camera):
                camera.set("Width", width)
                camera.set("Height", height)
                camera.nodes.refresh()
                due, told, register = (
                    payload_of_region(camera),
                    camera.get_int("PayloadSize"),
                    camera.required_payload,
                )
                expect(
                    told == register,
                    f"{chosen} {width} x {height}: PayloadSize {told}, the register {register}",
                )
                expect(
                    due is None or told == due,
                    f"{chosen} {width} x {height}: PayloadSize {told}, the image has {due}",
                )


def _regions(camera: Camera) -> list[tuple[int, int]]:
    """Smallest, odd and largest."""
    pairs = []
    for at_least in (0, 333, 1 << 30):
        pairs.append((camera.on_grid("Width", at_least), camera.on_grid("Height", at_least)))
    return pairs


def another_raw(camera: Camera, name: str, before: bytes) -> bytes:
    """Bytes of another value than the present one, as far as the description tells of one."""
    now, length = int.from_bytes(before, "little"), len(before)
    kind = camera.description.kind(name)
    if kind == "Enumeration":
        entries = camera.description.entries(name).values()
        return next((value for value in entries if value != now), now).to_bytes(length, "little")
    if kind == "Boolean":
        return (0 if now else 1).to_bytes(length, "little")
    if kind == "Float" and length in (4, 8):
        layout = "<d" if length == 8 else "<f"
        ends = [float(camera.description.text_of(name, tag) or "0") for tag in ("Min", "Max")]
        return struct.pack(layout, ends[struct.unpack(layout, before)[0] == ends[0]])
    low, high, step = (to_int(camera.description.text_of(name, tag) or "") for tag in ("Min", "Max", "Inc"))
    most = (1 << 8 * length - 1) - 1
    other = int.from_bytes(before, "little", signed=True) + (step or 1)
    if other > min(most if high is None else high, most):
        other = low or 0
    return (other & (1 << 8 * length) - 1).to_bytes(length, "little")


@camera_check(
    "FEAT-016", "features not available now (pIsAvailable 0), beside each mode in each of its values: raw write",
    "refused (8006) or no effect; what is writable takes its own value, what is executable is executed",
    "GenCP 1.3 table 6", SHOULD, needs="gapi", trace="r",
)  # fmt: skip
def hidden_features(camera: Camera) -> None:
    seen: list[bool] = []
    with camera.everything():
        for mode in filter(_MODE.search, camera.sweepable()):
            for _ in _each_value(camera, mode):
                for name in camera.description.beside(mode):
                    seen.append(_refuses_hidden(camera, name))
                    _takes_its_own(camera, name)
    if not any(seen):
        skip("every feature is available, or read only")


def _each_value(camera: Camera, mode: str) -> Iterator[FeatureValue]:
    """The values of a mode that it takes now, one after the other."""
    info = camera.info(mode)
    if info.access != "RW" or info.kind not in ("Boolean", "Enumeration"):
        return
    values: tuple[FeatureValue, ...] = info.entries[:4] if info.kind == "Enumeration" else (True, False)
    with camera.keep(mode):
        for value in values:
            with suppress(U3VError):
                camera.nodes.set(mode, value)
                camera.nodes.refresh()
                yield value


def _takes_its_own(camera: Camera, name: str) -> None:
    """Fails where a feature that is writable now refuses the value it has, or a harmless command its execution."""
    info, register = camera.info(name), camera.description.register_behind(name)
    place = camera.place(register) if register is not None else None
    if place is None or info.access not in ("WO", "RW"):
        return
    if info.kind == "Command":
        harmless = _HARMLESS.search(name) or ("sim" in camera.run.route.abilities and _VOLATILE.search(name))
        status = camera.execute_raw(name) if harmless else 0
        expect(not status, f"{name} is executable, and refused with status {status:#06x}")
    elif info.kind in VALUES and info.access == "RW" and not LEFT_ALONE.search(name):
        status = camera.run.write(place[0], camera.read(*place)).status
        expect(not status, f"{name} is writable, and its own value refused with status {status:#06x}")


def _refuses_hidden(camera: Camera, name: str) -> bool:
    """Fails where a feature that is not available takes a value. False: it is available, or left alone."""
    info, register = camera.info(name), camera.description.register_behind(name)
    if info.access != "NA" or info.kind == "Command" or register is None or LEFT_ALONE.search(name):
        return False
    if camera.place(register) is None or camera.description.text_of(register, "AccessMode") != "RW":
        return False
    address, length = camera.register(name)
    ack = camera.run.read(address, length)
    before = ack.scd if ack.ok else bytes(length)
    other = another_raw(camera, name, before)
    status = camera.write(address, other)
    after = camera.run.read(address, length)
    if after.ok and after.scd != before:
        camera.write(address, before)
    good = status in (0x8006, 0x8004) or (not status and ack.ok and after.scd == before)
    expect(good, f"{name} is not available: status {status:#06x} for a write of {other.hex()}")
    return True


def _write_while_streaming(camera: Camera) -> list[tuple[str, int]]:
    """Statuses of writes to what a running stream locks; the values are others than those in force."""
    found = []
    for name in _LOCKED:
        if not camera.has(name) or camera.description.register_behind(name) is None:
            continue
        address, length = camera.register(name)
        before = camera.read(address, length)
        other = another_raw(camera, name, before)
        if other != before:
            found.append((name, camera.write(address, other)))
    return found


@camera_check(
    "FEAT-017", "streaming: raw write Width, Height, PixelFormat, binning, chunk enables",
    "refused (8006, 800F, 8007), or success without effect on the running stream",
    "cameras in the field, Aravis issue 486", needs="str gapi", trace="r",
)  # fmt: skip
def locked_while_streaming(camera: Camera) -> None:
    camera.need("Width", "Height", "PixelFormat")
    with camera.everything(), camera.small():
        want = expected(camera)
        with streaming(camera) as stream:
            shots = stream.shots(2)
            for name, status in _write_while_streaming(camera):
                expect(status in (0, *_LEGAL_LOCKED), f"{name} while streaming: status {status:#06x}")
            shots += stream.shots(3)
        expect_whole(shots, want, "after writes to what is locked: ")


@camera_check(
    "FEAT-018", "streaming: status of a write to what is locked; own values of what is not",
    "8006; what is writable takes it", "GenCP", SHOULD, needs="str gapi",
    trace="r",
)  # fmt: skip
def lock_status(camera: Camera) -> None:
    camera.need("Width", "Height", "PixelFormat")
    with camera.everything(), camera.small(), streaming(camera) as stream:
        stream.shots(1)
        for name, status in _write_while_streaming(camera):
            expect(status == 0x8006, f"{name} while streaming: status {status:#06x}, not 8006")
        with camera.settings(TLParamsLocked=1):
            for name in camera.sweepable():
                if camera.info(name).kind in VALUES:
                    _takes_its_own(camera, name)


@camera_check(
    "FEAT-019",
    "streaming: ExposureTime, Gain, TriggerSoftware; grey of Gain and BlackLevel; automatic functions, counters, sets,"
    " sources of lines, reading of files",
    "success, takes effect within 5 frames; more is brighter (virtual); off stays off; LineStatus is what LineSource"
    " says, and a file gives as many bytes as were asked for (virtual)",
    "SFNC 2.7; hosts do it", SHOULD, needs="str gapi", trace="r",
)  # fmt: skip
def live_features(camera: Camera) -> None:
    camera.need("ExposureTime")
    with camera.small(), streaming(camera) as stream:
        stream.shots(2)
        for name in ("ExposureTime", "Gain"):
            if not camera.has(name):
                continue
            info = camera.info(name)
            expect(info.access == "RW", f"{name} is not writable while streaming")
            value = min(float(camera.get(name)) * 2 + 1, float(info.maximum or 0))
            with camera.settings(**{name: value}):
                got = camera.get_float(name)
                expect(
                    math.isclose(got, value, rel_tol=0.05),
                    f"{name} = {value} while streaming: it reads {got}",
                )
                stream.shots(2)
    for name in ("Gain", "BlackLevel"):
        brightness_follows(camera, name)
    for effect in (automatic_is_off, counters_count, sets_are_kept, lines_show, files_are_read):
        effect(camera)


@camera_check(
    "FEAT-020", "after stop", "Width, Height, PixelFormat, binning, chunks writable again",
    "consistency of the camera", needs="str gapi", trace="r",
)  # fmt: skip
def unlocked_again(camera: Camera) -> None:
    names = [name for name in _LOCKED if camera.has(name) and camera.info(name).access == "RW"]
    with camera.small(), streaming(camera) as stream:
        stream.shots(1)
    camera.nodes.refresh()
    for name in names:
        expect(camera.info(name).access == "RW", f"{name} is not writable after the stream was stopped")
        if camera.description.register_behind(name) is not None:
            address, length = camera.register(name)
            status = camera.write(address, camera.read(address, length))
            expect(not status, f"{name} after the stream was stopped: status {status:#06x}")


@camera_check(
    "FEAT-021", "UserSetSave to a free set, change, load",
    "values come back; set restored if it was readable before", "SFNC 2.7", SHOULD, needs="gapi", trace="!",
)  # fmt: skip
def user_set(camera: Camera) -> None:
    camera.need("UserSetSelector", "UserSetSave", "UserSetLoad", "Gain")
    entries = [entry for entry in camera.info("UserSetSelector").entries if entry != "Default"]
    if not entries:
        skip("no user set but Default")
    with camera.everything(), camera.keep("UserSetSelector"):
        camera.set("UserSetSelector", entries[-1])
        if camera.info("UserSetSave").access not in ("WO", "RW"):
            skip(f"{entries[-1]} cannot be saved")
        with _set_kept(camera):
            info = camera.info("Gain")
            low, high = float(info.minimum or 0), float(info.maximum or 0)
            camera.set("Gain", high)
            camera.execute("UserSetSave")
            camera.set("Gain", low)
            camera.execute("UserSetLoad")
            camera.nodes.refresh()
            now = camera.get("Gain")
            expect(now == high, f"Gain is {now} after {entries[-1]} was loaded, {high} was saved")


@contextmanager
def _set_kept(camera: Camera) -> Iterator[None]:
    """Whatever is saved in the selected set meanwhile, it holds afterwards what it did before, where that loads."""
    is_readable = not camera.execute_raw("UserSetLoad")
    try:
        with camera.everything():
            yield
    finally:
        if is_readable:
            camera.execute("UserSetSave")


@camera_check(
    "FEAT-024", "ExposureTime step response: 2x exposure",
    "mean grey (minus black) 2 x ± 20 % in fixed scene (virtual), noted on hardware", "consistency of the camera",
    INFO, needs="str sim gapi", trace="r",
)  # fmt: skip
def exposure_counts(camera: Camera) -> None:
    camera.need("ExposureTime")
    eight = eight_bits(camera)
    if not eight:
        skip("no format with one byte per pixel")
    with camera.small(PixelFormat=eight, BlackLevel=0.0):
        base = max(float(camera.info("ExposureTime").minimum or 0), 500.0)
        levels = {}
        for factor in (0, 1, 2):
            exposure = base * factor or float(camera.info("ExposureTime").minimum or 0)
            with camera.settings(ExposureTime=exposure):
                image = frames(camera, 2)[-1].image
            levels[exposure] = sum(image) / len(image)
        (e0, dark), (e1, low), (e2, high) = levels.items()
        camera.run.note(f"mean grey {dark:.1f}, {low:.1f}, {high:.1f} at {e0:.0f}, {e1:.0f}, {e2:.0f} us")
        flat = dark >= 5 and high <= 240 and high - dark < 0.1 * high
        expect(not flat, f"the same grey whatever the exposure: {levels}")
        if high > 240 or low - dark < 2:
            skip(f"the scene has no usable light: {levels}")
        slope = (high - low) / (e2 - e1) / ((low - dark) / (e1 - e0))
        expect(0.8 <= slope <= 1.2, f"twice the exposure does not give twice the light: {levels}")
