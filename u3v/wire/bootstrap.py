"""Bootstrap registers: offset, size, access and meaning, after GenCP 1.1 (ABRM) and USB3 Vision 1.0."""

from collections.abc import Mapping
from dataclasses import dataclass

from construct import Array, BitsInteger, BitStruct, Bytes, ByteSwapped, Int32ul, Int64ul, Struct

SBRM_ADDRESS = 0x0001_0000
SIRM_ADDRESS = 0x0002_0000
EIRM_ADDRESS = 0x0003_0000
MANIFEST_ADDRESS = 0x0003_4000
XML_ADDRESS = 0x0010_0000
FEATURES_ADDRESS = 0x0020_0000

REGION_BYTES = 0x1000


@dataclass(frozen=True, slots=True)
class Layout:
    """One bootstrap register: offset in its block, size in bytes, access, what it holds."""

    offset: int
    size: int
    access: str
    doc: str


ABRM: Mapping[str, Layout] = {
    "GenCP_Version": Layout(0x000, 4, "R", "major << 16 | minor"),
    "Manufacturer_Name": Layout(0x004, 64, "R", "string"),
    "Model_Name": Layout(0x044, 64, "R", "string"),
    "Family_Name": Layout(0x084, 64, "R", "string"),
    "Device_Version": Layout(0x0C4, 64, "R", "string"),
    "Manufacturer_Info": Layout(0x104, 64, "R", "string"),
    "Serial_Number": Layout(0x144, 64, "R", "string"),
    "User_Defined_Name": Layout(0x184, 64, "RW", "string, kept over power cycles"),
    "Device_Capability": Layout(0x1C4, 8, "R", "bit field, see DEVICE_CAPABILITY"),
    "Maximum_Device_Response_Time": Layout(0x1CC, 4, "R", "ms"),
    "Manifest_Table_Address": Layout(0x1D0, 8, "R", "address"),
    "SBRM_Address": Layout(0x1D8, 8, "R", "address"),
    "Device_Configuration": Layout(0x1E0, 8, "RW", "bit 0 heartbeat, bit 1 multi-event"),
    "Heartbeat_Timeout": Layout(0x1E8, 4, "RW", "ms; not used by USB3 Vision"),
    "Message_Channel_ID": Layout(0x1EC, 4, "R", "event channel"),
    "Timestamp": Layout(0x1F0, 8, "R", "latched, ns"),
    "Timestamp_Latch": Layout(0x1F8, 4, "W", "any value but 0 latches"),
    "Timestamp_Increment": Layout(0x1FC, 8, "R", "ns per tick"),
    "Access_Privilege": Layout(0x204, 4, "RW", "not used by USB3 Vision"),
    "Protocol_Endianness": Layout(0x208, 4, "R", "obsolete"),
    "Implementation_Endianness": Layout(0x20C, 4, "R", "obsolete"),
    "Device_Software_Interface_Version": Layout(0x210, 64, "R", "string"),
}

SBRM: Mapping[str, Layout] = {
    "U3V_Version": Layout(0x00, 4, "R", "major << 16 | minor"),
    "U3VCP_Capability": Layout(0x04, 8, "R", "bit 0 SIRM, bit 1 EIRM, bit 2 IIDC2"),
    "U3VCP_Configuration": Layout(0x0C, 8, "RW", "no public bits"),
    "Maximum_Command_Transfer_Length": Layout(0x14, 4, "R", "bytes, header included"),
    "Maximum_Acknowledge_Transfer_Length": Layout(0x18, 4, "R", "bytes, header included"),
    "Number_of_Stream_Channels": Layout(0x1C, 4, "R", "count"),
    "SIRM_Address": Layout(0x20, 8, "R", "address"),
    "SIRM_Length": Layout(0x28, 4, "R", "bytes from one SIRM to the next"),
    "EIRM_Address": Layout(0x2C, 8, "R", "address"),
    "EIRM_Length": Layout(0x34, 4, "R", "bytes"),
    "IIDC2_Address": Layout(0x38, 8, "R", "address; 0: none"),
    "Current_Speed": Layout(0x40, 4, "R", "1 LS, 2 FS, 4 HS, 8 SS, 0x10 SS+"),
}

SIRM: Mapping[str, Layout] = {
    "SI_Info": Layout(0x00, 4, "R", "bits 24..31: alignment exponent of transfer sizes"),
    "SI_Control": Layout(0x04, 4, "RW", "bit 0: stream enable"),
    "SI_Required_Payload_Size": Layout(0x08, 8, "R", "bytes"),
    "SI_Required_Leader_Size": Layout(0x10, 4, "R", "bytes"),
    "SI_Required_Trailer_Size": Layout(0x14, 4, "R", "bytes"),
    "SI_Maximum_Leader_Size": Layout(0x18, 4, "RW", "bytes the host has for a leader"),
    "SI_Payload_Transfer_Size": Layout(0x1C, 4, "RW", "bytes of each equal payload transfer"),
    "SI_Payload_Transfer_Count": Layout(0x20, 4, "RW", "how many of those"),
    "SI_Payload_Final_Transfer1_Size": Layout(0x24, 4, "RW", "bytes; 0: none"),
    "SI_Payload_Final_Transfer2_Size": Layout(0x28, 4, "RW", "bytes; 0: none"),
    "SI_Maximum_Trailer_Size": Layout(0x2C, 4, "RW", "bytes the host has for a trailer"),
}
SIRM_BYTES = 0x30

EIRM: Mapping[str, Layout] = {
    "EI_Control": Layout(0x00, 4, "RW", "bit 0: event channel enable"),
    "Maximum_Event_Transfer_Length": Layout(0x04, 4, "R", "bytes"),
    "Event_Test_Control": Layout(0x08, 4, "RW", "any value but 0 sends a test event"),
}
EIRM_BYTES = 0x0C

# Device_Capability: user-defined name, timestamp, family name, SBRM, written-length field in WRITEMEM_ACK.
DEVICE_CAPABILITY = 1 << 0 | 1 << 3 | 1 << 8 | 1 << 9 | 1 << 11
DEVICE_CAPABILITY_MESSAGE_CHANNEL = 1 << 2
U3VCP_SIRM, U3VCP_EIRM = 1, 2

_ENTRY = Struct(
    "file_subminor" / Bytes(2),
    "file_minor" / Bytes(1),
    "file_major" / Bytes(1),
    "file_format"
    / ByteSwapped(
        BitStruct(
            "schema_major" / BitsInteger(8),
            "schema_minor" / BitsInteger(8),
            "format" / BitsInteger(6),
            "reserved" / BitsInteger(7),
            "file_type" / BitsInteger(3),
        )
    ),
    "address" / Int64ul,
    "size" / Int64ul,
    "sha1" / Bytes(20),
    "reserved" / Array(5, Int32ul),
)
MANIFEST = Struct("count" / Int64ul, "entries" / Array(1, _ENTRY))
FORMAT_XML, FORMAT_ZIP = 0, 1


def build_manifest(
    version: tuple[int, int, int], zipped: bool, address: int, size: int, sha1: bytes
) -> bytes:
    """A manifest table of one entry: the device's GenICam XML (schema 1.1)."""
    major, minor, subminor = version
    table: bytes = MANIFEST.build(
        {
            "count": 1,
            "entries": [
                {
                    "file_subminor": subminor.to_bytes(2, "little"),
                    "file_minor": bytes((minor,)),
                    "file_major": bytes((major,)),
                    "file_format": {
                        "schema_major": 1,
                        "schema_minor": 1,
                        "format": FORMAT_ZIP if zipped else FORMAT_XML,
                        "reserved": 0,
                        "file_type": 0,
                    },
                    "address": address,
                    "size": size,
                    "sha1": sha1,
                    "reserved": [0] * 5,
                }
            ],
        }
    )
    return table
