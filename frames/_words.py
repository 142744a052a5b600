"""The tail of an error about an unknown word."""

import difflib
from collections.abc import Iterable


def hint(word: str, known: Iterable[str]) -> str:
    """`, did you mean 'X'?` for the nearest known word, else `; known: ...`.

    `u3v.did_you_mean` says the same for cameras and features: the two packages know nothing of each other, and a
    few lines twice are less than a package for both to depend on. A test holds them to the same words.
    """
    words = list(known)
    by_lower = {w.lower(): w for w in reversed(words)}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    return f", did you mean {by_lower[near[0]]!r}?" if near else f"; known: {', '.join(words)}"
