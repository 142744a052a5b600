"""The noise engine: scene, fixed pattern, exposure and gain to packed bytes, one row at a time.

Everything is in units of 1/16 DN12. A row is a pure function of (frame key, row) plus its column, so any
subset of rows, any region of interest and any number of threads give the same bytes. No state is kept between
calls.

For each row, in blocks that stay in the first-level cache:

1. signal `s` = light * (g + gp*prnu) + dark, in float32; with binning, the sum over the block of pixels, on
   colour sensors over pixels of the same colour. Hot pixels add dark current. The offset-like fixed pattern
   (DSNU) and row and column noise are added to the value only: they are not light and have no shot noise.
2. noise class = (float bits of (s + 256) + dither) >> 20: eight classes per octave. `dither` is one random
   20-bit number per row, which makes the variance between two classes the linear interpolation of theirs;
   shot-noise variance is linear in the signal, so the average is exact.
3. one random byte per pixel picks one of the 256 quantiles of the class. The row draws one of `STRATA` tables
   whose quantiles interleave, each of mean zero and exact variance.
4. value = s + offsets + noise + black, rounded to DN12, clipped, truncated to the depth of the format, packed.

The arguments of the kernels, all arrays in sensor pixels before binning unless said:

    light     (steps: uint16 canvas, row_y, row_x: int64 per row, row_gain: float32 per row,
              column_gain: float32 per column): row y sees canvas[row_y[y], row_x[y]:] * row_gain[y] * column_gain
    fixed     (prnu, dsnu: int8 maps, hot_first: int64 per row + 1, hot_x: int64, hot_rate: float32):
              the hot pixels of row y are number hot_first[y] .. hot_first[y + 1]
    offsets   (row, column): float32 units per row and column of the binned, unflipped picture
    geometry, physics: vectors, see the index constants

The distributions end at about 3.9 sigma, and a value occurs in multiples of 1/4096 of the probability.
"""

from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from frames import _packers
from frames._jit import kernel

UNITS_PER_DN12 = 16
STRATA = 16
QUANTILES = 256
CLASS_OFFSET = 256.0  # units added to the signal before its float bits are taken
CLASS_BASE = 1080  # float32 bits of 256.0, >> 20
CLASSES = 74
SIGNAL_LIMIT = 131071.0  # twice full scale: noise cannot reach back below white
BLOCK_PX = 1024
MIN_READ_NOISE_E = 1.0

MASK64 = (1 << 64) - 1
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX1 = np.uint64(0xBF58476D1CE4E5B9)
MIX2 = np.uint64(0x94D049BB133111EB)
ROW_STEP = np.uint64(0xD1342543DE82EF95)

# indices into the geometry and physics vectors of the kernels
OFFSET_X, OFFSET_Y, WIDTH, BIN_X, BIN_Y, REVERSE_X, REVERSE_Y, BINNED_WIDTH, BINNED_HEIGHT, COLOUR = range(10)
G, G_PRNU, DARK, K_DSNU, BLACK, TO_OUTPUT, OUTPUT_MAX, HOT = range(8)


def mix64(value: int) -> int:
    """The finaliser of splitmix64 on a Python int."""
    value = (value + int(GOLDEN)) & MASK64
    value = ((value ^ value >> 30) * int(MIX1)) & MASK64
    value = ((value ^ value >> 27) * int(MIX2)) & MASK64
    return value ^ value >> 31


def frame_key(seed: int, frame: int) -> np.uint64:
    """The random stream of one frame of one camera."""
    return np.uint64(mix64(mix64(seed & MASK64) ^ (frame & MASK64)))


@lru_cache(maxsize=1)
def _normal_quantiles() -> npt.NDArray[np.float64]:
    count = STRATA * QUANTILES
    inverse = NormalDist().inv_cdf
    return np.array([inverse((k + 0.5) / count) for k in range(count)])


@lru_cache(maxsize=4)
def normal_steps(sigma_steps: int) -> npt.NDArray[np.int8]:
    """int8 (65536,): the normal distribution's quantiles in equal steps of probability; +-127 at the ends."""
    x = np.linspace(-127.5, 127.5, 256)
    below = np.array([NormalDist(0, sigma_steps).cdf(v) for v in x[1:-1]])
    edges = np.rint(below * 65536).astype(np.int64)
    return (np.searchsorted(edges, np.arange(65536), side="right") - 127).astype(np.int8)


def class_nodes() -> npt.NDArray[np.float64]:
    """Signal, in units, at which each class has exactly its own variance; shape (CLASSES,)."""
    bits = (np.arange(CLASSES, dtype=np.uint32) + np.uint32(CLASS_BASE)) << np.uint32(20)
    return bits.view(np.float32).astype(np.float64) - CLASS_OFFSET


@lru_cache(maxsize=16)
def noise_table(units_per_e: float, read_noise_e: float) -> npt.NDArray[np.int16]:
    """Quantiles of Poisson(mu) - mu + Normal(0, read_noise_e) of every class; int16 (STRATA, CLASSES*256),
    units.

    Quantiles by the Cornish-Fisher expansion to third order: read noise of at least one electron has smeared
    out the electron steps, and the skewness stays below 0.4. About 10 ms, so that a change of gain needs no
    stored table. Raises ValueError below MIN_READ_NOISE_E.
    """
    if read_noise_e < MIN_READ_NOISE_E:
        raise ValueError(
            f"read noise {read_noise_e:g} e- is below {MIN_READ_NOISE_E:g} e-, the engine's limit"
        )
    mu = class_nodes() / units_per_e
    variance_e = mu + read_noise_e**2
    skew = (mu / variance_e**1.5)[:, None]
    kurtosis = (mu / variance_e**2)[:, None]
    z = _normal_quantiles()
    z2 = z * z
    x = z + skew * ((z2 - 1) / 6) + kurtosis * (z * (z2 - 3) / 24) - skew**2 * (z * (2 * z2 - 5) / 36)
    # strata: (class, stratum, quantile), each made mean zero and unit variance
    q = np.ascontiguousarray(x.reshape(CLASSES, QUANTILES, STRATA).transpose(2, 0, 1))
    q -= q.mean(axis=2, keepdims=True)
    sigma_units = np.sqrt(variance_e) * units_per_e
    # rounding with error diffusion keeps the mean at zero and adds 1/6 of a unit squared
    wanted = np.sqrt(np.maximum(sigma_units**2 - 1 / 6, 0.0))
    q *= wanted[None, :, None] / np.sqrt((q * q).mean(axis=2, keepdims=True))
    total = np.rint(np.cumsum(q, axis=2))
    rounded = np.diff(total, axis=2, prepend=0.0)
    return np.clip(rounded, -32768, 32767).astype(np.int16).reshape(STRATA, CLASSES * QUANTILES)


@kernel
def _mix(value: Any) -> Any:
    value = (value ^ (value >> np.uint64(30))) * MIX1
    value = (value ^ (value >> np.uint64(27))) * MIX2
    return value ^ (value >> np.uint64(31))


@kernel
def _signal(
    light: Any,
    fixed: Any,
    offsets: Any,
    geometry: Any,
    physics: Any,
    y: int,
    x: int,
    n: int,
    sig: Any,
    base: Any,
) -> None:
    """Noise-free signal + CLASS_OFFSET to `sig`, signal + offsets + black to `base`: n pixels from (x, y)."""
    steps, row_y, row_x, row_gain, column_gain = light
    prnu, dsnu, _, _, _ = fixed
    row_offset, column_offset = offsets
    bin_x = geometry[BIN_X]
    bin_y = geometry[BIN_Y]
    colour = geometry[COLOUR]
    dark = physics[DARK]
    kd = physics[K_DSNU]
    limit = np.float32(SIGNAL_LIMIT)
    offset = np.float32(CLASS_OFFSET)
    if geometry[REVERSE_Y]:  # colour: cells of 2x2 are mirrored, not what is in them
        y = geometry[BINNED_HEIGHT] - 2 - y + 2 * (y & 1) if colour else geometry[BINNED_HEIGHT] - 1 - y
    if geometry[REVERSE_X]:
        x = geometry[BINNED_WIDTH] - x - n
    black = physics[BLACK] + row_offset[y]
    column = column_offset[x : x + n]
    if bin_x == 1 and bin_y == 1:
        g = physics[G] * row_gain[y]
        gp = physics[G_PRNU] * row_gain[y]
        at = row_x[y] + x
        seen = steps[row_y[y], at : at + n]
        shade = column_gain[x : x + n]
        gain_map = prnu[y, x : x + n]
        offset_map = dsnu[y, x : x + n]
        for i in range(n):
            s = np.float32(seen[i]) * shade[i] * (g + gp * np.float32(gain_map[i])) + dark
            s = s if s < limit else limit
            sig[i] = s + offset
            base[i] = s + kd * np.float32(offset_map[i]) + column[i] + black
    else:
        for i in range(n):
            sig[i] = dark
            base[i] = column[i]
        row = (y >> 1) * 2 * bin_y + (y & 1) if colour else y * bin_y
        for _ in range(bin_y):
            g = physics[G] * row_gain[row]
            gp = physics[G_PRNU] * row_gain[row]
            at = row_x[row] + x * bin_x
            seen = steps[row_y[row], at : at + n * bin_x]
            shade = column_gain[x * bin_x : (x + n) * bin_x]
            gain_map = prnu[row, x * bin_x : (x + n) * bin_x]
            offset_map = dsnu[row, x * bin_x : (x + n) * bin_x]
            for k in range(bin_x):
                for i in range(n):
                    j = (i >> 1) * 2 * bin_x + (i & 1) + 2 * k if colour else i * bin_x + k
                    sig[i] += np.float32(seen[j]) * shade[j] * (g + gp * np.float32(gain_map[j]))
                    base[i] += kd * np.float32(offset_map[j])
            row += 2 if colour else 1
        for i in range(n):
            s = sig[i]
            s = s if s < limit else limit
            sig[i] = s + offset
            base[i] += s + black
    _hot(fixed, geometry, physics, y, x, n, sig, base)
    if geometry[REVERSE_X]:
        for i in range(n // 2):
            j = n - 2 - i + 2 * (i & 1) if colour else n - 1 - i
            a = sig[i]
            sig[i] = sig[j]
            sig[j] = a
            a = base[i]
            base[i] = base[j]
            base[j] = a


@kernel
def _hot(fixed: Any, geometry: Any, physics: Any, y: int, x: int, n: int, sig: Any, base: Any) -> None:
    """Add the dark current of the hot pixels among n pixels from (x, y)."""
    _, _, hot_first, hot_x, hot_rate = fixed
    bin_x = geometry[BIN_X]
    bin_y = geometry[BIN_Y]
    colour = geometry[COLOUR]
    ceiling = np.float32(SIGNAL_LIMIT + CLASS_OFFSET)
    row = (y >> 1) * 2 * bin_y + (y & 1) if colour else y * bin_y
    for _ in range(bin_y):
        for h in range(hot_first[row], hot_first[row + 1]):
            at = hot_x[h]
            i = (at // (2 * bin_x) * 2 + (at & 1) if colour else at // bin_x) - x
            if 0 <= i < n:
                more = min(hot_rate[h] * physics[HOT], ceiling - sig[i])
                sig[i] += more
                base[i] += more
        row += 2 if colour else 1


@kernel
def _noise(table: Any, row_hash: Any, x: int, n: int, sig: Any, words: Any, index: Any, noise: Any) -> None:
    """Noise of n pixels from column x, in units, to `noise`. Random bytes belong to columns, not to the
    region.
    """
    first = x & 7
    start = _mix(row_hash ^ GOLDEN) + np.uint64(x >> 3) * GOLDEN
    for i in range((first + n + 7) >> 3):
        words[i] = _mix(start + np.uint64(i) * GOLDEN)
    random_bytes = words.view(np.uint8)[first : first + n]
    dither = np.int32((row_hash >> np.uint64(8)) & np.uint64(0xFFFFF))
    bits = sig.view(np.int32)
    for i in range(n):
        c = np.int32(np.int32(bits[i] + dither) >> np.int32(20)) - np.int32(CLASS_BASE)
        index[i] = np.uint16(np.uint16(c) << np.uint16(8) | np.uint16(random_bytes[i]))
    quantiles = table[np.int64(row_hash & np.uint64(STRATA - 1))]
    for i in range(n):
        noise[i] = quantiles[index[i]]


@kernel
def render_u8(
    out: Any,
    begin: int,
    end: int,
    light: Any,
    fixed: Any,
    offsets: Any,
    geometry: Any,
    physics: Any,
    table: Any,
    key: Any,
) -> None:
    """Rows begin..end-1 of the region to `out` (uint8, the whole payload), one byte per pixel."""
    sig = np.empty(BLOCK_PX, np.float32)
    base = np.empty(BLOCK_PX, np.float32)
    words = np.empty(BLOCK_PX // 8 + 1, np.uint64)
    index = np.empty(BLOCK_PX, np.uint16)
    noise = np.empty(BLOCK_PX, np.int16)
    width = geometry[WIDTH]
    scale = physics[TO_OUTPUT]
    top = physics[OUTPUT_MAX]
    zero = np.float32(0.0)
    for row in range(begin, end):
        y = geometry[OFFSET_Y] + row
        row_hash = _mix(key + np.uint64(y) * ROW_STEP)
        for block in range(0, width, BLOCK_PX):
            n = min(BLOCK_PX, width - block)
            x = geometry[OFFSET_X] + block
            _signal(light, fixed, offsets, geometry, physics, y, x, n, sig, base)
            _noise(table, row_hash, x, n, sig, words, index, noise)
            dst = out[row * width + block : row * width + block + n]
            for i in range(n):
                v = (base[i] + np.float32(noise[i])) * scale
                v = v if v > zero else zero
                v = v if v < top else top
                dst[i] = np.uint8(v)


@kernel
def _render_u16_block(base: Any, noise: Any, n: int, scale: Any, top: Any, dst: Any) -> None:
    zero = np.float32(0.0)
    for i in range(n):
        v = (base[i] + np.float32(noise[i])) * scale
        v = v if v > zero else zero
        v = v if v < top else top
        dst[i] = np.uint16(v)


@kernel
def render_u16(
    out: Any,
    begin: int,
    end: int,
    light: Any,
    fixed: Any,
    offsets: Any,
    geometry: Any,
    physics: Any,
    table: Any,
    key: Any,
) -> None:
    """The same to `out` (uint16, one element per pixel)."""
    sig = np.empty(BLOCK_PX, np.float32)
    base = np.empty(BLOCK_PX, np.float32)
    words = np.empty(BLOCK_PX // 8 + 1, np.uint64)
    index = np.empty(BLOCK_PX, np.uint16)
    noise = np.empty(BLOCK_PX, np.int16)
    width = geometry[WIDTH]
    for row in range(begin, end):
        y = geometry[OFFSET_Y] + row
        row_hash = _mix(key + np.uint64(y) * ROW_STEP)
        for block in range(0, width, BLOCK_PX):
            n = min(BLOCK_PX, width - block)
            x = geometry[OFFSET_X] + block
            _signal(light, fixed, offsets, geometry, physics, y, x, n, sig, base)
            _noise(table, row_hash, x, n, sig, words, index, noise)
            at = row * width + block
            _render_u16_block(base, noise, n, physics[TO_OUTPUT], physics[OUTPUT_MAX], out[at : at + n])


@kernel
def render_packed(
    out: Any,
    begin: int,
    end: int,
    light: Any,
    fixed: Any,
    offsets: Any,
    geometry: Any,
    physics: Any,
    table: Any,
    key: Any,
    layout: int,
) -> None:
    """The same to a packed format (index in PACKED_LAYOUTS); each row must end on a byte."""
    sig = np.empty(BLOCK_PX, np.float32)
    base = np.empty(BLOCK_PX, np.float32)
    words = np.empty(BLOCK_PX // 8 + 1, np.uint64)
    index = np.empty(BLOCK_PX, np.uint16)
    noise = np.empty(BLOCK_PX, np.int16)
    values = np.empty(BLOCK_PX, np.uint16)
    width = geometry[WIDTH]
    bits = 10 if layout == 0 or layout == 2 else 12
    for row in range(begin, end):
        y = geometry[OFFSET_Y] + row
        row_hash = _mix(key + np.uint64(y) * ROW_STEP)
        for block in range(0, width, BLOCK_PX):
            n = min(BLOCK_PX, width - block)
            x = geometry[OFFSET_X] + block
            _signal(light, fixed, offsets, geometry, physics, y, x, n, sig, base)
            _noise(table, row_hash, x, n, sig, words, index, noise)
            _render_u16_block(base, noise, n, physics[TO_OUTPUT], physics[OUTPUT_MAX], values)
            at = (row * width + block) * bits // 8
            if layout == 0:
                _packers.pack_10p(values, n, out, at)
            elif layout == 1:
                _packers.pack_12p(values, n, out, at)
            elif layout == 2:
                _packers.pack_10g40(values, n, out, at)
            elif layout == 3:
                _packers.pack_12g24(values, n, out, at)
            elif layout == 4:
                _packers.pack_10packed(values, n, out, at)
            else:
                _packers.pack_12packed(values, n, out, at)


PACKED_LAYOUTS = {"10p": 0, "12p": 1, "10g40": 2, "12g24": 3, "10packed": 4, "12packed": 5}
