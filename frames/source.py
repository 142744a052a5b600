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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from frames import packing, testimages
from frames.light import Eye, Scene, Shutter
from frames.sensor import Sensor

U8Array = npt.NDArray[np.uint8]
I8Map = npt.NDArray[np.int8]

PART_PX = 1 << 20  # rendered between two pauses, in some 0.8 ms
PATTERN_SIGMA = 24  # steps of an int8 fixed-pattern map per standard deviation


@dataclass(frozen=True)
class FrameSettings:
    """What the pixels of one frame depend on. The region of interest is in binned pixels.

    `frame` is the index of the random stream, `time_s` the scene's time at the start of exposure,
    `black_level_dn12` in 12-bit DN, binning 1..4 in each direction (sums), `pixel_format` a PFNC name,
    `test_image` 0 (off), 1 .. 6 or a name (see frames.testimages).
    """

    frame: int
    time_s: float
    exposure_us: float
    gain_db: float
    black_level_dn12: float
    offset_x: int
    offset_y: int
    width: int
    height: int
    binning_horizontal: int = 1
    binning_vertical: int = 1
    reverse_x: bool = False
    reverse_y: bool = False
    pixel_format: str = "Mono8"
    test_image: int | str = 0
    temperature_c: float = 45.0
    defect_correction: bool = True


@dataclass(frozen=True)
class Defects:
    """What a sensor has beyond EMVA 1288's model. Noise per frame of whole rows and columns, e- at 0 dB, added
    behind the pixels; `hot_pixels` with dark currents around `hot_e_per_s` (exponentially distributed) at the
    sensor's reference temperature. A corrected hot pixel shows what its neighbours lead to expect.
    """

    row_noise_e: float = 0.0
    column_noise_e: float = 0.0
    hot_pixels: int = 0
    hot_e_per_s: float = 20000.0


NO_DEFECTS = Defects()
MAX_CORRECTED = 512


class FrameSource:
    """Renders frames of one camera. One call at a time; the work itself runs without the GIL.

    `seed` is the camera's individual (its serial number): fixed pattern and noise derive from it. `width`,
    `height`: the full pixel array, which may be smaller than the sensor's. `threads` share the rows of a
    frame. `hot_list`: (x, y) of the hot pixels; `corrected`: those that defect correction knows, at most
    MAX_CORRECTED, by default the first of the list. `pause` is called, where there is one thread, between the parts
    of a frame, of `part_px` pixels each: a moment to let others have the processor.
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
    ) -> None:
        if width < 1 or height < 1 or threads < 1:
            raise ValueError(f"a frame source needs pixels and threads, not {width}x{height} and {threads}")
        self.sensor = sensor
        self.scene = scene
        self.seed = seed
        self.width = width
        self.height = height
        self.threads = threads
        self.pause: Callable[[], None] = lambda: None
        self.part_px = PART_PX
        self.defects = defects
        self._eye = Eye.of(sensor)
        self._plain = np.arange(height), np.zeros(height, np.int64), np.ones(height, np.float32)
        self._plain_columns = np.ones(width, np.float32)
        self._no_offsets = np.zeros(max(width, height), np.float32)
        self._hot = hot_pixels(seed, width, height, defects)
        self.hot_list = [(int(x), int(y)) for x, y, _ in self._hot]
        self.corrected = self.hot_list[:MAX_CORRECTED]
        self._hot_arrays: tuple[object, tuple[Any, ...]] | None = None
        self._prnu = fixed_pattern(seed, 1, width, height)
        self._dsnu = fixed_pattern(seed, 2, width, height)
        self._executor = ThreadPoolExecutor(threads - 1, "frames") if threads > 1 else None

    def close(self) -> None:
        """End the worker threads, if any, and the scene."""
        self.scene.close()
        if self._executor is not None:
            self._executor.shutdown()

    @staticmethod
    def payload_size(width: int, height: int, pixel_format: str) -> int:
        """Bytes of a frame. Raises PixelFormatError."""
        return packing.payload_size(width, height, pixel_format)

    def warm_up(self, settings: FrameSettings) -> None:
        """Do once what would make the first frame with such settings slow: compile or load code, draw,
        tabulate.
        """
        size = packing.payload_size(settings.width, settings.height, settings.pixel_format)
        self.render_into(np.empty(size, np.uint8), settings)

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
        else:
            self._render(buffer, settings)

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
        light = (
            np.require(seen.steps, np.uint16, ("C", "W")),  # one memory layout, one compiled variant
            self._plain[0] if seen.row_y is None else seen.row_y,
            self._plain[1] if seen.row_x is None else seen.row_x,
            self._plain[2] if seen.row_gain is None else seen.row_gain,
            self._plain_columns if seen.column_gain is None else seen.column_gain,
        )
        geometry, physics = self._parameters(s, fmt.depth, seen.photons_per_s_per_step)
        table = noise.noise_table(self._units_per_e(s), self._read_noise_e(s))
        key = noise.frame_key(self.seed, s.frame)
        shared = light, self._fixed(s), self._offsets(s, int(key)), geometry, physics, table, key
        if fmt.bits == 8:
            self._by_rows(noise.render_u8, s, (buffer, *shared))
        elif fmt.bits == 16 and buffer.ctypes.data % 2 == 0:
            self._by_rows(noise.render_u16, s, (buffer.view(np.uint16), *shared))
        elif fmt.bits != 16 and s.width % fmt.group_px == 0:
            layout = noise.PACKED_LAYOUTS[fmt.layout]
            self._by_rows(noise.render_packed, s, (buffer, *shared, layout))
        else:  # rows do not end on bytes: pack the whole frame as one stream
            values = np.empty(s.width * s.height, np.uint16)
            self._by_rows(noise.render_u16, s, (values, *shared))
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

    def _fixed(self, s: FrameSettings) -> tuple[Any, ...]:
        """The kernels' `fixed`."""
        key = s.defect_correction, tuple(self.corrected)
        if self._hot_arrays is None or self._hot_arrays[0] != key:
            self._hot_arrays = key, self._uncorrected(s.defect_correction)
        return self._prnu, self._dsnu, *self._hot_arrays[1]

    def _uncorrected(self, correction: bool) -> tuple[Any, ...]:
        known = set(self.corrected) if correction else set()
        hot = sorted((y, x, rate) for x, y, rate in self._hot if (int(x), int(y)) not in known)
        rows = np.array([y for y, _, _ in hot], np.int64)
        first = np.searchsorted(rows, np.arange(self.height + 1)).astype(np.int64)
        columns = np.array([x for _, x, _ in hot], np.int64)
        return first, columns, np.array([r for _, _, r in hot], np.float32)

    def _offsets(self, s: FrameSettings, key: int) -> tuple[npt.NDArray[np.float32], ...]:
        """The kernels' `offsets`: row and column noise of this frame."""
        d = self.defects
        if not (d.row_noise_e or d.column_noise_e):
            return self._no_offsets, self._no_offsets
        normal = np.random.Generator(np.random.SFC64(key)).standard_normal
        units = np.float32(16 * self.sensor.conversion_gain_dn12_per_e)
        return (
            normal(self.height, np.float32) * np.float32(d.row_noise_e) * units,
            normal(self.width, np.float32) * np.float32(d.column_noise_e) * units,
        )

    def _units_per_e(self, s: FrameSettings) -> float:
        return float(16 * self.sensor.conversion_gain_dn12_per_e * 10 ** (s.gain_db / 20))

    def _read_noise_e(self, s: FrameSettings) -> float:
        return float(
            self.sensor.temporal_noise_at(s.gain_db) * (s.binning_horizontal * s.binning_vertical) ** 0.5
        )

    def _parameters(
        self, s: FrameSettings, depth: int, photons_per_s_per_step: float
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """The kernels' geometry and physics vectors (see frames.noise)."""
        geometry = np.array(
            [
                s.offset_x,
                s.offset_y,
                s.width,
                s.binning_horizontal,
                s.binning_vertical,
                s.reverse_x,
                s.reverse_y,
                self._binned(self.width, s.binning_horizontal),
                self._binned(self.height, s.binning_vertical),
                self.sensor.colour != "mono",
            ],
            np.int64,
        )
        sensor = self.sensor
        units_per_e = self._units_per_e(s)
        exposure_s = s.exposure_us * 1e-6
        g = photons_per_s_per_step * exposure_s * sensor.quantum_efficiency * units_per_e
        dark_e = sensor.dark_current_at(s.temperature_c) * exposure_s
        units_per_output = 16 << (12 - depth)
        binned = s.binning_horizontal * s.binning_vertical
        well_units = 16 * s.black_level_dn12 + sensor.full_well_e * binned * units_per_e
        physics = np.array(
            [
                g,
                g * sensor.prnu_percent / 100 / PATTERN_SIGMA,
                dark_e * units_per_e * binned,
                sensor.dsnu_e * units_per_e / PATTERN_SIGMA,
                16 * s.black_level_dn12 + 8,
                1 / units_per_output,
                min((1 << depth) - 1, well_units // units_per_output),
                units_per_e * exposure_s * sensor.dark_growth_at(s.temperature_c),
            ],
            np.float32,
        )
        return geometry, physics

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


def hot_pixels(seed: int, width: int, height: int, defects: Defects) -> list[tuple[int, int, float]]:
    """(x, y, e-/s) of the hot pixels of the camera with this seed, hottest first."""
    if not defects.hot_pixels:
        return []
    random = np.random.Generator(np.random.SFC64([seed & 0xFFFFFFFFFFFFFFFF, 3]))
    places = random.choice(width * height, min(defects.hot_pixels, width * height), replace=False)
    rates = np.sort(random.exponential(defects.hot_e_per_s, places.size))[::-1]
    return [(int(p % width), int(p // width), float(r)) for p, r in zip(places, rates, strict=True)]


def fixed_pattern(seed: int, which: int, width: int, height: int) -> I8Map:
    """int8 (height, width), normal with PATTERN_SIGMA steps of standard deviation, a pure function of its
    arguments.
    """
    from frames.noise import normal_steps

    stream = np.random.SFC64(np.random.SeedSequence([seed & 0xFFFFFFFFFFFFFFFF, which]))
    count = width * height
    words: npt.NDArray[np.uint64] = stream.random_raw(-(-count // 4))
    draws = words.astype("<u8", copy=False).view(np.uint16)[:count]
    return normal_steps(PATTERN_SIGMA)[draws].reshape(height, width)
