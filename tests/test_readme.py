"""The README's Python runs, and the commands it shows exist."""

import re
from pathlib import Path

import pytest

from gadget.cli.main import cli

TOP = Path(__file__).parent.parent
README = (TOP / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_python_blocks_run(block: str) -> None:
    exec(compile(block, "README.md", "exec"), {})


def test_there_are_python_blocks() -> None:
    assert BLOCKS


def test_the_commands_exist() -> None:
    named = set(re.findall(r"u3v (run|[a-z]+) ", README)) - {"u3v", "is"}
    shown = {name for name in named if re.search(rf"(`|/)u3v {name}\b", README)}
    assert shown <= set(cli.commands), shown - set(cli.commands)
    assert {"run", "serve", "plug", "grab"} <= shown


def test_the_scripts_exist() -> None:  # what it links to, tests/test_pages.py
    scripts = re.findall(r"scripts/(\w+)", README)
    assert [name for name in scripts if not (TOP / "scripts" / name).exists()] == []
