"""IDS uEye with an IMX412: ROI, binning, mirroring, exposure, gain, free run and triggers, and no more.

No events, chunks, sequencer, auto functions, LUT or gamma. Gain is a factor, as IDS has it, and the frame
trigger is called ExposureStart. A line triggers with its rising edge, and an output can show the exposure (assumed).
What its data sheet does not name is what IDS' own programs need to start: the factory's user set, the throughput
limit, the temperature (assumed).
"""

import math

from u3v.device import Device
from u3v.family import FRAME, Family, pick
from u3v.features import Enumeration, Feature, Float
from u3v.files import DeviceFile
from u3v.model import Model
from u3v.sfnc import (
    acquisition_control,
    analog_control,
    device_control,
    digital_io_control,
    file_access_control,
    image_format_control,
    transport_layer_control,
    user_set_control,
    virtual_camera,
)
from u3v.wire_traits import WireTraits

USER_SETS = ("Default",)


def features(model: Model, wire: WireTraits) -> list[Feature]:
    """Every feature of an IDS camera."""
    sources = ["Software", *digital_io_control.inputs(model)]
    trigger = {"entries": {"ExposureStart": 0}, "default": ""}
    return [
        *pick(
            image_format_control.features(model),
            "SensorWidth SensorHeight WidthMax HeightMax Width Height OffsetX OffsetY BinningHorizontal"
            " BinningVertical ReverseX ReverseY PixelFormat PixelSize",
        ),
        Enumeration(
            name="GainSelector",
            tooltip="The gain that Gain sets.",
            category=analog_control.CATEGORY,
            entries={"AnalogAll": 0},
        ),
        Float(
            name="Gain",
            tooltip="Gain between sensor and pixel values, as a factor.",
            category=analog_control.CATEGORY,
            selectors=("GainSelector",),
            default=1.0,
            min=1.0,
            max=round(10 ** (model.number("gain_max_db") / 20), 2),
            persistent=True,
        ),
        *pick(
            acquisition_control.features(model),
            "AcquisitionMode AcquisitionStart AcquisitionStop AcquisitionAbort ResultingFrameRate"
            " ExposureTime TriggerSelector TriggerMode TriggerSource TriggerSoftware",
            AcquisitionMode={"entries": {"SingleFrame": 0, "Continuous": 2}},
            TriggerSelector=trigger,
            TriggerSource={"entries": {name: value for value, name in enumerate(sources)}},
        ),
        *pick(
            digital_io_control.features(model, ("Off", "ExposureActive")),
            "LineSelector LineMode LineInverter LineSource LineStatus LineStatusAll",
        ),
        *pick(
            device_control.features(model, wire),
            "DeviceVendorName DeviceModelName DeviceFamilyName DeviceManufacturerInfo DeviceVersion"
            " DeviceFirmwareVersion DeviceSerialNumber DeviceUserID DeviceScanType DeviceTLType"
            " DeviceSFNCVersionMajor DeviceSFNCVersionMinor DeviceSFNCVersionSubMinor DeviceReset"
            " DeviceLinkSpeed DeviceLinkThroughputLimit DeviceLinkCurrentThroughput DeviceTemperature"
            " TimestampLatch TimestampLatchValue",
        ),
        *transport_layer_control.features(model),
        *user_set_control.features(USER_SETS),
        *file_access_control.features(files(model)),
        *(f for f in virtual_camera.features(model) if f.name != "VirtualEventsDropped"),
    ]


def files(_model: Model) -> list[DeviceFile]:
    """What FileSelector offers."""
    return [file_access_control.firmware_file()]


def _gain_db(camera: Device) -> float:
    return 20 * math.log10(camera.features.get("Gain"))


FAMILY = Family(
    features=features,
    events={},
    event_names={},
    triggers={FRAME: "ExposureStart"},
    user_sets=USER_SETS,
    files=files,
    gain_db=_gain_db,
)
