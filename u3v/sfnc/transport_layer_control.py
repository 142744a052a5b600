"""SFNC TransportLayerControl: PayloadSize. TLParamsLocked is a value of the XML itself (`u3v.genapi`)."""

from u3v.features import Feature, Integer
from u3v.model import Model


def features(model: Model) -> list[Feature]:
    """All features of the category."""
    return [
        Integer(
            name="PayloadSize",
            tooltip="Bytes of one frame's payload.",
            category="TransportLayerControl",
            access="RO",
            visibility="Expert",
            unit="B",
            bits=64,
            max=2**62,
            read=lambda camera: camera.wire_bytes,
            changed_by=(
                "Width",
                "Height",
                "PixelFormat",
                "BinningHorizontal",
                "BinningVertical",
                "ChunkModeActive",
                "ChunkEnable",
            ),
        )
    ]
