"""Plots, looked at as a person would: nothing drawn over anything else, every colour explained, ticks that differ."""

import sys
from collections.abc import Callable
from functools import cache
from itertools import chain, combinations
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text

from gadget.budget.bus import parse_bus
from gadget.budget.power import Supply
from gadget.cli.main import main
from gadget.front_door.virtual_camera import VirtualCamera
from gadget.tools.photon_transfer import Comparison, Figures, PhotonTransfer, Point
from gadget.tools.plan import plan
from gadget.tools.plots import DROP, RED, plot_photon_transfer, plot_plan, plot_power, plot_timing, save
from gadget.tools.power_run import power_run

ACE = "acA4096-40um"
USB = parse_bus("5gbps")


def photon_transfer_curve() -> PhotonTransfer:
    """An ideal camera: K = 0.4, 60 %, 3 e-, full at 10000 e-."""
    points = []
    for electrons in (10, 100, 1000, 3000, 5000, 7000, 10000, 10100):
        variance = 0.16 * (electrons + 9) if electrons <= 10000 else 0.0
        points.append(Point(float(electrons), electrons / 0.6, 32 + 0.4 * electrons, variance, 32.0, 1.44))
    figures = Figures(0.4, 0.6, 3.0, 10000.0, 40.0, 69.0, 6, 6)
    comparisons = (Comparison("system gain K", "DN/e-", 0.4, 0.401, "printed"),)
    return PhotonTransfer("A camera", "A", {}, "Mono12", 0.0, 530.0, tuple(points), figures, comparisons)


FIGURES: dict[str, Callable[[], Figure]] = {
    "plan": lambda: plot_plan(plan([ACE], USB)),
    "lossy plan": lambda: plot_plan(
        plan([ACE, ACE, "IDS-IMX412:Width=2028"], parse_bus("5gbps,other=50MB/s"), Supply(ambient_c=60))
    ),
    "many cameras": lambda: plot_plan(plan([f"{ACE}:Width=640"] * 12, USB, Supply(port_ma=500))),
    "power": lambda: plot_power(power_run(ACE, USB, Supply(), 3600)),
    "short power": lambda: plot_power(power_run(ACE, USB, Supply(), 1)),
    "heat": lambda: plot_power(power_run(ACE, USB, Supply(ambient_c=58), 14400)),
    "brown-out": lambda: plot_power(power_run(ACE, USB, Supply(cable_ohm=0.8), 3600)),
    "Ethernet": lambda: plot_power(power_run("acA4096-11gm", parse_bus("1gbe"), Supply(), 3600)),
    "photon transfer": lambda: plot_photon_transfer(photon_transfer_curve()),
}


@cache
def drawn(name: str) -> Figure:
    figure = FIGURES[name]()
    figure.canvas.draw()
    return figure


def ticks(axes: Axes) -> list[list[Text]]:
    """Labels that are seen, of both axes."""
    found = []
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        labels = axis.get_ticklabels() if axes.axison else []
        found.append(
            [
                label
                for place, label in zip(axis.get_ticklocs(), labels, strict=False)
                if low <= place <= high and label.get_text()
            ]
        )
    return found


def texts(figure: Figure) -> list[Text]:
    """Everything there is to read."""
    found: list[Text] = []
    for axes in figure.axes:
        found += [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label, *chain(*ticks(axes))]
        found += [text for text in (getattr(axes, "_left_title", None),) if text is not None]
        legend = axes.get_legend()
        found += legend.get_texts() if legend is not None else []
        for table in axes.tables:
            found += [cell.get_text() for cell in table.get_celld().values()]
    for legend in figure.legends:
        found += legend.get_texts()
    return [text for text in found if text.get_text().strip()]


@pytest.mark.parametrize("name", FIGURES)
def test_u10_no_text_is_drawn_over_another_or_over_the_edge(name: str) -> None:
    figure = drawn(name)
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    assert len(boxes) > 10
    for (first, a), (second, b) in combinations(boxes, 2):
        assert not a.padded(-1).overlaps(b.padded(-1)), f"{first!r} and {second!r}"
    width, height = figure.canvas.get_width_height()
    for text, box in boxes:
        assert box.x0 >= -1 and box.x1 <= width + 1 and box.y0 >= -1 and box.y1 <= height + 1, text


@pytest.mark.parametrize("name", FIGURES)
def test_u10_ticks_differ(name: str) -> None:
    """U10: "25 25 25" was seen at an axis."""
    for axes in drawn(name).axes:
        for labels in ticks(axes):
            shown = [label.get_text() for label in labels]
            assert len(set(shown)) == len(shown)
            assert not axes.axison or shown
        factors = [axis.get_offset_text().get_text() for axis in (axes.xaxis, axes.yaxis)]
        assert factors == ["", ""]


@pytest.mark.parametrize("name", ["lossy plan", "power", "heat", "brown-out", "photon transfer"])
def test_u10_red_is_explained(name: str) -> None:
    """U10: no legend said what is red."""
    figure = drawn(name)
    reds = 0
    explained = [artist for legend in figure.legends for artist in legend.legend_handles]
    for axes in figure.axes:
        legend = axes.get_legend()
        here = explained + (legend.legend_handles if legend is not None else [])
        said = {
            to_hex(artist.get_color() if hasattr(artist, "get_color") else artist.get_facecolor())
            for artist in here
            if artist is not None
        }
        lines = [line for line in axes.lines if to_hex(line.get_color()) == RED]
        bars = [bar for bar in axes.patches if to_hex(bar.get_facecolor()) == RED and bar.get_width()]
        reds += len(lines) + len(bars)
        closer = axes.get_title(loc="left") != "" and legend is None
        assert RED in said or not (lines or bars) or closer
    assert reds


def test_u10_four_brown_outs_are_seen_as_four() -> None:
    """U10: within an hour they were one bar."""
    figure = drawn("brown-out")
    closer = [axes for axes in figure.axes if axes.get_title(loc="left") == "The 4 drops, closer"]
    assert len(closer) == 1
    places = [line.get_xdata()[0] for line in closer[0].lines if to_hex(line.get_color()) == DROP]
    low, high = closer[0].get_xlim()
    assert len(places) == 4 and low < min(places) and max(places) < high
    pixels = sorted(closer[0].transData.transform((place, 0))[0] for place in places)
    assert all(b - a > 40 for a, b in zip(pixels, pixels[1:], strict=False))


def test_a_pulse_at_the_beginning_is_seen() -> None:
    with VirtualCamera("acA4096-40um", clock="simulated") as camera:
        scope = camera.scope()
        camera.lines["Line1"].pulse(us=50)
        camera.advance("10ms")
        scope.stop()
    (axes,) = plot_timing(scope.timeline()).axes
    assert axes.get_xlim()[0] < 0 < axes.get_xlim()[1]


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_suffix_picks_the_kind_of_file(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"plot.{suffix}"
    save(drawn("plan"), path)
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
    assert path.read_bytes().startswith(start)


@pytest.mark.parametrize("command", ["plan", "power", "ptc"])
def test_without_matplotlib_one_line_says_what_to_install(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(sys, "argv", ["u3v", command, ACE, "-o", str(tmp_path / "plot.png")])
    with pytest.raises(SystemExit) as stop:
        main()
    said = capsys.readouterr()
    assert (stop.value.code, said.out) == (2, "")
    assert said.err == "u3v: plots need matplotlib: pip install matplotlib\n"
    assert list(tmp_path.iterdir()) == []
