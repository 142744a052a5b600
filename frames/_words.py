"""The tail of an error about an unknown word."""

import difflib
from collections.abc import Iterable


def hint(word: str, known: Iterable[str]) -> str:
    """`, did you mean 'X'?` for the nearest known word, else `; known: ...`.

    The same words as `u3v.did_you_mean`, see there.
    """
    words = list(known)
    by_lower = {w.lower(): w for w in reversed(words)}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    return f", did you mean {by_lower[near[0]]!r}?" if near else f"; known: {', '.join(words)}"
