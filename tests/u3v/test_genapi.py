"""The XML, judged by the reference implementation of GenApi and by the strictest parser seen (cameleon's)."""

import io
import math
import zipfile
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.u3v.genicam_nodes import Access, Nodes, document, genapi, shown
from tests.u3v.rig import MODEL, PlainTiming, Room, make_camera, on_usb
from u3v.camera import FEATURE_BYTES, Camera
from u3v.errors import GenCPError
from u3v.features import (
    Boolean,
    ByteArray,
    Command,
    Enumeration,
    Feature,
    Float,
    Integer,
    String,
    limit,
    while_acquiring,
)
from u3v.genapi import build_xml, zip_xml
from u3v.gev.bootstrap import GIGE_VISION
from u3v.gev.function import GevFunction
from u3v.model import GIGE, load_model, model_names
from u3v.usb3v.bootstrap import USB3_VISION, xml_text

NAMESPACE = "{http://www.genicam.org/GenApi/Version_1_1}"


@pytest.fixture
def camera() -> Camera:
    return on_usb(make_camera())


@pytest.fixture
def nodes(camera: Camera) -> Nodes:
    return Nodes(camera)


def camera_on(name: str) -> Camera:
    """A camera of this model; "model on gige": on its own wire."""
    model, _, wire = name.partition(" on ")
    if wire:
        camera = Camera(load_model(model), PlainTiming(), Room(), GIGE_VISION)
        GevFunction(camera)
        return camera
    return on_usb(Camera(load_model(model), PlainTiming(), Room(), USB3_VISION))


EACH = [*model_names(), *(f"{name} on gige" for name in model_names() if load_model(name).wire == GIGE)]


@pytest.fixture(params=EACH)
def each(request: pytest.FixtureRequest) -> Camera:
    """A camera of each model, on each of its wires."""
    return camera_on(request.param)


def children(element: ElementTree.Element) -> list[str]:
    return [child.tag.removeprefix(NAMESPACE) for child in element]


def elements(camera: Camera) -> Iterator[tuple[str, ElementTree.Element]]:
    for element in ElementTree.fromstring(document(camera)):
        yield element.tag.removeprefix(NAMESPACE), element


# -- the document ---------------------------------------------------------------------------------------------

HEAD = (
    "Extension ToolTip Description DisplayName Visibility DocuURL IsDeprecated EventID pIsImplemented pIsAvailable "
    "pIsLocked pBlockPolling ImposedAccessMode pError pAlias pCastAlias pInvalidator"
)
REGISTER = (
    f"{HEAD} Streamable Address|pAddress|pIndex Length AccessMode pPort Cachable PollingTime pInvalidator"
)
ORDER = {
    "Category": f"{HEAD} pFeature",
    "Integer": f"{HEAD} Streamable Value|pValue Min|pMin Max|pMax Inc|pInc Unit Representation pSelected",
    "Register": REGISTER,
    "Float": f"{HEAD} Streamable Value|pValue Min|pMin Max|pMax Inc|pInc Unit Representation DisplayNotation",
    "Boolean": f"{HEAD} Streamable Value|pValue OnValue OffValue pSelected",
    "Enumeration": f"{HEAD} Streamable EnumEntry Value|pValue pSelected PollingTime",
    "EnumEntry": f"{HEAD} Value NumericValue IsSelfClearing",
    "Command": f"{HEAD} Value|pValue CommandValue|pCommandValue PollingTime",
    "String": f"{HEAD} Streamable Value|pValue",
    "StringReg": REGISTER,
    "IntReg": f"{REGISTER} Sign Endianess Unit Representation pSelected",
    "MaskedIntReg": f"{REGISTER} Bit LSB MSB Sign Endianess Unit Representation pSelected",
    "FloatReg": f"{REGISTER} Endianess Unit Representation",
    "IntSwissKnife": f"{HEAD} Streamable pVariable Constant Expression Formula Unit Representation",
    "Port": f"{HEAD} ChunkID SwapEndianess",
}
"""Child elements in the order in which cameleon's parser takes them; what it finds elsewhere it never sees."""
REQUIRED = {
    "Command": {"pValue", "CommandValue"},
    "IntReg": {"Address", "Length", "AccessMode", "pPort", "Sign", "Endianess"},
    "FloatReg": {"Address", "Length", "AccessMode", "pPort", "Endianess"},
    "StringReg": {"Address", "Length", "AccessMode", "pPort"},
    "Float": {"Min", "Max"},
    "IntSwissKnife": {"Formula"},
}
SEVERAL = {"pFeature", "pInvalidator", "pSelected", "EnumEntry", "pVariable", "pIndex"}


def test_element_order(each: Camera) -> None:
    todo = [*elements(each)]
    todo += [("EnumEntry", e) for _, element in todo for e in element.findall(f"{NAMESPACE}EnumEntry")]
    assert {kind for kind, _ in todo} | {"MaskedIntReg"} == set(ORDER)
    for kind, element in todo:
        order = [names.split("|") for names in ORDER[kind].split()]
        at = 0
        for child in children(element):
            while child not in order[at]:
                at += 1
                assert at < len(order), f"{kind} {element.get('Name')}: {child} is out of order"
        named = {name.removeprefix("p") if kind == "Float" else name for name in children(element)}
        assert REQUIRED.get(kind, set()) <= named, element.get("Name")
        for child in set(children(element)) - SEVERAL:
            assert children(element).count(child) == 1, (element.get("Name"), child)


def test_references_and_names(each: Camera) -> None:
    names = [element.get("Name") for _, element in elements(each)]
    assert len(names) == len(set(names))
    for _, element in elements(each):
        for child in element:
            tag = child.tag.removeprefix(NAMESPACE)
            if tag.startswith("p"):
                assert child.text in names, f"{element.get('Name')}: {tag} {child.text}"


def test_every_feature_is_reached_from_the_root(each: Camera) -> None:
    features = {
        e.get("Name"): [p.text for p in e.findall(f"{NAMESPACE}pFeature")]
        for k, e in elements(each)
        if k == "Category"
    }
    seen: set[str] = set()
    todo = ["Root"]
    while todo:
        name = todo.pop()
        assert name not in seen, f"{name} is in two categories"
        seen.add(name)
        todo += [str(child) for child in features.get(name, [])]
    assert {f.name for f in shown(each)} | {"TLParamsLocked"} <= seen
    assert set(features) <= seen


def test_the_same_camera_gives_the_same_bytes() -> None:
    one, two = make_camera(), make_camera(settings={"Gain": 6.0})
    assert xml_text(one) == xml_text(two)
    assert zip_xml(xml_text(one), "a") == zip_xml(xml_text(two), "a")
    with zipfile.ZipFile(io.BytesIO(zip_xml(xml_text(one), "a"))) as archive:
        assert archive.namelist() == ["a.xml"]


def test_identity(nodes: Nodes) -> None:
    info = nodes.map.device_info
    assert (info.vendor_name, info.model_name) == ("Basler", "acA4096_40um")
    assert info.standard_name_space == "USB"


def test_the_name_space_is_the_wires(camera: Camera) -> None:
    about = {"vendor": "Basler", "model": "a", "tooltip": "a", "events": ()}
    for wire in ("USB", "GEV"):
        document = ElementTree.fromstring(build_xml(camera.features, name_space=wire, **about))
        assert document.get("StandardNameSpace") == wire


SFNC = {
    "IInteger": "WidthMax Width Height OffsetX OffsetY SensorWidth SensorHeight HeightMax BinningHorizontal "
    "BinningVertical PixelDynamicRangeMin PixelDynamicRangeMax AcquisitionFrameCount AcquisitionBurstFrameCount "
    "DeviceSFNCVersionMajor DeviceSFNCVersionMinor DeviceSFNCVersionSubMinor DeviceLinkSpeed PayloadSize "
    "DeviceTLVersionMajor DeviceTLVersionMinor DeviceGenCPVersionMajor DeviceGenCPVersionMinor "
    "DeviceLinkThroughputLimit DeviceLinkCurrentThroughput TimestampLatchValue TLParamsLocked EventTest "
    "EventExposureEnd EventExposureEndTimestamp EventExposureEndFrameID EventFrameTriggerMissed ChunkWidth "
    "ChunkHeight ChunkOffsetX ChunkOffsetY ChunkTimestamp ChunkFrameID ChunkLineStatusAll ChunkCounterValue "
    "ChunkSequencerSetActive TestPendingAck "
    "LineStatusAll UserOutputValueAll CounterValue CounterValueAtReset CounterDuration EventLine0RisingEdge "
    "EventLine1FallingEdgeTimestamp",
    "IFloat": "ExposureTime Gain BlackLevel AcquisitionFrameRate TriggerDelay DeviceTemperature TimerDuration "
    "TimerDelay ChunkExposureTime ChunkGain ChunkBlackLevel",
    "IBoolean": "ReverseX ReverseY AcquisitionFrameRateEnable AcquisitionStatus LineInverter LineStatus "
    "UserOutputValue ChunkModeActive ChunkEnable",
    "IEnumeration": "PixelFormat PixelSize PixelColorFilter TestPattern GainSelector BlackLevelSelector ExposureMode "
    "AcquisitionMode AcquisitionStatusSelector TriggerSelector TriggerMode TriggerSource TriggerActivation "
    "TriggerOverlap EventSelector EventNotification UserSetSelector UserSetDefault DeviceScanType DeviceTLType "
    "DeviceLinkThroughputLimitMode DeviceTemperatureSelector ChunkSelector ChunkPixelFormat ChunkCounterSelector "
    "LineSelector LineMode LineFormat LineSource "
    "UserOutputSelector CounterSelector CounterEventSource CounterEventActivation CounterResetSource "
    "CounterResetActivation TimerSelector TimerTriggerSource TimerTriggerActivation SoftwareSignalSelector",
    "ICommand": "AcquisitionStart AcquisitionStop AcquisitionAbort TriggerSoftware UserSetLoad UserSetSave "
    "DeviceReset TimestampLatch TestEventGenerate CounterReset SoftwareSignalPulse",
    "IString": "DeviceVendorName DeviceModelName DeviceFamilyName DeviceManufacturerInfo DeviceVersion "
    "DeviceFirmwareVersion DeviceSerialNumber DeviceID DeviceUserID",
    "ICategory": "Root DeviceControl ImageFormatControl AnalogControl AcquisitionControl EventControl UserSetControl "
    "TransportLayerControl ChunkDataControl DigitalIOControl CounterAndTimerControl SoftwareSignalControl "
    "EventExposureEndData",
}
FILES = {
    "IInteger": "FileAccessOffset FileAccessLength FileOperationResult FileSize",
    "IRegister": "FileAccessBuffer",
    "IEnumeration": "FileSelector FileOperationSelector FileOpenMode FileOperationStatus",
    "ICommand": "FileOperationExecute",
    "ICategory": "FileAccessControl",
}
LUT = {
    "IInteger": "LUTIndex LUTValue",
    "IRegister": "LUTValueAll",
    "IEnumeration": "LUTSelector BinningHorizontalMode BinningVerticalMode",
    "IBoolean": "LUTEnable",
    "IFloat": "Gamma",
    "ICategory": "LUTControl",
}
SEQUENCER = {
    "IInteger": "SequencerSetSelector SequencerSetActive SequencerSetStart SequencerPathSelector SequencerSetNext",
    "IEnumeration": "SequencerMode SequencerConfigurationMode SequencerTriggerSource SequencerTriggerActivation",
    "ICommand": "SequencerSetSave SequencerSetLoad",
    "ICategory": "SequencerControl",
}
AUTO = {
    "IEnumeration": "ExposureAuto GainAuto",
    "IInteger": "ActionDeviceKey ActionSelector ActionGroupKey ActionGroupMask",
    "ICategory": "ActionControl",
}
GEV = {
    "IInteger": "GevVersionMajor GevVersionMinor GevMACAddress GevCurrentIPAddress GevCurrentSubnetMask "
    "GevCurrentDefaultGateway GevNumberOfInterfaces GevPersistentIPAddress GevPersistentSubnetMask "
    "GevPersistentDefaultGateway GevLinkSpeed GevMessageChannelCount GevStreamChannelCount GevHeartbeatTimeout "
    "GevTimestampTickFrequency GevTimestampValue GevPrimaryApplicationSwitchoverKey GevPrimaryApplicationSocket "
    "GevPrimaryApplicationIPAddress GevSCPHostPort GevSCPSPacketSize GevSCPD GevSCDA GevSCSP GevMCPHostPort GevMCDA "
    "GevMCTT GevMCRC GevMCSP",
    "IBoolean": "GevDeviceModeIsBigEndian GevSupportedIPConfigurationLLA GevSupportedIPConfigurationDHCP "
    "GevSupportedIPConfigurationPersistentIP GevCurrentIPConfigurationLLA GevCurrentIPConfigurationDHCP "
    "GevCurrentIPConfigurationPersistentIP GevSupportedOptionalCommandsEVENTDATA GevSupportedOptionalCommandsEVENT "
    "GevSupportedOptionalCommandsPACKETRESEND GevSupportedOptionalCommandsWRITEMEM "
    "GevSupportedOptionalCommandsConcatenation GevSCPSDoNotFragment GevSupportedIEEE1588 GevIEEE1588",
    "IEnumeration": "GevDeviceModeCharacterSet GevCCP GevIEEE1588Status",
    "ICommand": "GevSCPSFireTestPacket GevTimestampControlLatch GevTimestampControlReset",
    "IString": "GevFirstURL GevSecondURL",
}
MORE_SFNC = (FILES, LUT, SEQUENCER, AUTO, GEV)
"""Interfaces of SFNC 2.7's features, as its tables print them."""
MAKERS = (
    "ResultingFrameRate SensorReadoutTime TestImageSelector DeviceTemperatureStatus ReadoutMode VirtualWire "
    "ShortExposureTimeEnable DefectPixelCorrection EventFrameStartOvertrigger EventTransferBufferFullData "
    "VirtualCamera ImageProcessingControl EventFrameBufferOverrunTimestamp LineDebouncerTime LineOverloadStatus "
    "LineDebouncerHighTimeAbs LineDebouncerLowTimeAbs"
)


def test_standard_names_have_the_standards_meaning(each: Camera) -> None:
    """What the XML calls Standard has the interface that SFNC prints, and what SFNC does not have is Custom."""
    tables = [*SFNC.items(), *(item for table in MORE_SFNC for item in table.items())]
    known = {name: interface for interface, names in tables for name in names.split()}
    kinds = {"IInteger": "Integer", "ICategory": "Category"} | {f"I{k}": k for k in ORDER}
    seen = {str(element.get("Name")): (kind, element.get("NameSpace")) for kind, element in elements(each)}
    for name, interface in known.items():
        assert seen.get(name, (kinds[interface], "Standard")) == (kinds[interface], "Standard"), name
    for name in MAKERS.split():
        assert seen.get(name, ("", "Custom"))[1] == "Custom", name
    features = {feature.name for feature in shown(each)}
    standard = {name for name, (_, space) in seen.items() if space == "Standard" and name in features}
    assert standard <= set(known)


# -- every node answers ---------------------------------------------------------------------------------------


def choices(selector: Any) -> list[Any]:
    """The values of a selector; of one that counts, its ends."""
    if hasattr(selector, "symbolics"):
        return list(selector.symbolics)
    return [selector.min, selector.max]


def test_every_readable_node_reads(each: Camera) -> None:
    """Some 300 nodes, each through every selector value: no error, and nothing but event data is absent."""
    nodes = Nodes(each)
    selectors = [n for n in nodes.names() if n.endswith("Selector")]
    count = 0
    for selector in [None, *selectors]:
        for entry in choices(nodes[selector]) if selector else (None,):
            if selector:
                nodes[selector].value = entry
            for node in nodes.map.nodes:
                access = int(node.get_access_mode())
                if access in (Access.RO, Access.RW) and hasattr(node, "to_string"):
                    node.to_string()
                    count += 1
    assert count > 500
    for name in nodes.names():
        if nodes.access(name) == Access.NI:
            assert "Event" in name or name.startswith("Chunk")


def test_every_register_answers(each: Camera) -> None:
    """Each register that the XML advertises exists: its bytes can be read in one access, and in 4-byte parts."""
    registers = 0
    for kind, element in elements(each):
        port = element.findtext(f"{NAMESPACE}pPort")
        if not kind.endswith("Reg") or port != "Device" or element.findtext(f"{NAMESPACE}AccessMode") == "WO":
            continue
        address = int(str(element.findtext(f"{NAMESPACE}Address")), 0)
        length = int(str(element.findtext(f"{NAMESPACE}Length")), 0)
        raw = each.memory.host_read(address, length)
        parts = (each.memory.host_read(address + at, 4) for at in range(0, length, 4))
        if "Timestamp" not in str(element.get("Name")):
            assert b"".join(parts) == raw
        registers += 1
    assert registers > 50


def test_values_agree(each: Camera) -> None:
    nodes = Nodes(each)
    for feature in shown(each):
        if not isinstance(feature, Command | ByteArray):
            assert nodes[feature.name].value == each.features.get(feature.name), feature.name


def expected_access(camera: Camera, feature: Feature) -> int:
    if feature.available is not None and not feature.available(camera):
        return int(Access.NA)
    if feature.access == "RW" and feature.locked is not None and feature.locked(camera):
        return int(Access.RO)
    return int({"RO": Access.RO, "RW": Access.RW}[feature.access])


def assert_access_agrees(camera: Camera, nodes: Nodes) -> None:
    for feature in shown(camera):
        assert nodes.access(feature.name) == expected_access(camera, feature), feature.name


def test_access_modes_agree_with_the_device(camera: Camera, nodes: Nodes) -> None:
    assert_access_agrees(camera, nodes)
    nodes["UserSetSelector"].value = "UserSet2"
    nodes["DeviceLinkThroughputLimitMode"].value = "Off"
    assert_access_agrees(camera, nodes)
    nodes["AcquisitionStart"].execute()
    assert nodes["AcquisitionStart"].is_done()
    assert nodes.access("Width") == Access.RO
    assert_access_agrees(camera, nodes)
    nodes["AcquisitionStop"].execute()
    assert_access_agrees(camera, nodes)


def test_the_transport_layer_lock(each: Camera) -> None:
    nodes = Nodes(each)
    nodes["TLParamsLocked"].value = 1
    for feature in shown(each):
        locked = feature.locked is while_acquiring and feature.available is None
        expected = Access.RO if locked else expected_access(each, feature)
        assert nodes.access(feature.name) == expected, feature.name
    nodes["TLParamsLocked"].value = 0
    assert_access_agrees(each, nodes)


# -- limits and writes ----------------------------------------------------------------------------------------


def assert_limits_agree(camera: Camera, nodes: Nodes) -> None:
    for feature in shown(camera):
        node = nodes[feature.name]
        if int(node.get_access_mode()) not in (Access.RO, Access.RW):
            continue
        if isinstance(feature, Integer | Float):
            assert node.min == limit(camera, feature.min), feature.name
            assert node.max == limit(camera, feature.max), feature.name
            assert node.unit == feature.unit
            assert node.min <= node.value <= node.max, feature.name
        if isinstance(feature, Integer):
            assert node.inc == limit(camera, feature.inc), feature.name
        if isinstance(feature, Enumeration):
            assert {e.symbolic: e.value for e in node.entries} == dict(feature.entries)
            assert set(node.symbolics) == set(feature.entries)


def test_limits_agree_in_every_model(each: Camera) -> None:
    assert_limits_agree(each, Nodes(each))
    assert_access_agrees(each, Nodes(each))


def test_limits_agree(camera: Camera, nodes: Nodes) -> None:
    assert_limits_agree(camera, nodes)
    for name, value in (("BinningHorizontal", 2), ("BinningVertical", 3), ("Width", 1000), ("OffsetX", 16)):
        nodes[name].value = value
        assert_limits_agree(camera, nodes)


def test_selectors(camera: Camera, nodes: Nodes) -> None:
    for feature in shown(camera):
        selecting = {n.node.name for n in nodes[feature.name].node.selecting_features}
        assert selecting == set(feature.selectors), feature.name
    nodes["TriggerSelector"].value = "FrameBurstStart"
    nodes["TriggerMode"].value = "On"
    nodes["TriggerSelector"].value = "FrameStart"
    assert nodes["TriggerMode"].value == "Off"
    assert camera.features.get("TriggerMode", TriggerSelector="FrameBurstStart") == "On"
    nodes["AcquisitionStatusSelector"].value = "AcquisitionActive"
    assert nodes["AcquisitionStatus"].value is False
    nodes["AcquisitionStart"].execute()
    assert nodes["AcquisitionStatus"].value is True


ALL = {name: camera_on(name) for name in EACH}
AS_MADE = {
    name: camera.memory.device_read(camera.wire.features_address, FEATURE_BYTES)
    for name, camera in ALL.items()
}


def settable(camera: Camera) -> list[Feature]:
    return [f for f in shown(camera) if f.access == "RW" and not isinstance(f, Command | String | ByteArray)]


def values(feature: Feature) -> st.SearchStrategy[Any]:
    if isinstance(feature, Boolean):
        return st.booleans()
    if isinstance(feature, Enumeration):
        return st.sampled_from(list(feature.entries))
    if isinstance(feature, Float):
        high = feature.max if isinstance(feature.max, float) else 1e6
        return st.floats(-1, high * 1.1) | st.sampled_from([0.0, high, 1e-3])
    return st.integers(-4, 4200) | st.sampled_from([1, 2, 3, 4]) | st.integers(150_000, 420_000_000)


NEIGHBOURS = ("Width", "Height", "OffsetX", "OffsetY", "WidthMax", "HeightMax", "PayloadSize", "PixelSize")


@pytest.mark.parametrize("model", model_names())
@given(st.data())
@settings(max_examples=40, deadline=None)
def test_genapi_and_the_device_take_the_same_values(model: str, data: st.DataObject) -> None:
    """What GenApi lets through, the device takes; what GenApi refuses, the device would refuse. After each
    write GenApi's caches hold what the device holds."""
    camera = ALL[model]
    camera.memory.device_write(camera.wire.features_address, AS_MADE[model])
    nodes = Nodes(camera)
    for _ in range(data.draw(st.integers(1, 8))):
        feature = data.draw(st.sampled_from(settable(camera)))
        value, name, node = data.draw(values(feature)), feature.name, nodes[feature.name]
        writable = feature.available is None or feature.available(camera)
        writable = writable and not (feature.locked is not None and feature.locked(camera))
        try:
            feature.check(camera, value)
            allowed = writable
        except GenCPError:
            allowed = False
        try:
            node.value = value
            taken = True
        except (genapi.OutOfRangeException, genapi.AccessException):
            taken = False
        assert taken == allowed, (name, value)
        if taken:
            stored = camera.features.get(name)
            inc = feature.inc if isinstance(feature, Float) else 0.0
            expected = value // inc * inc if inc else value  # the device rounds down
            assert feature.may_differ or stored == expected or math.isclose(stored, expected)
            if isinstance(feature, Float):
                assert limit(camera, feature.min) <= stored <= limit(camera, feature.max)
        for neighbour in (*NEIGHBOURS, name):
            if writable or neighbour != name:
                assert nodes[neighbour].value == camera.features.get(neighbour), (neighbour, "after", name)


def test_what_genapi_lets_through_unchecked_is_refused_by_the_device(nodes: Nodes) -> None:
    with pytest.raises(GenCPError, match=r"^Width = 43: must be 8 to 4112 px in steps of 4$"):
        nodes["Width_Reg"].value = 43
    assert nodes["Width_Reg"].value == 40


def test_loading_a_user_set_reaches_the_caches(camera: Camera, nodes: Nodes) -> None:
    nodes["UserSetSelector"].value = "UserSet1"
    changed = {
        "Gain": 12.0,
        "Width": 200,
        "PixelFormat": "Mono12p",
        "ReverseX": True,
        "AcquisitionFrameCount": 7,
    }
    for name, value in changed.items():
        nodes[name].value = value
    nodes["UserSetSave"].execute()
    nodes["UserSetSelector"].value = "Default"
    nodes["UserSetLoad"].execute()
    for name in changed:
        assert nodes[name].value == camera.features.get(name) != changed[name]
    nodes["UserSetSelector"].value = "UserSet1"
    nodes["UserSetLoad"].execute()
    assert {name: nodes[name].value for name in changed} == changed
    nodes["DeviceReset"].execute()
    for name in changed:
        assert nodes[name].value == camera.features.get(name) != changed[name]


def test_strings(camera: Camera, nodes: Nodes) -> None:
    values = [
        nodes[n].value
        for n in ("DeviceVendorName", "DeviceModelName", "DeviceSerialNumber", "DeviceID", "DeviceFamilyName")
    ]
    assert values == ["Basler", "acA4096-40um", "40000001", "40000001", "ace"]
    nodes["DeviceUserID"].value = "left"
    assert camera.memory.device_read(0x184, 5) == b"left\0"
    assert nodes["DeviceUserID"].value == "left"
    assert nodes["DeviceFirmwareVersion"].value.startswith("p=cu_imx")


def test_sizes_of_a_whole_sensor() -> None:
    nodes = Nodes(on_usb(Camera(MODEL, PlainTiming(), Room(), USB3_VISION)))
    assert [nodes[n].value for n in ("SensorWidth", "SensorHeight", "Width", "Height")] == [
        4112,
        2176,
        4096,
        2168,
    ]
    assert [nodes["OffsetX"].max, nodes["OffsetY"].max, nodes["PayloadSize"].value] == [16, 8, 8_880_128]


def test_changing_values_are_not_cached(camera: Camera, nodes: Nodes) -> None:
    nodes["TimestampLatch"].execute()
    assert nodes["TimestampLatchValue"].value == 0
    camera.now_ns = 12_345
    nodes["TimestampLatch"].execute()
    assert nodes["TimestampLatchValue"].value == 12_345
    assert nodes["DeviceTemperature"].value == 41.0
    rate = nodes["ResultingFrameRate"].value
    nodes["ExposureTime"].value = 1_000_000.0
    assert nodes["ResultingFrameRate"].value == pytest.approx(1, rel=1e-4)
    assert rate > 1000


def test_repeated_reads_come_from_the_cache(camera: Camera, nodes: Nodes) -> None:
    """Whatever does not change by itself is read once: opening a camera costs few round trips."""
    for name in ("BlackLevel", "Width", "PixelFormat", "TriggerMode"):
        first = nodes[name].value
        before = len(nodes.port.accesses)
        assert nodes[name].value == first
        address, size = camera.features.address[name], 2 * camera.features.declared[name].size
        assert [a for a in nodes.port.accesses[before:] if address <= a[1] < address + size] == []
