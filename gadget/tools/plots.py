"""Figures of what the tools find: bars for a plan, curves over time for a power run, a photon transfer curve.

Drawn by matplotlib, which is an extra: without it a person gets one line that says how to install it. Every
function here answers with a `Figure` that belongs to its caller. pyplot is left alone, so there is no display, no
window and no state: the file's suffix picks what `save` writes (.png by Agg, .svg, .pdf).

Always true: every colour on a figure is explained on it, in a legend or by a label at the thing itself.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gadget.tools.photon_transfer import QUANTISATION_DN2, PhotonTransfer, short
from gadget.tools.plan import Plan
from gadget.tools.power_run import PowerRun
from gadget.tools.timing import Timeline, Trace
from gadget.whole_file import check_place, whole_file
from u3v.errors import Mistake

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

INK, GREY = "#1e1e1e", "#8c8c8c"
STATES = {"plugged in": "#f1f1f1", "idle": "#e2edf8", "acquiring": "#e3f3e3", "off": "#f9d9d9"}
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#9467bd", "#8c564b", "#17becf", "#bcbd22", "#e377c2")
RED, DROP = "#d62728", "#7b2fbe"
WIDTH_IN = 10.0
_TIMING = {"Exposure": "#e8a200", "Readout": "#5b8db8", "Transfer": "#8ab17d"}
DPI = 100
ROOM = 1.5
"""How much wider than its longest bar a panel is: remarks and legend stand there."""
NEAR_K = 15.0
"""A threshold is shown where the temperature comes that close to it."""
AROUND_S = 2.0
"""What is shown before the first and after the last of several drops."""
STYLE: Any = {
    "font.size": 10.0,
    "axes.titlesize": 11.0,
    "axes.titlelocation": "left",
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "axes.formatter.useoffset": False,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "svg.fonttype": "none",
}


def check_path(path: Path) -> None:
    """To be asked before a long computation: can a plot be written to such a file?

    Raises Mistake, one line, where matplotlib is missing or does not know the kind of file, or where there is no place.
    """
    _need_matplotlib()
    from matplotlib.backend_bases import FigureCanvasBase

    if path.suffix.lstrip(".").lower() not in FigureCanvasBase.get_supported_filetypes():
        raise Mistake(f"{path}: a plot is a file such as plot.png, plot.svg or plot.pdf")
    check_place(path)


def _need_matplotlib() -> None:
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise Mistake("plots need matplotlib: pip install matplotlib") from None


@contextlib.contextmanager
def _style() -> Iterator[None]:
    """How all figures look; matplotlib's own settings are as they were afterwards."""
    _need_matplotlib()
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield


def save(figure: "Figure", path: Path) -> None:
    """Write a figure as the kind of file that its name says. Raises Mistake, one line."""
    check_path(path)
    try:
        with whole_file(path) as part:
            figure.savefig(part, dpi=DPI, format=path.suffix[1:].lower())
    except OSError as error:
        raise Mistake(f"{path}: {error.strerror or error}") from error


@_style()
def plot_plan(plan: Plan) -> "Figure":
    """Share of the bus, frame rates and power of each camera as bars."""
    cameras = plan.cameras
    notes = []
    for c in cameras:
        settings = ", ".join(f"{key}={value}" for key, value in c.settings.items())
        notes += [(INK, f"{c.number}  {c.name}: {settings}")] * bool(settings)
        notes += [(RED, f"{c.number}  {c.name}: {c.fault}")] * bool(c.fault)
    tall = 0.35 + 0.42 * len(cameras)
    figure, (bus, frames, power, *below) = _panels([0.9, tall, tall] + [0.22 * len(notes)] * bool(notes))
    count = f"{len(cameras)} camera{'s' * (len(cameras) > 1)} on {plan.bus.name}"
    _title(figure, f"{count}: {'all frames arrive' if plan.fits else 'it does not fit'}")
    names = [f"{c.number}  {c.name}" for c in cameras]
    colours = [COLOURS[index % len(COLOURS)] for index in range(len(cameras))]
    _plot_bus(bus, plan, colours)

    most = max(c.offered_fps for c in cameras) or 1.0
    for c, name, colour in zip(cameras, names, colours, strict=True):
        frames.barh(name, c.fps, 0.62, color=colour)
        frames.barh(name, c.discarded_per_s, 0.62, left=c.fps, color=RED, hatch="///", edgecolor="white")
        text = f"{c.fps:.2f} of {c.offered_fps:.2f}, limited by: {c.limited_by}"
        frames.text(c.offered_fps + 0.01 * most, c.number - 1, text, va="center", fontsize=9)
    frames.set(title="Frames", xlabel="frames per second", xlim=(0, ROOM * most))
    lost = [(RED, "///", "lost")] if any(c.discarded_per_s for c in cameras) else []
    _explain(frames, [("#555555", "", "arrive (in the camera's colour)"), *lost])

    most = max(c.power_w for c in cameras) or 1.0
    for c, name, colour in zip(cameras, names, colours, strict=True):
        power.barh(name, c.power_w, 0.62, color=colour)
        text = f"{c.power_w:.2f} W, {c.current_ma:.0f} mA, {c.steady_c:.0f} °C in the end"
        text += f" ({c.status})" * bool(c.status)
        power.text(c.power_w + 0.01 * most, c.number - 1, text, va="center", fontsize=9)
    power.set(title="Power at each port", xlabel="W", xlim=(0, ROOM * most))
    for axes in (frames, power):
        axes.invert_yaxis()
    for axes in (bus, frames, power):
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
    for axes in below:
        axes.axis("off")
        for line, (colour, text) in enumerate(notes):
            axes.text(0, 1 - (line + 0.5) / len(notes), text, color=colour, fontsize=9, va="center")
    return figure


def _plot_bus(axes: "Axes", plan: Plan, colours: list[str]) -> None:
    """Who has which part of the bus, each part with its camera's number where there is room for it."""
    rate = plan.bus.bytes_per_s / 1e6
    widths = [c.bytes_per_s / 1e6 for c in plan.cameras] + [plan.other_share * rate]
    labels = [str(c.number) for c in plan.cameras] + ["other traffic"]
    left = 0.0
    for label, width, colour in zip(labels, widths, [*colours, GREY], strict=True):
        axes.barh("bus", width, 0.6, left=left, color=colour, edgecolor="white")
        if width > 0.011 * len(label) * rate:
            axes.text(left + width / 2, 0, label, color="white", ha="center", va="center", weight="bold")
        left += width
    axes.axvline(rate, color=RED, linestyle="--", label=f"all there is: {rate:.1f} MB/s")
    axes.set_title(f"The bus: {left:.1f} of {rate:.1f} MB/s ({left / rate:.0%})")
    axes.set(xlabel="MB/s", xlim=(0, 1.02 * rate))
    _explain(axes, [(GREY, "", "other traffic")] if plan.other_share else [])


@_style()
def plot_power(run: PowerRun) -> "Figure":
    """Current, voltage and temperature over the run; the time around several drops once more, in seconds."""
    end_s, drops = run.samples[-1].time_s, run.drops_s
    unit_s, unit = (60.0, "minutes") if end_s > 600 else (1.0, "seconds")
    closer = len(drops) > 1 and drops[-1] - drops[0] < 0.25 * end_s
    figure, axes = _panels([2.1, 2.1, 2.1], [1.4, 1.0] if closer else [1.0])
    whole, part = (axes[::2], axes[1::2]) if closer else (axes, [])
    _title(figure, f"{run.name} on {run.bus}")
    _plot_quantities(run, whole, unit_s, (0.0, end_s))
    whole[-1].set_xlabel(unit)
    if part:
        shown_s = max(0.0, drops[0] - AROUND_S), min(end_s, drops[-1] + 2 * AROUND_S)
        _plot_quantities(run, part, 1.0, shown_s)
        for panel in part:
            panel.legend_ = None
        part[0].set_title(f"The {len(drops)} drops, closer")
        part[-1].set_xlabel("seconds")
    states = {stretch.state for stretch in run.stretches()}
    handles: list[Artist] = [_patch(colour, "", state) for state, colour in STATES.items() if state in states]
    if drops:
        handles.append(
            whole[0].axvline(drops[0] / unit_s, color=DROP, linewidth=1.0, label="drops off the bus")
        )
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _plot_quantities(
    run: PowerRun, panels: "Iterable[Axes]", unit_s: float, shown_s: tuple[float, float]
) -> None:
    """Current, voltage and temperature from top to bottom, with what limits them."""
    current, voltage, temperature = panels
    at = [s.time_s / unit_s for s in run.samples]
    shown = [s for s in run.samples if shown_s[0] <= s.time_s <= shown_s[1]]

    current.set_title("Current", color=COLOURS[0])
    current.set_ylabel("mA")
    current.plot(at, [s.current_ma for s in run.samples], color=COLOURS[0])
    if run.power.limit_ma is not None:
        current.axhline(run.power.limit_ma, color=RED, linestyle="--", label="limit of the port")
    current.set_ylim(0, 1.1 * max([s.current_ma for s in run.samples] + [run.power.limit_ma or 1.0]))

    voltage.set_title("Voltage at the camera", color=COLOURS[2])
    voltage.set_ylabel("V")
    voltage.plot(at, [s.voltage_v for s in run.samples], color=COLOURS[2])
    voltage.axhline(
        run.power.min_v, color=RED, linestyle="--", label=f"brown-out below {run.power.min_v:g} V"
    )
    _widen(voltage, [s.voltage_v for s in run.samples] + [run.power.min_v], 0.2)

    temperature.set_title("Temperature", color=COLOURS[1])
    temperature.set_ylabel("°C")
    temperature.plot(at, [s.temperature_c for s in run.samples], color=COLOURS[1])
    warmest = max(s.temperature_c for s in shown)
    near = [(at_c, status) for at_c, status in run.thresholds if at_c < warmest + NEAR_K]
    for (at_c, status), style in zip(near, ("--", ":"), strict=False):
        label = f"{status}: a reading of {at_c:g} °C"
        temperature.axhline(at_c - 0.5, color=RED, linestyle=style, label=label)
    _widen(temperature, [s.temperature_c for s in shown] + [at_c for at_c, _ in near], 2.0)

    for axes in (current, voltage, temperature):
        for drop_s in run.drops_s:
            axes.axvline(drop_s / unit_s, color=DROP, linewidth=1.0, zorder=0.9)
        for stretch in run.stretches():
            axes.axvspan(
                stretch.from_s / unit_s,
                stretch.to_s / unit_s,
                color=STATES[stretch.state],
                linewidth=0,
                zorder=0.1,
            )
        axes.set_xlim(shown_s[0] / unit_s, shown_s[1] / unit_s)
        _explain(axes)


@_style()
def plot_photon_transfer(curve: PhotonTransfer) -> "Figure":
    """Noise over signal, signal over light and signal to noise over light, as EMVA 1288 shows them; the figures."""
    figure, (transfer, response, ratio, table) = _panels([3.0, 3.0], [1.0, 1.0])
    _title(figure, curve.title)
    found, points = curve.figures, curve.points
    photons = [p.photons for p in points]
    signal = [p.signal_dn for p in points]
    most = max(signal)
    end, peak = points[found.fitted - 1], points[found.saturated]
    gain, responsivity = found.gain_dn_per_e, found.gain_dn_per_e * found.quantum_efficiency

    transfer.set_title("Photon transfer")
    transfer.set(xlabel="signal above dark, DN", ylabel="variance above dark, DN²")
    transfer.plot(signal, [p.noise_dn2 for p in points], ".", color=COLOURS[0], label="measured")
    transfer.plot([0, most], [0, gain * most], color=COLOURS[1], label=f"K = {short(gain)} DN/e⁻")
    transfer.axvline(end.signal_dn, color=GREY, linestyle=":", label="fitted up to here (70 %)")
    transfer.axvline(peak.signal_dn, color=RED, linestyle="--", label="saturation: the peak")

    response.set_title("Response")
    response.set(xlabel="photons per pixel", ylabel="signal above dark, DN")
    response.plot(photons, signal, ".", color=COLOURS[0], label="measured")
    straight = [0.0, most / responsivity]
    label = f"quantum efficiency {found.quantum_efficiency:.1%}"
    response.plot(straight, [0, most], color=COLOURS[1], label=label)
    response.axvline(peak.photons, color=RED, linestyle="--", label="saturation")

    ratio.set_title("Signal to noise")
    ratio.set(xlabel="photons per pixel", ylabel="signal / temporal noise", xscale="log", yscale="log")
    lit = [(p.photons, p.snr) for p in points[: found.saturated + 1] if p.snr]
    ratio.plot([at for at, _ in lit], [snr for _, snr in lit], ".", color=COLOURS[0], label="measured")
    light = np.geomspace(max(1.0, lit[0][0] / 3), peak.photons, 100)
    electrons = light * found.quantum_efficiency
    dark_e2 = found.dark_noise_e**2 + QUANTISATION_DN2 / gain**2
    label = "from K, efficiency and dark noise"
    ratio.plot(light, electrons / np.sqrt(electrons + dark_e2), color=COLOURS[1], label=label)
    ratio.plot(light, np.sqrt(light), color=GREY, linestyle=":", label="nothing can be better: √photons")
    ratio.axvline(peak.photons, color=RED, linestyle="--", label="saturation")
    for axes in (transfer, response, ratio):
        axes.legend(loc="best")

    table.axis("off")
    cells = [
        [c.name, short(c.measured), short(c.sheet), c.unit, c.deviation_text().strip(), c.kind]
        for c in curve.comparisons
    ]
    drawn = table.table(
        cells,
        colLabels=["", "found here", "sheet", "", "deviation", "sheet's kind"],
        colWidths=[0.34, 0.16, 0.12, 0.11, 0.15, 0.19],
        cellLoc="right",
        loc="center",
        edges="horizontal",
    )
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(8.5)
    drawn.scale(1.0, 1.7)
    for (_, column), cell in drawn.get_celld().items():
        cell.set(edgecolor=GREY, linewidth=0.6)
        if column == 0:
            cell.set_text_props(ha="left")
    return figure


@_style()
def plot_timing(timeline: Timeline) -> "Figure":
    """A timing diagram: a row for each signal, and one for each kind of happening below them."""
    cameras = list(dict.fromkeys([*(t.camera for t in timeline.traces), *(m.camera for m in timeline.marks)]))
    rows: list[Trace | tuple[str, str]] = []
    for camera in cameras:
        rows += [trace for trace in timeline.traces if trace.camera == camera]
        rows += dict.fromkeys((camera, mark.what) for mark in timeline.marks if mark.camera == camera)
    figure, (axes,) = _panels([0.34 * max(len(rows), 2)])
    span_ns = max(timeline.end_ns - timeline.begin_ns, 1)
    unit, size = next(
        (u, n) for u, n in (("s", 1e9), ("ms", 1e6), ("us", 1e3), ("ns", 1)) if span_ns >= 2 * n
    )
    for row, each in enumerate(rows):
        if isinstance(each, tuple):
            at = [(m.at_ns - timeline.begin_ns) / size for m in timeline.marks if (m.camera, m.what) == each]
            axes.plot(at, [row] * len(at), "v", color=RED, markersize=6, clip_on=False)
            continue
        axes.axhline(row + 0.3, color=GREY, linewidth=0.6, zorder=1)
        colour = _TIMING.get(each.name, INK)
        for begin, end in each.pulses(timeline.begin_ns, timeline.end_ns):
            left, width = (begin - timeline.begin_ns) / size, (end - begin) / size
            axes.bar(left, 0.6, width, row - 0.3, align="edge", color=colour, edgecolor=colour, linewidth=0.8)
    labels = [": ".join(each) if isinstance(each, tuple) else f"{each.camera}: {each.name}" for each in rows]
    axes.set_yticks(range(len(rows)), labels)
    axes.set(xlabel=unit, xlim=(-0.01 * span_ns / size, span_ns / size), ylim=(len(rows) - 0.4, -0.6))
    axes.grid(axis="y", visible=False)
    used = {each.name for each in rows if not isinstance(each, tuple)}
    shown = [(colour, "", name.lower()) for name, colour in _TIMING.items() if name in used]
    shown += [(INK, "", "line or timer high")] * bool(used - set(_TIMING))
    shown += [(RED, "", "happens")] * bool(timeline.marks)
    if shown:
        _explain(axes, shown)
    _title(figure, f"{len(cameras)} camera{'s' * (len(cameras) != 1)}, {span_ns / size:.4g} {unit}")
    return figure


def _panels(heights_in: list[float], widths: Sequence[float] = (1.0,)) -> "tuple[Figure, list[Axes]]":
    """A new figure with panels of these heights below each other, in columns of these relative widths."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height_in = 0.5 + sum(heights_in) + 0.62 * len(heights_in)
    figure = Figure(figsize=(WIDTH_IN, height_in), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(
        len(heights_in), len(widths), squeeze=False, height_ratios=heights_in, width_ratios=list(widths)
    )
    return figure, [axes for row in grid for axes in row]


def _title(figure: "Figure", text: str) -> None:
    figure.suptitle(text, x=0.01, ha="left", fontsize=14)


def _widen(axes: "Axes", values: list[float], least: float) -> None:
    """Show all values, and no less than a span of `least`: what stands still is to look still."""
    low, high = min(values), max(values)
    margin = max(0.08 * (high - low), (least - (high - low)) / 2)
    axes.set_ylim(low - margin, high + margin)


def _explain(axes: "Axes", more: Sequence[tuple[str, str, str]] = ()) -> None:
    """A legend above the panel, where it hides nothing: its labelled lines, and patches (colour, hatch, text)."""
    lines, _ = axes.get_legend_handles_labels()
    patches = [_patch(*entry) for entry in more]
    axes.legend(
        handles=[*lines, *patches],
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.2,
        ncols=len(lines) + len(patches),
    )


def _patch(colour: str, hatch: str, text: str) -> "Patch":
    from matplotlib.patches import Patch

    return Patch(
        facecolor=colour, hatch=hatch, edgecolor="white" if hatch else GREY, linewidth=0.5, label=text
    )
