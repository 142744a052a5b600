"""The page on faults, docs/faults.md, from the declarations:

python -m gadget.faults.page > docs/faults.md
"""

import re

from gadget.faults.catalogue import FAULTS, SECTIONS
from gadget.faults.declaration import SELECTORS, Kind, Parameter
from gadget.faults.scenario import Scenario, presets
from gadget.faults.wrappers import ETHERNET, USB

_HEAD = """# Faults

A camera that misbehaves on command: each fault has a name, strikes when it is told to, and strikes in the same way
again. So a program that talks to cameras can be tested against what its users meet in the field. `u3v faults` lists
what this page lists; both are made of the same declarations.

```sh
u3v run acA4096-40um --fault lost-trailer:frame=3 -- arv-tool-0.8
u3v grab acA4096-40um -n 5 --fault eproto:nth=10,times=2 -o out
u3v run acA4096-40um --scenario stepped-on-cable -- python my_program.py
u3v ctl add-fault yank:back_ms=500
u3v ctl faults
```

In Python, and in tests:

```python
from gadget import VirtualCamera

with VirtualCamera("acA4096-40um", Width=64, Height=32) as camera:
    camera.faults.add("lost-trailer", frame=2)
    frames = camera.grab(4)
    assert [frame.complete for frame in frames].count(False) == 1
    assert camera.faults.list()[0]["struck"] == 1
    camera.faults.clear()
```

A fault is a wrapper between camera and host: neither of them knows. Those of the section Ethernet are for cameras on
GigE Vision (`u3v serve acA4096-11gm --wire gige --fault lost-packets:p=0.01,times=0`), the others for cameras on USB3
Vision, or on both where it says so. How often each has struck is in `u3v ctl faults`,
in the counter `fault_strikes` and in the file of `--report`.

## When it strikes

All faults understand these words. Without any, a fault strikes at its first chance, and as often as its entry says.
"""

_SCENARIOS = """
## Scenario files

Several faults in one file, for `--scenario FILE`. The words are the same.

```toml
title = "A cable that was stepped on"

[[fault]]
name = "eproto"
nth = 100
p = 0.01
seed = 7
times = 0

[[fault]]
name = "yank"
frame = 20
back_ms = 800
```

## Field cases

Published troubles, as scenarios that come along: `--scenario NAME`, or `--fault preset:NAME`. What three hosts made
of each was tried on 21 November 2026: Aravis 0.8.26 in its synchronous mode and pypylon 26.9 over the local
transport, viva-genicam 0.10 over the kernel (vhci-hcd in User-Mode Linux), each set to 1000x750 pixels and asked for 24
frames on a busy machine (`tests/system/clients/troubled_client.py`). Not tried: other versions and Aravis'
asynchronous mode. Without any fault pylon calls some frames incompletely grabbed (E200010A); they count as good here.
"""

_ISSUES = "https://github.com/"


def page() -> str:
    lines = [_HEAD, "| word | what it says |", "|---|---|"]
    lines += [f"| `{p.name}` | {p.doc} (default {p.default}) |" for p in SELECTORS]
    for title, kinds in SECTIONS.items():
        lines += ["", f"## {title}"]
        for name, kind in kinds.items():
            lines += ["", f"### {name}", "", *_entry(kind)]
    lines += [_SCENARIOS]
    for name, scenario in presets().items():
        lines += [f"### {name}", "", *_case(scenario), ""]
    return "\n".join(lines).rstrip() + "\n"


def parameter_text(p: Parameter) -> str:
    """ "which one, from 0 (default 0)"."""
    choices = f"; {', '.join(p.choices)}" if p.choices and len(p.choices) < 20 else ""
    return f"{p.doc} (default {p.default}{choices})"


def wires_text(kind: Kind) -> str:
    wires = (("USB3 Vision", USB), ("GigE Vision", ETHERNET))
    return f"On {' and on '.join(name for name, wire in wires if kind.maker(wire))}."


def strikes_text(kind: Kind) -> str:
    often = "again and again" if kind.times == 0 or kind.from_start else "once"
    if kind.from_start:
        return "Set from the start on: it cannot be added to a camera that runs."
    return f"Strikes {often} unless told otherwise; `nth` counts each {kind.chance}."


def _entry(kind: Kind) -> list[str]:
    lines = [
        f"{kind.doc[0].upper()}{kind.doc[1:]}.{' No rule is broken by it.' if kind.legal else ''} {strikes_text(kind)}",
        "",
    ]
    lines += [f"- `{p.name}`: {parameter_text(p)}" for p in kind.parameters]
    if kind.maker(USB) and kind.maker(ETHERNET):
        lines += [f"- {wires_text(kind)}"]
    lines += [f"- A host should {kind.host_should}."]
    if kind.fails:
        lines += [f"- Conformance checks that see it: {', '.join(kind.fails)}"]
    if kind.imitates:
        lines += [f"- Seen in the field: {', '.join(map(_linked, kind.imitates))}"]
    return lines


def _case(scenario: Scenario) -> list[str]:
    lines = [f"{scenario.title}.", ""]
    lines += [f"- `--fault {fault}`" for fault in scenario.faults]
    if scenario.imitates:
        lines += [f"- Reported in {', '.join(map(_linked, scenario.imitates))}"]
    if scenario.host:
        lines += [f"- A host should {scenario.host}."]
    seen = dict(scenario.seen)
    lines += ["", "| Aravis | pylon | viva-genicam |", "|---|---|---|"]
    lines += ["| " + " | ".join(seen.get(client, "-") for client in ("aravis", "pylon", "viva")) + " |"]
    return lines


def _linked(where: str) -> str:
    found = re.fullmatch(r"([\w.-]+/[\w.-]+)#(\d+)", where)
    return f"[{where}]({_ISSUES}{found[1]}/issues/{found[2]})" if found else where


if __name__ == "__main__":
    assert FAULTS
    print(page(), end="")
