"""Where a camera's facts come from: the built-in models and sensors, or files of one's own.

A model file names its sensor: a built-in one, or a sensor file (`*.toml`) beside the model file.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from frames.packing import PixelFormatError, pixel_format
from frames.sensor import Sensor, SensorError, load_sensor, load_sensor_file
from u3v.errors import ModelError
from u3v.model import Model, load_file, load_model

MAX_BINNING = 4


def find_model(name: str, files: Sequence[Path] = ()) -> tuple[Model, Sensor]:
    """The model of this name in `files`, else the built-in one; and its sensor.

    Raises Mistake and SensorError, each one line that says what is known instead, or what the camera wants of
    its sensor that the sensor does not have.
    """
    return _checked(name, tuple(files)) if files else _built_in(name)


@lru_cache(maxsize=64)
def _built_in(name: str) -> tuple[Model, Sensor]:
    """Facts do not change: all cameras of a built-in model share them."""
    return _checked(name, ())


def _checked(name: str, files: tuple[Path, ...]) -> tuple[Model, Sensor]:
    model, sensor = _find(name, files)
    _check_together(model, sensor)
    return model, sensor


def _check_together(model: Model, sensor: Sensor) -> None:
    """Refuse a camera whose pictures its sensor cannot give: no host should be the first to find out."""
    for figure, most, has in (
        ("width_max_px", sensor.width_px, f"sensor {sensor.name} has {sensor.width_px}"),
        ("height_max_px", sensor.height_px, f"sensor {sensor.name} has {sensor.height_px}"),
        ("binning_max", MAX_BINNING, f"the sensor engine adds up to {MAX_BINNING}"),
    ):
        if model.integer(figure) > most:
            raise ModelError(model.name, f"figures.{figure}.value", f"is {model.integer(figure)}, {has}")
    possible = ("mono",) if sensor.colour == "mono" else ("mono", "RGB", sensor.colour)
    for name in model.pixel_formats:
        try:
            colour = pixel_format(name).colour
        except PixelFormatError as error:
            raise ModelError(model.name, "pixel_formats", str(error)) from None
        if colour not in possible:
            has = "no colour filters" if sensor.colour == "mono" else f"the Bayer pattern {sensor.colour}"
            raise ModelError(model.name, "pixel_formats", f"{name}: sensor {sensor.name} has {has}")


def _find(name: str, files: Sequence[Path]) -> tuple[Model, Sensor]:
    own = {path: load_file(path) for path in files}
    model = load_model(name, tuple(own.values()))
    folder = next((path.parent for path, known in own.items() if known is model), Path())
    if not model.sensor.endswith(".toml"):
        return model, load_sensor(model.sensor)
    try:
        return model, load_sensor_file(folder / model.sensor)
    except OSError as error:
        raise SensorError(f"{folder / model.sensor}: {error.strerror}") from error
