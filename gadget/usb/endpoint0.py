"""Endpoint 0: the standard requests of USB 3.2 chapter 9, answered for any `Function`.

State: the descriptors, the configuration value and which of U1, U2 and LTM the host has enabled. Always true: a
request that it does not know, or whose fields make no sense, stalls and changes nothing; an unconfigured
device has no interfaces and no endpoints but 0, and nothing enabled. SET_SEL, SET_ISOCH_DELAY and function
suspend are accepted at SuperSpeed and have no effect. U3V has no class requests on endpoint 0.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from gadget.usb.descriptors import interfaces
from u3v.errors import Stall
from u3v.wire.usb import LANGUAGE_EN_US, Descriptors, Speed

GET_STATUS, CLEAR_FEATURE, SET_FEATURE, SET_ADDRESS = 0, 1, 3, 5
GET_DESCRIPTOR, GET_CONFIGURATION, SET_CONFIGURATION = 6, 8, 9
GET_INTERFACE, SET_INTERFACE = 10, 11
SET_SEL, SET_ISOCH_DELAY = 0x30, 0x31
DEVICE, INTERFACE, ENDPOINT = 0, 1, 2
ENDPOINT_HALT, FUNCTION_SUSPEND = 0, 0
U1_ENABLE, U2_ENABLE, LTM_ENABLE = 48, 49, 50
SEL_BYTES = 6
_SELF_POWERED = 0x40
_STATUS_BIT = {U1_ENABLE: 2, U2_ENABLE: 3, LTM_ENABLE: 4}


@dataclass(frozen=True, slots=True)
class Setup:
    """A setup packet (USB 3.2 clause 9.3)."""

    request_type: int
    request: int
    value: int
    index: int
    length: int

    @classmethod
    def parse(cls, raw: bytes) -> "Setup":
        return cls(*struct.unpack("<BBHHH", raw))

    @property
    def device_to_host(self) -> bool:
        return bool(self.request_type & 0x80)

    @property
    def recipient(self) -> int:
        return self.request_type & 0x1F


@dataclass(frozen=True, slots=True)
class Actions:
    """What endpoint 0 does to the rest of the device."""

    configure: Callable[[int], None]
    set_interface: Callable[[int], None]
    set_halt: Callable[[int], None]
    clear_halt: Callable[[int], None]
    is_halted: Callable[[int], bool]


class ControlEndpoint:
    """Answers setup packets. A configuration that needs more than the port offers (`offered_ma`) is refused."""

    def __init__(self, descriptors: Descriptors, speed: Speed, offered_ma: int, actions: Actions) -> None:
        self.configuration = 0
        self.refused = False
        self.on_refusal: Callable[[str], None] = lambda reason: None
        self.descriptors = descriptors
        self._speed = speed
        self._offered_ma = offered_ma
        self._actions = actions
        self._enabled: set[int] = set()
        self._endpoints_of = {i.number: i.endpoints for i in interfaces(descriptors.configuration)}
        self.endpoints = tuple(e for group in self._endpoints_of.values() for e in group)

    def endpoints_of(self, interface: int) -> tuple[int, ...]:
        """Endpoint addresses of an interface."""
        return self._endpoints_of.get(interface, ())

    def reset(self, descriptors: Descriptors) -> None:
        """The state after a bus reset: unconfigured. `descriptors`: of the same endpoints, perhaps new strings."""
        self.descriptors = descriptors
        self.configuration = 0
        self._enabled.clear()

    @property
    def declared_ma(self) -> int:
        """bMaxPower in mA."""
        return self.descriptors.configuration[8] * self._speed.power_unit_ma

    def handle(self, setup: Setup, data: bytes) -> bytes:
        """The data stage (device to host) or b"". Raises Stall for whatever is not supported."""
        if setup.request_type & 0x60:
            raise Stall("no class or vendor requests")
        handler = _HANDLERS.get((setup.device_to_host, setup.request, setup.recipient))
        if handler is None:
            raise Stall(f"request {setup.request:#04x} type {setup.request_type:#04x}")
        expected_bytes = SEL_BYTES if setup.request == SET_SEL else 0
        if not setup.device_to_host and (setup.length != expected_bytes or len(data) != expected_bytes):
            raise Stall(f"request {setup.request:#04x} takes {expected_bytes} bytes, not {setup.length}")
        return handler(self, setup, data)[: setup.length]

    def _get_descriptor(self, setup: Setup, _data: bytes) -> bytes:
        kind, number = setup.value >> 8, setup.value & 0xFF
        if kind == 1 and number == 0:
            return self.descriptors.device
        if kind == 2 and number == 0:
            return self.descriptors.configuration
        if kind == 15 and number == 0:
            return self.descriptors.bos
        if kind == 6 and number == 0 and self.descriptors.qualifier is not None:
            return self.descriptors.qualifier
        if kind == 7 and number == 0 and self.descriptors.other_speed is not None:
            return self.descriptors.other_speed
        if kind == 3:
            return self._string(number)
        raise Stall(f"descriptor type {kind} index {number}")

    def _string(self, number: int) -> bytes:
        if number == 0:
            return struct.pack("<BBH", 4, 3, LANGUAGE_EN_US)
        text = self.descriptors.strings.get(number)
        if text is None:
            raise Stall(f"string {number}")
        encoded = text.encode("utf-16-le")[:252]
        return struct.pack("<BB", 2 + len(encoded), 3) + encoded

    def _set_configuration(self, setup: Setup, _data: bytes) -> bytes:
        value = setup.value
        if value not in (0, 1) or setup.index:
            raise Stall(f"configuration {value}")
        if value and self.declared_ma > self._offered_ma:
            reason = f"the port offers {self._offered_ma} mA, the camera needs {self.declared_ma} mA"
            if not self.refused:
                self.refused = True
                self.on_refusal(reason)
            raise Stall(reason)
        self.configuration = value
        if not value:
            self._enabled.clear()
        self._actions.configure(value)
        return b""

    def _get_configuration(self, _setup: Setup, _data: bytes) -> bytes:
        return bytes((self.configuration,))

    def _get_interface(self, setup: Setup, _data: bytes) -> bytes:
        self._need_interface(setup.index)
        return b"\0"

    def _set_interface(self, setup: Setup, _data: bytes) -> bytes:
        self._need_interface(setup.index)
        if setup.value:
            raise Stall("there is only alternate setting 0")
        self._actions.set_interface(setup.index)
        return b""

    def _need_interface(self, index: int) -> None:
        if not self.configuration or index not in self._endpoints_of:
            raise Stall(f"interface {index:#x}")

    def _need_endpoint(self, index: int) -> int:
        if not self.configuration or index not in self.endpoints:
            raise Stall(f"endpoint {index:#04x}")
        return index

    def _status_device(self, _setup: Setup, _data: bytes) -> bytes:
        """Bit 0: self-powered; 2, 3, 4: U1, U2, LTM enabled. Bit 1 is remote wake-up, which it has not."""
        configuration = self.descriptors.configuration
        is_self_powered = configuration[7] & _SELF_POWERED and not configuration[8]
        status = sum(1 << _STATUS_BIT[feature] for feature in self._enabled)
        return struct.pack("<H", status | bool(is_self_powered))

    def _status_interface(self, setup: Setup, _data: bytes) -> bytes:
        self._need_interface(setup.index)
        return b"\0\0"

    def _status_endpoint(self, setup: Setup, _data: bytes) -> bytes:
        if setup.index in (0, 0x80):
            return b"\0\0"
        return struct.pack("<H", self._actions.is_halted(self._need_endpoint(setup.index)))

    def _feature_device(self, setup: Setup, _data: bytes) -> bytes:
        """U1, U2 and (with the capability) LTM, which only a configured device can be told to use."""
        feature = setup.value
        known = self._speed is Speed.SUPER and feature in _STATUS_BIT and not setup.index
        if not known or (feature == LTM_ENABLE and not self.descriptors.has_ltm):
            raise Stall(f"device feature {feature}")
        if setup.request == CLEAR_FEATURE:
            self._enabled.discard(feature)
        elif self.configuration:
            self._enabled.add(feature)
        else:
            raise Stall(f"device feature {feature} of an unconfigured device")
        return b""

    def _feature_interface(self, setup: Setup, _data: bytes) -> bytes:
        """Function suspend; its options are in the index's upper byte."""
        self._need_interface(setup.index & 0xFF)
        if setup.value != FUNCTION_SUSPEND or self._speed is not Speed.SUPER:
            raise Stall(f"interface feature {setup.value}")
        return b""

    def _feature_endpoint(self, setup: Setup, _data: bytes) -> bytes:
        if setup.value != ENDPOINT_HALT:
            raise Stall(f"endpoint feature {setup.value}")
        if setup.index in (0, 0x80):
            return b""
        endpoint = self._need_endpoint(setup.index)
        action = self._actions.set_halt if setup.request == SET_FEATURE else self._actions.clear_halt
        action(endpoint)
        return b""

    def _accept_super_speed(self, _setup: Setup, _data: bytes) -> bytes:
        if self._speed is not Speed.SUPER:
            raise Stall("a SuperSpeed request")
        return b""

    def _set_address(self, _setup: Setup, _data: bytes) -> bytes:
        return b""


_C = ControlEndpoint
_HANDLERS: dict[tuple[bool, int, int], Callable[[ControlEndpoint, Setup, bytes], bytes]] = {
    (True, GET_DESCRIPTOR, DEVICE): _C._get_descriptor,
    (True, GET_CONFIGURATION, DEVICE): _C._get_configuration,
    (True, GET_STATUS, DEVICE): _C._status_device,
    (True, GET_STATUS, INTERFACE): _C._status_interface,
    (True, GET_STATUS, ENDPOINT): _C._status_endpoint,
    (True, GET_INTERFACE, INTERFACE): _C._get_interface,
    (False, SET_ADDRESS, DEVICE): _C._set_address,
    (False, SET_CONFIGURATION, DEVICE): _C._set_configuration,
    (False, SET_INTERFACE, INTERFACE): _C._set_interface,
    (False, SET_FEATURE, DEVICE): _C._feature_device,
    (False, CLEAR_FEATURE, DEVICE): _C._feature_device,
    (False, SET_FEATURE, INTERFACE): _C._feature_interface,
    (False, CLEAR_FEATURE, INTERFACE): _C._feature_interface,
    (False, SET_FEATURE, ENDPOINT): _C._feature_endpoint,
    (False, CLEAR_FEATURE, ENDPOINT): _C._feature_endpoint,
    (False, SET_SEL, DEVICE): _C._accept_super_speed,
    (False, SET_ISOCH_DELAY, DEVICE): _C._accept_super_speed,
}
