from importlib.resources import files

import pytest

from frames.sensor import KINDS, SensorError, load_sensor, parse_sensor, sensor_names

TEXT = (files("frames") / "sensors" / "imx255.toml").read_text(encoding="utf-8")


def test_imx255_figures() -> None:
    s = load_sensor("IMX255")
    assert (s.width_px, s.height_px, s.depth_bits) == (4112, 2176, 12)
    assert (s.quantum_efficiency, s.temporal_noise_e, s.saturation_e) == (0.67, 2.4, 10700)
    assert (s.conversion_gain_dn12_per_e, s.line_time_us, s.extra_lines) == (0.369, 9.51, 38)
    assert (s.shutter, s.colour, s.mosaic, s.binning) == ("global", "mono", None, "processor")


def test_imx412_figures() -> None:
    s = load_sensor("IMX412")
    assert (s.width_px, s.height_px, s.pixel_pitch_um) == (4056, 3040, 1.55)
    assert (s.shutter, s.colour, s.binning, s.min_exposure_us) == ("rolling", "GR", "sensor", 32)
    assert s.min_exposure_us == 2 * s.line_time_us
    assert s.mosaic == ((1, 0), (2, 1))


@pytest.mark.parametrize(("colour", "cell"), [("RG", "RGGB"), ("GB", "GBRG"), ("BG", "BGGR"), ("GR", "GRBG")])
def test_bayer_cells(colour: str, cell: str) -> None:
    text = (files("frames") / "sensors" / "imx412.toml").read_text(encoding="utf-8")
    mosaic = parse_sensor(text.replace('colour = "GR"', f'colour = "{colour}"'), "x.toml").mosaic
    assert mosaic is not None
    assert "".join("RGB"[c] for row in mosaic for c in row) == cell


@pytest.mark.parametrize("name", sensor_names())
def test_every_figure_is_labelled(name: str) -> None:
    s = load_sensor(name)
    assert len(s.figures) == 22 + len(s.curves)
    assert all(f.kind in KINDS and f.source for f in s.figures.values())
    assert s.figures["light.prnu_percent"].kind == "assumed"


@pytest.mark.parametrize(
    ("name", "dynamic_range_db", "snr_db"),
    [("imx255", 71.3, 40.3), ("imx267", 71.0, 40.2), ("imx304-vcxg", 71.6, 39.8), ("imx412", 67.1, 39.0)],
)
def test_figures_agree_with_each_other(name: str, dynamic_range_db: float, snr_db: float) -> None:
    """EMVA 1288: DR = sat / (sigma_d + 0.5) and SNRmax = sqrt(sat); Baumer prints 71 dB (as it truncates
    frame rates) and 40 dB.
    """
    from math import log10

    s = load_sensor(name)
    assert 20 * log10(s.saturation_e / (s.temporal_noise_e + 0.5)) == pytest.approx(dynamic_range_db, abs=0.1)
    assert 10 * log10(s.saturation_e) == pytest.approx(snr_db, abs=0.05)


def test_one_chip_two_data_sheets() -> None:
    generic, baumer = load_sensor("imx304"), load_sensor("IMX304-VCXG")
    assert baumer.name == "IMX304-VCXG"
    assert (generic.width_px, baumer.width_px, baumer.height_px) == (4112, 4096, 3000)
    assert (baumer.temporal_noise_e, baumer.saturation_e, baumer.quantum_efficiency) == (2.0, 9500, 0.673)
    for key in ("dark.temporal_noise_e", "light.saturation_e", "light.quantum_efficiency"):
        assert baumer.figures[key].kind == "printed"
    assert (generic.line_time_us, generic.extra_lines) == (baumer.line_time_us, baumer.extra_lines)


def test_a_base_must_exist() -> None:
    message = r"^x.toml: base is 'imx305', no known sensor, did you mean 'imx304'\?$"
    with pytest.raises(SensorError, match=message):
        parse_sensor('name = "X"\nbase = "imx305"', "x.toml")


def test_read_noise_falls_with_gain() -> None:
    s = load_sensor("imx412")
    assert s.temporal_noise_at(0) == 3.0
    assert s.temporal_noise_at(24.08) == pytest.approx(1.5, abs=0.01)
    noise = [s.temporal_noise_at(db) for db in range(0, 48, 6)]
    assert noise == sorted(noise, reverse=True)


@pytest.mark.parametrize("name", sensor_names())
def test_photons_count_fully_at_the_reference_wavelength_and_less_elsewhere(name: str) -> None:
    s = load_sensor(name)
    at = s.response(s.wavelength_nm)
    assert max(at) == 1
    assert max(s.response(900)) < 0.2
    assert s.response(2000) == (0,) * len(at)
    white = s.response()
    assert white == (1.0,) if s.colour == "mono" else 0.2 < white[2] < white[1] < 0.5


def test_red_light_lands_in_red_pixels() -> None:
    red, green, blue = load_sensor("imx412").response(630)
    assert red > 3.5 * green
    assert red > 10 * blue


def test_dark_current_doubles() -> None:
    s = load_sensor("imx255")
    assert s.dark_current_at(45) == 5
    assert s.dark_current_at(52) == 10
    assert s.dark_current_at(38) == 2.5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dsnu_e =", "dnsu_e =", "x.toml: unknown key dark.dnsu_e, did you mean 'dsnu_e'?"),
        ("[timing]", "[timming]", "x.toml: unknown key timming, did you mean 'timing'?"),
        ('kind = "measured"', 'kind = "guessed"', "x.toml: light.saturation_e.kind is 'guessed', must be"),
        ("value = 10700, ", "", "x.toml: light.saturation_e.value is missing"),
        ("value = 10700", 'value = "10700"', "x.toml: light.saturation_e.value must be a number"),
        ("value = 10700", "value = nan", "x.toml: light.saturation_e.value must be a number"),
        ("value = 10700", "value = -1", "x.toml: light.saturation_e.value is -1, must be above zero"),
        ("value = 4112", "value = 4112.5", "x.toml: geometry.width_px.value must be a whole number"),
        ("value = 0.67", "value = 67", "x.toml: light.quantum_efficiency.value is a fraction, at most 1"),
        ("value = 2.4", "value = 0.3", "x.toml: dark.temporal_noise_e.value is 0.3, at least 1 e-"),
        (
            "value = 11200",
            "value = 11000",
            "x.toml: full_well_e x conversion_gain_dn12_per_e ends at 4059 DN",
        ),
        ("value = 11200", "value = 9000", "x.toml: light.full_well_e.value is below saturation_e"),
        ("value = 2.0", "value = 2.6", "x.toml: dark.temporal_noise_floor_e.value is above temporal_noise_e"),
        ("[[400, 0.60]", "[[500, 0.60]", "x.toml: spectrum.mono.value must be [[nm, 0 .. 1], ...] with ris"),
        ("[[400, 0.60]", "[400", "x.toml: spectrum.mono.value must be [[nm, 0 .. 1], ...] with rising"),
        ('colour = "mono"', 'colour = "GR"', "x.toml: unknown key spectrum.mono; known: red, green, blue"),
        ("value = 12,", "value = 14,", "x.toml: adc.depth_bits.value is 14, only 12 is modelled"),
        (
            'shutter = "global"',
            'shutter = "roling"',
            "x.toml: shutter is 'roling', must be global or rolling",
        ),
        ('source = "same fit"', 'source = ""', "x.toml: timing.extra_lines.source must say where"),
        (
            'source = "same fit"',
            'src = ""',
            "x.toml: unknown key timing.extra_lines.src, did you mean 'source'?",
        ),
        ("[geometry]", "[geometry", "x.toml: not valid TOML: "),
    ],
)
def test_faulty_files_are_refused(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(SensorError) as caught:
        parse_sensor(TEXT.replace(old, new, 1), "x.toml")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_unknown_sensor() -> None:
    with pytest.raises(SensorError, match=r"^unknown sensor 'imx2555', did you mean 'imx255'\?$"):
        load_sensor("imx2555")
