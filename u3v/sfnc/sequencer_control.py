"""SFNC SequencerControl: how a host fills the sets of the sequencer, and starts it. What it does: `u3v.sequencer`.

A host switches SequencerConfigurationMode on, sets the camera up for a frame, and saves that as the selected set. The
features of the paths are part of it: each set has its own.
"""

from collections.abc import Sequence
from dataclasses import replace

from u3v.device import Device
from u3v.features import Command, Enumeration, Feature, Integer
from u3v.sequencer import ACTIVATION, NEXT, PATHS, SOURCE
from u3v.sfnc.counter_and_timer_control import EDGES

CATEGORY = "SequencerControl"
_PATH = (PATHS,)


def features(sets: int, paths: int, sources: Sequence[str]) -> list[Feature]:
    """All features of the category: a camera with so many sets and paths. `sources`: what can lead along a path, the
    first being the default."""
    declared: list[Feature] = [
        Enumeration(
            name="SequencerMode",
            tooltip="Whether the sequencer sets the camera up.",
            entries={"Off": 0, "On": 1},
            locked=_is_configured,
            written=lambda camera: camera.sequencer.switch(),
        ),
        Enumeration(
            name="SequencerConfigurationMode",
            tooltip="Whether sets can be saved and loaded.",
            entries={"Off": 0, "On": 1},
            locked=lambda camera: bool(camera.features.get("SequencerMode") == "On"),
        ),
        Integer(name="SequencerSetSelector", tooltip="The set to save or load.", max=sets - 1),
        Command(
            name="SequencerSetSave",
            tooltip="Saves the camera's settings as the selected set.",
            available=_is_configured,
            execute=lambda camera: camera.sequencer.save(),
        ),
        Command(
            name="SequencerSetLoad",
            tooltip="Loads the selected set.",
            available=_is_configured,
            execute=lambda camera: camera.sequencer.load(),
        ),
        Integer(
            name="SequencerSetActive",
            tooltip="The set that the sequencer has loaded last.",
            access="RO",
            max=sets - 1,
            read=lambda camera: camera.sequencer.active,
        ),
        Integer(name="SequencerSetStart", tooltip="The set that the sequencer begins with.", max=sets - 1),
        Integer(name=PATHS, tooltip="The path that the other path features are about.", max=paths - 1),
        Integer(name=NEXT, tooltip="The set that follows on the path.", max=sets - 1, selectors=_PATH),
        Enumeration(
            name=SOURCE,
            tooltip="The signal that leads along the path.",
            entries={name: index for index, name in enumerate(sources)},
            selectors=_PATH,
        ),
        Enumeration(
            name=ACTIVATION,
            tooltip="The edge of the signal that counts.",
            entries=EDGES,
            selectors=_PATH,
        ),
    ]
    changed_by = {NEXT, SOURCE, ACTIVATION}
    loads = ("SequencerSetLoad", "SequencerMode")
    return [
        replace(f, category=CATEGORY, changed_by=loads if f.name in changed_by else f.changed_by)
        for f in declared
    ]


def _is_configured(camera: Device) -> bool:
    return bool(camera.features.get("SequencerConfigurationMode") == "On")
