"""ACTION commands: a host, or any machine that knows the keys, triggers many cameras at once, now or at a given time.

State: the actions that wait for their time. Always true: they happen at their instant on the camera's clock, however
late the loop comes; one that comes after its time happens at once, and the host hears that it was late.
"""

import heapq
from collections.abc import Mapping
from functools import partial

from u3v.camera import Camera
from u3v.errors import Malformed, Status
from u3v.gev.bootstrap import Bootstrap
from u3v.happenings import Happening
from u3v.wire import gev, gvcp

SIGNAL = "Action1"
KEY, GROUP_KEY, GROUP_MASK = "ActionDeviceKey", "ActionGroupKey", "ActionGroupMask"
_KEYS = {"Action_Device_Key": KEY, "Action_Group_Key": GROUP_KEY, "Action_Group_Mask": GROUP_MASK}


class Actions:
    """The one action that the cameras have."""

    def __init__(self, camera: Camera, bootstrap: Bootstrap) -> None:
        self._camera = camera
        self._bootstrap = bootstrap
        self._waiting: list[int] = []
        """Times on the camera's clock, ns; the first is the next."""
        features = camera.features
        if not bootstrap.actions:
            return
        for register, name in _KEYS.items():
            selected = {} if name == KEY else {"ActionSelector": 1}
            bootstrap.when_read(register, partial(features.get, name, **selected))
            bootstrap.when_written(register, written=partial(self._key_written, register, name, selected))

    def command(self, command: gvcp.Command, controlled: bool, now_ns: int) -> int | None:
        """The status of the acknowledge. None: the command is not for this camera, and nobody answers.

        `controlled`: whether a host is in control; without one, actions are heeded if it is set up so.
        """
        try:
            action = gvcp.parse_action(command)
        except Malformed:
            return None
        if not self._is_meant(action) or not (controlled or self._is_set(gev.UNCONDITIONAL_ACTION)):
            return None
        if not command.flags & gvcp.SCHEDULED or not action.time:
            self._happen(now_ns)
            return Status.SUCCESS
        if not self._bootstrap.options.scheduled_actions:
            return Status.NOT_IMPLEMENTED
        told = self._is_set(gev.EXTENDED_STATUS_1 | gev.EXTENDED_STATUS_2)
        if self._instant_ns(action.time) <= now_ns:
            self._happen(now_ns)
            self._camera.happened(Happening.ACTION_LATE, now_ns)
            return gvcp.ACTION_LATE if told else Status.SUCCESS
        if len(self._waiting) >= self._bootstrap.options.scheduled_actions:
            return gvcp.OVERFLOW if told else Status.BUSY
        heapq.heappush(self._waiting, action.time)
        return Status.SUCCESS

    def tick(self, now_ns: int) -> None:
        while self._waiting and self._instant_ns(self._waiting[0]) <= now_ns:
            self._happen(self._instant_ns(heapq.heappop(self._waiting)))

    def next_wakeup_ns(self) -> int | None:
        return self._instant_ns(self._waiting[0]) if self._waiting else None

    def forget(self) -> None:
        self._waiting.clear()

    def _key_written(self, register: str, name: str, selected: Mapping[str, int]) -> None:
        """Keys are features: what a host writes here is what it reads there."""
        self._camera.features.set(name, self._bootstrap.get(register), **selected)

    def _happen(self, at_ns: int) -> None:
        self._camera.tick(at_ns)
        self._camera.inputs.signal(SIGNAL, at_ns)

    def _instant_ns(self, time: int) -> int:
        return time - self._camera.clock_offset_ns

    def _is_set(self, bits: int) -> bool:
        return bool(self._bootstrap.get("GVCP_Configuration") & bits)

    def _is_meant(self, action: gvcp.Action) -> bool:
        features = self._camera.features
        if KEY not in features:
            return False
        keys = features.get(KEY), features.get(GROUP_KEY, ActionSelector=1)
        mask: int = features.get(GROUP_MASK, ActionSelector=1)
        return (action.device_key, action.group_key) == keys and bool(action.group_mask & mask)
