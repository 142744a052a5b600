"""GenICam features and their behaviour: one module per SFNC category, one per family of cameras.

A category module declares what any camera has in that category; a family module picks what its cameras have,
under their maker's names, and adds what only they have. `family(model, wire)` finds it.
"""

from functools import lru_cache

from u3v.family import Family
from u3v.features import Feature
from u3v.model import FAMILIES, Model
from u3v.sfnc.ace import FAMILY as ACE
from u3v.sfnc.ace_gige import FAMILY as ACE_GIGE
from u3v.sfnc.event_control import event_nodes
from u3v.sfnc.file_access_control import firmware_version
from u3v.sfnc.generic import FAMILY as GENERIC
from u3v.sfnc.ids import FAMILY as IDS
from u3v.sfnc.user_set_control import load_startup_set
from u3v.sfnc.vcx import FAMILY as VCX
from u3v.wire_traits import WireTraits

__all__ = ["Family", "event_nodes", "family", "features", "firmware_version", "load_startup_set"]

_FAMILIES = dict(zip(FAMILIES, (ACE, GENERIC, IDS, VCX), strict=True))
_OLDER = {"ace": ACE_GIGE}
"""On wires with older names."""


@lru_cache(maxsize=64)
def features(model: Model, wire: WireTraits) -> tuple[Feature, ...]:
    """Every feature of a camera of this model on such a wire, in the order hosts show them.

    Declarations do not change: all cameras of a model share them.
    """
    return tuple(family(model, wire).features(model, wire))


def family(model: Model, wire: WireTraits) -> Family:
    """The family of cameras that the model belongs to on such a wire."""
    older = _OLDER.get(model.features) if wire.older_names else None
    return older or _FAMILIES[model.features]
