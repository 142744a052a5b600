"""SFNC UserSetControl: settings stored in the camera. The first set is the factory's and cannot be overwritten."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from u3v.errors import GenCPError, Status
from u3v.features import Command, Enumeration, Feature, Value, while_acquiring

if TYPE_CHECKING:
    from u3v.camera import Camera

CATEGORY = "UserSetControl"
STARTUP = "UserSetDefault"
SAVE_MS = 20
"""How long saving keeps the control channel busy (assumed: writing flash memory)."""


def features(names: Sequence[str]) -> list[Feature]:
    """All features of the category, for cameras with these sets. Without any but the factory's there is nothing
    to save and nothing to choose for the start."""
    sets = {name: index for index, name in enumerate(names)}
    declared: list[Feature] = [
        Enumeration(name="UserSetSelector", tooltip="The user set to load or save.", entries=sets),
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
            available=lambda camera: camera.features.get("UserSetSelector") != names[0],
            busy_ms=SAVE_MS,
            execute=_save,
        ),
        Enumeration(
            name=STARTUP,
            tooltip="The user set the camera loads when it starts.",
            visibility="Expert",
            entries=sets,
            written=_save_startup,
        ),
    ]
    shown = declared if len(names) > 1 else declared[:2]
    return [replace(feature, category=CATEGORY) for feature in shown]


def load_startup_set(camera: "Camera") -> None:
    """What power-on does: the stored choice of startup set, and that set's values."""
    startup = _startup(camera)
    if STARTUP in camera.features:
        camera.features.set(STARTUP, startup)
    _restore(camera, startup)


def _startup(camera: "Camera") -> str:
    """The stored choice of startup set; the factory's where there is none or its set was never saved."""
    sets = camera.family.user_sets
    startup = str(camera.user_sets.get(STARTUP, {}).get("name", sets[0]))
    known = startup in sets and startup in camera.user_sets
    return startup if known else sets[0]


def _load(camera: "Camera") -> None:
    _restore(camera, camera.features.get("UserSetSelector"))


def _restore(camera: "Camera", name: str) -> None:
    camera.features.restore(camera.user_sets.get(name, {}) if name != camera.family.user_sets[0] else {})


def _save(camera: "Camera") -> None:
    store(camera, camera.features.get("UserSetSelector"), camera.features.snapshot())


def _save_startup(camera: "Camera") -> None:
    try:
        store(camera, STARTUP, {"name": camera.features.get(STARTUP)})
    except GenCPError:
        camera.features.set(STARTUP, _startup(camera))
        raise


def store(camera: "Camera", key: str, values: dict[str, Value]) -> None:
    """Remember `values` under `key`, or nothing at all where they cannot be stored."""
    sets = camera.user_sets | {key: values}
    if camera.options.save_user_sets is not None:
        try:
            camera.options.save_user_sets(sets)
        except OSError as error:
            raise GenCPError(Status.ERROR, f"user sets could not be stored: {error}") from error
    camera.user_sets.update(sets)
