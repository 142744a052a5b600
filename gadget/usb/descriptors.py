"""The device side's one reader of its own configuration descriptor: which interfaces it has, with which endpoints.

Endpoint 0, the lists of USB/IP and the sysfs files of local programs all ask here. The host side of this
project has a reader of its own on purpose: one that shared ours would share our mistakes.
"""

from collections.abc import Iterator
from typing import NamedTuple

CONFIGURATION, INTERFACE, ENDPOINT = 2, 4, 5


class Interface(NamedTuple):
    """One interface descriptor. `kind`: class, subclass, protocol; `endpoints`: addresses (0x80: IN)."""

    number: int
    alternate: int
    kind: tuple[int, int, int]
    endpoints: tuple[int, ...]


def walk(configuration: bytes) -> Iterator[bytes]:
    """The descriptors inside, each as its bytes. One that claims to be shorter than its head counts as that."""
    at = 0
    while at + 2 <= len(configuration):
        length = max(configuration[at], 2)
        yield configuration[at : at + length]
        at += length


def interfaces(configuration: bytes) -> list[Interface]:
    """The interfaces in their order, alternate settings too."""
    found: list[Interface] = []
    for raw in walk(configuration):
        if raw[1] == INTERFACE:
            found.append(Interface(raw[2], raw[3], (raw[5], raw[6], raw[7]), ()))
        elif raw[1] == ENDPOINT:
            last = found[-1]
            found[-1] = last._replace(endpoints=(*last.endpoints, raw[2]))
    return found
