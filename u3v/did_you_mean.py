"""The suggestion behind a word that nobody knows: one wording for models, features, faults and commands."""

from collections.abc import Iterable
from difflib import get_close_matches

_ALIKE = 0.5
"""How much of a word must agree, from 0 to 1: transposed and missing letters pass, other words do not."""


def hint(word: str, known: Iterable[str]) -> str:
    """`, did you mean 'x'?` for the known word that is most like `word`, or nothing."""
    folded = {k.lower(): k for k in known}
    close = get_close_matches(word.lower(), list(folded), 1, _ALIKE)
    return f", did you mean {folded[close[0]]!r}?" if close else ""
