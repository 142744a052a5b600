"""A report as one HTML file, to be sent to whoever makes the camera: no scripts, nothing to fetch.

From the top: the verdict, who was asked and how; what failed, each with criterion, clause, bytes and what they mean;
what changed since an earlier run; measurements as plots; what was skipped and why; every check.
"""

import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from gadget.tools.conformance.report import RESULTS, changes, counts, failed, shifts, skipped, verdict
from u3v.host.conformance.families import ORDER

POINTS = 3000
LAST_LINES = 10
"""Lines of evidence that are in sight; the ones before them unfold."""
WORDS = {"pass": "passed", "fail": "failed", "error": "broke", "skip": "skipped"}
ABOUT = {
    "must": "hosts are known to break on these",
    "should": "the standard asks for these; cameras on sale differ",
    "info": "worth knowing; no judgement",
}
_STYLE = """
:root { --pass: #2e7d32; --fail: #c62828; --error: #7b2fbe; --skip: #8c8c8c; --line: #dde3ea; --ink: #1e2430 }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; color: var(--ink); margin: 0; background: #f4f6f9 }
main { max-width: 70rem; margin: 0 auto; padding: 1.5rem; background: white; min-height: 100vh }
h1 { font-size: 1.6rem; margin: 0 }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 2px solid var(--line) }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem }
.verdict { padding: .7rem 1rem; border-radius: .4rem; color: white; font-size: 1.1rem; margin: 1rem 0 }
table { border-collapse: collapse; width: 100% } th { text-align: left; font-weight: 600; white-space: nowrap }
th, td { padding: .25rem .6rem .25rem 0; vertical-align: top; border-bottom: 1px solid var(--line) }
.facts th { width: 11rem; color: #5a6472 }
.number { text-align: right; font-variant-numeric: tabular-nums }
.family { white-space: nowrap } .bars { width: 45% }
.bar { display: flex; height: .8rem; border-radius: .2rem; overflow: hidden; margin-top: .35rem;
  background: var(--line) }
.tag { color: white; border-radius: .25rem; padding: 0 .45rem; font-size: .8rem; white-space: nowrap }
.pass { background: var(--pass) } .fail { background: var(--fail) }
.error { background: var(--error) } .skip { background: var(--skip) }
details { border-bottom: 1px solid var(--line) } summary { padding: .3rem 0; cursor: pointer }
details > div { padding: 0 0 .8rem 1.2rem }
.finding { border: 1px solid var(--line); border-left: .35rem solid var(--fail); border-radius: .3rem; margin: .8rem 0;
  padding: .6rem 1rem } .finding.mild { border-left-color: #d08a00 } .finding.info { border-left-color: var(--skip) }
.reason { font-weight: 600 } .clause, .quiet { color: #5a6472; font-size: .88rem }
code { font: 12px/1.45 ui-monospace, "DejaVu Sans Mono", Consolas, monospace; overflow-wrap: anywhere }
.evidence td { font-size: .85rem } .evidence td:first-child { width: 30% } .evidence td:last-child { width: 27% }
svg { max-width: 100%; height: auto } a { color: #1f5fa8 }
@media (max-width: 45rem) {
  main { padding: 1rem } .facts th { width: 8rem; white-space: normal } .bars { display: none }
  .reasons code { display: none } .evidence th { display: none } .finding { padding: .5rem .7rem }
  .evidence tr { display: block; padding: .3rem 0; border-bottom: 1px solid var(--line) }
  .evidence td, .evidence td:first-child, .evidence td:last-child { display: block; width: auto; border: 0;
    padding: 0 }
  .evidence td:first-child { font-weight: 600 } details > div { padding-left: .4rem }
}
@media print { body, main { background: white } details > div { display: block } }
"""


def as_html(report: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> str:
    """The whole page. Without matplotlib it has no plots, and says so."""
    camera = report["camera"]
    title = f"{camera.get('Vendor', '')} {camera.get('Model', '')}".strip() or report["target"]
    mood = "pass" if report["ok"] and report["complete"] else "error" if report["ok"] else "fail"
    body = [
        f"<h1>USB3 Vision conformance: {escape(title)}</h1>",
        f'<p class="verdict {mood}">{escape(verdict(report))}</p>',
        _facts(report),
        _families(report["checks"]),
        _findings(report),
        _compared(report, before) if before is not None else "",
        _plots(report["series"]),
        _skips(report),
        "<h2>Every check</h2>",
        *(_family(name, checks) for name, checks in _grouped(report["checks"])),
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}: conformance</title><style>{_STYLE}</style><main>{''.join(body)}</main></html>\n"
    )


def _facts(report: Mapping[str, Any]) -> str:
    rows = {
        **report["camera"],
        "Reached through": report["target"],
        "Clock": report["clock"],
        "Run": f"{report['started']}, level {report['level']}{'' if report['complete'] else ', interrupted'}",
        "Made by": report["tool"],
    }
    lines = (f"<tr><th>{escape(k)}<td>{escape(str(v)) or '<i>(empty)</i>'}" for k, v in rows.items())
    return f'<table class="facts">{"".join(lines)}</table>'


def _grouped(checks: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for each in checks:
        found.setdefault(each["id"].rpartition("-")[0], []).append(each)
    return sorted(found.items(), key=lambda item: ORDER.index(item[0]) if item[0] in ORDER else len(ORDER))


def _families(checks: Sequence[Mapping[str, Any]]) -> str:
    head = "".join(f'<th class="number">{WORDS[result]}' for result in RESULTS)
    rows = []
    for name, group in [("all", list(checks)), *_grouped(checks)]:
        number = counts([each["result"] for each in group])
        parts = "".join(f'<span class="{r}" style="flex:{number[r]}"></span>' for r in RESULTS if number[r])
        cells = "".join(f'<td class="number">{number[result] or ""}' for result in RESULTS)
        link = f"<b>{name}</b>" if name == "all" else f'<a href="#{name}">{name}</a>'
        rows.append(f'<tr><td class="family">{link}{cells}<td class="bars"><div class="bar">{parts}</div>')
    return f'<h2>Summary</h2><table><tr><th>family{head}<th class="bars">{"".join(rows)}</table>'


def _findings(report: Mapping[str, Any]) -> str:
    parts = ["<h2>What failed</h2>"]
    for severity, look in (("must", ""), ("should", "mild"), ("info", "info")):
        found = failed(report, severity)
        if found:
            parts.append(f"<h3>{severity}: {len(found)} <span class='quiet'>({ABOUT[severity]})</span></h3>")
        for each in found:
            parts.append(
                f'<div class="finding {look}"><b>{each["id"]}</b> {_tag(each)} {escape(each["done"])}'
                f'<div class="reason">{escape(each["reason"])}</div>{_details(each)}</div>'
            )
    return "".join(parts) if len(parts) > 1 else f"{parts[0]}<p>Nothing.</p>"


def _tag(each: Mapping[str, Any]) -> str:
    return f'<span class="tag {each["result"]}">{WORDS[each["result"]]}</span>'


def _details(each: Mapping[str, Any]) -> str:
    notes = "".join(f"<li>{escape(note)}" for note in each["notes"])
    before, last = each["evidence"][:-LAST_LINES], each["evidence"][-LAST_LINES:]
    folded = f"<details><summary>{len(before)} earlier lines</summary>{_table(before)}</details>"
    return (
        f'<div class="clause">passes: {escape(each["criterion"])} · {escape(each["clause"])} · {each["severity"]} · '
        f"{each['took_ms']:.1f} ms</div>{f'<ul>{notes}</ul>' if notes else ''}{folded * bool(before)}{_table(last)}"
    )


def _table(lines: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td>{escape(line['what'])}<td><code>{line['bytes']}{_more(line)}</code><td>{escape(line['means'])}"
        for line in lines
    )
    return f'<table class="evidence"><tr><th>what<th>bytes<th>meaning{rows}</table>' if rows else ""


def _more(line: Mapping[str, Any]) -> str:
    shown = (len(line["bytes"]) + 1) // 3
    return f" ... ({line['length']} bytes)" if line["length"] > shown else ""


def _compared(report: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    found = changes(before, report)
    rows = "".join(f"<tr><td>{change.id}<td>{change.before}<td>{change.now}" for change in found)
    table = f"<table><tr><th>check<th>before<th>now{rows}</table>" if found else "<p>No result changed.</p>"
    moved = "".join(
        f'<tr><td>{escape(name)}<td class="number">{old:g}<td class="number">{new:g}'
        for name, old, new in shifts(before, report)
    )
    if moved:
        head = '<tr><th>median of<th class="number">before<th class="number">now'
        table += f"<table>{head}{moved}</table>"
    started, target = before.get("started", ""), before.get("target", "")
    return f"<h2>Compared with {escape(str(started))}, {escape(str(target))}</h2>{table}"


def _skips(report: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><td class="number">{len(ids)}<td>{escape(reason)}<td><code>{", ".join(ids)}</code>'
        for reason, ids in skipped(report).items()
    )
    head = '<table class="reasons"><tr><th>checks<th>reason<th>which'
    table = f"{head}{rows}</table>" if rows else "<p>Nothing.</p>"
    return f"<h2>What was skipped, and why</h2>{table}"


def _family(name: str, checks: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<details><summary>{_tag(each)} <b>{each['id']}</b> {escape(each['done'])}"
        f"{': ' * bool(each['reason'])}{escape(each['reason'])}</summary><div>{_details(each)}</div></details>"
        for each in checks
    )
    return f'<h3 id="{name}">{name}</h3>{rows}'


def _plots(series: Mapping[str, Sequence[float]]) -> str:
    """Each measurement in its order and by its size."""
    drawn = {name: values for name, values in series.items() if len(values) > 1}
    if not drawn:
        return ""
    try:
        import matplotlib.figure
    except ImportError:
        return "<h2>Measurements</h2><p>Plots need matplotlib: pip install matplotlib.</p>"
    from gadget.tools.plots import STYLE

    parts = ["<h2>Measurements</h2>"]
    with matplotlib.rc_context(STYLE):
        for name, values in drawn.items():
            if min(values) == max(values):
                parts.append(f"<p>{escape(name)}: {values[0]:g}, each of {len(values)} times.</p>")
                continue
            figure = matplotlib.figure.Figure(figsize=(11, 2.6), layout="constrained")
            course, sizes = figure.subplots(1, 2, width_ratios=(2, 1))
            step = -(-len(values) // POINTS)
            places = range(0, len(values), step)
            course.plot(places, values[::step], ".", markersize=3, color="#1f77b4", rasterized=True)
            course.set(title=name, xlabel="in their order")
            sizes.set(title=f"{len(values)} values", xlabel=name, ylabel="how often")
            low, high = min(values), max(values)
            if low > 0 and high > 50 * low:
                course.set(yscale="log")
                sizes.set(xscale="log")
                sizes.hist(values, bins=[low * (high / low) ** (n / 40) for n in range(41)], color="#1f77b4")
            else:
                course.set(ylim=(0, None))
                sizes.hist(values, bins=40, color="#1f77b4")
            svg = io.StringIO()
            figure.savefig(svg, format="svg", metadata={"Date": None})
            parts.append(svg.getvalue()[svg.getvalue().index("<svg") :])
            parts.append(_figures(values))
    return "".join(parts)


def _figures(values: Sequence[float]) -> str:
    ranked = sorted(values)
    middle, high = ranked[len(ranked) // 2], ranked[min(len(ranked) * 99 // 100, len(ranked) - 1)]
    named = {"least": ranked[0], "median": middle, "99 % below": high, "most": ranked[-1]}
    return f'<p class="quiet">{", ".join(f"{name} {_number(value)}" for name, value in named.items())}</p>'


def _number(value: float) -> str:
    """Three digits are enough, and no powers of ten."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
