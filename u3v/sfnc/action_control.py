"""SFNC ActionControl: the keys that an action command must carry to be this camera's. There is one action, Action1.

As features: a host sets and reads them. The commands themselves travel on GigE Vision; over another wire none comes.
"""

from dataclasses import replace

from u3v.features import Feature, Integer

CATEGORY = "ActionControl"


def features() -> list[Feature]:
    """All features of the category."""
    index = ("ActionSelector",)
    declared: list[Feature] = [
        _key("ActionDeviceKey", "The camera's key: a command with another one is not for it."),
        Integer(
            name="ActionSelector", tooltip="The action that the others are about.", default=1, min=1, max=1
        ),
        replace(_key("ActionGroupKey", "The key of the group that the action belongs to."), selectors=index),
        replace(
            _key("ActionGroupMask", "The bits of a command's mask that the action heeds."), selectors=index
        ),
    ]
    return [replace(feature, category=CATEGORY, visibility="Guru") for feature in declared]


def _key(name: str, tooltip: str) -> Integer:
    return Integer(
        name=name, tooltip=tooltip, representation="HexNumber", bits=64, max=0xFFFF_FFFF, persistent=True
    )
