"""Names of the SFNC with their interface types and units, for descriptions that call a feature Standard.

After SFNC 2.7, summary tables: the areas that cameras with a USB3 Vision wire use. Letters: I Integer, F Float,
E Enumeration, B Boolean, C Command, S String, R Register. A name that is not here is noted, never judged.
Units: what SFNC prints, and the spellings that are common for it.
"""

from dataclasses import dataclass

_KINDS = {
    "I": "Integer",
    "F": "Float",
    "E": "Enumeration",
    "B": "Boolean",
    "C": "Command",
    "S": "String",
    "R": "Register",
}
_OF_TAG = {
    "IntReg": "Integer",
    "MaskedIntReg": "Integer",
    "StructEntry": "Integer",
    "IntConverter": "Integer",
    "IntSwissKnife": "Integer",
    "FloatReg": "Float",
    "Converter": "Float",
    "SwissKnife": "Float",
    "StringReg": "String",
}

_TABLE = """
DeviceType E; DeviceScanType E; DeviceVendorName S; DeviceModelName S; DeviceFamilyName S; DeviceManufacturerInfo S
DeviceVersion S; DeviceFirmwareVersion S; DeviceSerialNumber S; DeviceID S; DeviceUserID S; DeviceReset C
DeviceSFNCVersionMajor I; DeviceSFNCVersionMinor I; DeviceSFNCVersionSubMinor I; DeviceManifestEntrySelector I
DeviceTLType E; DeviceTLVersionMajor I; DeviceTLVersionMinor I; DeviceTLVersionSubMinor I
DeviceGenCPVersionMajor I; DeviceGenCPVersionMinor I; DeviceMaxThroughput I Bps; DeviceConnectionSelector I
DeviceConnectionSpeed I Bps; DeviceConnectionStatus E; DeviceLinkSelector I; DeviceLinkSpeed I Bps
DeviceLinkThroughputLimitMode E; DeviceLinkThroughputLimit I Bps; DeviceLinkConnectionCount I
DeviceLinkHeartbeatMode E; DeviceLinkHeartbeatTimeout F us; DeviceLinkCommandTimeout F us
DeviceStreamChannelCount I; DeviceStreamChannelSelector I; DeviceStreamChannelType E; DeviceStreamChannelLink I
DeviceStreamChannelEndianness E; DeviceStreamChannelPacketSize I B; DeviceEventChannelCount I
DeviceCharacterSet E; DeviceIndicatorMode E; DeviceFeaturePersistenceStart C; DeviceFeaturePersistenceEnd C
DeviceRegistersStreamingStart C; DeviceRegistersStreamingEnd C; DeviceRegistersCheck C; DeviceRegistersValid B
DeviceRegistersEndianness E; DeviceTemperatureSelector E; DeviceTemperature F C; DeviceClockSelector E
DeviceClockFrequency F Hz; DeviceSerialPortSelector E; DeviceSerialPortBaudRate E; DevicePowerSupplySelector E
Timestamp I ns; TimestampReset C; TimestampLatch C; TimestampLatchValue I ns
SensorWidth I px; SensorHeight I px; SensorTaps E; SensorDigitizationTaps E; SensorPixelWidth F um
SensorPixelHeight F um; SensorName S; SensorShutterMode E; WidthMax I px; HeightMax I px; RegionSelector E
RegionMode E; RegionDestination E; RegionIDValue I; ComponentSelector E; ComponentEnable B; ComponentIDValue I
GroupSelector E; GroupIDValue I; ImageComponentSelector E; ImageComponentEnable B; Width I px; Height I px
OffsetX I px; OffsetY I px; LinePitchEnable B; LinePitch I B; BinningSelector E; BinningHorizontalMode E
BinningHorizontal I; BinningVerticalMode E; BinningVertical I; DecimationHorizontalMode E
DecimationHorizontal I; DecimationVerticalMode E; DecimationVertical I; ReverseX B; ReverseY B; PixelFormat E
PixelFormatInfoSelector E; PixelFormatInfoID I; PixelCoding E; PixelSize E; PixelColorFilter E
PixelDynamicRangeMin I; PixelDynamicRangeMax I; TestPatternGeneratorSelector E; TestPattern E; TestImageSelector E
Deinterlacing E; ImageCompressionMode E; ImageCompressionRateOption E; ImageCompressionQuality I
ImageCompressionBitrate F Mbps; ImageCompressionJPEGFormatOption E
AcquisitionMode E; AcquisitionStart C; AcquisitionStop C; AcquisitionAbort C; AcquisitionArm C
AcquisitionFrameCount I; AcquisitionBurstFrameCount I; AcquisitionFrameRate F Hz; AcquisitionFrameRateEnable B
AcquisitionLineRate F Hz; AcquisitionLineRateEnable B; AcquisitionStatusSelector E; AcquisitionStatus B
TriggerSelector E; TriggerMode E; TriggerSoftware C; TriggerSource E; TriggerActivation E; TriggerOverlap E
TriggerDelay F us; TriggerDivider I; TriggerMultiplier I; ExposureMode E; ExposureTimeMode E
ExposureTimeSelector E; ExposureTime F us; ExposureAuto E; MultiSlopeMode E
GainSelector E; Gain F dB; GainAuto E; GainAutoBalance E; BlackLevelSelector E; BlackLevel F LSB,DN
BlackLevelAuto E; BlackLevelAutoBalance E; WhiteClipSelector E; WhiteClip F; BalanceRatioSelector E
BalanceRatio F; BalanceWhiteAuto E; Gamma F; LUTSelector E; LUTEnable B; LUTIndex I; LUTValue I; LUTValueAll R
ColorTransformationSelector E; ColorTransformationEnable B; ColorTransformationValueSelector E
ColorTransformationValue F
LineSelector E; LineMode E; LineInverter B; LineStatus B; LineStatusAll I; LineSource E; LineFormat E
UserOutputSelector E; UserOutputValue B; UserOutputValueAll I; UserOutputValueAllMask I
CounterSelector E; CounterEventSource E; CounterEventActivation E; CounterResetSource E
CounterResetActivation E; CounterReset C; CounterValue I; CounterValueAtReset I; CounterDuration I
CounterStatus E; CounterTriggerSource E; CounterTriggerActivation E; TimerSelector E; TimerDuration F us
TimerDelay F us; TimerReset C; TimerValue F us; TimerStatus E; TimerTriggerSource E; TimerTriggerActivation E
TimerTriggerArmDelay F us; EncoderSelector E; EncoderSourceA E; EncoderSourceB E; EncoderMode E
EncoderDivider I; EncoderOutputMode E; EncoderStatus E; EncoderTimeout F us; EncoderResetSource E
EncoderResetActivation E; EncoderReset C; EncoderValue I; EncoderValueAtReset I; EncoderResolution F um
LogicBlockSelector E; LogicBlockFunction E; LogicBlockInputNumber I; LogicBlockInputSelector I
LogicBlockInputSource E; LogicBlockInputInverter B; LogicBlockLUTIndex I; LogicBlockLUTValue B
LogicBlockLUTValueAll I; LogicBlockLUTSelector E; LogicBlockLUTRowIndex I
SoftwareSignalSelector E; SoftwareSignalPulse C
EventSelector E; EventNotification E; TestPendingAck I ms; TestEventGenerate C; TestPayloadFormatMode E
UserSetSelector E; UserSetDescription S; UserSetLoad C; UserSetSave C; UserSetDefault E
UserSetDefaultSelector E; UserSetFeatureSelector E; UserSetFeatureEnable B
SequencerMode E; SequencerConfigurationMode E; SequencerFeatureSelector E; SequencerFeatureEnable B
SequencerSetSelector I; SequencerSetSave C; SequencerSetLoad C; SequencerSetActive I; SequencerSetStart I
SequencerPathSelector I; SequencerSetNext I; SequencerTriggerSource E; SequencerTriggerActivation E
FileSelector E; FileOperationSelector E; FileOperationExecute C; FileOpenMode E; FileAccessBuffer R
FileAccessOffset I B; FileAccessLength I B; FileOperationStatus E; FileOperationResult I; FileSize I B
SourceCount I; SourceSelector E; SourceIDValue I; TransferControlMode E; TransferStart C; TransferStop C
TransferPause C; TransferResume C; TransferAbort C; TransferBlockCount I; TransferOperationMode E
TransferQueueMaxBlockCount I; TransferQueueCurrentBlockCount I; TransferQueueMode E; TransferSelector E
TransferStatusSelector E; TransferStatus B; TransferStreamChannel I; TransferComponentSelector E
ChunkModeActive B; ChunkSelector E; ChunkEnable B; ChunkWidth I px; ChunkHeight I px; ChunkOffsetX I px
ChunkOffsetY I px; ChunkImage R; ChunkPixelFormat E; ChunkTimestamp I ns; ChunkTimestampLatchValue I ns
ChunkLineStatusAll I; ChunkCounterSelector E; ChunkCounterValue I; ChunkTimerSelector E; ChunkTimerValue F us
ChunkExposureTimeSelector E; ChunkExposureTime F us; ChunkGainSelector E; ChunkGain F dB
ChunkBlackLevelSelector E; ChunkBlackLevel F LSB,DN; ChunkLinePitch I B; ChunkFrameID I
ChunkPixelDynamicRangeMin I; ChunkPixelDynamicRangeMax I; ChunkSequencerSetActive I; ChunkStreamChannelID I
ChunkTransferBlockID I; ChunkTransferStreamID E; ChunkTransferQueueCurrentBlockCount I; ChunkPartSelector I
ChunkComponentSelector E; ChunkComponentIDValue I; ChunkRegionSelector E; ChunkRegionIDValue I
ChunkSourceSelector E; ChunkSourceIDValue I; ChunkGroupSelector E; ChunkGroupIDValue I; ChunkImageComponent E
ChunkScanLineSelector I; ChunkEncoderSelector E; ChunkEncoderValue I; ChunkEncoderStatusValue I
TLParamsLocked I; PayloadSize I B; DeviceTapGeometry E; GenDCStreamingMode E; GenDCStreamingStatus E
GenDCDescriptor R; GenDCFlowMappingTable R; ImageFormatControl E
"""
_UNITS = {
    "Bps": ("Bps", "bps", "B/s", "Bytes/s", "MBps"),
    "B": ("B", "Byte", "Bytes", "bytes"),
    "C": ("C", "°C", "Celsius", "degC"),
    "us": ("us", "µs"),
    "um": ("um", "µm"),
    "Hz": ("Hz", "fps", "1/s"),
    "px": ("px", "pixel", "pixels", "Pixels"),
}


@dataclass(frozen=True, slots=True)
class Standard:
    """What SFNC says of a feature."""

    kinds: frozenset[str]
    units: tuple[str, ...]


def _parse(table: str) -> dict[str, Standard]:
    found = {}
    for entry in table.replace("\n", ";").split(";"):
        words = entry.split()
        if len(words) < 2:
            continue
        units = tuple(words[2].split(",")) if len(words) > 2 else ()
        spelt = tuple(word for unit in units for word in _UNITS.get(unit, (unit,)))
        found[words[0]] = Standard(frozenset(_KINDS[letter] for letter in words[1]), spelt)
    return found


STANDARD_FEATURES = _parse(_TABLE)


def kind_of(tag: str) -> str:
    """The interface type of an XML element."""
    return _OF_TAG.get(tag, tag)


_SELECTED = """
TriggerSelector: TriggerMode TriggerSource TriggerActivation TriggerOverlap TriggerDelay TriggerDivider
LineSelector: LineMode LineInverter LineStatus LineSource LineFormat
UserOutputSelector: UserOutputValue
CounterSelector: CounterEventSource CounterEventActivation CounterResetSource CounterResetActivation CounterValue
CounterSelector: CounterValueAtReset CounterDuration CounterStatus CounterTriggerSource CounterTriggerActivation
TimerSelector: TimerDuration TimerDelay TimerValue TimerStatus TimerTriggerSource TimerTriggerActivation
EventSelector: EventNotification
ChunkSelector: ChunkEnable
GainSelector: Gain
BlackLevelSelector: BlackLevel
BalanceRatioSelector: BalanceRatio
LUTSelector: LUTEnable
ActionSelector: ActionGroupKey ActionGroupMask
AcquisitionStatusSelector: AcquisitionStatus
FileSelector: FileSize
SequencerPathSelector: SequencerSetNext SequencerTriggerSource SequencerTriggerActivation
SequencerFeatureSelector: SequencerFeatureEnable
ChunkCounterSelector: ChunkCounterValue
ColorTransformationValueSelector: ColorTransformationValue
TestPatternGeneratorSelector: TestPattern
"""

SELECTED = [
    (selector, name)
    for line in _SELECTED.strip().splitlines()
    for selector, _, names in [line.partition(":")]
    for name in names.split()
]
"""(selector, feature) where the SFNC writes feature[selector], of those that cameras keep to."""

_READ_ONLY = """
DeviceVendorName DeviceModelName DeviceManufacturerInfo DeviceVersion DeviceFirmwareVersion DeviceSerialNumber
DeviceSFNCVersionMajor DeviceSFNCVersionMinor DeviceSFNCVersionSubMinor DeviceTLVersionMajor DeviceTLVersionMinor
DeviceTLVersionSubMinor DeviceGenCPVersionMajor DeviceGenCPVersionMinor DeviceLinkSpeed DeviceMaxThroughput
DeviceTemperature SensorWidth SensorHeight WidthMax HeightMax PixelDynamicRangeMin PixelDynamicRangeMax PayloadSize
TimestampLatchValue LineStatus LineStatusAll FileSize
"""
READ_ONLY = frozenset(_READ_ONLY.split())
"""What the SFNC lets hosts read and never write."""
