"""The noise engine: scene, fixed pattern, exposure and gain to packed bytes, one row at a time.

A pixel's number depends on the frame's key, its row and its column, on nothing else: any subset of rows, any
region of interest and any number of threads give the same bytes. No state is kept between calls. Rows and columns
are those of the binned picture before it is flipped.

Each row is worked on in blocks that stay in the first-level cache, by one loop that does all of the following for a
pixel. The compiler makes vector instructions of it, of four vectors side by side (see `frames._jit`): the steps of
one wait for each other, those of four do not. `_plain` is that loop, `_shaded` the one with shading and column
noise, `_summed` the one for binned pixels and rows with hot pixels, whose light is added up first.

1. Signal `s` = light x (g + gp x PRNU) + dark, and `offset` = black level, DSNU, row and column noise, which are not
   light and have no shot noise. Binned: sums over the pixels (of one colour). Hot pixels add to s.
2. `_normal`: one random 32-bit word per pixel, its column's word of this frame times an odd number of this row. Its
   four bytes b, weighted 67 (b0 - b1) + 61 (b2 - b3), are nearly normally distributed; an odd polynomial makes
   moments 2, 4 and 6 those of the normal distribution. It ends at 4.5 sigma. Here the variance is 1/2.
3. `_number`: electrons to noise. Light of n electrons with read noise r has the variance n + r^2 and, being
   Poisson, the third moment n. In units of u = sqrt(0.74) / r per electron, v = 2 u s + 1.48 is twice the variance,
   and for z from step 2

       s + a (z^2 - 1/2) + z sqrt(v - a^2)    with    a = u/3 (1 - 1.48 / v)

   has mean s, variance v / 2 and third moment u (v - 1.48) / 2, as it should. The quotient is taken by subtracting
   the bits of v from a constant, which is right to 0.012 and bends the skewness by less than that. Times gain plus
   offset, truncated.
4. Clipped to the range of the converter, mirrored, packed.

The arguments of `render`, all arrays in sensor pixels before binning unless said:

    light     (steps: uint16 canvas, row_y, row_x: int64 per row, row_gain: float32 per row,
              column_gain: float32 per column): row y sees canvas[row_y[y], row_x[y]:] * row_gain[y] * column_gain
    fixed     (prnu, dsnu: int8 maps, hot_first: int64 per row + 1, hot_x: int64, hot_rate: float32):
              the hot pixels of row y are number hot_first[y] .. hot_first[y + 1]
    offsets   (row, column): float32 output units per row and column of the binned picture
    geometry, physics: vectors, see the index constants
"""

from typing import Any

import numpy as np

from frames import _packers
from frames._jit import bits_of, float_of, inlined, kernel, multiply_add

BLOCK_PX = 1024
MAX_BINNING = 4
MIN_READ_NOISE_E = 1.0
DARK_VARIANCE = 1.48
LIMIT_DN = 5e8  # far above white, and not too large for an int32

MASK64 = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
MIX1 = 0xBF58476D1CE4E5B9
MIX2 = 0x94D049BB133111EB

# indices into the geometry and physics vectors of `render`
FIRST_X, OFFSET_Y, WIDTH, BIN_X, BIN_Y, REVERSE_X, REVERSE_Y, BINNED_HEIGHT, COLOUR, SHADED, LAYOUT, TOP = (
    range(12)
)
G, G_PRNU, DARK, K_DSNU, BLACK, HOT, LIMIT, TWICE, THIRD, TO_OUTPUT = range(10)
LAYOUTS = {"8": 0, "16": 1, "10p": 2, "12p": 3, "10g40": 4, "12g24": 5, "10packed": 6, "12packed": 7}

_F = np.float32
_U = np.uint32
_I = np.int32
_ROW_STEP = np.uint64(0xD1342543DE82EF95)
_MIX1, _MIX2 = np.uint64(MIX1), np.uint64(MIX2)
_BYTES = _U(0x00FF00FF)
_WEIGHTS = _U(67 << 16 | 61)
_SIGMA = 256 * 9469.62116
_Z1 = _F(0.97103289 / _SIGMA / 2**0.5)
_Z3 = _F(0.00102532 / _SIGMA**3 / 2**0.5)
_Z5 = _F(0.00234473 / _SIGMA**5 / 2**0.5)
# the same polynomial of 256 x, completed to a square: no coefficient is then too small for a float32
_SQUARE = _F(float(_Z5) ** 0.5 / 256**2.5)
_SHIFT = _F(float(_Z3) / 256**3 / 2 / float(_SQUARE))
_LIFT = _F(float(_Z1) / 256 - float(_SHIFT) ** 2)
_DARK = _F(DARK_VARIANCE)
_MINUS_QUOTIENT = _I(2134536964 - (1 << 31))
_HALF = _F(0.5)
_STEP, _ROUND1, _ROUND2 = _U(0x9E3779B9), _U(0x21F0AAAD), _U(0x735A2D97)
_ONE, _TWO, _THREE, _FOUR = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)


def mix64(value: int) -> int:
    """The finaliser of splitmix64 on a Python int."""
    value = (value + GOLDEN) & MASK64
    value = ((value ^ value >> 30) * MIX1) & MASK64
    value = ((value ^ value >> 27) * MIX2) & MASK64
    return value ^ value >> 31


def frame_key(seed: int, frame: int) -> np.uint64:
    """The random stream of one frame of one camera."""
    return np.uint64(mix64(mix64(seed & MASK64) ^ (frame & MASK64)))


def units_per_e(read_noise_e: float) -> float:
    """The engine's units of signal per electron. Raises ValueError below MIN_READ_NOISE_E.

    With less read noise the steps of single electrons would show, which the engine does not model.
    """
    if read_noise_e < MIN_READ_NOISE_E:
        raise ValueError(
            f"read noise {read_noise_e:g} e- is below {MIN_READ_NOISE_E:g} e-, the engine's limit"
        )
    return float((DARK_VARIANCE / 2) ** 0.5 / read_noise_e)


@inlined
def _mix(value: Any) -> Any:
    value = (value ^ (value >> np.uint64(30))) * _MIX1
    value = (value ^ (value >> np.uint64(27))) * _MIX2
    return value ^ (value >> np.uint64(31))


@inlined
def _column_words(key: Any, first: int, words: Any) -> None:
    """An odd random number for each column from `first`, in the frame with this key."""
    start, other = _U(key), _U(key >> np.uint64(32))
    for i in range(words.size):
        word = _U(start + _U(_U(first + i) * _STEP))
        word = _U(_U(word ^ _U(word >> _U(16))) * _ROUND1)
        word = _U(_U(word ^ _U(word >> _U(15)) ^ other) * _ROUND2)
        words[i] = _U(word ^ _U(word >> _U(15))) | _U(1)


@inlined
def _normal(word: Any, factor: Any) -> Any:
    """A normally distributed number of variance 1/2 from a column's word and a row's factor."""
    word = _U(word * factor)
    word = _U(word ^ _U(word >> _U(15)))
    differences = _U(_U(word & _BYTES) - _U(_U(word >> _U(8)) & _BYTES))
    x = _F(_I(_U(differences * _WEIGHTS)))
    bend = multiply_add(x * x, _SQUARE, _SHIFT)
    return x * multiply_add(bend, bend, _LIFT)


@inlined
def _number(s: Any, z: Any, offset: Any, twice: Any, third: Any, to_output: Any) -> Any:
    """The number, 0 .. 65535, that the converter makes of signal s with the noise that z stands for."""
    v = multiply_add(s, twice, _DARK)
    a = multiply_add(third, float_of(_I(_MINUS_QUOTIENT - bits_of(v))), third)
    b = np.sqrt(multiply_add(-a, a, v))
    noisy = multiply_add(multiply_add(z, a, b), z, multiply_add(-_HALF, a, s))
    value = _I(multiply_add(noisy, to_output, offset))
    value = value if value > _I(0) else _I(0)
    return np.uint16(value if value < _I(65535) else _I(65535))


@inlined
def _plain(
    n: int,
    seen: Any,
    prnu: Any,
    dsnu: Any,
    words: Any,
    factor: Any,
    g: Any,
    gp: Any,
    black: Any,
    physics: Any,
    values: Any,
) -> None:
    """Numbers of n pixels of a row without binning, hot pixels, shading and column noise."""
    dark, kd = physics[DARK], physics[K_DSNU]
    twice, third, to_output = physics[TWICE], physics[THIRD], physics[TO_OUTPUT]
    for i in range(n):
        s = multiply_add(_F(seen[i]), multiply_add(_F(prnu[i]), gp, g), dark)
        offset = multiply_add(_F(dsnu[i]), kd, black)
        values[i] = _number(s, _normal(words[i], factor), offset, twice, third, to_output)


@inlined
def _shaded(
    n: int,
    seen: Any,
    shade: Any,
    column: Any,
    prnu: Any,
    dsnu: Any,
    words: Any,
    factor: Any,
    g: Any,
    gp: Any,
    black: Any,
    physics: Any,
    values: Any,
) -> None:
    """The same with shading and column noise."""
    dark, kd = physics[DARK], physics[K_DSNU]
    twice, third, to_output = physics[TWICE], physics[THIRD], physics[TO_OUTPUT]
    for i in range(n):
        s = multiply_add(_F(seen[i]) * shade[i], multiply_add(_F(prnu[i]), gp, g), dark)
        offset = multiply_add(_F(dsnu[i]), kd, column[i] + black)
        values[i] = _number(s, _normal(words[i], factor), offset, twice, third, to_output)


@inlined
def _summed(
    n: int,
    signal: Any,
    steps_dsnu: Any,
    column: Any,
    words: Any,
    factor: Any,
    black: Any,
    physics: Any,
    values: Any,
) -> None:
    """The same from sums of light and of steps of DSNU."""
    kd, limit = physics[K_DSNU], physics[LIMIT]
    twice, third, to_output = physics[TWICE], physics[THIRD], physics[TO_OUTPUT]
    for i in range(n):
        s = signal[i] if signal[i] < limit else limit
        offset = multiply_add(steps_dsnu[i], kd, column[i] + black)
        values[i] = _number(s, _normal(words[i], factor), offset, twice, third, to_output)


@inlined
def _add_light(
    n: int, seen: Any, shade: Any, prnu: Any, dsnu: Any, g: Any, gp: Any, signal: Any, offset: Any
) -> None:
    """Add light and steps of DSNU of n pixels of a row."""
    for i in range(n):
        signal[i] = multiply_add(_F(seen[i]) * shade[i], multiply_add(_F(prnu[i]), gp, g), signal[i])
        offset[i] += _F(dsnu[i])


@inlined
def _fold(wide: Any, n: int, by: int, colour: int, out: Any) -> None:
    """Sums of `by` neighbours (of the same colour) to out[:n]."""
    if by == 1:
        for i in range(n):
            out[i] = wide[i]
    elif by == 2 and colour:
        for pair in range(np.uint64(n >> 1)):  # unsigned: no index from the end
            here, there = pair * _TWO, pair * _FOUR
            out[here] = wide[there] + wide[there + _TWO]
            out[here + _ONE] = wide[there + _ONE] + wide[there + _THREE]
    elif by == 2:
        for pair in range(np.uint64(n)):
            out[pair] = wide[pair * _TWO] + wide[pair * _TWO + _ONE]
    else:
        for i in range(n):
            at = (i >> 1) * 2 * by + (i & 1) if colour else i * by
            total = wide[at]
            for k in range(1, by):
                total += wide[at + (2 * k if colour else k)]
            out[i] = total


@inlined
def _add_hot(
    hot_first: Any,
    hot_x: Any,
    hot_rate: Any,
    row: int,
    bin_x: int,
    colour: int,
    x: int,
    n: int,
    physics: Any,
    signal: Any,
) -> None:
    """Add the dark current of a sensor row's hot pixels among n pixels from x."""
    for h in range(hot_first[row], hot_first[row + 1]):
        at = hot_x[h]
        i = (at // (2 * bin_x) * 2 + (at & 1) if colour else at // bin_x) - x
        if 0 <= i < n:
            signal[i] += hot_rate[h] * physics[HOT]


@inlined
def _mirror(values: Any, n: int, out: Any) -> None:
    """values[:n] from the other end."""
    last = np.uint64(n - 1)  # unsigned: no index from the end
    for i in range(np.uint64(n)):
        out[i] = values[last - i]


@kernel
def _pack(values: Any, n: int, layout: int, out: Any, at: int) -> None:
    """values[:n] to `out` in a layout of 10 or more bits; `at`: the pixels before them."""
    if layout == 1:
        dst = out[2 * at : 2 * (at + n)]
        for i in range(n):
            dst[2 * i] = np.uint8(values[i])
            dst[2 * i + 1] = np.uint8(values[i] >> 8)
    elif layout == 2:
        _packers.pack_10p(values, n, out, at * 10 // 8)
    elif layout == 3:
        _packers.pack_12p(values, n, out, at * 12 // 8)
    elif layout == 4:
        _packers.pack_10g40(values, n, out, at * 10 // 8)
    elif layout == 5:
        _packers.pack_12g24(values, n, out, at * 12 // 8)
    elif layout == 6:
        _packers.pack_10packed(values, n, out, at * 12 // 8)
    else:
        _packers.pack_12packed(values, n, out, at * 12 // 8)


@kernel
def render(
    out: Any,
    begin: int,
    end: int,
    light: Any,
    fixed: Any,
    offsets: Any,
    geometry: Any,
    physics: Any,
    key: Any,
) -> None:
    """Rows begin..end-1 of the region to `out` (uint8, the whole payload); each packed row must end on a byte."""
    wide_signal = np.empty(BLOCK_PX * MAX_BINNING, np.float32)
    wide_dsnu = np.empty(BLOCK_PX * MAX_BINNING, np.float32)
    signal = np.empty(BLOCK_PX, np.float32)
    steps_dsnu = np.empty(BLOCK_PX, np.float32)
    values = np.empty(BLOCK_PX, np.uint16)
    spare = np.empty(BLOCK_PX, np.uint16)
    numbers = spare if geometry[REVERSE_X] else values
    value_pairs, spare_pairs = values.view(np.uint32), spare.view(np.uint32)
    steps, row_y, row_x, row_gain, column_gain = light
    prnu, dsnu, hot_first, hot_x, hot_rate = fixed
    row_offset, column_offset = offsets
    width = geometry[WIDTH]
    bin_x = geometry[BIN_X]
    bin_y = geometry[BIN_Y]
    colour = geometry[COLOUR]
    reverse_x = geometry[REVERSE_X]
    layout = geometry[LAYOUT]
    top = np.uint16(geometry[TOP])
    shaded = geometry[SHADED]
    dark = physics[DARK] / _F(bin_x)  # for each column that is summed
    words = np.empty(width, np.uint32)
    _column_words(key, geometry[FIRST_X], words)
    for out_row in range(begin, end):
        y = geometry[OFFSET_Y] + out_row
        if geometry[REVERSE_Y]:  # colour: cells of 2x2 are mirrored, not what is in them
            y = geometry[BINNED_HEIGHT] - 2 - y + 2 * (y & 1) if colour else geometry[BINNED_HEIGHT] - 1 - y
        factor = _U(_U(_mix(key + np.uint64(y) * _ROW_STEP)) | _U(1))
        black = physics[BLACK] + row_offset[y]
        first_row = (y >> 1) * 2 * bin_y + (y & 1) if colour else y * bin_y
        row_step = 2 if colour else 1
        summed = bin_x > 1 or bin_y > 1 or hot_first[first_row] < hot_first[first_row + 1]
        for block in range(0, width, BLOCK_PX):
            n = min(BLOCK_PX, width - block)
            x = geometry[FIRST_X] + block
            x_px, n_px = x * bin_x, n * bin_x
            random = words[block : block + n]
            if summed:
                for i in range(n_px):
                    wide_signal[i] = dark
                    wide_dsnu[i] = _F(0)
            for k in range(bin_y):
                row = first_row + k * row_step
                at = row_x[row] + x_px
                seen = steps[row_y[row], at : at + n_px]
                prnu_row = prnu[row, x_px : x_px + n_px]
                dsnu_row = dsnu[row, x_px : x_px + n_px]
                g = physics[G] * row_gain[row]
                gp = physics[G_PRNU] * row_gain[row]
                shade, column = column_gain[x_px : x_px + n_px], column_offset[x : x + n]
                if summed:
                    _add_light(n_px, seen, shade, prnu_row, dsnu_row, g, gp, wide_signal, wide_dsnu)
                elif shaded:
                    _shaded(
                        n,
                        seen,
                        shade,
                        column,
                        prnu_row,
                        dsnu_row,
                        random,
                        factor,
                        g,
                        gp,
                        black,
                        physics,
                        numbers,
                    )
                else:
                    _plain(n, seen, prnu_row, dsnu_row, random, factor, g, gp, black, physics, numbers)
            if summed:
                _fold(wide_signal, n, bin_x, colour, signal)
                _fold(wide_dsnu, n, bin_x, colour, steps_dsnu)
                for k in range(bin_y):
                    row = first_row + k * row_step
                    _add_hot(hot_first, hot_x, hot_rate, row, bin_x, colour, x, n, physics, signal)
                column = column_offset[x : x + n]
                _summed(n, signal, steps_dsnu, column, random, factor, black, physics, numbers)
            if reverse_x and colour:  # cells of two change places, not what is in them
                _mirror(spare_pairs, n >> 1, value_pairs)
            elif reverse_x:
                _mirror(spare, n, values)
            at = out_row * width + (width - block - n if reverse_x else block)
            if layout == 0:
                dst = out[at : at + n]
                for i in range(n):
                    dst[i] = np.uint8(values[i] if values[i] < top else top)
            else:
                for i in range(n):
                    values[i] = values[i] if values[i] < top else top
                _pack(values, n, layout, out, at)
