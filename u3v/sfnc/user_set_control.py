"""SFNC UserSetControl: settings stored in the camera. Default is the factory's and cannot be overwritten."""

from dataclasses import replace
from typing import TYPE_CHECKING

from u3v.errors import GenCPError, Status
from u3v.features import Command, Enumeration, Feature, Value, while_acquiring
from u3v.model import Model

if TYPE_CHECKING:
    from u3v.camera import Camera

CATEGORY = "UserSetControl"
SETS = {"Default": 0, "UserSet1": 1, "UserSet2": 2, "UserSet3": 3}
STARTUP = "UserSetDefault"
SAVE_MS = 20
"""How long saving keeps the control channel busy (assumed: writing flash memory)."""


def features(model: Model) -> list[Feature]:
    """All features of the category."""
    declared: list[Feature] = [
        Enumeration(name="UserSetSelector", tooltip="The user set to load or save.", entries=SETS),
        Command(
            name="UserSetLoad",
            tooltip="Loads the selected user set.",
            locked=while_acquiring,
            execute=_load,
        ),
        Command(
            name="UserSetSave",
            tooltip="Saves the settings as the selected user set.",
            locked=while_acquiring,
            available=lambda camera: camera.features.get("UserSetSelector") != "Default",
            busy_ms=SAVE_MS,
            execute=_save,
        ),
        Enumeration(
            name=STARTUP,
            tooltip="The user set the camera loads when it starts.",
            visibility="Expert",
            entries=SETS,
            written=_save_startup,
        ),
    ]
    return [replace(feature, category=CATEGORY) for feature in declared]


def load_startup_set(camera: "Camera") -> None:
    """What power-on does: the stored choice of startup set, and that set's values."""
    startup = _startup(camera)
    camera.features.set(STARTUP, startup)
    camera.features.restore(camera.user_sets.get(startup, {}) if startup != "Default" else {})


def _startup(camera: "Camera") -> str:
    """The stored choice of startup set; Default where there is none or its set was never saved."""
    startup = str(camera.user_sets.get(STARTUP, {}).get("name", "Default"))
    known = startup in SETS and startup in camera.user_sets
    return startup if known else "Default"


def _load(camera: "Camera") -> None:
    name = camera.features.get("UserSetSelector")
    camera.features.restore(camera.user_sets.get(name, {}) if name != "Default" else {})


def _save(camera: "Camera") -> None:
    _store(camera, camera.features.get("UserSetSelector"), camera.features.snapshot())


def _save_startup(camera: "Camera") -> None:
    try:
        _store(camera, STARTUP, {"name": camera.features.get(STARTUP)})
    except GenCPError:
        camera.features.set(STARTUP, _startup(camera))
        raise


def _store(camera: "Camera", key: str, values: dict[str, Value]) -> None:
    """Remember `values` under `key`, or nothing at all where they cannot be stored."""
    sets = camera.user_sets | {key: values}
    if camera.options.save_user_sets is not None:
        try:
            camera.options.save_user_sets(sets)
        except OSError as error:
            raise GenCPError(Status.ERROR, f"user sets could not be stored: {error}") from error
    camera.user_sets.update(sets)
