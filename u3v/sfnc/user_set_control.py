"""SFNC UserSetControl: settings stored in the camera. The first set is the factory's and cannot be overwritten."""

from collections.abc import Sequence
from dataclasses import replace

from u3v.device import Device
from u3v.features import Command, Enumeration, Feature, while_acquiring

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
            execute=lambda camera: _restore(camera, camera.features.get("UserSetSelector"), names),
        ),
        Command(
            name="UserSetSave",
            tooltip="Saves the settings as the selected user set.",
            locked=while_acquiring,
            available=lambda camera: camera.features.get("UserSetSelector") != names[0],
            busy_ms=lambda value: SAVE_MS,
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


def load_startup_set(camera: Device, sets: Sequence[str]) -> None:
    """What power-on does: the stored choice of startup set, and that set's values. `sets`: the camera's, as in
    `features`."""
    startup = _startup(camera, sets)
    if STARTUP in camera.features:
        camera.features.set(STARTUP, startup)
    _restore(camera, startup, sets)


def _startup(camera: Device, sets: Sequence[str]) -> str:
    """The stored choice of startup set; the factory's where there is none or its set was never saved."""
    startup = str(camera.user_sets.get(STARTUP, {}).get("name", sets[0]))
    known = startup in sets and startup in camera.user_sets
    return startup if known else sets[0]


def _restore(camera: Device, name: str, sets: Sequence[str]) -> None:
    camera.features.restore(camera.user_sets.get(name, {}) if name != sets[0] else {})
    camera.acquisition.forget_triggers()
    camera.lines.look(camera.now_ns)


def _save(camera: Device) -> None:
    camera.store_user_set(camera.features.get("UserSetSelector"), camera.features.snapshot())


def _save_startup(camera: Device) -> None:
    camera.store_user_set(STARTUP, {"name": camera.features.get(STARTUP)})
