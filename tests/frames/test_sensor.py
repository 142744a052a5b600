from importlib.resources import files

import pytest

from frames.sensor import KINDS, SensorError, load_sensor, parse_sensor

TEXT = (files("frames") / "sensors" / "imx255.toml").read_text(encoding="utf-8")


def test_imx255_figures() -> None:
    s = load_sensor("IMX255")
    assert (s.width_px, s.height_px, s.depth_bits) == (4112, 2176, 12)
    assert (s.quantum_efficiency, s.temporal_noise_e, s.saturation_e) == (0.67, 2.4, 10700)
    assert (s.conversion_gain_dn12_per_e, s.line_time_us, s.extra_lines) == (0.383, 9.51, 38)


def test_every_figure_is_labelled() -> None:
    s = load_sensor("imx255")
    assert len(s.figures) == 17
    assert all(f.kind in KINDS and f.source for f in s.figures.values())
    assert s.figures["light.prnu_percent"].kind == "assumed"


def test_figures_agree_with_each_other() -> None:
    """EMVA 1288: DR = sat / (sigma_d + 0.5), printed 71.3 dB; SNRmax = sqrt(sat), printed 40.3 dB."""
    from math import log10

    s = load_sensor("imx255")
    assert 20 * log10(s.saturation_e / (s.temporal_noise_e + 0.5)) == pytest.approx(71.3, abs=0.1)
    assert 10 * log10(s.saturation_e) == pytest.approx(40.3, abs=0.05)


def test_dark_current_doubles() -> None:
    s = load_sensor("imx255")
    assert s.dark_current_at(45) == 5
    assert s.dark_current_at(52) == 10
    assert s.dark_current_at(38) == 2.5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dsnu_e =", "dnsu_e =", "x.toml: unknown key dark.dnsu_e; did you mean dsnu_e?"),
        ("[timing]", "[timming]", "x.toml: unknown key timming; did you mean timing?"),
        ('kind = "measured"', 'kind = "guessed"', "x.toml: light.saturation_e.kind is 'guessed', must be"),
        ("value = 10700, ", "", "x.toml: light.saturation_e.value is missing"),
        ("value = 10700", 'value = "10700"', "x.toml: light.saturation_e.value must be a number"),
        ("value = 10700", "value = -1", "x.toml: light.saturation_e.value is -1, must be above zero"),
        ("value = 4112", "value = 4112.5", "x.toml: geometry.width_px.value must be a whole number"),
        ("value = 0.67", "value = 67", "x.toml: light.quantum_efficiency.value is a fraction, at most 1"),
        ("value = 2.4", "value = 0.3", "x.toml: dark.temporal_noise_e.value is 0.3, at least 1 e-"),
        ("value = 10700", "value = 9500", "x.toml: saturation_e x conversion_gain_dn12_per_e is 3638 DN"),
        ("value = 12,", "value = 14,", "x.toml: adc.depth_bits.value is 14, only 12 is modelled"),
        ('shutter = "global"', 'shutter = "roling"', "x.toml: shutter is 'roling', must be global"),
        ('source = "same fit"', 'source = ""', "x.toml: timing.extra_lines.source must say where"),
        (
            'source = "same fit"',
            'src = ""',
            "x.toml: unknown key timing.extra_lines.src; did you mean source?",
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
    with pytest.raises(SensorError, match=r"^unknown sensor 'imx256'; did you mean imx255\?$"):
        load_sensor("imx256")
