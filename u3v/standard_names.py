"""Names that the Standard Features Naming Convention (SFNC 2.7) gives to features, categories and events.

The GenICam XML says of each node whether its name has the standard's meaning (NameSpace "Standard") or its maker's
("Custom"). Hosts keep the two apart: a program that asks for the standard's feature must not be given something else
that happens to be called the same. Here are those of the standard's names that cameras of this project use; a
feature that is not among them is its maker's. Whoever declares a feature of the standard adds its name.
"""

_CATEGORIES = """
    Root DeviceControl ImageFormatControl AnalogControl AcquisitionControl EventControl UserSetControl
    TransportLayerControl ChunkDataControl DigitalIOControl CounterAndTimerControl SoftwareSignalControl
    FileAccessControl LUTControl SequencerControl ActionControl
"""
_DEVICE = """
    DeviceVendorName DeviceModelName DeviceFamilyName DeviceManufacturerInfo DeviceVersion DeviceFirmwareVersion
    DeviceSerialNumber DeviceID DeviceUserID DeviceScanType DeviceTLType DeviceSFNCVersionMajor
    DeviceTLVersionMajor DeviceTLVersionMinor DeviceGenCPVersionMajor DeviceGenCPVersionMinor
    DeviceSFNCVersionMinor DeviceSFNCVersionSubMinor DeviceReset DeviceLinkSpeed DeviceLinkThroughputLimitMode
    DeviceLinkThroughputLimit DeviceLinkCurrentThroughput DeviceTemperatureSelector DeviceTemperature
    TimestampLatch TimestampLatchValue
"""
_IMAGE_FORMAT = """
    SensorWidth SensorHeight WidthMax HeightMax Width Height OffsetX OffsetY BinningHorizontal BinningVertical
    BinningHorizontalMode BinningVerticalMode
    ReverseX ReverseY PixelFormat PixelSize PixelColorFilter PixelDynamicRangeMin PixelDynamicRangeMax TestPattern
"""
_ANALOG = "GainSelector Gain BlackLevelSelector BlackLevel Gamma LUTSelector LUTEnable LUTIndex LUTValue LUTValueAll"
_ACQUISITION = """
    ExposureAuto GainAuto
    AcquisitionMode AcquisitionStart AcquisitionStop AcquisitionAbort AcquisitionFrameCount
    AcquisitionBurstFrameCount AcquisitionFrameRateEnable AcquisitionFrameRate AcquisitionStatusSelector
    AcquisitionStatus ExposureMode ExposureTime TriggerSelector TriggerMode TriggerSource TriggerSoftware
    TriggerActivation TriggerOverlap TriggerDelay
"""
_IO = """
    LineSelector LineMode LineFormat LineInverter LineSource LineStatus LineStatusAll UserOutputSelector
    UserOutputValue UserOutputValueAll CounterSelector CounterEventSource CounterEventActivation CounterResetSource
    CounterResetActivation CounterReset CounterValue CounterValueAtReset CounterDuration TimerSelector TimerDuration
    TimerDelay TimerTriggerSource TimerTriggerActivation SoftwareSignalSelector SoftwareSignalPulse
"""
_OTHERS = """
    EventSelector EventNotification TestEventGenerate TestPendingAck UserSetSelector UserSetLoad UserSetSave
    UserSetDefault PayloadSize TLParamsLocked ActionDeviceKey ActionSelector ActionGroupKey ActionGroupMask
"""
_CHUNKS = """
    ChunkModeActive ChunkSelector ChunkEnable ChunkOffsetX ChunkOffsetY ChunkWidth ChunkHeight ChunkPixelFormat
    ChunkTimestamp ChunkFrameID ChunkExposureTime ChunkGain ChunkBlackLevel ChunkLineStatusAll ChunkCounterSelector
    ChunkCounterValue ChunkSequencerSetActive
"""
_SEQUENCER = """
    SequencerMode SequencerConfigurationMode SequencerSetSelector SequencerSetSave SequencerSetLoad SequencerSetActive
    SequencerSetStart SequencerPathSelector SequencerSetNext SequencerTriggerSource SequencerTriggerActivation
"""
_FILES = """
    FileSelector FileOperationSelector FileOperationExecute FileOpenMode FileAccessBuffer FileAccessOffset
    FileAccessLength FileOperationStatus FileOperationResult FileSize
"""
_GEV = """
    GevVersionMajor GevVersionMinor GevDeviceModeIsBigEndian GevDeviceModeCharacterSet GevMACAddress
    GevSupportedIPConfigurationLLA GevSupportedIPConfigurationDHCP GevSupportedIPConfigurationPersistentIP
    GevCurrentIPConfigurationLLA GevCurrentIPConfigurationDHCP GevCurrentIPConfigurationPersistentIP
    GevCurrentIPAddress GevCurrentSubnetMask GevCurrentDefaultGateway GevFirstURL GevSecondURL GevNumberOfInterfaces
    GevPersistentIPAddress GevPersistentSubnetMask GevPersistentDefaultGateway GevLinkSpeed GevMessageChannelCount
    GevStreamChannelCount GevHeartbeatTimeout GevTimestampTickFrequency GevTimestampControlLatch
    GevTimestampControlReset GevTimestampValue GevSupportedOptionalCommandsEVENTDATA GevSupportedOptionalCommandsEVENT
    GevSupportedOptionalCommandsPACKETRESEND GevSupportedOptionalCommandsWRITEMEM
    GevSupportedOptionalCommandsConcatenation GevCCP GevPrimaryApplicationSwitchoverKey GevPrimaryApplicationSocket
    GevPrimaryApplicationIPAddress GevSCPHostPort GevSCPSFireTestPacket GevSCPSDoNotFragment GevSCPSPacketSize GevSCPD
    GevSCDA GevSCSP GevMCPHostPort GevMCDA GevMCTT GevMCRC GevMCSP GevSupportedIEEE1588 GevIEEE1588 GevIEEE1588Status
"""
_EVENTS = "ExposureStart ExposureEnd FrameBurstStart FrameStart FrameEnd FrameTriggerMissed Test"
_EVENTS += "".join(f" Line{n}{edge}Edge" for n in range(5) for edge in ("Rising", "Falling"))

STANDARD_EVENTS = frozenset(_EVENTS.split())
STANDARD_CATEGORIES = frozenset(_CATEGORIES.split()) | {f"Event{name}Data" for name in STANDARD_EVENTS}
STANDARD_FEATURES = frozenset(
    f"{_DEVICE} {_IMAGE_FORMAT} {_ANALOG} {_ACQUISITION} {_IO} {_OTHERS} {_CHUNKS} {_FILES} {_SEQUENCER} {_GEV}".split()
)
