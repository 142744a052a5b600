"""From frame settings to the bytes of a frame.

`FrameSource` holds what is fixed for one camera: sensor, scene, seed and the fixed-pattern maps drawn from
the seed. What changes from frame to frame comes in as `FrameSettings`. The same settings always give the same
bytes, whatever the thread count, and a region of interest has the same bytes as that part of the full frame.

Physics, in this order: light x exposure x quantum efficiency x (1 + PRNU) + dark current -> electrons, summed
over the binned pixels (of one colour); shot noise and read noise (per pixel, so sqrt(n) of it in a sum); DSNU,
row and column noise; gain; black level; rounding to 12 bit; saturation of converter or pixel; truncation to
the depth of the format. Flips mirror the picture before the region is cut out; on colour sensors cells of 2x2
pixels change places, so that the Bayer pattern stays. With a rolling shutter, rows start one line time after
the other, the first of the region at `time_s`.
"""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from frames import packing, testimages
from frames.individual import (
    MAX_CORRECTED,
    NO_DEFECTS,
    PATTERN_SIGMA,
    Defects,
    FixedPattern,
    fixed_pattern,
    hot_pixels,
)
from frames.light import Eye, Scene, Shutter
from frames.sensor import Sensor, SensorError
from frames.settings import FrameSettings

__all__ = ["MAX_CORRECTED", "NO_DEFECTS", "Defects", "FrameSettings", "FrameSource"]

U8Array = npt.NDArray[np.uint8]

PART_PX = 1 << 20  # rendered between two pauses, in some 0.5 ms


class FrameSource:
    """Renders frames of one camera. One call at a time; the work itself runs without the GIL.

    `seed` is the camera's individual (its serial number): fixed pattern and noise derive from it. `width`,
    `height`: the full pixel array, which may be smaller than the sensor's. `threads` share the rows of a
    frame. `hot_list`: (x, y) of the hot pixels; `corrected`: those that defect correction knows, at most
    MAX_CORRECTED, by default the first of the list. `pause` is called, where there is one thread, between the parts
    of a frame, of `part_px` pixels each: a moment to let others have the processor.

    A source costs next to nothing until `prepare` or the first frame makes maps, canvas and machine code; `release`
    gives the memory back, and the next frame makes it again: the same bytes either way. Raises SensorError when
    the sensor has fewer pixels.
    """

    def __init__(
        self,
        sensor: Sensor,
        scene: Scene,
        *,
        seed: int,
        width: int,
        height: int,
        threads: int = 1,
        defects: Defects = NO_DEFECTS,
        pause: Callable[[], None] = lambda: None,
        part_px: int = PART_PX,
    ) -> None:
        if width < 1 or height < 1 or threads < 1:
            raise ValueError(f"a frame source needs pixels and threads, not {width}x{height} and {threads}")
        if width > sensor.width_px or height > sensor.height_px:
            raise SensorError(
                f"a picture of {width}x{height} pixels is larger than the sensor {sensor.name}, which has"
                f" {sensor.width_px}x{sensor.height_px}"
            )
        self.sensor = sensor
        self.scene = scene
        self.seed = seed
        self.width = width
        self.height = height
        self.threads = threads
        self.pause = pause
        self.part_px = part_px
        self.defects = defects
        self.fixed_pattern: FixedPattern | None = None
        self._pattern_seed = seed
        self._eye = Eye.of(sensor)
        self._plain_vectors: tuple[Any, ...] | None = None
        self._hot = hot_pixels(seed, width, height, defects)
        self.hot_list = [(x, y) for x, y, _ in self._hot]
        self.corrected = self.hot_list[:MAX_CORRECTED]
        self._hot_arrays: tuple[object, tuple[Any, ...]] | None = None
        self._executor = ThreadPoolExecutor(threads - 1, "frames") if threads > 1 else None

    def prepare(self, settings: FrameSettings | None = None) -> None:
        """Make now what would make the first frame with such settings slow, such as when a host configures the
        camera: load or compile the engine, draw the fixed pattern and the scene.
        """
        if settings is None:
            colour = self.sensor.colour
            name = "Mono8" if colour == "mono" else f"Bayer{colour}8"
            width = self._binned(self.width, 1)
            settings = FrameSettings(0, 0.0, 1000.0, 0.0, 0.0, 0, 0, width, 1, pixel_format=name)
        little = replace(settings, height=1, test_image=0)
        size = packing.payload_size(little.width, little.height, little.pixel_format)
        self.render_into(np.empty(size, np.uint8), little)

    def release(self) -> None:
        """Give back the memory of maps and canvas, as when a camera is unplugged. It can go on."""
        self.fixed_pattern = None
        self._plain_vectors = None
        self._hot_arrays = None
        self.scene.release()

    def close(self) -> None:
        """End the worker threads, if any, and the scene."""
        self.release()
        self.scene.close()
        if self._executor is not None:
            self._executor.shutdown()

    @staticmethod
    def payload_size(width: int, height: int, pixel_format: str) -> int:
        """Bytes of a frame. Raises PixelFormatError."""
        return packing.payload_size(width, height, pixel_format)

    def render_into(self, out: memoryview | U8Array, settings: FrameSettings) -> None:
        """Write the frame to `out`, exactly as many bytes as the payload. Raises ValueError."""
        buffer = np.frombuffer(out, np.uint8)
        self.check(settings)
        size = packing.payload_size(settings.width, settings.height, settings.pixel_format)
        if buffer.size != size:
            raise ValueError(f"the frame has {size} bytes, the buffer {buffer.size}")
        if not buffer.flags.writeable:
            raise ValueError("the buffer is read-only")
        if settings.test_image:
            testimages.render(buffer, settings, self.sensor.mosaic)
        elif settings.curve:
            self._render_curved(buffer, settings)
        else:
            self._render(buffer, settings)

    def _render_curved(self, buffer: U8Array, s: FrameSettings) -> None:
        """With a look-up table or gamma: 12-bit values first, then the table, then the format's bits of them."""
        fmt = packing.pixel_format(s.pixel_format)
        values = np.empty(s.width * s.height, np.uint16)
        twelve = "Mono12" if fmt.colour == "mono" else f"Bayer{fmt.colour}12"
        self._render(values.view(np.uint8), replace(s, pixel_format=twelve, curve=b""))
        curve = np.frombuffer(s.curve, "<u2") >> (12 - fmt.depth)
        packing.pack(curve.astype(np.uint16)[values], fmt.name, buffer)

    def check(self, s: FrameSettings) -> None:
        """Raises ValueError, naming the setting, when a frame cannot be rendered."""
        fmt = packing.pixel_format(s.pixel_format)
        colour = self.sensor.colour
        whole_colours = fmt.colour == "RGB" and colour != "mono"
        if fmt.colour not in ("mono", colour) and not whole_colours:
            has = "no colour filters" if colour == "mono" else f"the Bayer pattern {colour}"
            raise ValueError(f"pixel format {fmt.name} is not this sensor's: it has {has}")
        for name, binning in (("horizontal", s.binning_horizontal), ("vertical", s.binning_vertical)):
            if not 1 <= binning <= 4:
                raise ValueError(f"{name} binning is {binning}, must be in 1 .. 4")
        for axis, offset, extent, full in (
            ("x", s.offset_x, s.width, self._binned(self.width, s.binning_horizontal)),
            ("y", s.offset_y, s.height, self._binned(self.height, s.binning_vertical)),
        ):
            if offset < 0 or extent < 1 or offset + extent > full:
                raise ValueError(
                    f"region {offset}+{extent} in {axis} is not within the {full} pixels there are"
                )
        for name, value in (("offset x", s.offset_x), ("offset y", s.offset_y), ("width", s.width)):
            if colour != "mono" and value % 2:
                raise ValueError(f"{name} is {value}, must be even on a sensor with colour filters")
        if s.exposure_us < 0:
            raise ValueError(f"exposure is {s.exposure_us} us, must not be negative")
        testimages.check(s.test_image)

    def _binned(self, extent: int, binning: int) -> int:
        """Binned pixels there are; whole cells of the Bayer pattern."""
        return extent // binning if self.sensor.colour == "mono" else extent // (2 * binning) * 2

    def _shutter(self, s: FrameSettings) -> Shutter:
        if self.sensor.shutter == "global":
            return Shutter(s.exposure_us * 1e-6)
        first = s.offset_y * s.binning_vertical
        if s.reverse_y:
            first = self.height - (s.offset_y + s.height) * s.binning_vertical
        rows_at_once = s.binning_vertical if self.sensor.timing.binned_in_sensor else 1
        return Shutter(s.exposure_us * 1e-6, self.sensor.line_time_us * 1e-6 / rows_at_once, first)

    def _render(self, buffer: U8Array, s: FrameSettings) -> None:
        from frames import noise

        fmt = packing.pixel_format(s.pixel_format)
        if fmt.colour == "RGB":
            self._render_colours(buffer, s)
            return
        seen = self.scene.radiance(s.time_s, self.width, self.height, self._eye, self._shutter(s))
        rows, zeros, ones = self._plain()
        light = (
            np.require(seen.steps, np.uint16, ("C", "W")),  # one memory layout, one compiled variant
            rows if seen.row_y is None else seen.row_y,
            zeros[: self.height] if seen.row_x is None else seen.row_x,
            ones[: self.height] if seen.row_gain is None else seen.row_gain,
            ones if seen.column_gain is None else seen.column_gain,
        )
        shaded = seen.column_gain is not None or bool(self.defects.column_noise_e)
        packs = fmt.bits == 8 or fmt.bits == 16 or s.width % fmt.group_px == 0
        layout = noise.LAYOUTS[fmt.layout if packs else "16"]
        key = noise.frame_key(self.seed, s.frame)
        shared = (
            light,
            self._fixed(s),
            self._offsets(s, int(key), fmt.depth),
            self._geometry(s, fmt.depth, shaded, layout),
            self._physics(s, fmt.depth, seen.photons_per_s_per_step),
            key,
        )
        if packs:
            self._by_rows(noise.render, s, (buffer, *shared))
        else:  # rows do not end on bytes: pack the whole frame as one stream
            values = np.empty(s.width * s.height, np.uint16)
            self._by_rows(noise.render, s, (values.view(np.uint8), *shared))
            packing.pack(values, fmt.name, buffer)

    def _render_colours(self, buffer: U8Array, s: FrameSettings) -> None:
        """All colours of every pixel, interpolated from the raw picture (see frames.isp)."""
        from frames import isp

        width, height = (
            self._binned(extent, binning)
            for extent, binning in ((self.width, s.binning_horizontal), (self.height, s.binning_vertical))
        )
        region = isp.raw_region(s, self.sensor.colour, width, height)
        raw = region.settings
        values = np.empty((raw.height, raw.width), np.uint16)
        self._render(values.reshape(-1).view(np.uint8), raw)
        geometry = region.left, region.top, s.width, s.height
        colours = isp.red_at(self.sensor.colour), isp.scaling(self.sensor, s.black_level_dn12)
        self._by_rows(isp.interpolate, s, (buffer, values, *geometry, *colours, s.reverse_x, s.reverse_y))

    def _plain(self) -> tuple[Any, ...]:
        """Vectors of light without motion and shading: row numbers, zeros, ones."""
        if self._plain_vectors is None:
            longest = max(self.width, self.height)
            self._plain_vectors = (
                np.arange(self.height),
                np.zeros(longest, np.int64),
                np.ones(longest, np.float32),
            )
        return self._plain_vectors

    def _fixed(self, s: FrameSettings) -> tuple[Any, ...]:
        """The kernel's `fixed`."""
        if self.fixed_pattern is None:
            self.fixed_pattern = fixed_pattern(self._pattern_seed, self.width, self.height)
        corrected = tuple(self.corrected) if s.corrected is None else s.corrected
        key = s.defect_correction, corrected
        if self._hot_arrays is None or self._hot_arrays[0] != key:
            self._hot_arrays = key, self._uncorrected(corrected if s.defect_correction else ())
        return self.fixed_pattern.prnu, self.fixed_pattern.dsnu, *self._hot_arrays[1]

    def _uncorrected(self, corrected: Iterable[tuple[int, int]]) -> tuple[Any, ...]:
        known = set(corrected)
        hot = sorted((y, x, rate) for x, y, rate in self._hot if (int(x), int(y)) not in known)
        rows = np.array([y for y, _, _ in hot], np.int64)
        first = np.searchsorted(rows, np.arange(self.height + 1)).astype(np.int64)
        columns = np.array([x for _, x, _ in hot], np.int64)
        return first, columns, np.array([r for _, _, r in hot], np.float32)

    def _offsets(self, s: FrameSettings, key: int, depth: int) -> tuple[npt.NDArray[np.float32], ...]:
        """The kernel's `offsets`: row and column noise of this frame."""
        d = self.defects
        if not (d.row_noise_e or d.column_noise_e):
            none = self._plain()[1].view(np.float32)
            return none, none
        normal = np.random.Generator(np.random.SFC64(key)).standard_normal
        output_per_e = np.float32(self.sensor.conversion_gain_dn12_per_e / (1 << 12 - depth))
        return (
            normal(self.height, np.float32) * np.float32(d.row_noise_e) * output_per_e,
            normal(self.width, np.float32) * np.float32(d.column_noise_e) * output_per_e,
        )

    def _geometry(self, s: FrameSettings, depth: int, shaded: bool, layout: int) -> npt.NDArray[np.int64]:
        """The kernel's geometry vector (see frames.noise)."""
        binned = s.binning_horizontal * s.binning_vertical
        output_per_e = self._dn12_per_e(s) / (1 << 12 - depth)
        full = s.black_level_dn12 / (1 << 12 - depth) + self.sensor.full_well_e * binned * output_per_e
        first_x = s.offset_x
        if s.reverse_x:
            first_x = self._binned(self.width, s.binning_horizontal) - s.offset_x - s.width
        return np.array(
            [
                first_x,
                s.offset_y,
                s.width,
                s.binning_horizontal,
                s.binning_vertical,
                s.reverse_x,
                s.reverse_y,
                self._binned(self.height, s.binning_vertical),
                self.sensor.colour != "mono",
                shaded,
                layout,
                min((1 << depth) - 1, int(full)),
            ],
            np.int64,
        )

    def _dn12_per_e(self, s: FrameSettings) -> float:
        return float(self.sensor.conversion_gain_dn12_per_e * 10 ** (s.gain_db / 20))

    def _physics(
        self, s: FrameSettings, depth: int, photons_per_s_per_step: float
    ) -> npt.NDArray[np.float32]:
        """The kernel's physics vector (see frames.noise)."""
        from frames import noise

        sensor = self.sensor
        binned = s.binning_horizontal * s.binning_vertical
        units_per_e = noise.units_per_e(sensor.temporal_noise_at(s.gain_db) * binned**0.5)
        dn12_per_e = self._dn12_per_e(s)
        units_per_dn12 = units_per_e / dn12_per_e
        exposure_s = s.exposure_us * 1e-6
        dn12_per_output = 1 << 12 - depth
        light_e = photons_per_s_per_step * exposure_s * sensor.quantum_efficiency
        g = min(light_e * units_per_e, 4096 * units_per_dn12)  # one step of light cannot be more than white
        dark_e = sensor.dark_current_at(s.temperature_c) * exposure_s * binned
        limit = noise.LIMIT_DN * units_per_dn12
        return np.array(
            [
                g,
                g * sensor.prnu_percent / 100 / PATTERN_SIGMA,
                min(dark_e * units_per_e, limit),
                sensor.dsnu_e * dn12_per_e / PATTERN_SIGMA / dn12_per_output,
                (s.black_level_dn12 + 0.5) / dn12_per_output,
                units_per_e * exposure_s * sensor.dark_growth_at(s.temperature_c),
                limit,
                2 * units_per_e,
                units_per_e / 3,
                1 / units_per_dn12 / dn12_per_output,
            ],
            np.float32,
        )

    def _by_rows(self, kernel: Callable[..., None], s: FrameSettings, arguments: tuple[Any, ...]) -> None:
        out, *rest = arguments
        rows = max(1, self.part_px // s.width)
        if self._executor is not None:  # two parts each: a late helper leaves its second to the others
            rows = -(-s.height // (2 * self.threads))
        parts = deque(range(0, s.height, rows))

        def work() -> None:
            while True:
                try:
                    begin = parts.popleft()
                except IndexError:
                    return
                kernel(out, begin, min(begin + rows, s.height), *rest)
                if self._executor is None and parts:
                    self.pause()

        if self._executor is None:
            work()
            return
        helpers = [self._executor.submit(work) for _ in range(self.threads - 1)]
        try:
            work()
        finally:
            parts.clear()
            for helper in helpers:
                if not helper.cancel():
                    helper.result()
