"""`u3v faults`: what can go wrong on purpose."""

import json
import textwrap
from typing import Any

import click

from gadget.cli.tables import width
from gadget.faults.catalogue import FAULTS, SECTIONS
from gadget.faults.declaration import SELECTORS, Kind, Parameter
from gadget.faults.page import parameter_text, strikes_text, wires_text
from gadget.faults.scenario import Scenario, presets
from u3v.did_you_mean import hint
from u3v.errors import Mistake


@click.command(
    "faults",
    short_help="List what can go wrong on purpose, for --fault.",
    epilog="""\b
Examples:
  u3v faults
  u3v faults yank
  u3v run acA4096-40um --fault yank:frame=20,back_ms=500 -- arv-tool-0.8
  u3v grab acA4096-40um --scenario stepped-on-cable -o out""",
)
@click.argument("name", required=False)
@click.option(
    "--json", "as_json", is_flag=True, help="One object: faults, presets, and the words all faults take."
)
def faults_command(name: str | None, as_json: bool) -> None:
    """List the faults for --fault, and the field cases for --scenario; with NAME, all about one of them."""
    cases = presets()
    if name is not None and name not in FAULTS and name not in cases:
        raise Mistake(f"no fault or field case {name!r}{hint(name, (*FAULTS, *cases))}")
    if as_json:
        click.echo(json.dumps(_as_json(name, cases), indent=2))
        return
    if name is not None:
        if name in FAULTS:
            _show(name, FAULTS[name])
        else:
            _show_case(cases[name])
        return
    for title, kinds in SECTIONS.items():
        click.echo(title)
        for each, kind in kinds.items():
            _echo(f"  {each:20} {kind.doc}", 23)
    click.echo("When: words that all of them take")
    for p in SELECTORS:
        _echo(f"  {p.name:20} {p.doc}", 23)
    click.echo("Field cases, for --scenario NAME or --fault preset:NAME")
    for scenario in cases.values():
        _echo(f"  {scenario.name:20} {scenario.title}", 23)


def _show(name: str, kind: Kind) -> None:
    _echo(f"{name}: {kind.doc}", 0)
    _echo(f"{wires_text(kind)} {strikes_text(kind)}".replace("`", ""), 0)
    for p in kind.parameters:
        _echo(f"  {p.name}: {parameter_text(p)}", 4)
    _echo(f"A host should {kind.host_should}.", 0)
    _echo_list("Conformance checks that see it:", kind.fails)
    _echo_list("Seen in the field:", kind.imitates)


def _show_case(scenario: Scenario) -> None:
    _echo(f"{scenario.name}: {scenario.title}", 0)
    for fault in scenario.faults:
        click.echo(f"  --fault {fault}")
    _echo_list("Reported in", scenario.imitates)
    if scenario.host:
        _echo(f"A host should {scenario.host}.", 0)
    for client, effect in scenario.seen:
        _echo(f"  {client}: {effect}", 4)


def _as_json(name: str | None, cases: dict[str, Scenario]) -> dict[str, Any]:
    return {
        "faults": {each: _kind_json(kind) for each, kind in FAULTS.items() if name in (None, each)},
        "presets": {each: _case_json(case) for each, case in cases.items() if name in (None, each)},
        "when": [_parameter_json(p) for p in SELECTORS],
    }


def _kind_json(kind: Kind) -> dict[str, Any]:
    return {
        "doc": kind.doc,
        "host_should": kind.host_should,
        "parameters": [_parameter_json(p) for p in kind.parameters],
        "times": 0 if kind.from_start else kind.times,
        "from_start": kind.from_start,
        "legal": kind.legal,
        "imitates": list(kind.imitates),
        "fails": list(kind.fails),
    }


def _case_json(case: Scenario) -> dict[str, Any]:
    return {
        "title": case.title,
        "faults": [str(fault) for fault in case.faults],
        "imitates": list(case.imitates),
        "host_should": case.host,
        "seen": dict(case.seen),
    }


def _parameter_json(p: Parameter) -> dict[str, Any]:
    return {"name": p.name, "default": p.default, "doc": p.doc, "choices": list(p.choices) or None}


def _echo_list(title: str, items: tuple[str, ...]) -> None:
    if items:
        _echo(f"{title} {', '.join(items)}", 2)


def _echo(line: str, indent: int) -> None:
    click.echo(textwrap.fill(line, width(), subsequent_indent=" " * indent).rstrip())
