"""Whether what a host sets is seen in the image: brightness and mirroring, where the scene is known to be usable.

A real camera may stand in the dark or look at a wall: there the checks say nothing. Numbers are of 8-bit pixels.
"""

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from u3v.host.conformance.camera import Camera, expect
from u3v.host.conformance.streaming import frames

BLOCK = 16
"""Columns or rows that are averaged, against noise and colour filters."""
DARK, BRIGHT = 2, 100
"""Mean grey between which there is light enough, and room for twice as much."""


def eight_bits(camera: Camera) -> str:
    """A format with one byte per pixel; "" where there is none."""
    formats = camera.info("PixelFormat").entries if camera.writable("PixelFormat") else ()
    return next((entry for entry in formats if entry.endswith("8") and not entry.startswith("RGB")), "")


def grey(camera: Camera) -> float:
    """The mean of a frame with the settings as they are."""
    return statistics.fmean(frames(camera, 2)[-1].image)


@contextmanager
def usable_light(camera: Camera) -> Iterator[float]:
    """Inside, small images that are neither dark nor bright; their mean, 0 where no exposure gives that."""
    info = camera.info("ExposureTime")
    low, high = float(info.minimum or 0), float(info.maximum or 0)
    with camera.small(64, 32, PixelFormat=eight_bits(camera)), camera.keep("ExposureTime"):
        exposure, mean = min(max(1000.0, low), high), 0.0
        for _ in range(5):
            camera.set("ExposureTime", exposure)
            mean = grey(camera)
            if DARK <= mean <= BRIGHT:
                break
            exposure = min(max(exposure * (4 if mean < DARK else 0.25), low), min(high, 200_000.0))
        yield mean if DARK <= mean <= BRIGHT else 0.0


def brightness_follows(camera: Camera, name: str) -> None:
    """Fails where a higher value of a feature does not make the image brighter. Only for a camera in known light."""
    if "sim" not in camera.run.route.abilities or not camera.writable(name) or not eight_bits(camera):
        return
    with usable_light(camera) as before:
        info, now = camera.info(name), camera.get_float(name)
        value = now + (float(info.maximum or 0) - now) / 4
        if not before or value <= now:
            return
        with camera.settings(**{name: int(value) if info.kind == "Integer" else value}):
            after = grey(camera)
        camera.run.note(f"mean grey {before:.1f} with {name} {now:g}, {after:.1f} with {value:g}")
        expect(
            after > before + 0.5,
            f"{name} {now:g} and {value:g}: mean grey {before:.1f} and {after:.1f}, no brighter",
        )


def profile(image: bytes, width: int, height: int, *, across: bool) -> list[float]:
    """Means of blocks of columns (across) or of rows."""
    lines = [image[y * width : (y + 1) * width] for y in range(height)]
    means = [sum(each) / len(each) for each in (zip(*lines, strict=True) if across else lines)]
    return [statistics.fmean(means[at : at + BLOCK]) for at in range(0, len(means) - BLOCK + 1, BLOCK)]


def alike(one: list[float], other: list[float]) -> float:
    """Correlation, -1 to 1; 0 where one of them is flat."""
    if len(set(one)) < 2 or len(set(other)) < 2:
        return 0.0
    return statistics.correlation(one, other)


def mirrors(camera: Camera, name: str) -> None:
    """Fails where ReverseX or ReverseY does not mirror the image. Only for a camera that looks at a known scene."""
    if "sim" not in camera.run.route.abilities or not camera.writable(name) or not eight_bits(camera):
        return
    across = name == "ReverseX"
    size = (1 << 30, BLOCK) if across else (BLOCK, 1 << 30)
    with camera.small(*size, PixelFormat=eight_bits(camera), ExposureTime=10_000.0):
        width, height = camera.get_int("Width"), camera.get_int("Height")
        plain = profile(frames(camera, 1)[0].image, width, height, across=across)
        with camera.settings(**{name: not camera.get(name)}):
            other = profile(frames(camera, 1)[0].image, width, height, across=across)
    same, mirrored = alike(plain, other), alike(plain, other[::-1])
    camera.run.note(f"{name}: the image is alike by {same:.2f}, mirrored by {mirrored:.2f}")
    if max(abs(alike(plain, plain[::-1])), 0.5) < max(same, mirrored):  # there is something to be seen
        expect(
            mirrored > same,
            f"{name} does not mirror the image (alike by {same:.2f}, mirrored {mirrored:.2f})",
        )


def automatic_is_off(camera: Camera) -> None:
    """Fails where an automatic function that is off, or continuous, does not stay so; or is off and still at work."""
    for name, follows in (("ExposureAuto", "ExposureTime"), ("GainAuto", "Gain")):
        if not camera.writable(name) or not camera.has(follows):
            continue
        with camera.small(), camera.keep(follows, name):
            for entry in ("Off", "Continuous"):
                if entry not in camera.info(name).entries:
                    continue
                camera.set(name, entry)
                before = camera.get(follows)
                frames(camera, 8)
                camera.nodes.refresh()
                now, after = camera.get(name), camera.get(follows)
                expect(now == entry, f"{name} was set to {entry}, and is {now} some frames later")
                still = entry != "Off" or before == after
                expect(still, f"{follows} goes from {before} to {after} with {name} {entry}")


def binning_adds(camera: Camera) -> None:
    """Fails where binned pixels that are added are no brighter than their average. Only in known light."""
    for axis in ("Horizontal", "Vertical"):
        mode = f"Binning{axis}Mode"
        if "sim" not in camera.run.route.abilities or not camera.writable(mode) or not eight_bits(camera):
            continue
        if not {"Sum", "Average"} <= set(camera.info(mode).entries):
            continue
        with usable_light(camera) as light, camera.settings(**{f"Binning{axis}": 2}):
            means = {}
            for entry in ("Sum", "Average"):
                with camera.settings(**{mode: entry}):
                    means[entry] = grey(camera)
        camera.run.note(f"mean grey with {mode} {means}")
        expect(not light or means["Sum"] > 1.3 * means["Average"], f"{mode}: mean grey {means}")


def counters_count(camera: Camera) -> None:
    """Fails where a counter of frames does not count them, counts when it is off, or is not set back."""
    sources = "CounterEventSource", "CounterReset", "CounterValue"
    if not camera.has(*sources) or not camera.writable(sources[0]):
        return
    entries = camera.info(sources[0]).entries
    started = next((entry for entry in ("FrameStart", "ExposureStart") if entry in entries), "")
    with camera.small(), camera.keep(sources[0]):
        for source in filter(None, (started, "Off" if "Off" in entries else "")):
            camera.set(sources[0], source)
            camera.execute("CounterReset")
            camera.nodes.refresh()
            expect(camera.get_int("CounterValue") == 0, f"CounterReset leaves {camera.get('CounterValue')}")
            frames(camera, 4)
            camera.nodes.refresh()
            counted = camera.get_int("CounterValue")
            right = counted >= 4 if source != "Off" else not counted
            expect(right, f"{sources[0]} {source}: CounterValue is {counted} after 4 frames")
    if camera.info("CounterReset").access in ("WO", "RW"):
        camera.execute("CounterReset")


def pulses_trigger(camera: Camera, one_frame: Callable[[], bool]) -> None:
    """With a trigger for each frame: fails where a software signal that is its source does not trigger it."""
    names = "SoftwareSignalSelector", "SoftwareSignalPulse"
    if not camera.has(*names):
        return
    told = camera.info("TriggerSource").entries
    for signal in (entry for entry in camera.info(names[0]).entries if entry in told):
        with camera.settings(TriggerSource=signal, SoftwareSignalSelector=signal):
            camera.execute(names[1])
            expect(one_frame(), f"no frame after a pulse of {signal}, which is the TriggerSource")


def sets_are_kept(camera: Camera) -> None:
    """Fails where a sequencer set that was saved does not come back. Only where nobody misses what it overwrites."""
    names = "SequencerConfigurationMode", "SequencerSetSelector", "SequencerSetSave", "SequencerSetLoad"
    if "sim" not in camera.run.route.abilities or not camera.has(*names) or not camera.writable(names[0]):
        return
    with camera.keep("ExposureTime"), camera.settings(SequencerConfigurationMode="On"):
        low = float(camera.info("ExposureTime").minimum or 0)
        for name, value in (("SequencerSetSave", low * 2), ("", low * 3)):
            camera.set("ExposureTime", value)
            if name:
                camera.execute(name)
        camera.execute("SequencerSetLoad")
        camera.nodes.refresh()
        now = camera.get_float("ExposureTime")
        expect(abs(now - 2 * low) < 1, f"ExposureTime is {now} in a set that was saved with {2 * low}")
