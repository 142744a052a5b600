"""The edge method of ISO 12233, written after the standard's published description and sharing nothing with the camera:
from an image of a straight, slightly turned edge to its spatial frequency response.

Row by row the edge's place is the centroid of the row's differences; a line through the places gives the turn. All
pixels, by their distance from the line, fall into bins of a quarter of a pixel: the edge, four times finer than the
pixels. Its differences, windowed and transformed, are the response; what differences and bins take from it is known
(a sinc each) and given back.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
OVERSAMPLING = 4
REACH_PX = 16


def edge_places(image: Floats) -> Floats:
    """Column of the edge in each row, float64 (height,)."""
    differences = np.diff(image, axis=1) * np.sign(image[:, -1].mean() - image[:, 0].mean())
    middle = np.full(len(image), float(np.argmax(differences.mean(axis=0))))
    columns = np.arange(differences.shape[1]) + 0.5
    rows = np.arange(len(image))
    for reach_px in (image.shape[1] / 4, 2 * REACH_PX, REACH_PX, REACH_PX):  # the window follows the edge
        near = differences * np.clip(1 - ((columns - middle[:, None]) / reach_px) ** 2, 0, None)
        places = (near * columns).sum(axis=1) / near.sum(axis=1)
        middle = np.polyval(np.polyfit(rows, places, 1), rows)
    return np.asarray(middle, np.float64)


def frequency_response(image: Floats) -> tuple[Floats, Floats, float]:
    """Frequencies across the edge in cycles/pixel up to 0.5, the response there, and the edge's turn in rad.

    `image`: float64 (height, width), linear in light.
    """
    places = edge_places(image)
    slope = (places[-1] - places[0]) / (len(places) - 1)
    turn = float(np.arctan(slope))
    distance = (np.arange(image.shape[1])[None, :] - places[:, None]) * np.cos(turn)
    bins = np.floor(distance * OVERSAMPLING + 0.5).astype(int) + REACH_PX * OVERSAMPLING
    count = 2 * REACH_PX * OVERSAMPLING + 1
    inside = (bins >= 0) & (bins < count)
    hits = np.bincount(bins[inside], minlength=count)
    edge = np.bincount(bins[inside], image[inside], minlength=count) / hits
    lines = np.diff(edge)
    lines *= _window(lines)
    f = np.linspace(0, 0.5, 51)
    at = np.arange(len(lines)) / OVERSAMPLING
    response = np.abs(np.exp(-2j * np.pi * f[:, None] * at) @ lines)
    response /= response[0]
    taken = np.sinc(f / OVERSAMPLING) ** 2  # by the differences, and by the bins
    return f, response / taken, turn


def _window(lines: Floats) -> Floats:
    """Hamming's, its middle on the edge."""
    at = np.arange(len(lines)) - (len(lines) - 1) / 2
    window: Floats = 0.54 + 0.46 * np.cos(2 * np.pi * at / len(lines))
    return window
