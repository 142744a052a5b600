"""SFNC AcquisitionControl: modes, frame rate, exposure, triggers."""

from dataclasses import replace

from u3v.device import Device
from u3v.family import BURST, FRAME
from u3v.features import Boolean, Command, Enumeration, Feature, Float, Integer, while_acquiring
from u3v.model import Model

CATEGORY = "AcquisitionControl"
_TRIGGER = ("TriggerSelector",)
_OVERLAPS = {"Off": 0, "ReadOut": 1, "PreviousFrame": 2}


def features(model: Model) -> list[Feature]:
    """All features of the category."""
    declared: list[Feature] = [
        Enumeration(
            name="AcquisitionMode",
            tooltip="How many frames an acquisition takes.",
            entries={"SingleFrame": 0, "MultiFrame": 1, "Continuous": 2},
            default="Continuous",
            locked=while_acquiring,
            persistent=True,
        ),
        Command(
            name="AcquisitionStart",
            tooltip="Starts the acquisition.",
            execute=lambda camera: camera.acquisition.start(camera.now_ns),
        ),
        Command(
            name="AcquisitionStop",
            tooltip="Stops the acquisition at the end of the current frame.",
            execute=lambda camera: camera.acquisition.stop(camera.now_ns),
        ),
        Command(
            name="AcquisitionAbort",
            tooltip="Stops the acquisition at once; a frame on its way is cut short.",
            visibility="Expert",
            execute=lambda camera: camera.acquisition.abort_command(camera.now_ns),
        ),
        Integer(
            name="AcquisitionFrameCount",
            tooltip="Frames of an acquisition in MultiFrame mode.",
            default=1,
            min=1,
            max=65535,
            locked=while_acquiring,
            persistent=True,
        ),
        Integer(
            name="AcquisitionBurstFrameCount",
            tooltip="Frames for each FrameBurstStart trigger.",
            visibility="Expert",
            default=1,
            min=1,
            max=1023,
            persistent=True,
        ),
        Boolean(
            name="AcquisitionFrameRateEnable",
            tooltip="Whether AcquisitionFrameRate limits the frame rate.",
            persistent=True,
        ),
        Float(
            name="AcquisitionFrameRate",
            tooltip="Highest frame rate, where AcquisitionFrameRateEnable is set.",
            unit="Hz",
            default=100.0,
            min=0.01,
            max=model.number("acquisition_frame_rate_max_hz", 1_000_000.0),
            persistent=True,
        ),
        Float(
            name="ResultingFrameRate",
            tooltip="Frame rate with the settings as they are: of readout, exposure and link the slowest.",
            access="RO",
            unit="Hz",
            max=1e9,
            read=lambda camera: 1e9 / camera.acquisition.period_ns(),
        ),
        Float(
            name="SensorReadoutTime",
            tooltip="Time to read the image out of the sensor.",
            access="RO",
            visibility="Expert",
            unit="us",
            max=1e9,
            read=lambda camera: camera.acquisition.timing.readout_ns(camera.sensor_rows) / 1000,
        ),
        Enumeration(
            name="ExposureMode",
            tooltip="What sets the exposure time.",
            entries={"Timed": 1},
            persistent=True,
            written=lambda camera: camera.acquisition.forget_triggers(),
        ),
        Float(
            name="ExposureTime",
            tooltip="Exposure time.",
            unit="us",
            default=model.number("exposure_default_us"),
            min=model.number("exposure_min_us"),
            max=model.number("exposure_max_us"),
            inc=model.number("exposure_increment_us", 0.0),
            persistent=True,
        ),
        Enumeration(
            name="TriggerSelector",
            tooltip="The trigger that the other trigger features set.",
            entries={"FrameBurstStart": 0, "FrameStart": 1},
            default="FrameStart",
            persistent=True,
        ),
        Enumeration(
            name="TriggerMode",
            tooltip="Whether the camera waits for the selected trigger.",
            entries={"Off": 0, "On": 1},
            selectors=_TRIGGER,
            persistent=True,
            written=lambda camera: camera.acquisition.forget_triggers(),
        ),
        Enumeration(
            name="TriggerSource",
            tooltip="Where the selected trigger comes from.",
            entries={"Software": 0},
            selectors=_TRIGGER,
            persistent=True,
        ),
        Enumeration(
            name="TriggerActivation",
            tooltip="The edge of the trigger signal that counts.",
            entries={"RisingEdge": 0, "FallingEdge": 1},
            selectors=_TRIGGER,
            persistent=True,
        ),
        Float(
            name="TriggerDelay",
            tooltip="Time from the trigger to what it starts.",
            unit="us",
            max=model.number("trigger_delay_max_us", 1_000_000.0),
            selectors=_TRIGGER,
            persistent=True,
        ),
        Enumeration(
            name="TriggerOverlap",
            tooltip="How early a trigger counts: after the last frame's readout (Off), after its exposure (ReadOut), or"
            " at any time, and waits (PreviousFrame).",
            visibility="Expert",
            entries=_OVERLAPS,
            default="ReadOut",
            selectors=_TRIGGER,
            persistent=True,
        ),
        Command(
            name="TriggerSoftware",
            tooltip="Gives the selected trigger.",
            execute=lambda camera: camera.inputs.software_trigger(camera.now_ns),
        ),
        Enumeration(
            name="AcquisitionStatusSelector",
            tooltip="What AcquisitionStatus tells.",
            visibility="Expert",
            entries={"FrameBurstTriggerWait": 0, "FrameTriggerWait": 1, "AcquisitionActive": 2},
        ),
        Boolean(
            name="AcquisitionStatus",
            tooltip="The state that AcquisitionStatusSelector selects.",
            access="RO",
            visibility="Expert",
            selectors=("AcquisitionStatusSelector",),
            read=_status,
        ),
    ]
    return [replace(feature, category=CATEGORY) for feature in declared]


def _status(camera: Device) -> bool:
    acquisition = camera.acquisition
    selected = camera.features.get("AcquisitionStatusSelector")
    if selected == "AcquisitionActive":
        return acquisition.active
    return acquisition.waits_for(FRAME if selected == "FrameTriggerWait" else BURST, camera.now_ns)
