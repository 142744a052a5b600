"""What a camera draws from its supply and how warm that makes it. Pure: `now_ns` in; mA, V and degrees out.

Current by state: an unconfigured device is held to one unit load (150 mA at SuperSpeed, 100 mA below; USB 3.2
table 11-2); configured, the power is a base plus a part proportional to the streamed bytes. The camera's
converter takes constant power, so its current rises as the voltage sags: through a cable of `cable_ohm` (both
wires together) V = Vs - R (P / V + I_load), the upper root; where there is none the voltage collapses. The
temperature follows the power as one first-order lag above ambient.

`fault` says what is wrong now: a brown-out below `min_v` (USB: 4.45 V at the device, USB 3.2 table 11-2; a GigE
camera says so itself), or more current than the port's limit. What follows from it is `gadget.usb.port`'s.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from u3v.model import Model
from u3v.wire.usb import Speed

UNIT_LOAD_MA = {Speed.SUPER: 150.0, Speed.HIGH: 100.0}
VBUS_MIN_V = 4.45
POE_FROM_V = 36.0
"""A GigE camera with this much on its supply is on PoE (802.3af: 37 to 57 V), with the losses of that."""


@dataclass(frozen=True, slots=True)
class Supply:
    """What a person says about the supply. None: what the model's data sheet and the port's speed say.

    `load_ma`: drawn from the camera's own supply output by something else (cameras that have such a pin).
    """

    supply_v: float | None = None
    cable_ohm: float = 0.0
    port_ma: float | None = None
    ambient_c: float = 25.0
    load_ma: float = 0.0


class PowerModel:
    """Implements `u3v.camera.Surroundings` from a model's figures. `ambient_c`: air around the camera.

    `on_change(now_ns)` is called after each change of the load. `bus_bytes_per_s`: what the bus lets through,
    for whoever computes with the rate of the settings instead of sending frames.
    """

    def __init__(
        self,
        model: Model,
        *,
        speed: Speed = Speed.SUPER,
        ambient_c: float | None = None,
        supply: Supply | None = None,
    ) -> None:
        number = model.number
        supply = supply or Supply()
        self.on_change: Callable[[int], None] = lambda now_ns: None
        self.ambient_c = supply.ambient_c if ambient_c is None else ambient_c
        self.nominal_v = number("supply_v")
        self.supply_v = self.nominal_v if supply.supply_v is None else supply.supply_v
        self.cable_ohm = supply.cable_ohm
        self.load_ma = supply.load_ma
        self.bus_bytes_per_s = math.inf
        by_usb = model.wire.startswith("USB")
        self.min_v = VBUS_MIN_V if by_usb else number("supply_min_v", self.nominal_v * 0.9)
        self.limit_ma = supply.port_ma
        if self.limit_ma is None and by_usb:
            self.limit_ma = float(speed.port_limit_ma)
        self._idle_w = number("power_idle_w")
        if not by_usb and self.supply_v >= POE_FROM_V:
            self._idle_w += max(0.0, number("power_poe_w", number("power_w")) - number("power_w"))
        self._w_per_byte_per_s = number("power_per_mb_per_s_mw") * 1e-9
        self._k_per_w = number("thermal_resistance_k_per_w")
        self._tau_ns = number("thermal_time_constant_s") * 1e9
        # A GigE camera has no unit load: it is on as soon as it has power.
        unit_w = UNIT_LOAD_MA[speed] / 1000 * self.nominal_v
        self._unconfigured_w = min(unit_w, self._idle_w) if by_usb else self._idle_w
        # A camera is opened warm: powered and idle for long before.
        self._power_w = self._idle_w
        self._temperature_c = self._target_c()
        self._power_w = self._unconfigured_w
        self._since_ns: int | None = None
        self.is_on = True

    def load(self, now_ns: int, *, configured: bool, bytes_per_s: float) -> None:
        if self.is_on:
            rate = min(bytes_per_s, self.bus_bytes_per_s)
            self._change(now_ns, self.power_for(rate) if configured else self._unconfigured_w)

    def start_cold(self, now_ns: int) -> None:
        """It has been off for long: as warm as the air."""
        self._since_ns, self._temperature_c = now_ns, self.ambient_c

    def switch_off(self, now_ns: int) -> None:
        """The port gives no power any more."""
        self.is_on = False
        self._change(now_ns, 0.0)

    def switch_on(self, now_ns: int) -> None:
        """Power again; the camera waits for its configuration."""
        self.is_on = True
        self._change(now_ns, self._unconfigured_w)

    def surround(
        self,
        now_ns: int,
        *,
        ambient_c: float | None = None,
        supply_v: float | None = None,
        cable_ohm: float | None = None,
        load_ma: float | None = None,
        limit_ma: float | None = None,
        camera_c: float | None = None,
    ) -> None:
        """Somebody turns the heating up, bends the cable or plugs in a weaker supply. None: stays as it is.

        `camera_c`: the camera has this temperature at once, and goes from there to where its surroundings take it.
        """
        self._settle(now_ns)
        self._temperature_c = self._temperature_c if camera_c is None else camera_c
        self.ambient_c = self.ambient_c if ambient_c is None else ambient_c
        self.supply_v = self.supply_v if supply_v is None else supply_v
        self.cable_ohm = self.cable_ohm if cable_ohm is None else cable_ohm
        self.load_ma = self.load_ma if load_ma is None else load_ma
        self.limit_ma = self.limit_ma if limit_ma is None else limit_ma
        self.on_change(now_ns)

    def power_for(self, bytes_per_s: float) -> float:
        """Power of the configured camera at a stream of so many bytes/s, W."""
        return self._idle_w + self._w_per_byte_per_s * bytes_per_s

    def power_w(self) -> float:
        """What the camera takes now, W, without what it feeds to others."""
        return self._power_w

    def current_ma(self, now_ns: int) -> float:
        """Out of the port, mA."""
        if not self.is_on:
            return 0.0
        volts = self.voltage_v()
        return self.load_ma + (self._power_w / volts * 1000 if volts else 0.0)

    def voltage_v(self) -> float:
        """At the camera's plug, V; 0 where the supply cannot carry the load."""
        if not self.is_on:
            return self.supply_v
        open_v = self.supply_v - self.load_ma / 1000 * self.cable_ohm
        root = open_v * open_v - 4 * self._power_w * self.cable_ohm
        return (open_v + math.sqrt(root)) / 2 if root >= 0 and open_v > 0 else 0.0

    def fault(self) -> str:
        """What the supply does not stand, in words for people; or "" where all is well."""
        if not self.is_on:
            return ""
        volts, current_ma = self.voltage_v(), self.current_ma(0)
        if volts < self.min_v:
            return f"brown-out: {volts:.2f} V at the camera, it needs {self.min_v:.2f} V"
        if self.limit_ma is not None and current_ma > self.limit_ma + 0.5:
            return f"over-current: {current_ma:.0f} mA, the port gives {self.limit_ma:.0f} mA"
        return ""

    def temperature_c(self, now_ns: int) -> float:
        if self._since_ns is None:
            return self._temperature_c
        decay = math.exp(-max(0, now_ns - self._since_ns) / self._tau_ns)
        target = self._target_c()
        return target + (self._temperature_c - target) * decay

    def reaches_ns(self, temperature_c: float, now_ns: int) -> int | None:
        """When the temperature passes this one if the load stays as it is; None: never."""
        target, at_c = self._target_c(), self.temperature_c(now_ns)
        if (temperature_c - at_c) * (target - temperature_c) <= 0:
            return None
        after_ns = self._tau_ns * math.log((at_c - target) / (temperature_c - target))
        return now_ns + math.ceil(after_ns) + 1_000

    def final_temperature_c(self) -> float:
        """Where the temperature goes if the load stays as it is."""
        return self._target_c()

    def _change(self, now_ns: int, power_w: float) -> None:
        self._settle(now_ns)
        self._power_w = power_w
        self.on_change(now_ns)

    def _settle(self, now_ns: int) -> None:
        """The temperature so far is that of the conditions so far."""
        self._temperature_c = self.temperature_c(now_ns)
        self._since_ns = now_ns

    def _target_c(self) -> float:
        return self.ambient_c + self._k_per_w * self._power_w
