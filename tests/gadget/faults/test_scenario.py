"""Scenario files and presets: the same words as --fault, and one line for whoever mistypes."""

from pathlib import Path

import pytest

from gadget.faults.catalogue import FAULTS, parse_fault
from gadget.faults.page import page
from gadget.faults.scenario import find_scenario, load_scenario, parse_faults, presets

DOCS = Path(__file__).parents[3] / "docs"


def test_a_file_says_what_the_option_says(tmp_path: Path) -> None:
    path = tmp_path / "cable.toml"
    path.write_text(
        'title = "A cable"\n[[fault]]\nname = "eproto"\nnth = 10\np = 0.5\nendpoint = 0x81\n'
        '[[fault]]\nname = "yank"\nframe = 20\nback_ms = 800\n'
    )
    faults = load_scenario(path).faults
    assert faults == (
        parse_fault("eproto:nth=10,p=0.5,endpoint=0x81"),
        parse_fault("yank:frame=20,back_ms=800"),
    )
    assert find_scenario(str(path)).faults == faults


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "faults are missing: each is a [[fault]] with a name and its parameters"),
        ("titel = 'x'", "'titel' is none of title, host, imitates, seen, fault, did you mean 'title'?"),
        ("title = 3", "title is a text"),
        ("[[fault]]\nframe = 3", 'fault 1: its name is missing, such as name = "lost-trailer"'),
        (
            "[[fault]]\nname = 'lost-trialer'",
            "fault 1: no such fault as 'lost-trialer'; u3v faults lists them, did you mean 'lost-trailer'?",
        ),
        (
            "[[fault]]\nname = 'eproto'\nnth = 1.5",
            "fault 1: nth is a whole number from 1, such as nth=3, not 1.5",
        ),
        (
            "[[fault]]\nname = 'eproto'\nnth = true",
            "fault 1: nth is a whole number from 1, such as nth=3, not True",
        ),
        ("fault = 3", "faults are missing: each is a [[fault]] with a name and its parameters"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(ValueError) as error:
        load_scenario(path)
    assert str(error.value) == f"{path}: {message}"


def test_a_scenario_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"neither a file nor a preset; .* did you mean 'cable-pulled'"):
        find_scenario("cable-puled")
    with pytest.raises(ValueError, match=r"none\.toml: No such file"):
        find_scenario(str(tmp_path / "none.toml"))


def test_presets_name_their_case_and_what_a_host_should_do() -> None:
    cases = presets()
    assert len(cases) >= 25
    for name, case in cases.items():
        assert case.title and case.faults and case.imitates and case.host, name
        assert parse_faults(f"preset:{name}") == case.faults


def test_the_page_is_what_is_declared() -> None:
    """What fails here is cured by: python -m gadget.faults.page > docs/faults.md"""
    assert (DOCS / "faults.md").read_text("utf-8") == page()
    assert all(f"\n### {name}\n" in page() for name in (*FAULTS, *presets()))
