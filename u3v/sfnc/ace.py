"""Basler ace: the feature names of its USB3 Vision models, which are SFNC 2's.

The GigE models have them, too. On Ethernet they use older names (ExposureTimeAbs, GainRaw), which a program for
USB3 Vision does not know.
"""

from u3v.chunks import Chunk
from u3v.family import BURST, FRAME, Family, pick
from u3v.features import Enumeration, Feature, Integer
from u3v.files import DeviceFile
from u3v.model import Model
from u3v.sfnc import (
    acquisition_control,
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

USER_SETS = ("Default", "UserSet1", "UserSet2", "UserSet3")
SEQUENCED = (
    *("ExposureTime", "Gain", "BlackLevel", "Width", "Height", "OffsetX", "OffsetY", "ReverseX", "ReverseY"),
    *(
        "Gamma",
        "LUTEnable",
        "PixelFormat",
        "AcquisitionFrameRateEnable",
        "AcquisitionFrameRate",
        "TimerDelay",
    ),
    *("TimerDuration", "UserOutputValue"),
)
"""What a sequencer set holds (assumed, after the ace USB documentation, which has more)."""
CHUNKS = "Image Timestamp ExposureTime Gain LineStatusAll CounterValue SequencerSetActive PayloadCRC16"
EVENTS = {
    "ExposureEnd": "The exposure of a frame has ended.",
    "FrameStart": "The exposure of a frame has begun.",
    "FrameBurstStart": "A burst of frames was triggered.",
    "FrameStartOvertrigger": "A frame trigger came too early and was lost.",
    "FrameBurstStartOvertrigger": "A burst trigger came too early and was lost.",
    "FrameBufferOverrun": "The frame memory was full: a frame was discarded.",
    "CriticalTemperature": "The device is too warm.",
    "OverTemperature": "The device is too hot: its sensor is powered down.",
    "Test": "A test event that TestEventGenerate asked for.",
}

# Basler ace USB manual (AW001234), "Temperature": the sensor is powered down above 80 C and test image 2 is sent.
# It says of the events that they are armed again 4 K lower; that the status follows them in this is assumed.
THERMAL = ThermalLimits(
    status=(("Ok", -273), ("Critical", 75), ("Over", 81)),
    stop_c=81,
    resume_c=77,
    test_image=2,
    events=(("CriticalTemperature", 75, 71), ("OverTemperature", 81, 77)),
    hysteresis_k=4,
)


ACTIVATIONS = {"RisingEdge": 0, "FallingEdge": 1, "AnyEdge": 2, "LevelHigh": 3, "LevelLow": 4}


def features(model: Model, wire: WireTraits) -> list[Feature]:
    """Every feature of an ace."""
    sources = ["Software", *counter_and_timer_control.SIGNALS, *digital_io_control.inputs(model)]
    return [
        *pick(
            image_format_control.features(model),
            "SensorWidth SensorHeight WidthMax HeightMax Width Height OffsetX OffsetY BinningHorizontal"
            " BinningVertical BinningHorizontalMode BinningVerticalMode ReverseX ReverseY"
            " PixelFormat PixelSize PixelDynamicRangeMin PixelDynamicRangeMax TestImageSelector",
        ),
        *pick(
            analog_control.features(model),
            "Gain BlackLevel Gamma",
            Gain=auto_functions.set_by_camera("GainAuto"),
        ),
        *auto_functions.basler(model),
        *lut_control.features(),
        *pick(
            acquisition_control.features(model),
            "AcquisitionMode AcquisitionStart AcquisitionStop AcquisitionAbort AcquisitionFrameCount"
            " AcquisitionBurstFrameCount AcquisitionFrameRateEnable AcquisitionFrameRate ResultingFrameRate"
            " SensorReadoutTime ExposureMode ExposureTime TriggerSelector TriggerMode TriggerSource"
            " TriggerActivation TriggerDelay TriggerSoftware AcquisitionStatusSelector AcquisitionStatus",
            ExposureTime=auto_functions.set_by_camera("ExposureAuto"),
            ExposureMode={"entries": {"Timed": 1, "TriggerWidth": 2}},
            TriggerSource={"entries": {name: value for value, name in enumerate(sources)}},
            TriggerActivation={"entries": ACTIVATIONS},
        ),
        *_lines(model),
        *device_control.features(model, wire),
        *_user_values(),
        *sequencer_control.features(32, 2, ["FrameStart", *sources[1:]]),
        device_control.temperature_status(THERMAL),
        *transport_layer_control.features(model),
        *user_set_control.features(USER_SETS),
        *event_control.features(EVENTS),
        *chunk_data_control.features(chunks(model)),
        *file_access_control.features(files(model)),
        *virtual_camera.features(model),
    ]


def _user_values() -> list[Feature]:
    """Five numbers for whatever the user likes."""
    selector = Enumeration(
        name="UserDefinedValueSelector",
        tooltip="The number that UserDefinedValue is.",
        category="UserDefinedValueControl",
        entries={f"Value{number}": number for number in range(1, 6)},
    )
    value = Integer(
        name="UserDefinedValue",
        tooltip="A number of the user's.",
        category="UserDefinedValueControl",
        min=-(2**31),
        selectors=("UserDefinedValueSelector",),
        persistent=True,
    )
    return [selector, value]


def files(_model: Model) -> list[DeviceFile]:
    """What FileSelector offers."""
    sets = (file_access_control.user_set_file(name) for name in USER_SETS[1:])
    return [
        file_access_control.user_file("UserData", 4096),
        *sets,
        file_access_control.firmware_file(),
    ]


def chunks(model: Model) -> list[Chunk]:
    """What may follow the pixels."""
    return chunk_data_control.chunks(model, CHUNKS)


def _lines(model: Model) -> list[Feature]:
    """Lines, timer and counters, as Basler's own documentation has them for ace USB cameras."""
    outputs = [f"UserOutput{n}" for n, _ in enumerate((x for x in model.lines if x.can_be_output), 1)]
    shown = ("ExposureActive", "FrameTriggerWait", "FrameBurstTriggerWait", "Timer1Active")
    return [
        *pick(
            digital_io_control.features(model, [*outputs, *shown], outputs, debouncer_max_us=20_000.0),
            "LineSelector LineMode LineFormat LineInverter LineDebouncerTime LineSource LineStatus LineStatusAll"
            " LineOverloadStatus UserOutputSelector UserOutputValue UserOutputValueAll",
        ),
        *counter_and_timer_control.software_signals(),
        *pick(
            counter_and_timer_control.timer(
                ["ExposureStart"],
                delay_max_us=16_777_215.0,
                duration_min_us=1.0,
                duration_max_us=16_777_215.0,
            ),
            "TimerSelector TimerDuration TimerDelay TimerTriggerSource",
        ),
        *pick(
            counter_and_timer_control.counters(
                ["FrameTrigger", "FrameStart", "Off"],
                ["Off", "Software", *digital_io_control.inputs(model)],
                duration=0,
                duration_min=0,
            ),
            "CounterSelector CounterEventSource CounterResetSource CounterResetActivation CounterReset CounterValue"
            " CounterDuration",
        ),
    ]


FAMILY = Family(
    features=features,
    events=EVENTS,
    thermal=THERMAL,
    event_names={},
    triggers={BURST: "FrameBurstStart", FRAME: "FrameStart"},
    user_sets=USER_SETS,
    files=files,
    sequenced=SEQUENCED,
    auto=auto_functions.BASLER,
    chunks=chunks,
)
