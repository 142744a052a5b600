"""GenICam features and their behaviour, one module per SFNC category. `features(model)` declares them all."""

from u3v.features import Feature
from u3v.model import Model
from u3v.sfnc import (
    acquisition_control,
    analog_control,
    device_control,
    event_control,
    image_format_control,
    transport_layer_control,
    user_set_control,
    virtual_camera,
)
from u3v.sfnc.event_control import EVENT_IDS, event_nodes
from u3v.sfnc.user_set_control import load_startup_set

__all__ = ["EVENT_IDS", "event_nodes", "features", "load_startup_set"]


def features(model: Model) -> list[Feature]:
    """Every feature of a camera of this model, in the order hosts show them."""
    return [
        *image_format_control.features(model),
        *analog_control.features(model),
        *acquisition_control.features(model),
        *device_control.features(model),
        *transport_layer_control.features(model),
        *user_set_control.features(model),
        *event_control.features(model),
        *virtual_camera.features(model),
    ]
