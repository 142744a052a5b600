"""The edges of a signal, and which of them count."""

from enum import Enum


class Edge(Enum):
    """What a level does, in the words of TriggerActivation."""

    RISING = "RisingEdge"
    FALLING = "FallingEdge"


ANY = "AnyEdge"
LEVELS = {"LevelHigh": True, "LevelLow": False}
"""Activations that hold as long as the signal has a level."""
OPPOSITE = {Edge.RISING: Edge.FALLING, Edge.FALLING: Edge.RISING}


def counts(edge: Edge | None, activation: str) -> bool:
    """Whether such an edge counts with this activation. A pulse (None) has no edges and always does."""
    return edge is None or activation in (edge.value, ANY)


def edge_of(level: bool) -> Edge:
    """The edge that leads to a level."""
    return Edge.RISING if level else Edge.FALLING
