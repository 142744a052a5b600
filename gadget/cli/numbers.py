"""The numbers that options and arguments take."""

import math
from typing import Any

import click


class Finite(click.FloatRange):
    """A number from `low` to `high`, each of them optional; "nan" and "inf" are none."""

    def __init__(
        self, low: float | None = None, high: float | None = None, *, low_open: bool = False
    ) -> None:
        super().__init__(low, high, min_open=low_open)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number of finite size.", param, ctx)
        return number
