"""The faults of a network, declared: for cameras on GigE Vision."""

from gadget.faults import acks, packets, surroundings
from gadget.faults.declaration import Kind, Parameter

_PART = Parameter("part", "any", "which packets it is about", ("any", *packets.PARTS))
_AGAIN = Parameter("again", "struck", "those that a host has asked for again", ("struck", "spared"))
_ASK_AGAIN = (
    "ask for the packet again (PACKETRESEND); without an answer tell its user that the frame is incomplete"
)

ETHERNET: dict[str, Kind] = {
    "lost-packets": Kind(
        "packets of the stream are lost", _ASK_AGAIN, packets.LostPackets, "packet",
        (Parameter("count", 1, "so many in a row", low=1, high=1 << 20), _PART, _AGAIN),
    ),
    "double-packets": Kind(
        "packets of the stream come twice", "drop the second one", packets.DoublePackets, "packet",
        (_PART, _AGAIN), legal=True,
    ),
    "swapped-packets": Kind(
        "packets of the stream are overtaken by those behind them",
        "put them where their ids say, and wait a little before it asks for them again",
        packets.SwappedPackets, "packet",
        (Parameter("by", 1, "by so many others", low=1, high=1 << 16), _PART, _AGAIN), legal=True,
    ),
    "late-packets": Kind(
        "packets of the stream are on their way for longer, and others overtake them",
        "ask for them again when its patience ends, and drop what then comes twice", packets.LatePackets, "packet",
        (Parameter("ms", 50.0, "how late", high=60_000), _PART, _AGAIN), legal=True,
    ),
    "small-mtu": Kind(
        "on the way to the host there is no room for packets of more than `bytes`: they are lost, without a word",
        "find out which size gets through (GevSCPSFireTestPacket) before it chooses one",
        packets.SmallMtu, "packet that is too large",
        (Parameter("bytes", 1500, "what gets through, with IP and UDP header", low=68, high=65535),), times=0,
    ),
    "lost-heartbeat": Kind(
        "the camera hears nothing of what the host sends; after its heartbeat timeout it is free for another one",
        "notice that it is not in control any more, tell its user, and open the camera again",
        packets.LostHeartbeat, "command",
        (Parameter("for_ms", 4000.0, "for so long; the heartbeat timeout is 3000 ms at first", high=3.6e6),),
    ),
    "lost-discovery": Kind(
        "the camera's answer to a search is lost, or late",
        "search again before it says that there is no such camera, and list one that answers late with the next search",
        acks.LostDiscovery, "answer",
        (Parameter("late_ms", 0, "how late; 0: it never comes", high=60_000),), times=0,
    ),
    "new-address": Kind(
        "the camera gets another address, and nobody is in control of it",
        "tell its user that the camera is gone, look for it by its serial number, and open it again",
        surroundings.NewAddress, "leader",
        (Parameter("to", "127.0.0.9", "which one: an address of this machine"),),
    ),
}  # fmt: skip
