"""The benchmarks run and say what they say they say. No figure is judged here: machines differ."""

import json
import subprocess
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent.parent / "scripts" / "bench"


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([BENCH, *arguments], capture_output=True, text=True, timeout=120)


def test_a_figure_stands_beside_its_limit() -> None:
    ended = run("--quick", "start", "--json", "-")
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    (figure,) = report["figures"]
    assert figure["group"] == "start"
    assert figure["unit"] == "s"
    assert min(figure["samples"]) <= figure["value"] <= max(figure["samples"])
    assert figure["ratio"] == figure["value"] / figure["limit"] > 0
    assert figure["met"] is (figure["value"] <= 1.5)
    assert report["machine"]["processors"] >= 1


def test_a_name_that_is_none() -> None:
    ended = run("sensr")
    assert ended.returncode == 2
    assert "no benchmark 'sensr', did you mean 'sensor'?" in ended.stderr
