"""GigE Vision's bootstrap registers: where they are, how long, who may write. Big-endian.

Addresses and names as in Wireshark's GVCP dissector; access as in public register headers of GigE Vision 2.0.
"""

from dataclasses import dataclass

REGION_BYTES = 0xB000
URL_BYTES = 512
CCP_EXCLUSIVE, CCP_CONTROL, CCP_SWITCHOVER = 1, 2, 4
"""CCP: who controls, and whether a host with the switch-over key may take over. Upper 16 bits: the key it shows."""
HEARTBEAT_OFF, UNCONDITIONAL_ACTION, IEEE1588 = 0x1, 0x8, 0x80000
EXTENDED_STATUS_1, EXTENDED_STATUS_2 = 0x4, 0x40000
"""GVCP_Configuration. Without the extended ones, no status above 0x800F is sent."""
IP_PERSISTENT, IP_DHCP, IP_LLA = 1, 2, 4
EXTENDED_BLOCK_IDS = 0x40000000
"""GVSP_Configuration: 64-bit block ids."""
FIRE_TEST_PACKET, DO_NOT_FRAGMENT = 0x80000000, 0x40000000
"""Bits of SCPS beside the packet size."""
TIMESTAMP_LATCH, TIMESTAMP_RESET = 2, 1


@dataclass(frozen=True, slots=True)
class At:
    address: int
    size: int = 4
    access: str = "R"


REGISTERS: dict[str, At] = {
    "Version": At(0x0000),
    "Device_Mode": At(0x0004),
    "MAC_High": At(0x0008),
    "MAC_Low": At(0x000C),
    "IP_Configuration_Supported": At(0x0010),
    "IP_Configuration": At(0x0014, access="RW"),
    "Current_IP": At(0x0024),
    "Current_Subnet_Mask": At(0x0034),
    "Current_Gateway": At(0x0044),
    "Manufacturer_Name": At(0x0048, 32),
    "Model_Name": At(0x0068, 32),
    "Device_Version": At(0x0088, 32),
    "Manufacturer_Info": At(0x00A8, 48),
    "Serial_Number": At(0x00D8, 16),
    "User_Defined_Name": At(0x00E8, 16, "RW"),
    "First_URL": At(0x0200, URL_BYTES),
    "Second_URL": At(0x0400, URL_BYTES),
    "Number_of_Interfaces": At(0x0600),
    "Persistent_IP": At(0x064C, access="RW"),
    "Persistent_Subnet_Mask": At(0x065C, access="RW"),
    "Persistent_Gateway": At(0x066C, access="RW"),
    "Link_Speed": At(0x0670),
    "Message_Channels": At(0x0900),
    "Stream_Channels": At(0x0904),
    "Action_Signals": At(0x0908),
    "Action_Device_Key": At(0x090C, access="W"),
    "Active_Links": At(0x0910),
    "Stream_Capability": At(0x092C),
    "Message_Capability": At(0x0930),
    "GVCP_Capability": At(0x0934),
    "Heartbeat_Timeout": At(0x0938, access="RW"),
    "Tick_Frequency_High": At(0x093C),
    "Tick_Frequency_Low": At(0x0940),
    "Timestamp_Control": At(0x0944, access="W"),
    "Timestamp_High": At(0x0948),
    "Timestamp_Low": At(0x094C),
    "Discovery_Ack_Delay": At(0x0950),
    "GVCP_Configuration": At(0x0954, access="RW"),
    "Pending_Timeout": At(0x0958),
    "Switchover_Key": At(0x095C, access="W"),
    "GVSP_Configuration": At(0x0960, access="RW"),
    "Link_Capability": At(0x0964),
    "Link_Configuration": At(0x0968),
    "IEEE1588_Status": At(0x096C),
    "Scheduled_Action_Queue_Size": At(0x0970),
    "CCP": At(0x0A00, access="RW"),
    "Primary_Application_Port": At(0x0A04),
    "Primary_Application_IP": At(0x0A14),
    "MCP": At(0x0B00, access="RW"),
    "MCDA": At(0x0B10, access="RW"),
    "MCTT": At(0x0B14, access="RW"),
    "MCRC": At(0x0B18, access="RW"),
    "MCSP": At(0x0B1C),
    "SCP": At(0x0D00, access="RW"),
    "SCPS": At(0x0D04, access="RW"),
    "SCPD": At(0x0D08, access="RW"),
    "SCDA": At(0x0D18, access="RW"),
    "SCSP": At(0x0D1C),
    "SCC": At(0x0D20),
    "SCCFG": At(0x0D24, access="RW"),
    "Action_Group_Key": At(0x9800, access="RW"),
    "Action_Group_Mask": At(0x9804, access="RW"),
    # from here on a maker's own
    "Clock_Identity": At(0xA000, 8),
    "Clock_Parent": At(0xA008, 8),
    "Clock_Offset": At(0xA010, 8),
    "Clock_State": At(0xA018),
    "Clock_Latch": At(0xA01C, access="W"),
    "SCFTD": At(0xA020, access="RW"),
    "SCBWR": At(0xA024, access="RW"),
    "SCBWRA": At(0xA028, access="RW"),
    "SCBWA": At(0xA02C),
    "SCDMT": At(0xA030),
    "SCDCT": At(0xA034),
    "SCFJM": At(0xA038),
}
