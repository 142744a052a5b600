"""What Tab completes: models, features, scenes; and `u3v completion`, which prints the script a shell needs for it.

The parameter types here take any text: whether it is right is checked where it is used, with better words. bash
takes ":" and "=" for ends of words, so `acA4096-40um:Ga` reaches us in three pieces: `Bash` puts them together.
"""

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from frames.sensor import SensorError
from gadget.runner import CameraSpec, build
from u3v.errors import U3VError
from u3v.features import Boolean, Command, Enumeration
from u3v.model import load_file, model_names

SHELLS = ("bash", "zsh", "fish")
AFTER_DASHES = "gadget.after_dashes"
"""Key of a context's `meta`: whether the word stands behind `--`."""


class _Words(click.ParamType[str]):
    """A text whose beginning can be completed: `words` gives all that could stand there instead."""

    def words(self, ctx: click.Context, text: str) -> Iterable[str]:
        raise NotImplementedError

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        if ctx.meta.get(AFTER_DASHES):  # another program's command line
            return [CompletionItem(incomplete, type="file")]
        with contextlib.suppress(
            U3VError, SensorError
        ):  # what is wrong before this word is said when it is run
            known = self.words(ctx, incomplete)
            return [CompletionItem(w) for w in known if w.lower().startswith(incomplete.lower())]
        return []


class _Camera(_Words):
    name = "camera"

    def words(self, ctx: click.Context, text: str) -> Iterable[str]:
        model, colon, settings = text.partition(":")
        if not colon:
            return [*(load_file(path).name for path in _files(ctx)), *model_names()]
        done, comma, last = settings.rpartition(",")
        return [f"{model}:{done}{comma}{word}" for word in _settings(ctx, model, last)]


class _Setting(_Words):
    name = "setting"

    def words(self, ctx: click.Context, text: str) -> Iterable[str]:
        said = [ctx.params.get(name) or () for name in ("cameras", "camera", "target")]
        first = next(
            (words if isinstance(words, str) else words[0] for words in said if words), model_names()[0]
        )
        return _settings(ctx, re.split("[:,]", first)[0], text)


class _Scene(_Words):
    name = "scene"

    def words(self, ctx: click.Context, text: str) -> Iterable[str]:
        from frames.scene import SCENES, common_parameters, scene_parameters

        scene, colon, keys = text.partition(":")
        if not colon:
            return SCENES
        done, comma, last = keys.rpartition(",")
        known = [*scene_parameters(scene), *common_parameters()] if scene in SCENES else []
        here = f"{scene}:{done}{comma}"
        if "=" in last:
            return [f"{here}{p.name}={choice}" for p in known for choice in p.choices]
        return [f"{here}{p.name}=" for p in known]


CAMERA, SETTING, SCENE = _Camera(), _Setting(), _Scene()


def _files(ctx: click.Context) -> tuple[Path, ...]:
    return tuple(ctx.params.get("model_file") or ())


def _settings(ctx: click.Context, model: str, text: str) -> list[str]:
    """All that "Feature=Value" can be for a camera, once the feature is there; until then all features."""
    camera = build(CameraSpec(model, model_files=_files(ctx)), "").camera
    name, equals, _ = text.partition("=")
    if not equals:
        return [f"{f.name}=" for f in camera.features if "W" in f.access and not isinstance(f, Command)]
    feature = camera.features.declared.get(name)
    if isinstance(feature, Enumeration):
        return [f"{name}={entry}" for entry in feature.entries]
    return [f"{name}=0", f"{name}=1"] if isinstance(feature, Boolean) else []


class Bash(BashComplete):
    """bash, with words that hold ":" and "="; no space after a word that goes on with a value."""

    source_template = """\
%(complete_func)s() {
    local IFS=$'\\n' type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value"); [[ $value == *= ]] && compopt -o nospace ;;
        esac
    done < <(COMP_WORDS="${COMP_LINE:0:COMP_POINT}" COMP_BREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
    return 0
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_WORDS"]
        words = split_arg_string(line)[1:]
        word = words.pop() if words and not line[-1:].isspace() else ""
        breaks = [word.rfind(mark) for mark in ":=" if mark in os.environ.get("COMP_BREAKS", ":=")]
        self._before = max(breaks, default=-1) + 1
        return words, word

    def format_completion(self, item: CompletionItem) -> str:
        return f"{item.type},{item.value[self._before :]}"


add_completion_class(Bash)


@click.command(
    "completion",
    short_help="Print the script that makes Tab complete u3v's words.",
    epilog="""\b
Examples:
  eval "$(u3v completion bash)"                                (in ~/.bashrc)
  eval "$(u3v completion zsh)"                                 (in ~/.zshrc, after compinit)
  u3v completion fish > ~/.config/fish/completions/u3v.fish""",
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion_command(ctx: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete commands, options, models, features and scenes."""
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "u3v", "_U3V_COMPLETE").source())
