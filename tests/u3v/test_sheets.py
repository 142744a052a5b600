"""Each model has exactly the features of its own camera, both ways: nothing is missing, nothing is there beside.

By model: what its data sheet (or its maker's public documentation) says it has, and the features that this is.
What no sheet names and every GenICam host asks for is in BASICS. What belongs to this camera being a virtual one is in
a category of its own.
"""

import pytest

from tests.u3v.models import ACE, ACE_8, ACE_11, GENERIC, IDS, NAMES, VCX, camera_of
from u3v.features import Enumeration, Float, Integer, limit

Sheet = dict[str, str]

BASICS: Sheet = {
    "image": "SensorWidth SensorHeight WidthMax HeightMax Width Height OffsetX OffsetY PixelFormat PixelSize"
    " PayloadSize",
    "acquisition": "AcquisitionMode AcquisitionStart AcquisitionStop AcquisitionAbort ResultingFrameRate ExposureTime"
    " Gain",
    "identity": "DeviceVendorName DeviceModelName DeviceFamilyName DeviceManufacturerInfo DeviceVersion"
    " DeviceFirmwareVersion DeviceSerialNumber DeviceUserID DeviceScanType DeviceTLType DeviceSFNCVersionMajor"
    " DeviceSFNCVersionMinor DeviceSFNCVersionSubMinor DeviceReset TimestampLatch TimestampLatchValue",
    "link and heat": "DeviceLinkSpeed DeviceLinkThroughputLimit DeviceLinkCurrentThroughput DeviceTemperature",
    "factory settings": "UserSetSelector UserSetLoad",
    "triggers": "TriggerSelector TriggerMode TriggerSource TriggerSoftware",
    "files": "FileSelector FileOperationSelector FileOperationExecute FileOpenMode FileAccessBuffer FileAccessOffset"
    " FileAccessLength FileOperationStatus FileOperationResult FileSize",
}
LINES = "LineSelector LineMode LineInverter LineSource LineStatus LineStatusAll"
USER_OUTPUTS = "UserOutputSelector UserOutputValue UserOutputValueAll"
COUNTERS = (
    "CounterSelector CounterEventSource CounterResetSource CounterResetActivation CounterReset CounterValue"
    " CounterDuration"
)
TIMER = "TimerSelector TimerDuration TimerDelay TimerTriggerSource"
SEQUENCER = (
    "SequencerMode SequencerConfigurationMode SequencerSetSelector SequencerSetSave SequencerSetLoad"
    " SequencerSetActive SequencerSetStart SequencerPathSelector SequencerSetNext SequencerTriggerSource"
    " SequencerTriggerActivation"
)
LUT = "LUTSelector LUTEnable LUTIndex LUTValue LUTValueAll"
CHUNKS = "ChunkModeActive ChunkSelector ChunkEnable"
EVENTS = "EventSelector EventNotification"
USER_SETS = "UserSetSave UserSetDefault"
RATE = "AcquisitionFrameCount AcquisitionFrameRateEnable AcquisitionFrameRate"
STATUS = "AcquisitionStatusSelector AcquisitionStatus"
PIXEL_RANGE = "PixelDynamicRangeMin PixelDynamicRangeMax"
MIRROR = "ReverseX ReverseY"
BINNING = "BinningHorizontal BinningVertical"

BASLER: Sheet = {
    "hardware trigger, software trigger, free run": f"TriggerActivation TriggerDelay {STATUS}",
    "exposure by trigger width or programmed": "ExposureMode",
    "frame rate": f"{RATE} AcquisitionBurstFrameCount SensorReadoutTime",
    "opto-coupled and general purpose lines, 50 mA": f"{LINES} LineFormat LineDebouncerTime LineOverloadStatus",
    "outputs set by the user": USER_OUTPUTS,
    "software signals": "SoftwareSignalSelector SoftwareSignalPulse",
    "a timer, two counters": f"{TIMER} {COUNTERS}",
    "12-bit converter": f"{PIXEL_RANGE} {LUT} BlackLevel Gamma",
    "auto functions with two regions": "ExposureAuto GainAuto AutoTargetBrightness AutoFunctionProfile"
    " AutoExposureTimeLowerLimit AutoExposureTimeUpperLimit AutoGainLowerLimit AutoGainUpperLimit"
    " AutoFunctionROISelector AutoFunctionROIOffsetX AutoFunctionROIOffsetY AutoFunctionROIWidth"
    " AutoFunctionROIHeight AutoFunctionROIUseBrightness",
    "binning, mirroring, test images": f"{BINNING} BinningHorizontalMode BinningVerticalMode {MIRROR}"
    " TestImageSelector",
    "sequencer": SEQUENCER,
    "chunks, events, user sets": f"{CHUNKS} {EVENTS} TestEventGenerate {USER_SETS}",
    "temperature status": "DeviceTemperatureSelector DeviceTemperatureStatus",
    "device": "DeviceID DeviceLinkThroughputLimitMode UserDefinedValueSelector UserDefinedValue",
}
"""The three Basler sheets; what they only imply is Basler's public documentation of the ace."""

SHEETS: dict[str, Sheet] = {
    ACE: BASLER,
    ACE_11: BASLER,
    ACE_8: BASLER,
    IDS: {
        "binning 2x2, mono and colour": BINNING,
        "mirror and flip": MIRROR,
        "trigger input, flash output, two GPIO": LINES,
        "master gain": "GainSelector",
    },
    VCX: {
        "ReadoutMode overlapped or sequential": "ReadoutMode",
        "short exposure times": "ShortExposureTimeEnable",
        "AcquisitionFrameRate, MultiFrame": f"{RATE} SensorReadoutTime",
        "AcquisitionStatus": STATUS,
        "ExposureMode Timed": "ExposureMode",
        "gain, offset": f"GainSelector BlackLevelSelector BlackLevel {PIXEL_RANGE}",
        "auto exposure and gain with priority and region": "ExposureAuto GainAuto BrightnessAutoPriority"
        " BrightnessAutoNominalValue ExposureAutoMinValue ExposureAutoMaxValue GainAutoMinValue GainAutoMaxValue"
        " AutoFeatureRegionSelector AutoFeatureOffsetX AutoFeatureOffsetY AutoFeatureWidth AutoFeatureHeight",
        "luminance LUT": LUT,
        "binning, flip, test pattern": f"{BINNING} {MIRROR} TestPattern",
        "defect pixel correction": "DefectPixelCorrection DefectPixelListIndex DefectPixelListEntryActive"
        " DefectPixelListEntryPosX DefectPixelListEntryPosY",
        "trigger": "TriggerActivation TriggerOverlap TriggerDelay",
        "lines, debouncer low and high": f"{LINES} LineFormat LineDebouncerHighTimeAbs LineDebouncerLowTimeAbs"
        f" {USER_OUTPUTS}",
        "timer, counters": f"{TIMER} TimerTriggerActivation {COUNTERS} CounterEventActivation CounterValueAtReset",
        "sequencer": SEQUENCER,
        "user sets, custom data": f"{USER_SETS} CustomDataSelector CustomData",
        "chunks, events": f"{CHUNKS} {EVENTS}",
        "Action1": "ActionDeviceKey ActionSelector ActionGroupKey ActionGroupMask",
        "temperature status": "DeviceTemperatureSelector DeviceTemperatureStatus",
    },
    GENERIC: {
        "SFNC image format": f"{BINNING} {MIRROR} PixelColorFilter {PIXEL_RANGE} TestPattern",
        "SFNC analog": "GainSelector BlackLevelSelector BlackLevel",
        "SFNC acquisition": f"{RATE} AcquisitionBurstFrameCount ExposureMode TriggerOverlap TriggerDelay {STATUS}",
        "SFNC device": "DeviceLinkThroughputLimitMode DeviceTemperatureSelector DeviceTLVersionMajor"
        " DeviceTLVersionMinor DeviceGenCPVersionMajor DeviceGenCPVersionMinor",
        "SFNC chunks, events, user sets": f"{CHUNKS} {EVENTS} TestEventGenerate {USER_SETS}",
    },
}
VIRTUAL = "VirtualCamera"


@pytest.mark.parametrize("name", NAMES)
def test_both_ways(name: str) -> None:
    features = camera_of(name).features
    listed = " ".join([*BASICS.values(), *SHEETS[name].values()]).split()
    assert len(listed) == len(set(listed)), "a feature is in two places of this test"
    there = {feature.name for feature in features if feature.category != VIRTUAL}
    assert sorted(set(listed) - there) == [], "not there"
    assert sorted(there - set(listed)) == [], "not on the sheet"


RANGES = {
    (ACE, "Width"): (8, 4112),
    (ACE, "Height"): (1, 2176),
    (ACE_11, "Width"): (8, 4112),
    (ACE_11, "Height"): (1, 2176),
    (ACE_8, "Width"): (8, 4112),
    (ACE_8, "Height"): (1, 3008),
    (IDS, "Width"): (24, 4056),
    (IDS, "Height"): (32, 3040),
    (IDS, "ExposureTime"): (32.0, 1_900_000.0),
    (IDS, "BinningHorizontal"): (1, 2),
}
ENTRIES = {
    (ACE, "LineSelector"): "Line1 Line2 Line3 Line4",
    (ACE, "TriggerSource"): "Software SoftwareSignal1 SoftwareSignal2 SoftwareSignal3 Line1 Line3 Line4",
    (ACE, "ExposureMode"): "Timed TriggerWidth",
    (ACE_11, "LineSelector"): "Line1 Line2 Line3",
    (ACE_11, "TriggerSource"): "Software SoftwareSignal1 SoftwareSignal2 SoftwareSignal3 Line1 Line3",
    (ACE_11, "ExposureMode"): "Timed TriggerWidth",
    (ACE_8, "LineSelector"): "Line1 Line2 Line3",
    (ACE_8, "TriggerSource"): "Software SoftwareSignal1 SoftwareSignal2 SoftwareSignal3 Line1 Line3",
    (ACE_8, "ExposureMode"): "Timed TriggerWidth",
    (IDS, "LineSelector"): "Line0 Line1 Line2 Line3",
    (IDS, "TriggerSource"): "Software Line0 Line2 Line3",
    (IDS, "FileSelector"): "FirmwareUpdate",
    (IDS, "UserSetSelector"): "Default",
    (VCX, "TriggerOverlap"): "Off ReadOut",
    (GENERIC, "TriggerOverlap"): "Off ReadOut PreviousFrame",
}
"""What the sheets print (minimum sizes of the Basler cameras are assumed). Line1 of the IDS is its flash output.
Baumer's sheet prints of TriggerOverlap ReadOut alone; Off and PreviousFrame are SFNC's."""


@pytest.mark.parametrize(("name", "feature"), RANGES)
def test_printed_ranges(name: str, feature: str) -> None:
    camera = camera_of(name)
    declared = camera.features.declared[feature]
    assert isinstance(declared, Integer | Float)
    assert (limit(camera, declared.min), limit(camera, declared.max)) == RANGES[name, feature]


@pytest.mark.parametrize(("name", "feature"), ENTRIES)
def test_printed_choices(name: str, feature: str) -> None:
    declared = camera_of(name).features.declared[feature]
    assert isinstance(declared, Enumeration)
    assert list(declared.entries) == ENTRIES[name, feature].split()
