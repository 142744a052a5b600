"""GenICam nodes on the registers of GigE Vision: SFNC's TransportLayerControl as it was for this wire (GevXXX)."""

from u3v.wire import gev
from u3v.wire_traits import WireNode

_IP, _MAC = "IPV4Address", "MACAddress"


def _at(register: str) -> int:
    return gev.REGISTERS[register].address


def _bit(name: str, tooltip: str, register: str, bit: int, access: str = "RO") -> WireNode:
    return WireNode(name, tooltip, _at(register), "Boolean", access=access, bits=(bit, bit))


def ieee1588() -> tuple[WireNode, ...]:
    """The clock that follows others (PTP), in Basler's words: SFNC had none for it when these cameras came."""
    states = {"Undefined": 0, "Initializing": 1, "Faulty": 2, "Disabled": 3, "Listening": 4, "PreMaster": 5}
    states |= {"Master": 6, "Passive": 7, "Uncalibrated": 8, "Slave": 9}
    hexadecimal = "HexNumber"
    return (
        _bit("GevSupportedIEEE1588", "Whether its clock can follow others.", "GVCP_Capability", 19),
        _bit("GevIEEE1588", "Whether its clock follows others.", "GVCP_Configuration", 19, "RW"),
        WireNode(
            "GevIEEE1588Status",
            "State of its clock now.",
            _at("IEEE1588_Status"),
            "Enumeration",
            bits=(0, 3),
            entries=states,
        ),
        WireNode(
            "GevIEEE1588ClockId",
            "Identity of its clock.",
            _at("Clock_Identity"),
            length=8,
            representation=hexadecimal,
        ),
        WireNode(
            "GevIEEE1588DataSetLatch",
            "Keep what the next three tell, all of one instant.",
            _at("Clock_Latch"),
            "Command",
            access="WO",
        ),
        WireNode(
            "GevIEEE1588ParentClockId",
            "Identity of the clock that it follows: its own, if none.",
            _at("Clock_Parent"),
            length=8,
            representation=hexadecimal,
        ),
        WireNode(
            "GevIEEE1588OffsetFromMaster",
            "What its clock is ahead of that one.",
            _at("Clock_Offset"),
            length=8,
            unit="ns",
            signed=True,
        ),
        WireNode(
            "GevIEEE1588StatusLatched",
            "State of its clock at that instant.",
            _at("Clock_State"),
            "Enumeration",
            bits=(0, 3),
            entries=states,
        ),
    )


def bandwidth() -> tuple[WireNode, ...]:
    """Basler's bandwidth manager, in the words of its GigE firmware."""
    u32 = (0, 0xFFFFFFFF, 1)
    rows = (
        ("SCFTD", "From the end of an exposure to the frame's first packet, at least.", "ticks", u32),
        ("SCBWR", "What of the link is kept back for packets that are sent again.", "%", (0, 50, 1)),
        ("SCBWRA", "For how many frames the reserve may be used up at once.", "", (1, 32, 1)),
        ("SCBWA", "What is assigned to the stream.", "Bps", None),
        ("SCDMT", "What the camera could make, if its link had no limit.", "Bps", None),
        ("SCDCT", "What it makes with the settings as they are.", "Bps", None),
        ("SCFJM", "How late a frame can be because of packets that are sent again.", "ticks", None),
    )
    return tuple(
        WireNode(f"Gev{name}", text, _at(name), access="RW" if limits else "RO", unit=unit, limits=limits)
        for name, text, unit, limits in rows
    )


def nodes(packet_sizes: tuple[int, int, int]) -> tuple[WireNode, ...]:
    """All nodes of every camera. `packet_sizes`: least, most and step of SCPS, bytes."""
    supported, capability = "IP_Configuration_Supported", "GVCP_Capability"
    configuration = "IP_Configuration"
    u32 = (0, 0xFFFFFFFF, 1)
    return (
        WireNode("GevVersionMajor", "Major version of the standard.", 0, bits=(16, 31)),
        WireNode("GevVersionMinor", "Minor version of the standard.", 0, bits=(0, 15)),
        _bit("GevDeviceModeIsBigEndian", "Byte order of the bootstrap registers.", "Device_Mode", 31),
        WireNode(
            "GevDeviceModeCharacterSet",
            "Character set of all strings.",
            _at("Device_Mode"),
            "Enumeration",
            bits=(0, 3),
            entries={"UTF8": 1, "ASCII": 2},
        ),
        WireNode(
            "GevMACAddress",
            "MAC address.",
            _at("MAC_High"),
            length=8,
            representation=_MAC,
            visibility="Beginner",
        ),
        _bit("GevSupportedIPConfigurationLLA", "Whether it finds a link-local address.", supported, 2),
        _bit("GevSupportedIPConfigurationDHCP", "Whether it asks a DHCP server.", supported, 1),
        _bit("GevSupportedIPConfigurationPersistentIP", "Whether it keeps an address.", supported, 0),
        WireNode(
            "GevCurrentIPAddress", "IP address.", _at("Current_IP"), representation=_IP, visibility="Beginner"
        ),
        WireNode("GevCurrentSubnetMask", "Mask of its net.", _at("Current_Subnet_Mask"), representation=_IP),
        WireNode(
            "GevCurrentDefaultGateway", "Gateway of its net.", _at("Current_Gateway"), representation=_IP
        ),
        WireNode(
            "GevFirstURL",
            "Where this XML comes from.",
            _at("First_URL"),
            "String",
            gev.URL_BYTES,
            visibility="Guru",
        ),
        WireNode(
            "GevSecondURL",
            "Where else it comes from.",
            _at("Second_URL"),
            "String",
            gev.URL_BYTES,
            visibility="Guru",
        ),
        _bit("GevCurrentIPConfigurationLLA", "Link-local addresses: always on.", configuration, 2),
        _bit("GevCurrentIPConfigurationDHCP", "Whether a DHCP server is asked.", configuration, 1, "RW"),
        _bit(
            "GevCurrentIPConfigurationPersistentIP",
            "Whether the persistent address is used.",
            configuration,
            0,
            "RW",
        ),
        WireNode("GevNumberOfInterfaces", "Network interfaces.", _at("Number_of_Interfaces")),
        *(
            WireNode(
                f"GevPersistent{name}", tooltip, _at(register), access="RW", representation=_IP, limits=u32
            )
            for name, tooltip, register in (
                ("IPAddress", "Address from the next power-up on.", "Persistent_IP"),
                ("SubnetMask", "Its mask.", "Persistent_Subnet_Mask"),
                ("DefaultGateway", "Its gateway.", "Persistent_Gateway"),
            )
        ),
        WireNode("GevLinkSpeed", "Speed of the link.", _at("Link_Speed"), unit="Mbps"),
        WireNode("GevMessageChannelCount", "Message channels.", _at("Message_Channels")),
        WireNode("GevStreamChannelCount", "Stream channels.", _at("Stream_Channels")),
        _bit("GevSupportedOptionalCommandsEVENTDATA", "Whether events may have data.", capability, 4),
        _bit("GevSupportedOptionalCommandsEVENT", "Whether it sends events.", capability, 3),
        _bit("GevSupportedOptionalCommandsPACKETRESEND", "Whether it sends packets again.", capability, 2),
        _bit("GevSupportedOptionalCommandsWRITEMEM", "Whether blocks can be written.", capability, 1),
        _bit(
            "GevSupportedOptionalCommandsConcatenation",
            "Whether commands take several registers.",
            capability,
            0,
        ),
        WireNode(
            "GevHeartbeatTimeout",
            "Silence of the host after which the camera is free again.",
            _at("Heartbeat_Timeout"),
            access="RW",
            unit="ms",
            limits=(500, 0xFFFFFFFF, 1),
            visibility="Guru",
        ),
        WireNode(
            "GevTimestampTickFrequency",
            "Ticks of the camera's clock.",
            _at("Tick_Frequency_High"),
            length=8,
            unit="Hz",
        ),
        WireNode(
            "GevTimestampControlLatch",
            "Keep the clock's reading in GevTimestampValue.",
            _at("Timestamp_Control"),
            "Command",
            access="WO",
            command=gev.TIMESTAMP_LATCH,
        ),
        WireNode(
            "GevTimestampControlReset",
            "Let the clock begin at 0; not while it follows others.",
            _at("Timestamp_Control"),
            "Command",
            access="WO",
            command=gev.TIMESTAMP_RESET,
        ),
        WireNode(
            "GevTimestampValue",
            "The clock's last latched reading.",
            _at("Timestamp_High"),
            length=8,
            unit="ticks",
        ),
        WireNode(
            "GevCCP",
            "Who controls the camera.",
            _at("CCP"),
            "Enumeration",
            access="RW",
            entries={
                "OpenAccess": 0,
                "ExclusiveAccess": 1,
                "ControlAccess": 2,
                "ControlAccessSwitchoverActive": 6,
            },
            visibility="Guru",
        ),
        WireNode(
            "GevPrimaryApplicationSwitchoverKey",
            "With it, another host may take over (if GevCCP allows it).",
            _at("Switchover_Key"),
            access="WO",
            limits=(0, 0xFFFF, 1),
            visibility="Guru",
        ),
        WireNode(
            "GevPrimaryApplicationSocket", "Port of the host in control.", _at("Primary_Application_Port")
        ),
        WireNode(
            "GevPrimaryApplicationIPAddress",
            "Address of the host in control.",
            _at("Primary_Application_IP"),
            representation=_IP,
        ),
        WireNode(
            "GevSCPHostPort",
            "Port the stream goes to.",
            _at("SCP"),
            access="RW",
            bits=(0, 15),
            visibility="Guru",
        ),
        WireNode(
            "GevSCPSFireTestPacket",
            "Send one packet of this size to the host.",
            _at("SCPS"),
            "Command",
            access="RW",
            bits=(31, 31),
            visibility="Guru",
        ),
        WireNode(
            "GevSCPSDoNotFragment",
            "Whether packets must stay whole.",
            _at("SCPS"),
            "Boolean",
            access="RW",
            bits=(30, 30),
        ),
        WireNode(
            "GevSCPSPacketSize",
            "Size of a stream packet, with the headers of IP, UDP and GVSP.",
            _at("SCPS"),
            access="RW",
            bits=(0, 15),
            limits=packet_sizes,
            unit="B",
            visibility="Beginner",
        ),
        WireNode("GevSCPD", "Delay between two packets.", _at("SCPD"), access="RW", limits=u32, unit="ticks"),
        WireNode(
            "GevSCDA",
            "Address the stream goes to.",
            _at("SCDA"),
            access="RW",
            representation=_IP,
            visibility="Guru",
        ),
        WireNode("GevSCSP", "Port the stream comes from.", _at("SCSP"), visibility="Guru"),
        WireNode(
            "GevMCPHostPort",
            "Port that events go to.",
            _at("MCP"),
            access="RW",
            bits=(0, 15),
            visibility="Guru",
        ),
        WireNode(
            "GevMCDA",
            "Address that events go to.",
            _at("MCDA"),
            access="RW",
            representation=_IP,
            visibility="Guru",
        ),
        WireNode(
            "GevMCTT",
            "How long an event waits for its acknowledge.",
            _at("MCTT"),
            access="RW",
            unit="ms",
            visibility="Guru",
        ),
        WireNode("GevMCRC", "How often an event is sent again.", _at("MCRC"), access="RW", visibility="Guru"),
        WireNode("GevMCSP", "Port that events come from.", _at("MCSP"), visibility="Guru"),
    )
