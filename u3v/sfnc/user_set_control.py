"""SFNC UserSetControl: settings stored in the camera. Default is the factory's and cannot be overwritten."""

from dataclasses import replace
from typing import TYPE_CHECKING

from u3v.errors import GenCPError, Status
from u3v.features import Command, Enumeration, Feature, while_acquiring
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
    startup = str(camera.user_sets.get(STARTUP, {}).get("name", "Default"))
    if startup not in SETS or (startup != "Default" and startup not in camera.user_sets):
        startup = "Default"
    camera.features.set(STARTUP, startup)
    camera.features.restore(camera.user_sets.get(startup, {}) if startup != "Default" else {})


def _load(camera: "Camera") -> None:
    name = camera.features.get("UserSetSelector")
    camera.features.restore(camera.user_sets.get(name, {}) if name != "Default" else {})


def _save(camera: "Camera") -> None:
    camera.user_sets[camera.features.get("UserSetSelector")] = camera.features.snapshot()
    _store(camera)


def _save_startup(camera: "Camera") -> None:
    camera.user_sets[STARTUP] = {"name": camera.features.get(STARTUP)}
    _store(camera)


def _store(camera: "Camera") -> None:
    if camera.options.save_user_sets is not None:
        try:
            camera.options.save_user_sets(camera.user_sets)
        except OSError as error:
            raise GenCPError(Status.ERROR, f"user sets could not be stored: {error}") from error
