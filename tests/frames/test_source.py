import numpy as np
import pytest

from frames.packing import PIXEL_FORMATS, unpack
from frames.scene import Function, Uniform, parse_scene
from frames.source import FrameSettings, FrameSource
from tests.frames.cameras import (
    EXPOSURE_US,
    HEIGHT,
    SENSOR,
    WIDTH,
    pixels,
    render,
    settings,
    source,
    uniform_of,
)

MONO = [f.name for f in PIXEL_FORMATS.values() if f.colour == "mono"]
SMALL = {"width": 96, "height": 64}


def chart() -> FrameSource:
    return source(parse_scene("target"))


def test_the_same_settings_give_the_same_bytes() -> None:
    a, b = chart(), chart()
    render(a, settings(7, pixel_format="Mono8"))
    assert np.array_equal(render(a, settings(3)), render(b, settings(3)))


@pytest.mark.parametrize("name", MONO)
def test_threads_do_not_change_a_byte(name: str) -> None:
    s = settings(5, height=203, offset_y=7, pixel_format=name)
    camera = source(parse_scene("target"), threads=3)
    try:
        assert np.array_equal(render(camera, s), render(chart(), s))
    finally:
        camera.close()


@pytest.mark.parametrize("name", MONO)
@pytest.mark.parametrize(
    ("x", "y", "w", "h"), [(0, 0, 1, 1), (8, 1, 64, 5), (13, 77, 515, 9), (1001, 500, 20, 12)]
)
def test_a_region_equals_that_part_of_the_full_frame(name: str, x: int, y: int, w: int, h: int) -> None:
    camera = chart()
    if name.endswith("IDS"):  # a cut group would lose low bits
        w += -w % PIXEL_FORMATS[name].group_px
    full = pixels(camera, settings(9, pixel_format=name))
    part = pixels(camera, settings(9, pixel_format=name, offset_x=x, offset_y=y, width=w, height=h))
    assert np.array_equal(part, full[y : y + h, x : x + w])


def test_all_formats_carry_the_same_converter_values() -> None:
    camera = chart()
    twelve = pixels(camera, settings(2))
    for name in MONO:
        fmt = PIXEL_FORMATS[name]
        if fmt.depth in (8, 12):
            same = pixels(camera, settings(2, pixel_format=name))
            assert np.array_equal(same, twelve >> (12 - fmt.depth)), name
    ten = pixels(camera, settings(2, pixel_format="Mono10"))
    assert np.array_equal(ten, twelve >> 2)
    for name in ("Mono10p", "Mono10g40IDS", "Mono10Packed"):
        assert np.array_equal(pixels(camera, settings(2, pixel_format=name)), ten)


def test_frame_numbers_change_the_noise_and_nothing_else() -> None:
    camera = source(uniform_of(2000))
    a, b = pixels(camera, settings(1)), pixels(camera, settings(2))
    assert 0.95 < (a != b).mean() < 1
    assert abs(a.mean() - b.mean()) < 0.2


def test_fixed_pattern_belongs_to_the_seed() -> None:
    def mean_of(seed: int, first: int) -> np.ndarray:
        camera = source(uniform_of(9000), seed)
        frames = [pixels(camera, settings(first + k)).astype(float) for k in range(4)]
        mean = np.mean(frames, axis=0)
        return mean - mean.mean()

    def alike(a: np.ndarray, b: np.ndarray) -> float:
        return float((a * b).mean() / (a.std() * b.std()))

    electrons = 9000
    fixed = (electrons * SENSOR.prnu_percent / 100) ** 2 + SENSOR.dsnu_e**2
    wanted = fixed / (fixed + (electrons + SENSOR.temporal_noise_e**2) / 4)
    n = WIDTH * HEIGHT
    assert alike(mean_of(11, 0), mean_of(11, 50)) == pytest.approx(wanted, abs=4.5 / n**0.5)
    assert abs(alike(mean_of(11, 0), mean_of(12, 0))) < 4.5 / n**0.5


def staircase(time_s: float, width: int, height: int) -> np.ndarray:
    """Light that differs for every pixel block: to see what lands where."""
    y, x = np.mgrid[0:height, 0:width]
    return (((x // 32) * 7 + (y // 32) * 13) % 60 * 1.5e4).astype(float)


def quiet(scene_seed: int = 1) -> FrameSource:
    """A camera so bright and without pattern that its mean over blocks is known."""
    return source(Function(staircase, moves=False), scene_seed)


@pytest.mark.parametrize(("reverse_x", "reverse_y"), [(True, False), (False, True), (True, True)])
def test_flips_mirror_the_whole_picture(reverse_x: bool, reverse_y: bool) -> None:
    camera = quiet()
    plain = pixels(camera, settings(0)).astype(float)
    flipped = pixels(camera, settings(1, reverse_x=reverse_x, reverse_y=reverse_y)).astype(float)
    mirrored = plain[:: -1 if reverse_y else 1, :: -1 if reverse_x else 1]
    difference = (flipped - mirrored).reshape(16, 32, 32, 32).mean(axis=(1, 3))
    noise = (0.369**2 * 6100 * 2 / 1024) ** 0.5
    assert np.abs(difference).max() < 5.5 * noise
    unflipped = (flipped - plain).reshape(16, 32, 32, 32).mean(axis=(1, 3))
    assert np.abs(unflipped).max() > 50 * noise


def test_fixed_pattern_flips_with_the_picture() -> None:
    camera = source(uniform_of(9000))
    a = pixels(camera, settings(0)).astype(float)
    b = pixels(camera, settings(1, reverse_x=True, reverse_y=True)).astype(float)[::-1, ::-1]
    alike = np.corrcoef(a.ravel(), b.ravel())[0, 1]
    fixed = 54**2 + 0.6**2
    assert alike == pytest.approx(fixed / (fixed + 9000 + 5.8), abs=4.5 / a.size**0.5)


@pytest.mark.parametrize(
    "changes", [{"reverse_x": True}, {"reverse_y": True}, {"reverse_x": True, "reverse_y": True}]
)
def test_a_region_counts_in_the_flipped_picture(changes: dict[str, bool]) -> None:
    camera = chart()
    full = pixels(camera, settings(4, **changes))
    part = pixels(camera, settings(4, offset_x=100, offset_y=30, width=333, height=21, **changes))
    assert np.array_equal(part, full[30:51, 100:433])


@pytest.mark.parametrize(("h", "v"), [(2, 1), (1, 2), (2, 2), (3, 4), (4, 3)])
def test_binning_sums(h: int, v: int) -> None:
    electrons = 200.0
    camera = source(uniform_of(electrons))
    size = {"width": WIDTH // h, "height": HEIGHT // v}
    s = {"binning_horizontal": h, "binning_vertical": v, **size}
    a, b = (pixels(camera, settings(frame, **s)).astype(float) for frame in (0, 1))
    n, k = h * v, SENSOR.conversion_gain_dn12_per_e
    count = size["width"] * size["height"]
    electrons += 0.05
    variance = k * k * n * (electrons + SENSOR.temporal_noise_e**2) + 1 / 12
    assert ((a - b) ** 2).mean() / 2 == pytest.approx(
        variance, rel=4.5 * (2 / count + 0.06**2 / HEIGHT) ** 0.5
    )
    assert a.mean() - 64 == pytest.approx(k * n * electrons, abs=5 * (2 * variance / count) ** 0.5 + 1 / 32)
    both = ((a - a.mean()) * (b - b.mean())).mean()
    pattern = k * k * n * ((0.006 * electrons) ** 2 + SENSOR.dsnu_e**2)
    assert both == pytest.approx(pattern, abs=4.5 * variance * (2 / count) ** 0.5)


@pytest.mark.parametrize("changes", [{}, {"reverse_x": True, "reverse_y": True}])
def test_a_region_is_in_binned_pixels(changes: dict[str, bool]) -> None:
    camera = chart()
    s = {"binning_horizontal": 3, "binning_vertical": 2, **changes}
    full = pixels(camera, settings(4, width=WIDTH // 3, height=HEIGHT // 2, **s))
    part = pixels(camera, settings(4, offset_x=101, offset_y=30, width=57, height=21, **s))
    assert np.array_equal(part, full[30:51, 101:158])


def test_binned_picture_is_the_sum_of_the_plain_one() -> None:
    camera = quiet()
    binned = pixels(
        camera, settings(0, width=512, height=256, binning_horizontal=2, binning_vertical=2, gain_db=0)
    )
    plain = pixels(camera, settings(1)).astype(float) - 64
    summed = np.minimum(plain.reshape(256, 2, 512, 2).sum(axis=(1, 3)), 4095 - 64)
    difference = (binned - 64.0 - summed).reshape(16, 16, 32, 16).mean(axis=(1, 3))
    bright = summed.reshape(16, 16, 32, 16).mean(axis=(1, 3))
    middle = bright < 3700
    assert middle.sum() > 50
    noise = (0.369**2 * 4 * 6100 * 2 / 256) ** 0.5
    assert np.abs(difference[middle]).max() < 5.5 * noise


def test_gain_and_black_level_in_decibels_and_dn() -> None:
    camera = source(uniform_of(500))
    base = pixels(camera, settings(0)).mean()
    assert pixels(camera, settings(0, black_level_dn12=164.25)).mean() - base == pytest.approx(
        100.25, abs=0.01
    )
    tenfold = pixels(camera, settings(0, gain_db=20.0)).mean()
    assert tenfold - 64 == pytest.approx(10 * (base - 64), rel=1e-3)


def test_moving_scene_moves_with_time() -> None:
    camera = source(parse_scene("bar:bar_width=32,speed=1000,background=0,photons=3e7"))
    for time_s, left in ((0.0, 0), (0.5, 500)):
        frame = pixels(camera, settings(0, time_s=time_s, exposure_us=500))
        assert (frame[:, left : left + 32] > 2000).all()
        assert frame[:, left + 33 : left + 64].max() < 100


def test_writes_into_a_memoryview_in_place() -> None:
    memory = bytearray(96 * 64 + 2)
    s = settings(0, pixel_format="Mono8", **SMALL)
    chart().render_into(memoryview(memory)[1:-1], s)
    assert memory[0] == memory[-1] == 0
    assert bytes(memory[1:-1]) == render(chart(), s).tobytes()


def test_16_bit_formats_into_odd_addresses() -> None:
    memory = bytearray(2 * 96 * 64 + 16)
    start = 1 - np.frombuffer(memory, np.uint8).ctypes.data % 2
    s = settings(0, **SMALL)
    view = memoryview(memory)[start : start + 2 * 96 * 64]
    chart().render_into(view, s)
    assert bytes(view) == render(chart(), s).tobytes()


def test_unusual_memory_layouts_of_light() -> None:
    def light(time_s: float, width: int, height: int) -> np.ndarray:
        return np.asfortranarray(staircase(time_s, width, height))

    s = settings(0)
    assert np.array_equal(render(source(Function(light)), s), render(source(Function(staircase)), s))


def test_dark_scene_without_exposure() -> None:
    camera = source(Uniform(photons=0))
    frame = pixels(camera, settings(0, exposure_us=0.0))
    assert frame.mean() == pytest.approx(64, abs=0.05)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pixel_format": "Mono12P"}, "unknown pixel format 'Mono12P', did you mean 'Mono12p'?"),
        ({"offset_x": 1}, "region 1+1024 in x is not within the 1024 pixels there are"),
        ({"binning_vertical": 2}, "region 0+512 in y is not within the 256 pixels there are"),
        ({"binning_horizontal": 5}, "horizontal binning is 5, must be in 1 .. 4"),
        ({"height": 0}, "region 0+0 in y is not within the 512 pixels there are"),
        ({"exposure_us": -1.0}, "exposure is -1.0 us, must not be negative"),
        ({"test_image": 7}, "test image 7 is unknown, must be in 0 .. 6"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        chart().render_into(np.zeros(1, np.uint8), settings(0, **changes))
    assert str(caught.value) == message


def test_wrong_buffers_are_refused() -> None:
    s = settings(0, pixel_format="Mono8", **SMALL)
    with pytest.raises(ValueError, match=r"^the frame has 6144 bytes, the buffer 6143$"):
        chart().render_into(np.zeros(6143, np.uint8), s)
    with pytest.raises(ValueError, match=r"^the buffer is read-only$"):
        chart().render_into(memoryview(bytes(6144)), s)


def test_settings_are_values() -> None:
    assert settings(1) == settings(1)
    assert isinstance(settings(1), FrameSettings)
    assert hash(settings(1, exposure_us=EXPOSURE_US)) == hash(settings(1))


def test_packed_rows_that_do_not_end_on_bytes() -> None:
    camera = chart()
    s = settings(1, pixel_format="Mono12p", width=33, height=7)
    data = render(camera, s)
    assert data.size == (33 * 7 * 12 + 7) // 8
    wide = pixels(camera, settings(1, width=33, height=7))
    assert np.array_equal(unpack(data, 33 * 7, "Mono12p").reshape(7, 33), wide)
