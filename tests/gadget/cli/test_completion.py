"""Tab: what bash gets to choose from, asked as bash asks; and that each shell's script is its own."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import get_completion_class

from gadget.cli.main import cli
from tests.gadget.cli.shell import Shell
from u3v.model import model_names

A = "acA4096-40um"


def words(line: str) -> list[str]:
    """All that the last word of a line can become, as zsh and fish are told."""
    kind = get_completion_class("zsh")
    assert kind is not None
    *before, last = line.split(" ")[1:]
    return [str(item.value) for item in kind(cli, {}, "u3v", "_U3V_COMPLETE").get_completions(before, last)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("u3v ser", ["serve"]),
        ("u3v run ", model_names()),
        ("u3v serve aca41", ["acA4112-8gm"]),
        (f"u3v run {A}:OffsetX", [f"{A}:OffsetX="]),
        (f"u3v run {A}:Gain=6,PixelFormat=Mono10p", [f"{A}:Gain=6,PixelFormat=Mono10p"]),
        ("u3v plug IDS-IMX412 --set OffsetX", ["OffsetX="]),
        (f"u3v plug {A} --set ReverseX=", ["ReverseX=0", "ReverseX=1"]),
        (f"u3v serve {A} --scene unif", ["uniform"]),
        (f"u3v serve {A} --scene gradient:dark=0.1,axis=r", ["gradient:dark=0.1,axis=radial"]),
        ("u3v features IDS", ["IDS-IMX412"]),
        ("u3v completion ", ["bash", "zsh", "fish"]),
        ("u3v serve nonsense:Ga", []),
        (f"u3v serve {A} --scene nonsense:", []),
    ],
)  # fmt: skip
def test_u14_models_features_and_scenes_are_completed(line: str, expected: list[str]) -> None:
    assert words(line) == expected


def test_u14_models_of_files_are_completed(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "u3v/models/ids_imx412.toml").read_text("utf-8")
    (tmp_path / "mine.toml").write_text(text.replace('name = "IDS-IMX412"', 'name = "Mine"'))
    assert words(f"u3v run --model-file {tmp_path}/mine.toml M") == ["Mine"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_u14_the_script_of_each_shell(u3v: Shell, shell: str) -> None:
    result = u3v("completion", shell)
    assert result.status == 0
    assert f"_U3V_COMPLETE={shell}_complete" in result.out


BASH = """
u3v() {{ {python} -m gadget "$@"; }}
eval "$(u3v completion bash)"
compopt() {{ OPTIONS+=("$2"); }}
for COMP_LINE; do
    COMP_POINT=${{#COMP_LINE}} OPTIONS=()
    _u3v_completion u3v
    echo "${{COMPREPLY[*]}}|${{OPTIONS[*]}}"
done
"""


def test_u14_bash_completes_words_with_colons_and_equals_signs() -> None:
    asked = {
        f"u3v run {A}:OffsetX": "OffsetX=|nospace",  # bash replaces what stands behind the colon
        f"u3v run {A}:Gain=6,ReverseX=": "0 1|",
        f"u3v run {A}:Gain=6,OffsetX": "6,OffsetX=|nospace",
        f"u3v run {A} -- ls": "|default",  # file names
    }
    script = BASH.format(python=sys.executable)
    command = ["bash", "--norc", "-c", script, "bash", *asked]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert result.stdout.splitlines() == list(asked.values()), result.stderr
