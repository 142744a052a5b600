"""`u3v models`, `show`, `features`, `scenes`: read by people at a terminal, by grep, by programs."""

import json
from pathlib import Path

import pytest

from gadget.cli import lists, tables
from gadget.cli.tables import number
from gadget.runner import CameraSpec, build
from tests.gadget.cli.shell import Shell
from u3v.features import Command
from u3v.model import model_names


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns."""
    monkeypatch.setattr(tables, "width", lambda: 80)
    monkeypatch.setattr(lists, "width", lambda: 80)


def test_models_as_json_are_objects_with_names(u3v: Shell) -> None:
    models = json.loads(u3v("models", "--json").out)
    assert "acA4096-40um" in [m["name"] for m in models]
    assert all(m["maker"] and m["sensor"] for m in models)


def test_show_labels_every_figure(u3v: Shell) -> None:
    sheet = json.loads(u3v("show", "acA4096-40um", "--json").out)
    for figure in sheet["figures"].values():
        assert figure["kind"] in ("printed", "measured", "assumed")
        assert figure["source"]


def test_u14_tables_have_headers_and_fit_a_terminal(u3v: Shell, narrow: None) -> None:
    header, *lines = u3v("models").out.splitlines()
    assert header.split() == ["MODEL", "MAKER", "PIXELS", "FPS", "SENSOR", "WIRE"]
    named = [line for line in lines if not line.startswith(" ")]
    assert [line.split()[0] for line in named] == model_names()
    columns = {
        line.index(maker) for line in named for maker in ("IDS ", "Basler", "Baumer") if f" {maker}" in line
    }
    assert columns == {header.index("MAKER")}
    sheet = u3v("show", "acA4096-40um").out
    assert "CAMERA " in sheet and "SENSOR IMX255 " in sheet and sheet.count("  VALUE ") == 2
    assert max(map(len, [*lines, *sheet.splitlines()])) <= 80


def test_u14_numbers_are_written_out(u3v: Shell) -> None:
    assert [number(n) for n in (67108864.0, 0.002, 0, 1e-9, 42.7, -1e6)] == [
        "67,108,864", "0.002", "0", "1e-09", "42.7", "-1,000,000",
    ]  # fmt: skip
    for model in model_names():
        assert "e+" not in u3v("show", model).out


def test_u14_scenes_show_the_choices_of_their_keys(u3v: Shell, tmp_path: Path) -> None:
    assert "direction (x or y or diagonal or radial; default x)" in u3v("scenes").out
    shown = json.loads(u3v("scenes", "--json").out)
    (axis,) = [key for key in shown["scenes"]["gradient"]["keys"] if key["name"] == "axis"]
    assert (axis["choices"], axis["default"], axis["min"]) == (["x", "y", "diagonal", "radial"], "x", None)
    (spokes,) = [key for key in shown["scenes"]["star"]["keys"] if key["name"] == "spokes"]
    assert (spokes["choices"], spokes["default"], spokes["min"], spokes["max"]) == (None, 36.0, 2, 720)
    assert "drift_x" in [key["name"] for key in shown["keys_of_all"]]


def test_u14_a_written_file_is_named(u3v: Shell, tmp_path: Path) -> None:
    path = tmp_path / "scenes.png"
    result = u3v("scenes", "-o", str(path))
    assert (result.status, result.out, result.err) == (0, "", f"wrote {path}\n")
    assert path.stat().st_size > 0
    refused = u3v("scenes", "-o", str(tmp_path / "scenes.nonsense"))
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.startswith(f"u3v: {tmp_path}/scenes.nonsense: ") and refused.err.count("\n") == 1


@pytest.mark.parametrize("model", model_names())
def test_features_are_those_of_the_camera(u3v: Shell, model: str) -> None:
    listed = json.loads(u3v("features", model, "--json").out)
    camera = build(CameraSpec(model), "40000001").camera
    assert [f["name"] for f in listed] == list(camera.features.declared)
    for shown, feature in zip(listed, camera.features, strict=True):
        assert shown["tooltip"] and shown["category"]
        if isinstance(feature, Command) or "R" not in feature.access:
            assert shown["value"] is None
        else:
            assert shown["value"] == pytest.approx(camera.features.get(feature.name))
        if shown["type"] in ("Integer", "Float"):
            assert shown["min"] <= shown["max"]
        if shown["type"] == "Enumeration":
            assert shown["value"] in shown["entries"]


def test_features_follow_the_settings_behind_the_model(u3v: Shell, narrow: None) -> None:
    def of(*camera: str) -> dict[str, dict[str, object]]:
        return {f["name"]: f for f in json.loads(u3v("features", *camera, "--json").out)}

    plain, binned = of("acA4096-40um"), of("acA4096-40um:BinningVertical=2,Gain=6")
    assert (plain["Height"]["max"], binned["Height"]["max"]) == (2176, 1088)
    assert (binned["Gain"]["value"], binned["Gain"]["unit"]) == (6.0, "dB")
    assert plain["TriggerMode"]["selectors"] == ["TriggerSelector"]


def test_features_in_words(u3v: Shell, narrow: None) -> None:
    lines = u3v("features", "acA4096-40um").out.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("  Width "))
    assert lines[at].split() == ["Width", "Integer", "RW", "4,096", "px"]
    assert lines[at + 1 : at + 3] == [
        "      8 to 4,112 in steps of 4",
        "      Width of the image.",
    ]
    assert "AnalogControl" in lines
    assert max(map(len, lines)) <= 80


def test_features_of_a_model_file(u3v: Shell) -> None:
    listed = u3v("features", "--model-file", "u3v/models/ids_imx412.toml", "--json").out
    assert "IDS" in next(f["value"] for f in json.loads(listed) if f["name"] == "DeviceVendorName")


def test_faults_are_listed_with_what_a_host_should_do(u3v: Shell) -> None:
    listed = u3v("faults").out
    assert "lost-trailer" in listed and "stepped-on-cable" in listed
    one = u3v("faults", "yank").out
    assert "back_ms: away for so long" in one and "A host should" in one and "ROB-030" in one
    case = u3v("faults", "cable-pulled").out
    assert "--fault yank:frame=5,back_ms=0" in case and "aravis#9" in case
    shown = json.loads(u3v("faults", "--json").out)
    assert shown["faults"]["xml"]["parameters"][0]["choices"][0] == "raw"
    assert shown["presets"]["cable-pulled"]["faults"] == ["yank:frame=5,back_ms=0.0"]
    refused = u3v("faults", "yanc")
    assert (refused.status, refused.err) == (2, "u3v: no fault or field case 'yanc', did you mean 'yank'?\n")


def test_a_mistyped_fault_is_one_line_of_any_command(u3v: Shell) -> None:
    for option, word in (
        ("--fault", "yanc"),
        ("--fault", "preset:cabel-pulled"),
        ("--scenario", "cabel-pulled"),
    ):
        refused = u3v("run", "acA4096-40um", option, word, "--", "true")
        assert refused.status == 2 and refused.err.count("\n") == 1 and "did you mean" in refused.err
