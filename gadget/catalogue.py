"""Where a camera's facts come from: the built-in models and sensors, or files of one's own.

A model file names its sensor: a built-in one, or a sensor file (`*.toml`) beside the model file.
"""

from collections.abc import Sequence
from pathlib import Path

from frames.sensor import Sensor, SensorError, load_sensor, load_sensor_file
from u3v.model import Model, load_file, load_model


def find_model(name: str, files: Sequence[Path] = ()) -> tuple[Model, Sensor]:
    """The model of this name in `files`, else the built-in one; and its sensor.

    Raises ModelError and SensorError, each one line that says what is known instead.
    """
    own = {path: load_file(path) for path in files}
    model = load_model(name, tuple(own.values()))
    folder = next((path.parent for path, known in own.items() if known is model), Path())
    if not model.sensor.endswith(".toml"):
        return model, load_sensor(model.sensor)
    try:
        return model, load_sensor_file(folder / model.sensor)
    except OSError as error:
        raise SensorError(f"{folder / model.sensor}: {error.strerror}") from error
