"""Where a camera's facts come from: the built-in models and sensors, or files of one's own.

A model file names its sensor: a built-in one, or a sensor file (`*.toml`) beside the model file.
"""

from collections.abc import Sequence
from pathlib import Path

from frames.sensor import Sensor, SensorError, load_sensor, load_sensor_file
from u3v.errors import ModelError
from u3v.model import Model, load_file, load_model


def find_model(name: str, files: Sequence[Path] = ()) -> tuple[Model, Sensor]:
    """The model of this name in `files`, else the built-in one; and its sensor.

    Raises ModelError and SensorError, each one line that says what is known instead, and ModelError for a camera
    that is larger than its sensor.
    """
    model, sensor = _find(name, files)
    for axis, there_px in (("width", sensor.width_px), ("height", sensor.height_px)):
        if model.integer(f"{axis}_max_px") > there_px:
            wrong = f"is {model.integer(f'{axis}_max_px')}, sensor {sensor.name} has {there_px}"
            raise ModelError(model.name, f"figures.{axis}_max_px.value", wrong)
    return model, sensor


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
