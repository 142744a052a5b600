"""For each fault, words with which it strikes during a conformance run."""

from gadget.faults.catalogue import on_wire
from gadget.faults.wrappers import USB

_OTHERS = {
    "stale-ack": ["stale-ack:nth=10,times=0"],
    "swapped-acks": ["swapped-acks:nth=10,times=0"],
    "late-ack": ["late-ack:times=0"],
    "pending-acks": ["pending-acks:times=0,count=3,command=read", "pending-acks:nth=10,count=0,times=0"],
    "lost-ack": ["lost-ack:nth=10,times=0,p=0.2"],
    "lost-command": ["lost-command:nth=10,times=0,p=0.2"],
    "double-ack": ["double-ack:nth=10,times=0"],
    "long-ack": ["long-ack:times=0"],
    "bad-ack": [
        f"bad-ack:times=0,nth=10,what={what}" for what in ("short", "prefix", "length", "command", "id")
    ],
    "ack-status": ["ack-status:times=0,command=read"],
    "register-lie": ["register-lie:register=SI_Required_Payload_Size,value=0"],
    "xml": [f"xml:how={how}" for how in ("sha-wrong", "two-files", "flipped-bit", "truncated", "unclosed")],
    "eproto": ["eproto:nth=3,times=0"],
    "babble": ["babble:endpoint=0x81,nth=10,times=0"],
    "stall": ["stall:times=0,endpoint=0x81,nth=10"],
    "stuck-endpoint": ["stuck-endpoint:nth=2"],
    "bad-descriptor": ["bad-descriptor:type=2,byte=4,value=9"],
    "lost-configuration": ["lost-configuration:times=0"],
    "no-stream-interface": ["no-stream-interface"],
    "trailer-field": ["trailer-field:times=0,value=1", "trailer-field:times=0,field=magic,value=1"],
    "leader-field": [
        "leader-field:times=0,field=payload_type,value=2",
        "leader-field:times=0,field=pixel_format",
    ],
    "short-payload": ["short-payload:times=0", "short-payload:times=0,trailer=honest"],
    "block-id": ["block-id:nth=3,times=1", "block-id:times=0,where=trailer"],
    "fall-back": ["fall-back:frame=2"],
    "bus-reset": ["bus-reset:frame=2"],
    "brown-out": ["brown-out:frame=2"],
    "yank": ["yank:frame=2,back_ms=200"],
    "slow-link": ["slow-link:mb_per_s=1"],
    "over-temperature": ["over-temperature:at_ms=0"],
}
EXAMPLES = {name: _OTHERS.get(name, [f"{name}:times=0"]) for name in on_wire(USB)}
BESIDES: dict[str, set[str]] = {
    "timestamp-restart": {"GENCP-ID-006"},
    **{key: {"STREAM-007"} for key in ("eproto", "yank", "fall-back", "bus-reset", "brown-out")},
}
"""Checks that are run with those that see a fault: some time has to pass first."""
VANISHING = ("yank", "fall-back", "brown-out")
"""Faults that end a run: the check that was at work says that the device vanished, the rest is skipped."""
