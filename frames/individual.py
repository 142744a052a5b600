"""What tells a sensor from its sister of the same type: fixed pattern, hot pixels, noise of rows and columns.

All of it is drawn from the camera's seed. A fixed pattern is two maps of one byte per pixel (18 MB for nine
megapixels, some 70 ms to draw), so it is drawn when it is needed, and sources of equal seed and size share it.

State: the table of the patterns that somebody still holds; a pattern goes when its last holder lets go of it.
Always true: nobody writes to a pattern.
"""

import weakref
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

I8Map = npt.NDArray[np.int8]

PATTERN_SIGMA = 24  # steps of an int8 fixed-pattern map per standard deviation
MAX_CORRECTED = 512
MASK64 = 0xFFFFFFFFFFFFFFFF


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


@dataclass(frozen=True, eq=False)
class FixedPattern:
    """`prnu`, `dsnu`: int8 (height, width), PATTERN_SIGMA steps per standard deviation. Made read-only."""

    prnu: I8Map
    dsnu: I8Map

    def __post_init__(self) -> None:
        self.prnu.setflags(write=False)
        self.dsnu.setflags(write=False)


_patterns: "weakref.WeakValueDictionary[tuple[int, int, int], FixedPattern]" = weakref.WeakValueDictionary()


def fixed_pattern(seed: int, width: int, height: int) -> FixedPattern:
    """The fixed pattern of the camera with this seed: the one that is in use, or a new one."""
    key = seed & MASK64, width, height
    pattern = _patterns.get(key)
    if pattern is None:
        pattern = FixedPattern(normal_map(seed, 1, width, height), normal_map(seed, 2, width, height))
        _patterns[key] = pattern
    return pattern


def normal_map(seed: int, which: int, width: int, height: int) -> I8Map:
    """int8 (height, width), normal with PATTERN_SIGMA steps of standard deviation, a pure function of its
    arguments.
    """
    stream = np.random.SFC64(np.random.SeedSequence([seed & MASK64, which]))
    count = width * height
    words: npt.NDArray[np.uint64] = stream.random_raw(-(-count // 4))
    draws = words.astype("<u8", copy=False).view(np.uint16)[:count]
    return normal_steps(PATTERN_SIGMA)[draws].reshape(height, width)


@lru_cache(maxsize=4)
def normal_steps(sigma_steps: int) -> I8Map:
    """int8 (65536,): the normal distribution's quantiles in equal steps of probability; +-127 at the ends."""
    x = np.linspace(-127.5, 127.5, 256)
    below = np.array([NormalDist(0, sigma_steps).cdf(v) for v in x[1:-1]])
    edges = np.rint(below * 65536).astype(np.int64)
    return (np.searchsorted(edges, np.arange(65536), side="right") - 127).astype(np.int8)


def hot_pixels(seed: int, width: int, height: int, defects: Defects) -> list[tuple[int, int, float]]:
    """(x, y, e-/s) of the hot pixels of the camera with this seed, hottest first."""
    if not defects.hot_pixels:
        return []
    random = np.random.Generator(np.random.SFC64([seed & MASK64, 3]))
    places = random.choice(width * height, min(defects.hot_pixels, width * height), replace=False)
    rates = np.sort(random.exponential(defects.hot_e_per_s, places.size))[::-1]
    return [(int(p % width), int(p // width), float(r)) for p, r in zip(places, rates, strict=True)]
