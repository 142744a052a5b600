"""GenICam nodes on the registers of GigE Vision: SFNC's TransportLayerControl as it was for this wire (GevXXX)."""

from u3v.wire import gev
from u3v.wire_traits import WireNode

_IP, _MAC = "IPV4Address", "MACAddress"


def _at(register: str) -> int:
    return gev.REGISTERS[register].address


def _bit(name: str, tooltip: str, register: str, bit: int) -> WireNode:
    return WireNode(name, tooltip, _at(register), "Boolean", bits=(bit, bit))


def nodes(packet_sizes: tuple[int, int, int]) -> tuple[WireNode, ...]:
    """All nodes. `packet_sizes`: least, most and step of SCPS, bytes."""
    supported, capability = "IP_Configuration_Supported", "GVCP_Capability"
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
