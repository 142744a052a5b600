"""A camera of no maker: the features of the Standard Features Naming Convention (SFNC), under its names.

Programs that know SFNC and no maker need no special case: Gain in dB and BlackLevel behind selectors with the one
entry All, TestPattern with its standard entries, events by their standard names. Beside the standard it has what the
other cameras here have: ResultingFrameRate, the event FrameBufferOverrun and the category VirtualCamera.
"""

from u3v.chunks import Chunk
from u3v.family import BURST, FRAME, Family, pick
from u3v.features import Feature
from u3v.files import DeviceFile
from u3v.happenings import Happening
from u3v.model import Model
from u3v.sfnc import (
    acquisition_control,
    analog_control,
    chunk_data_control,
    device_control,
    event_control,
    file_access_control,
    image_format_control,
    transport_layer_control,
    user_set_control,
    virtual_camera,
)
from u3v.wire_traits import WireTraits

TEST_PATTERNS = (
    "Off",
    "Black",
    "White",
    "GreyHorizontalRamp",
    "GreyVerticalRamp",
    "GreyHorizontalRampMoving",
    "GreyVerticalRampMoving",
    "HorizontalLineMoving",
    "VerticalLineMoving",
    "ColorBar",
    "FrameCounter",
)
USER_SETS = ("Default", "UserSet0", "UserSet1")
CHUNKS = "Image OffsetX OffsetY Width Height PixelFormat Timestamp FrameID ExposureTime Gain BlackLevel"
EVENTS = {
    "FrameBurstStart": "A burst of frames was triggered.",
    "FrameStart": "A frame has begun.",
    "FrameEnd": "A frame has been read out.",
    "FrameTriggerMissed": "A frame trigger came too early and was lost.",
    "ExposureStart": "The exposure of a frame has begun.",
    "ExposureEnd": "The exposure of a frame has ended.",
    "FrameBufferOverrun": "The frame memory was full: a frame was discarded.",
    "Test": "A test event that TestEventGenerate asked for.",
}


def features(model: Model, wire: WireTraits) -> list[Feature]:
    """Every feature of a generic camera."""
    return [
        *pick(
            image_format_control.features(model),
            "SensorWidth SensorHeight WidthMax HeightMax Width Height OffsetX OffsetY BinningHorizontal"
            " BinningVertical ReverseX ReverseY PixelFormat PixelSize PixelColorFilter PixelDynamicRangeMin"
            " PixelDynamicRangeMax",
        ),
        image_format_control.test_pattern(TEST_PATTERNS),
        analog_control.selector_of_all("GainSelector", "The gain that Gain sets."),
        analog_control.selector_of_all("BlackLevelSelector", "The black level that BlackLevel sets."),
        *pick(
            analog_control.features(model),
            "Gain BlackLevel",
            Gain={"selectors": ("GainSelector",)},
            BlackLevel={"selectors": ("BlackLevelSelector",)},
        ),
        *pick(
            acquisition_control.features(model),
            "AcquisitionMode AcquisitionStart AcquisitionStop AcquisitionAbort AcquisitionFrameCount"
            " AcquisitionBurstFrameCount AcquisitionFrameRateEnable AcquisitionFrameRate ResultingFrameRate"
            " ExposureMode ExposureTime TriggerSelector TriggerMode TriggerSource TriggerOverlap TriggerDelay"
            " TriggerSoftware AcquisitionStatusSelector AcquisitionStatus",
            AcquisitionFrameRate={"default": model.number("frame_rate_fps")},
            TriggerSelector={"entries": {"FrameStart": 0, "FrameBurstStart": 1}},
            TriggerOverlap={
                "available": lambda camera: camera.features.get("TriggerSelector") == "FrameStart"
            },
            AcquisitionStatusSelector={
                "entries": {"FrameTriggerWait": 0, "FrameBurstTriggerWait": 1, "AcquisitionActive": 2}
            },
        ),
        *pick(
            device_control.features(model, wire),
            "DeviceVendorName DeviceModelName DeviceFamilyName DeviceManufacturerInfo DeviceVersion"
            " DeviceFirmwareVersion DeviceSerialNumber DeviceUserID DeviceScanType DeviceTLType"
            " DeviceSFNCVersionMajor DeviceSFNCVersionMinor DeviceSFNCVersionSubMinor DeviceReset"
            " DeviceLinkSpeed DeviceLinkThroughputLimitMode DeviceLinkThroughputLimit"
            " DeviceLinkCurrentThroughput DeviceTemperatureSelector DeviceTemperature TimestampLatch"
            " TimestampLatchValue",
            DeviceTemperatureSelector={"entries": {"Mainboard": 0}},
        ),
        *device_control.versions(wire),
        *transport_layer_control.features(model),
        *user_set_control.features(USER_SETS),
        *event_control.features(EVENTS),
        *chunk_data_control.features(chunks(model), selectable_image=True),
        *file_access_control.features(files(model)),
        *virtual_camera.features(model),
    ]


def files(_model: Model) -> list[DeviceFile]:
    """What FileSelector offers."""
    sets = (file_access_control.user_set_file(name) for name in USER_SETS[1:])
    return [file_access_control.user_file("UserFile", 4096), *sets]


def chunks(model: Model) -> list[Chunk]:
    """What may follow the pixels."""
    return chunk_data_control.chunks(model, CHUNKS)


FAMILY = Family(
    features=features,
    events=EVENTS,
    event_names={Happening.FRAME_START_OVERTRIGGER: "FrameTriggerMissed"},
    triggers={BURST: "FrameBurstStart", FRAME: "FrameStart"},
    user_sets=USER_SETS,
    files=files,
    chunks=chunks,
)
