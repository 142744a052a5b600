"""All faults by name. What is declared here is what `--fault` takes, `u3v faults` lists and docs/faults.md shows."""

from gadget.faults import acks, control, registers, requests, stream, surroundings
from gadget.faults import descriptors as described
from gadget.faults.declaration import Fault, Kind, Parameter, fault_from_text
from gadget.faults.ethernet import ETHERNET
from u3v.wire.usb import STREAM_IN

_COMMAND = Parameter("command", "any", "which commands it is about", ("any", "read", "write"))
_ENDPOINT = Parameter(
    "endpoint", STREAM_IN, "address: 0x83 stream, 0x82 events, 0x81 and 0x01 control", high=255
)
_PART = Parameter("part", "payload", "what is on its way then", ("leader", "payload", "trailer"))
_AFTER = Parameter("after_ms", 0.0, "so many ms later than that")
_POWER = Parameter(
    "power", "lost", "lost: it comes back as after power-on; kept: with its settings", ("lost", "kept")
)
_VALUE = Parameter("value", 0, "what it says instead")

_RETRY = "drop what does not fit the command it waits for, and ask again with a new id"
_DROP = "drop the frame, tell its user, and go on with the next one"
_READ_LENGTHS = "judge a frame by the bytes that came, not by what was announced"

CONTROL: dict[str, Kind] = {
    "stale-ack": Kind(
        "an acknowledge of the command before (its id - 1) comes first",
        _RETRY, control.StaleAck, "command", (_COMMAND,),
        imitates=("a driver's own note on Basler cameras in a bad state (ni u3v driver)",),
        fails=("GENCP-ID-009",), also=acks.StaleAck,
    ),
    "swapped-acks": Kind(
        "an acknowledge is kept back and comes behind the next one",
        _RETRY, control.SwappedAcks, "command", (_COMMAND,),
        imitates=("AravisProject/aravis#622", "AravisProject/aravis#624"),
        fails=("GENCP-ID-009", "GENCP-RD-018"),
    ),
    "late-ack": Kind(
        "the acknowledge comes late, and no PENDING_ACK announces that",
        "wait for Maximum_Device_Response_Time and some more; then ask again, knowing that a write may happen twice",
        control.LateAck, "command",
        (Parameter("delay_ms", 700, "how late", high=600_000), _COMMAND),
        imitates=("AravisProject/aravis#761",),
        fails=("TIME-001", "TIME-004", "GENCP-PND-001"), also=acks.LateAck,
    ),
    "pending-acks": Kind(
        "PENDING_ACKs come before the acknowledge",
        "wait on for as long as they announce; give up after some of them",
        control.PendingAcks, "command",
        (
            Parameter("count", 1, "how many; 0: without end, and the acknowledge never comes", high=1000),
            Parameter("wait_ms", 10, "between two of them", low=1, high=60_000),
            _COMMAND,
        ),
        imitates=("AravisProject/aravis#855",),
        fails=("GENCP-PND-004", "GENCP-PND-005", "GENCP-PND-006", "GENCP-ID-010"), also=acks.PendingAcks,
    ),
    "lost-ack": Kind(
        "a command is executed, its acknowledge is lost",
        "ask again, knowing that a write may happen twice; give up after some attempts",
        control.LostAck, "command", (_COMMAND,),
        fails=("GENCP-ID-010", "TIME-001"), also=acks.LostAck,
    ),
    "lost-command": Kind(
        "a command is neither executed nor answered",
        "ask again; give up after some attempts", control.LostCommand, "command", (_COMMAND,),
        imitates=("AravisProject/aravis#228",),
        fails=("GENCP-ID-010", "TIME-001"), also=acks.LostCommand,
    ),
    "double-ack": Kind(
        "an acknowledge comes twice", _RETRY, control.DoubleAck, "command", (_COMMAND,),
        fails=("GENCP-ID-009", "GENCP-PND-007"), also=acks.DoubleAck,
    ),
    "long-ack": Kind(
        "an acknowledge is longer than it says",
        "ask for no more than fits, and drop what is longer", control.LongAck, "command",
        (Parameter("bytes", 4, "how much longer", low=1, high=1024), _COMMAND),
        fails=("GENCP-HDR-020",),
    ),
    "bad-ack": Kind(
        "an acknowledge is garbled",
        "check prefix, length, command and id of each acknowledge, before its data are used",
        control.BadAck, "command",
        (Parameter("what", "length", "what is wrong", ("short", "prefix", "length", "command", "id")), _COMMAND),
        fails=("GENCP-HDR-001", "GENCP-HDR-017", "GENCP-HDR-020", "GENCP-ID-009"),
    ),
    "ack-status": Kind(
        "a command is executed, and its acknowledge says that it failed",
        "tell its user, with the status", control.AckStatus, "command",
        (Parameter("status", 0x8FFF, "the status (GenCP)", low=1, high=0xFFFF), _COMMAND),
        fails=("GENCP-HDR-001", "BOOT-ABRM-001", "GENCP-RD-001"), also=acks.AckStatus,
    ),
    "refused": Kind(
        "a register refuses to be read or written",
        "tell its user which feature it was, and go on", registers.Refused, "access",
        (
            Parameter("register", "Width", "a feature, a bootstrap register, or an address such as 0x200010+4"),
            Parameter("access", "write", "what is refused", ("read", "write", "both")),
            Parameter("status", "ACCESS_DENIED", "the answer", registers.STATUS_NAMES),
        ),
        times=0,
        imitates=("AravisProject/aravis#486", "AravisProject/aravis#516", "AravisProject/aravis#855"),
        fails=("XML-018", "XML-019", "FEAT-001"),
    ),
    "ignored": Kind(
        "what is written to a register is acknowledged, and has no effect",
        "read back what matters", registers.Ignored, "write",
        (
            Parameter("register", "Width", "a feature, a bootstrap register, or an address such as 0x200010+4"),
            Parameter("access", "write", "always write", ("write",)),
        ),
        times=0,
        fails=("FEAT-001", "BOOT-SIRM-008"),
    ),
    "register-lie": Kind(
        "a register reads as another value",
        "doubt what cannot be, and say so, before it is used for memory or arithmetic",
        registers.RegisterLie, "read",
        (Parameter("register", "SI_Required_Payload_Size", "as in refused"), _VALUE),
        times=0,
        imitates=("AravisProject/aravis#228", "AravisProject/aravis#261"),
        fails=("BOOT-SIRM-004", "BOOT-ABRM-025"),
    ),
    "xml": Kind(
        "the GenICam file is damaged",
        "refuse it in words that name the file and the place, and leave the camera as it was",
        registers.XmlDamage, "read",
        (Parameter("how", "sha-wrong", "the damage", tuple(registers.XML_DAMAGES)),),
        times=0,
        imitates=("AravisProject/aravis#35", "AravisProject/aravis#1014", "AravisProject/aravis#205"),
        fails=("BOOT-MAN-006", "BOOT-MAN-007", "BOOT-MAN-009", "BOOT-MAN-010", "XML-001"),
    ),
    "unaligned-refused": Kind(
        "sizes in the SI registers that are no multiple of `alignment` get status A003, and enabling then A004",
        "round sizes up to the alignment that SI_Info names", control.UnalignedRefused, "write",
        (Parameter("alignment", 1024, "bytes", low=1),),
        times=0, imitates=("AravisProject/aravis#209", "AravisProject/aravis#816"),
        fails=("SI-001",), legal=True,
    ),
    "stuck-registers": Kind(
        "after a host has died in mid-stream the SI registers answer 8FFF, until the power has been off",
        "tell its user that only a power cycle helps", control.StuckRegisters, "access",
        times=0, imitates=("AravisProject/aravis#295",), fails=("ROB-004", "ROB-005"),
    ),
    "needs-tool": Kind(
        "SI registers ignore what is written, until a tool has written U3VCP_Configuration since power-on",
        "read back the SI registers before it enables the stream", registers.NeedsTool, "write",
        times=0, imitates=("AravisProject/aravis#209", "AravisProject/aravis#492", "AravisProject/aravis#859"),
        fails=("SI-002", "BOOT-SIRM-008"),
    ),
}  # fmt: skip

STREAM: dict[str, Kind] = {
    "lost-leader": Kind(
        "a leader is not sent", _DROP + "; find the next leader", stream.LostLeader, "frame",
        fails=("STREAM-001",),
    ),
    "lost-payload": Kind(
        "one transfer of the payload is not sent", _READ_LENGTHS + "; find the next leader",
        stream.LostPayload, "frame", (Parameter("transfer", 0, "which one, from 0"),),
        fails=("STREAM-010", "STREAM-011"),
    ),
    "lost-trailer": Kind(
        "a trailer is not sent; the next leader comes instead", _DROP + "; take the leader for what it is",
        stream.LostTrailer, "frame", fails=("STREAM-012",),
    ),
    "double-leader": Kind(
        "a leader is sent twice", "take the second leader for what it is", stream.DoubleLeader, "frame",
        imitates=("AravisProject/aravis#737",), fails=("STREAM-002", "STREAM-018"),
    ),
    "short-payload": Kind(
        "the end of the payload is missing", _READ_LENGTHS, stream.ShortPayload, "frame",
        (
            Parameter("bytes", 4096, "how many bytes are missing", low=1),
            Parameter("trailer", "lies", "honest: valid size says so; lies: it does not", ("honest", "lies")),
        ),
        imitates=("AravisProject/aravis#314", "AravisProject/aravis#781"),
        fails=("STREAM-010", "STREAM-015", "STREAM-044"),
    ),
    "padded-payload": Kind(
        "the payload is longer than announced", _READ_LENGTHS + "; give requests room for whole packets",
        stream.PaddedPayload, "frame", (Parameter("bytes", 1024, "how much longer", low=1, high=1 << 20),),
        times=0, imitates=("AravisProject/aravis#674",), fails=("STREAM-010", "STREAM-011", "SI-009"),
    ),
    "missing-zlp": Kind(
        "no zero-length packet ends a payload of whole packets in a request that has room left",
        "ask for exactly the payload, or find the next leader", stream.MissingZeroPacket, "frame",
        times=0, imitates=("AravisProject/aravis#737", "dorssel/usbipd-win#924"),
        fails=("SI-010", "STREAM-019"),
    ),
    "extra-zlp": Kind(
        "an empty transfer comes before the trailer", "skip it", stream.ExtraZeroPacket, "frame",
        times=0, imitates=("AravisProject/aravis#737",), fails=("STREAM-017",),
    ),
    "payload-magic": Kind(
        "the image begins with the letters of a leader or trailer",
        "tell parts of a frame by their place in the order, not by their first bytes",
        stream.PayloadMagic, "frame", (Parameter("what", "leader", "which letters", ("leader", "trailer")),),
        times=0, fails=("STREAM-030",), legal=True,
    ),
    "block-id": Kind(
        "block ids jump", "count what is missing; refuse a frame whose leader and trailer disagree",
        stream.BlockId, "frame",
        (
            Parameter("jump", 5, "by how much", low=1),
            Parameter("where", "both", "in leader and trailer, or in the trailer alone", ("both", "trailer")),
        ),
        fails=("STREAM-007", "STREAM-013"),
    ),
    "ids-continue": Kind(
        "block ids go on where the last acquisition ended",
        "not rely on ids that begin at 0", stream.IdsContinue, "frame",
        times=0, imitates=("AravisProject/aravis#737",), fails=("STREAM-007", "STREAM-031"),
    ),
    "trailer-status": Kind(
        "a whole frame's trailer says that data are missing", "tell its user", stream.TrailerStatus, "frame",
        (Parameter("status", 0xA100, "A100: discarded, A101: overrun", low=1, high=0xFFFF),),
        fails=("STREAM-014",),
    ),
    "leader-field": Kind(
        "a field of a leader says something else", "check what it uses", stream.LeaderField, "frame",
        (Parameter("field", "pixel_format", "which one", tuple(stream.LEADER_FIELDS)), _VALUE),
        fails=("STREAM-002", "STREAM-003", "STREAM-004", "STREAM-005"),
    ),
    "leader-length": Kind(
        "a leader is shorter or longer, and says so", "check its size before it is read", stream.LeaderLength, "frame",
        (Parameter("bytes", 40, "how long", low=12, high=1024),), fails=("STREAM-002",),
    ),
    "trailer-field": Kind(
        "a field of a trailer says something else", "check what it uses", stream.TrailerField, "frame",
        (Parameter("field", "valid_size", "which one", tuple(stream.TRAILER_FIELDS)), _VALUE),
        fails=("STREAM-012", "STREAM-015"),
    ),
    "bit-errors": Kind(
        "bits of the payload are inverted", "nothing: without a checksum in the chunk data nobody can see it",
        stream.BitErrors, "frame", (Parameter("bits", 1, "how many in a frame", low=1, high=1 << 20),),
        fails=("STREAM-025",),
    ),
    "sensor-defects": Kind(
        "pixels, rows or columns are white or black from some frame on",
        "let its user see it: dark frames, flat frames, a list of defect pixels",
        stream.SensorDefects, "frame",
        (
            Parameter("what", "pixels", "what fails", ("pixels", "row", "column")),
            Parameter("count", 10, "how many", low=1, high=100_000),
            Parameter("value", "white", "what they show", ("white", "black")),
            Parameter("where", 1, "the places are drawn from this number"),
        ),
        times=0, fails=("STREAM-047",), legal=True,
    ),
    "stops-after": Kind(
        "large frames stop coming after some, without a word",
        "wait for so long, then tell its user; stop and start again", stream.StopsAfter, "frame",
        (
            Parameter("frames", 9, "after so many", low=1),
            Parameter("beyond", 640 * 480, "frames of more pixels than this"),
        ),
        times=0, imitates=("AravisProject/aravis#904",), fails=("STREAM-042", "ACQ-003"),
    ),
    "slow-frames": Kind(
        "frames are so far apart that a host's patience ends", "not take silence between two frames for an error",
        stream.SlowFrames, "frame", (Parameter("period_ms", 2000.0, "from one leader to the next", high=3.6e6),),
        times=0, imitates=("AravisProject/aravis#761",), fails=("TIME-018", "TIME-019"), legal=True,
    ),
    "timestamp-jump": Kind(
        "timestamps jump", "not compute with one difference; say which frame it was", stream.TimestampJump, "frame",
        (Parameter("by_ms", -1000.0, "forwards, or backwards (negative)", low=-1e12, high=1e12),),
        times=0, imitates=("AravisProject/aravis#168",), fails=("STREAM-008", "BOOT-ABRM-021", "TIME-009"),
    ),
    "timestamp-restart": Kind(
        "the camera's clock begins at 0 each time the stream is enabled",
        "not compare timestamps of two acquisitions", stream.TimestampRestart, "start",
        times=0, imitates=("AravisProject/aravis#737",), fails=("BOOT-ABRM-021",),
    ),
}  # fmt: skip

USB: dict[str, Kind] = {
    "eproto": Kind(
        "a request ends with a protocol error, as where a cable is bad",
        "clear the halt, drop the frame, and go on", requests.ProtocolError, "request", (_ENDPOINT,),
        imitates=("rockchip-linux/kernel#349", "AravisProject/aravis#1014"), fails=("ROB-030",),
    ),
    "babble": Kind(
        "an endpoint sends more than was asked for: the request ends with an overflow",
        "drop the frame, and go on", requests.Babble, "request", (_ENDPOINT,),
        imitates=("AravisProject/aravis#674",), fails=("SI-026", "GENCP-HDR-020", "ROB-030"),
    ),
    "busy": Kind(
        "another program holds the camera's interfaces", "tell its user who, or that somebody, does",
        requests.Busy, "request", times=0, imitates=("AravisProject/aravis#290",), fails=("ROB-006",),
    ),
    "small-requests-only": Kind(
        "of a request for more than `bytes` the rest is lost", "let its user set the size of requests",
        requests.SmallRequestsOnly, "request",
        (Parameter("bytes", 65536, "what gets through", low=512), _ENDPOINT), times=0,
        imitates=("AravisProject/aravis#314", "AravisProject/aravis#761", "AravisProject/aravis#958"),
        fails=("SI-027",),
    ),
    "stall": Kind(
        "an endpoint stalls, though nobody asked it to", "clear the halt and go on", requests.UnaskedStall,
        "transfer", (_ENDPOINT,),
        imitates=("AravisProject/aravis#301", "AravisProject/aravis#305"), fails=("USB-EP-018",),
    ),
    "stuck-endpoint": Kind(
        "an endpoint stalls and stays so, whatever the host clears", "give up after some attempts, and say so",
        requests.StuckEndpoint, "transfer", (_ENDPOINT,),
        imitates=("AravisProject/aravis#301",), fails=("USB-EP-003", "ROB-020", "USB-EP-018"),
    ),
    "bad-descriptor": Kind(
        "a byte of a descriptor is another one when it is read", "check lengths before anything is read by them",
        requests.BadDescriptor, "request",
        (
            Parameter("type", 2, "1: device, 2: configuration, 15: BOS", high=255),
            Parameter("byte", 4, "which byte, from 0", high=4095),
            Parameter("value", 9, "what it is instead", high=255),
        ),
        times=0, imitates=("AravisProject/aravis#285",), fails=("USB-CFG-002", "USB-CFG-006"),
    ),
    "lost-configuration": Kind(
        "SET_CONFIGURATION fails", "say that the camera could not be configured", requests.LostSetConfiguration,
        "request", imitates=("AravisProject/aravis#885",), fails=("USB-CH9-002", "ROB-030"),
    ),
    "no-stream-interface": Kind(
        "the descriptors have no stream interface", "offer what is there: the camera's registers",
        described.NoStreamInterface, "start", from_start=True, imitates=("AravisProject/aravis#859",),
        fails=("U3V-DESC-006", "BOOT-SBRM-003"),
    ),
    "odd-endpoints": Kind(
        "the control endpoints have different numbers", "take both from the descriptors",
        described.OddEndpoints, "start", from_start=True,
        imitates=("AravisProject/aravis#500", "AravisProject/aravis#1053"), fails=("U3V-DESC-008",), legal=True,
    ),
    "empty-strings": Kind(
        "GUID and strings are empty", "tell cameras apart by something else, or refuse this one",
        described.EmptyStrings, "start", (Parameter("guid", "zeros", "the GUID", ("zeros", "empty")),),
        from_start=True, fails=("U3V-DESC-013", "U3V-DESC-017", "USB-STR-002"),
    ),
    "stream-first": Kind(
        "the stream interface comes before the event interface", "find interfaces by their protocol",
        described.StreamFirst, "start", from_start=True, imitates=("AravisProject/aravis#811",),
        fails=("U3V-DESC-024",), legal=True,
    ),
    "composite": Kind(
        "the device has a UVC function, too", "find its function by class and protocol",
        described.Composite, "start", from_start=True, imitates=("TheImagingSource/tiscamera#380",),
        fails=("U3V-DESC-023",), legal=True,
    ),
    "speed-support": Kind(
        "the device information descriptor claims other speeds", "go by the speed the link has",
        described.SpeedSupport, "start",
        (Parameter("speeds", 0, "bit field: 4 High-Speed, 8 SuperSpeed", high=255),), from_start=True,
        fails=("U3V-DESC-022",),
    ),
}  # fmt: skip

WORLD: dict[str, Kind] = {
    "yank": Kind(
        "the cable is pulled, and plugged in again",
        "end all waiting with an error within a second, free its memory, and open the camera again when it is back",
        surroundings.Yank, "part of a frame",
        (Parameter("back_ms", 1000.0, "away for so long; 0: for good", high=3.6e6), _POWER, _PART, _AFTER),
        imitates=(
            "AravisProject/aravis#9", "AravisProject/aravis#735", "syntalos/syntalos#153",
            "EtalumaSupport/LumaViewPro#653", "FraunhoferIOSB/camera_aravis2#41",
        ),
        fails=("ROB-030", "ROB-017"), also=surroundings.YankOfEthernet,
    ),
    "fall-back": Kind(
        "the link fails and comes back at High-Speed",
        "go by the new speed: packets of 512 bytes, a tenth of the rate; tell its user",
        surroundings.FallBack, "part of a frame",
        (Parameter("back_ms", 1000.0, "away for so long", low=1, high=3.6e6), _POWER, _PART, _AFTER),
        imitates=("basler/pypylon#125", "basler/pypylon#225"), fails=("ROB-030",),
    ),
    "bus-reset": Kind(
        "the bus resets the device", "configure it anew, and set it up as before", surroundings.BusReset,
        "part of a frame", (_PART, _AFTER), fails=("ROB-030",),
    ),
    "brown-out": Kind(
        "the supply sags: below 4.45 V a USB camera drops off the bus, one on Ethernet below what its maker prints "
        "(10.8 V, say), and comes back with its defaults",
        "as after a pulled cable; tell its user about power", surroundings.BrownOut, "part of a frame",
        (
            Parameter("volts", 4.0, "at the other end of the cable", high=60),
            Parameter("for_ms", 100.0, "for so long", low=0.1, high=3.6e6), _PART, _AFTER,
        ),
        imitates=("basler/pypylon#225", "tiscamera#324", "IntelRealSense/librealsense#13246"), fails=("ROB-030",),
        also=surroundings.BrownOutOfEthernet,
    ),
    "over-temperature": Kind(
        "camera and air are hot from one moment to the next; what the camera does then is its maker's choice",
        "read the temperature status, and tell its user why no frames come", surroundings.OverTemperature,
        "part of a frame", (Parameter("celsius", 95.0, "how hot", high=150), _PART, _AFTER),
        fails=("SFNC-019", "PWR-008"), legal=True, also=surroundings.OverTemperatureOfEthernet,
    ),
    "slow-link": Kind(
        "no more than so much comes through, as behind a slow hub or beside other devices",
        "count what is missing and tell its user; lower the rate", surroundings.SlowLink, "transfer",
        (Parameter("mb_per_s", 30.0, "megabytes per second", low=0.001, high=1e5),), times=0,
        imitates=(
            "AravisProject/aravis#781", "AravisProject/aravis#126", "basler/pypylon#718",
            "EtalumaSupport/LumaViewPro#685", "alliedvision/VimbaPython#26",
        ),
        fails=("TIME-012", "TIME-019"), legal=True,
    ),
    "lost-triggers": Kind(
        "a trigger, by software or by a line, has no effect",
        "notice that no frame came in time, and trigger again", surroundings.LostTriggers, "trigger",
        imitates=("basler/pypylon#600",), fails=("TRG-002",),
    ),
}  # fmt: skip

SECTIONS = {
    "The control channel": CONTROL,
    "The stream": STREAM,
    "Requests, endpoints, descriptors": USB,
    "Cable, supply, air, inputs": WORLD,
    "Ethernet": ETHERNET,
}
FAULTS: dict[str, Kind] = CONTROL | STREAM | USB | WORLD | ETHERNET


def on_wire(wire: str) -> dict[str, Kind]:
    """Those that can strike a camera on USB or on Ethernet (`gadget.faults.wrappers`)."""
    return {name: kind for name, kind in FAULTS.items() if kind.maker(wire) is not None}


def parse_fault(text: str) -> Fault:
    """ "NAME" or "NAME:KEY=VALUE,...", such as "lost-trailer:frame=3". Raises Mistake."""
    return fault_from_text(text, FAULTS)
