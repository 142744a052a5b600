"""SFNC ImageFormatControl: sensor size, region of interest, binning, mirroring, pixel format, test images.

The ROI is counted in binned pixels. When binning makes the sensor smaller, the ROI is clipped to it and otherwise
stays: a width of 4096 becomes 2048 with binning 2, a width of 1000 stays. Colour cameras keep the order of their
Bayer pattern when they are mirrored or the ROI moves, because the pixel format a host has set must stay true.
"""

from collections.abc import Sequence
from dataclasses import replace

from u3v.device import Device
from u3v.features import Boolean, Enumeration, Feature, Integer, while_acquiring
from u3v.model import Model
from u3v.wire.pfnc import PIXEL_FORMATS

CATEGORY = "ImageFormatControl"
_BINNING = ("BinningHorizontal", "BinningVertical")


def features(model: Model) -> list[Feature]:
    """All features of the category."""
    sizes = sorted({PIXEL_FORMATS[name].bits_per_pixel for name in model.pixel_formats})
    width_inc, height_inc = model.integer("width_increment_px"), model.integer("height_increment_px")
    declared: list[Feature] = [
        _sensor("SensorWidth", "Effective width of the sensor.", model.integer("width_max_px")),
        _sensor("SensorHeight", "Effective height of the sensor.", model.integer("height_max_px")),
        Integer(
            name="WidthMax",
            tooltip="Largest width of the image, after binning.",
            access="RO",
            visibility="Expert",
            unit="px",
            read=width_max,
        ),
        Integer(
            name="HeightMax",
            tooltip="Largest height of the image, after binning.",
            access="RO",
            visibility="Expert",
            unit="px",
            read=height_max,
        ),
        Integer(
            name="Width",
            tooltip="Width of the image.",
            unit="px",
            default=model.integer("width_default_px"),
            min=model.integer("width_min_px"),
            max=lambda camera: _last_step(
                camera, "Width", width_max(camera) - camera.features.get("OffsetX")
            ),
            inc=width_inc,
            locked=while_acquiring,
            persistent=True,
            changed_by=_BINNING,
        ),
        Integer(
            name="Height",
            tooltip="Height of the image.",
            unit="px",
            default=model.integer("height_default_px"),
            min=model.integer("height_min_px"),
            max=lambda camera: _last_step(
                camera, "Height", height_max(camera) - camera.features.get("OffsetY")
            ),
            inc=height_inc,
            locked=while_acquiring,
            persistent=True,
            changed_by=_BINNING,
        ),
        Integer(
            name="OffsetX",
            tooltip="Columns left of the image.",
            unit="px",
            max=lambda camera: _last_step(
                camera, "OffsetX", width_max(camera) - camera.features.get("Width")
            ),
            inc=model.integer("offset_x_increment_px", width_inc),
            locked=while_acquiring,
            persistent=True,
            changed_by=_BINNING,
        ),
        Integer(
            name="OffsetY",
            tooltip="Rows above the image.",
            unit="px",
            max=lambda camera: _last_step(
                camera, "OffsetY", height_max(camera) - camera.features.get("Height")
            ),
            inc=model.integer("offset_y_increment_px", height_inc),
            locked=while_acquiring,
            persistent=True,
            changed_by=_BINNING,
        ),
        _binning("BinningHorizontal", "Columns whose charge is added up into one.", model, "BinningVertical"),
        _binning("BinningVertical", "Rows whose charge is added up into one.", model, "BinningHorizontal"),
        *(
            Enumeration(
                name=f"Binning{way}Mode",
                tooltip="Whether binned pixels are added up or averaged.",
                entries={"Sum": 0, "Average": 1},
                persistent=True,
            )
            for way in ("Horizontal", "Vertical")
        ),
        Boolean(
            name="ReverseX",
            tooltip="Mirrors the image left to right.",
            locked=while_acquiring,
            persistent=True,
        ),
        Boolean(
            name="ReverseY",
            tooltip="Mirrors the image top to bottom.",
            locked=while_acquiring,
            persistent=True,
        ),
        Enumeration(
            name="PixelFormat",
            tooltip="Format of the pixels, as PFNC names it.",
            entries={name: PIXEL_FORMATS[name].code for name in model.pixel_formats},
            locked=while_acquiring,
            persistent=True,
        ),
        Enumeration(
            name="PixelSize",
            tooltip="Bits per pixel in memory.",
            access="RO",
            visibility="Expert",
            entries={f"Bpp{bits}": bits for bits in sizes},
            read=lambda camera: f"Bpp{PIXEL_FORMATS[camera.features.get('PixelFormat')].bits_per_pixel}",
        ),
        Enumeration(
            name="PixelColorFilter",
            tooltip="Colour filters of the pixels in the image: where the Bayer pattern begins.",
            access="RO",
            visibility="Expert",
            entries={"None": 0, "BayerRG": 1, "BayerGB": 2, "BayerGR": 3, "BayerBG": 4},
            read=lambda camera: _colour_filter(camera.features.get("PixelFormat")),
        ),
        Integer(
            name="PixelDynamicRangeMin",
            tooltip="Smallest pixel value.",
            access="RO",
            visibility="Expert",
            max=0,
        ),
        Integer(
            name="PixelDynamicRangeMax",
            tooltip="Largest pixel value.",
            access="RO",
            visibility="Expert",
            max=4095,
            read=dynamic_range_max,
        ),
        Enumeration(
            name="TestImageSelector",
            tooltip="A test image instead of the sensor's.",
            entries={"Off": 0} | {f"Testimage{n}": n for n in range(1, 7)},
            persistent=True,
        ),
    ]
    return [replace(feature, category=CATEGORY) for feature in declared]


def test_pattern(names: Sequence[str]) -> Feature:
    """SFNC's feature for test images. `names`: its entries, the first being the default."""
    return Enumeration(
        name="TestPattern",
        tooltip="A test pattern instead of the sensor's image.",
        category=CATEGORY,
        entries={name: value for value, name in enumerate(names)},
        persistent=True,
    )


def width_max(camera: Device) -> int:
    """Columns after binning."""
    return camera.model.integer("width_max_px") // int(camera.features.get("BinningHorizontal"))


def height_max(camera: Device) -> int:
    """Rows after binning."""
    return camera.model.integer("height_max_px") // int(camera.features.get("BinningVertical"))


def dynamic_range_max(camera: Device) -> int:
    """Largest DN of the pixel format."""
    return (1 << PIXEL_FORMATS[camera.features.get("PixelFormat")].depth) - 1


def _colour_filter(pixel_format: str) -> str:
    return pixel_format[: len("BayerXX")] if pixel_format.startswith("Bayer") else "None"


def clip_roi(camera: Device) -> None:
    """Bring the ROI back inside the (binned) sensor: offsets stay as long as a smallest image fits."""
    for size, offset, largest in (
        ("Width", "OffsetX", width_max(camera)),
        ("Height", "OffsetY", height_max(camera)),
    ):
        features = camera.features
        extent, start = features.get(size), features.get(offset)
        extent = min(extent, _last_step(camera, size, largest))
        start = min(start, _last_step(camera, offset, largest - extent))
        features.set(size, extent)
        features.set(offset, start)


def _last_step(camera: Device, name: str, highest: int) -> int:
    """The largest value not above `highest` that the feature's steps reach."""
    feature = camera.features.declared[name]
    assert isinstance(feature, Integer)
    low, step = feature.min, feature.inc
    assert isinstance(low, int) and isinstance(step, int)
    return max(low, low + (highest - low) // step * step)


def _sensor(name: str, tooltip: str, pixels: int) -> Integer:
    return Integer(
        name=name, tooltip=tooltip, access="RO", visibility="Expert", unit="px", default=pixels, max=pixels
    )


def _binning(name: str, tooltip: str, model: Model, other: str) -> Integer:
    """`other`: the other direction, which follows where the camera bins both jointly."""
    joint = bool(model.number("binning_joint", 0))

    def written(camera: Device) -> None:
        if joint:
            camera.features.set(other, camera.features.get(name))
        clip_roi(camera)

    return Integer(
        name=name,
        tooltip=tooltip,
        default=1,
        min=1,
        max=model.integer("binning_max"),
        locked=while_acquiring,
        persistent=True,
        written=written,
        changed_by=(other,) if joint else (),
    )
