"""Baumer VCX: SFNC 2.4 names, the events of its data sheet, one image in the buffer while triggered.

The data sheet does not name its test patterns, so they are those of SFNC 2.4 (assumed). `ReadoutMode` and the defect
pixel list follow the data sheet; whoever builds the camera enters its hot pixels in the list, as the factory does. Of
TriggerOverlap it prints ReadOut; Off is SFNC's (assumed). It does not print edges for triggers, counters and timer
either: those are a sister model's (assumed).
"""

from dataclasses import replace

from u3v.chunks import Chunk
from u3v.device import Device
from u3v.family import FRAME, Family, pick
from u3v.features import Boolean, Enumeration, Feature, Integer
from u3v.files import DeviceFile
from u3v.happenings import Happening
from u3v.model import Model
from u3v.sfnc import (
    acquisition_control,
    action_control,
    analog_control,
    auto_functions,
    chunk_data_control,
    counter_and_timer_control,
    device_control,
    digital_io_control,
    event_control,
    file_access_control,
    image_format_control,
    lut_control,
    sequencer_control,
    transport_layer_control,
    user_set_control,
    virtual_camera,
)
from u3v.thermal import ThermalLimits
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
    "FrameCounter",
)
LINES = ("Line0", "Line1", "Line2")
COUNTER_ENDS = ("Counter1End", "Counter2End")
TRIGGER_SOURCES = ("Off", "Software", "All", *LINES, *COUNTER_ENDS, "Action1")
USER_OUTPUTS = ("UserOutput1", "UserOutput2", "UserOutput3")
OUTPUT_SOURCES = ("Off", "ExposureActive", "Timer1Active", "ReadoutActive", *USER_OUTPUTS, "TriggerReady")
SEQUENCER_SOURCES = ("Off", *COUNTER_ENDS, "ExposureActive", *LINES, "ReadoutActive", "Timer1End")
SEQUENCED = (
    *(
        "ExposureTime",
        "CounterDuration",
        "CounterEventActivation",
        "CounterEventSource",
        "CounterResetSource",
    ),
    *("ExposureMode", "Gain", "Height", "OffsetX", "OffsetY", "TriggerMode", "UserOutputValue"),
    *("UserOutputValueAll", "Width"),
)
TIMER_SOURCES = (
    *("Off", "Line0", "SoftwareTrigger", "ExposureStart", "ExposureEnd"),
    *("FrameTransferSkipped", "TriggerSkipped", "Action1"),
)
COUNTER_EVENTS = (
    *("Off", *COUNTER_ENDS, "ExposureActive", "FrameTransferSkipped", "FrameTrigger"),
    *("TriggerSkipped", *LINES),
)
USER_SETS = ("UserSet0", "UserSet1", "UserSet2", "UserSet3")
CHUNKS = (
    "Image Binning BlackLevel CounterValue DeviceTemperature ExposureTime FrameID Gain Height"
    " ImageControl LineStatusAll OffsetX OffsetY PixelFormat SequencerSetActive Timestamp Width"
)
EVENTS = {
    "DeviceTemperatureStatusChanged": "The device's temperature has become normal, high or exceeded.",
    "EventLost": "Events were lost: the queue was full.",
    "ExposureEnd": "The exposure of a frame has ended.",
    "ExposureStart": "The exposure of a frame has begun.",
    "FrameEnd": "A frame has been read out.",
    "FrameStart": "A frame has begun.",
    "FrameTransferSkipped": "The image buffer was full: a frame was not transferred.",
    **{f"{line}FallingEdge": f"{line} has become low." for line in LINES},
    **{f"{line}RisingEdge": f"{line} has become high." for line in LINES},
    "GigEVisionError": "A command over the GigE Vision wire was refused; over another wire it never comes.",
    "GigEVisionHeartbeatTimeout": "The heartbeat of the GigE Vision wire was missed; over another wire it never comes.",
    "PrimaryApplicationSwitch": "Another program has taken over; GigE Vision has that, other wires have not.",
    "TransferBufferFull": "The image buffer takes no further frame.",
    "TransferBufferReady": "The image buffer takes frames again.",
    "TriggerOverlapped": "A trigger came while a frame was read out.",
    "TriggerReady": "The camera is ready for a trigger.",
    "TriggerSkipped": "A trigger came too early and was lost.",
}

# Data sheet: no image above the maximum internal temperature (75 C) + 1 C. Where High begins is assumed,
# and so is the hysteresis: twice the 1 K that the sheet gives its sensor.
THERMAL = ThermalLimits(
    status=(("Normal", -273), ("High", 71), ("Exceeded", 76)),
    stop_c=77,
    resume_c=75,
    changed_event="DeviceTemperatureStatusChanged",
    hysteresis_k=2,
)


def features(model: Model, wire: WireTraits) -> list[Feature]:
    """Every feature of a VCX."""
    return [
        *pick(
            image_format_control.features(model),
            "SensorWidth SensorHeight WidthMax HeightMax Width Height OffsetX OffsetY BinningHorizontal"
            " BinningVertical ReverseX ReverseY PixelFormat PixelSize PixelDynamicRangeMin"
            " PixelDynamicRangeMax",
        ),
        image_format_control.test_pattern(TEST_PATTERNS),
        analog_control.selector_of_all("GainSelector", "The gain that Gain sets."),
        analog_control.selector_of_all("BlackLevelSelector", "The black level that BlackLevel sets."),
        *pick(
            analog_control.features(model),
            "Gain BlackLevel",
            Gain={"selectors": ("GainSelector",), **auto_functions.set_by_camera("GainAuto")},
            BlackLevel={"selectors": ("BlackLevelSelector",), "unit": "LSB"},
        ),
        *_acquisition(model),
        *_lines(model),
        *lut_control.features(),
        *_defect_pixels(model),
        *auto_functions.baumer(model),
        *action_control.features(),
        *_custom_data(),
        *sequencer_control.features(128, 4, SEQUENCER_SOURCES),
        *pick(
            device_control.features(model, wire),
            "DeviceVendorName DeviceModelName DeviceFamilyName DeviceManufacturerInfo DeviceVersion"
            " DeviceFirmwareVersion DeviceSerialNumber DeviceUserID DeviceScanType DeviceTLType"
            " DeviceSFNCVersionMajor DeviceSFNCVersionMinor DeviceSFNCVersionSubMinor DeviceReset"
            " DeviceLinkSpeed DeviceLinkThroughputLimit DeviceLinkCurrentThroughput"
            " DeviceTemperatureSelector DeviceTemperature TimestampLatch TimestampLatchValue",
            DeviceTemperatureSelector={"entries": {"InHouse": 0}},
        ),
        device_control.temperature_status(THERMAL),
        *transport_layer_control.features(model),
        *user_set_control.features(USER_SETS),
        *event_control.features(EVENTS),
        *chunk_data_control.features(chunks(model), selectable_image=True),
        *file_access_control.features(files(model)),
        *virtual_camera.features(model),
    ]


def files(_model: Model) -> list[DeviceFile]:
    """What FileSelector offers."""
    return [lut_control.file(), *(file_access_control.user_set_file(name) for name in USER_SETS[1:])]


def chunks(model: Model) -> list[Chunk]:
    """What may follow the pixels."""
    return chunk_data_control.chunks(model, CHUNKS)


def _acquisition(model: Model) -> list[Feature]:
    special: list[Feature] = [
        Enumeration(
            name="ReadoutMode",
            tooltip="Whether the next exposure may run while a frame is read out.",
            entries={"Overlapped": 0, "Sequential": 1},
            persistent=True,
        ),
        Boolean(
            name="ShortExposureTimeEnable",
            tooltip="Whether ExposureTime may be shorter than usual.",
            written=_lengthen_exposure,
            persistent=True,
        ),
    ]
    return [
        *pick(
            acquisition_control.features(model),
            "AcquisitionMode AcquisitionStart AcquisitionStop AcquisitionAbort AcquisitionFrameCount"
            " AcquisitionFrameRateEnable AcquisitionFrameRate ResultingFrameRate SensorReadoutTime"
            " ExposureMode ExposureTime TriggerSelector TriggerMode TriggerSource TriggerActivation TriggerOverlap"
            " TriggerDelay TriggerSoftware AcquisitionStatusSelector AcquisitionStatus",
            AcquisitionAbort={"tooltip": "Stops; the frame that is being read out is read out first."},
            ExposureTime={
                "min": _exposure_min_us,
                "changed_by": ("ShortExposureTimeEnable",),
                **auto_functions.set_by_camera("ExposureAuto"),
            },
            TriggerSelector={"entries": {"FrameStart": 0}},
            TriggerSource={
                "entries": {name: value for value, name in enumerate(TRIGGER_SOURCES)},
                "default": "All",
            },
            TriggerActivation={"entries": counter_and_timer_control.EDGES},
            TriggerOverlap={"entries": {"Off": 0, "ReadOut": 1}},
            AcquisitionStatusSelector={"entries": {"AcquisitionTriggerWait": 0, "AcquisitionActive": 1}},
        ),
        *(replace(feature, category=acquisition_control.CATEGORY) for feature in special),
    ]


def _lines(model: Model) -> list[Feature]:
    return [
        *pick(
            digital_io_control.features(model, OUTPUT_SOURCES, USER_OUTPUTS, debouncer_max_us=5000.0),
            "LineSelector LineMode LineFormat LineInverter LineDebouncerHighTimeAbs LineDebouncerLowTimeAbs LineSource"
            " LineStatus LineStatusAll UserOutputSelector UserOutputValue UserOutputValueAll",
        ),
        *counter_and_timer_control.timer(
            TIMER_SOURCES, delay_max_us=2e6, duration_min_us=4.0, duration_max_us=2e6
        ),
        *counter_and_timer_control.counters(COUNTER_EVENTS, ("Off", *COUNTER_ENDS, *LINES)),
    ]


def _exposure_min_us(camera: Device) -> float:
    short = camera.features.get("ShortExposureTimeEnable")
    least = camera.model.number("exposure_min_us")
    return camera.model.number("exposure_short_min_us", least) if short else least


def _lengthen_exposure(camera: Device) -> None:
    """Leaving the short range takes the exposure time along."""
    longer = max(camera.features.get("ExposureTime"), _exposure_min_us(camera))
    camera.features.set("ExposureTime", longer)


def _defect_pixels(model: Model) -> list[Feature]:
    index = ("DefectPixelListIndex",)
    declared: list[Feature] = [
        Boolean(
            name="DefectPixelCorrection",
            tooltip="Whether the pixels of the defect pixel list are corrected.",
            default=True,
            persistent=True,
        ),
        Integer(
            name="DefectPixelListIndex",
            tooltip="The entry of the defect pixel list that the other features show.",
            max=model.integer("defect_pixels_max", 1) - 1,
        ),
        Boolean(
            name="DefectPixelListEntryActive",
            tooltip="Whether the entry counts.",
            keeps=True,
            selectors=index,
        ),
        Integer(
            name="DefectPixelListEntryPosX",
            tooltip="Column of the pixel on the sensor.",
            max=model.integer("width_max_px") - 1,
            unit="px",
            keeps=True,
            selectors=index,
        ),
        Integer(
            name="DefectPixelListEntryPosY",
            tooltip="Row of the pixel on the sensor.",
            max=model.integer("height_max_px") - 1,
            unit="px",
            keeps=True,
            selectors=index,
        ),
    ]
    return [replace(feature, category="ImageProcessingControl") for feature in declared]


def _custom_data() -> list[Feature]:
    """128 bytes for whatever the user likes, one at a time (as printed; how they are reached is assumed)."""
    declared: list[Feature] = [
        Integer(name="CustomDataSelector", tooltip="The byte that CustomData is.", max=127),
        Integer(
            name="CustomData",
            tooltip="A byte of the user's.",
            max=255,
            keeps=True,
            selectors=("CustomDataSelector",),
        ),
    ]
    return [replace(feature, category="CustomDataControl") for feature in declared]


FAMILY = Family(
    features=features,
    events=EVENTS,
    thermal=THERMAL,
    event_names={
        Happening.FRAME_START_OVERTRIGGER: "TriggerSkipped",
        Happening.FRAME_BUFFER_OVERRUN: "FrameTransferSkipped",
        Happening.HEARTBEAT_TIMEOUT: "GigEVisionHeartbeatTimeout",
        Happening.COMMAND_REFUSED: "GigEVisionError",
    },
    triggers={FRAME: "FrameStart"},
    user_sets=USER_SETS,
    files=files,
    sequenced=SEQUENCED,
    auto=auto_functions.BAUMER,
    chunks=chunks,
    every_source="All",
    abort_after_readout=True,  # data sheet: AcquisitionAbort is delayed by up to 65.8 ms, the readout's time
)
