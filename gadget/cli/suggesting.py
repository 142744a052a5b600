"""A command with commands of its own, which suggests the one that was meant."""

import click

from u3v.did_you_mean import hint

WHOLE_SENTENCE = 200
"""More characters than the first sentence of any help has: it is wrapped, not cut."""


class Suggesting(click.Group):
    """A group that suggests the command that was meant, and lists whole sentences."""

    unknown = "no such command"

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            self.write_commands(formatter, self.list_commands(ctx))

    def write_commands(self, formatter: click.HelpFormatter, names: list[str]) -> None:
        """What `names` are, each in a sentence."""
        formatter.write_dl([(n, self.commands[n].get_short_help_str(WHOLE_SENTENCE)) for n in names])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = click.utils.make_str(args[0])
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            ctx.fail(f"{self.unknown} {name!r}{hint(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)
