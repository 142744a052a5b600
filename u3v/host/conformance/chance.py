"""Numbers that look random and are the same in every run: a checker has to be able to do again what it did.

A linear congruential generator with the constants of Knuth's MMIX. State: its 64 bits.
"""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
_MASK = (1 << 64) - 1


class Chance:
    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def below(self, limit: int) -> int:
        """0 up to `limit` - 1."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) & _MASK
        return (self._state >> 16) * limit >> 48

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.below(1 << 32) / ((1 << 32) - 1)

    def one_of(self, things: Sequence[T]) -> T:
        return things[self.below(len(things))]

    def data(self, count: int) -> bytes:
        return bytes(self.below(256) for _ in range(count))
