"""What a camera draws from VBUS and how warm that makes it. Pure: `now_ns` in, mA and degrees out.

Current by state: an unconfigured device is held to one unit load (150 mA at SuperSpeed, 100 mA below; USB 3.2
table 11-2); configured, the power is a base plus a part proportional to the streamed bytes. The temperature
follows the power as one first-order lag above ambient.
"""

import math

from u3v.model import Model
from u3v.wire.usb import Speed

UNIT_LOAD_MA = {Speed.SUPER: 150.0, Speed.HIGH: 100.0}


class PowerModel:
    """Implements `u3v.camera.Surroundings` from a model's figures. `ambient_c`: air around the camera."""

    def __init__(self, model: Model, *, speed: Speed = Speed.SUPER, ambient_c: float = 25.0) -> None:
        number = model.number
        self.ambient_c = ambient_c
        self._supply_v = number("supply_v")
        self._idle_w = number("power_idle_w")
        self._w_per_byte_per_s = number("power_per_mb_per_s_mw") * 1e-9
        self._k_per_w = number("thermal_resistance_k_per_w")
        self._tau_ns = number("thermal_time_constant_s") * 1e9
        self._unconfigured_w = UNIT_LOAD_MA[speed] / 1000 * self._supply_v
        # A camera is opened warm: powered and idle for long before.
        self._power_w = self._idle_w
        self._temperature_c = self._target_c()
        self._power_w = self._unconfigured_w
        self._since_ns: int | None = None

    def load(self, now_ns: int, *, configured: bool, bytes_per_s: float) -> None:
        self._temperature_c = self.temperature_c(now_ns)
        self._since_ns = now_ns
        if configured:
            self._power_w = self._idle_w + self._w_per_byte_per_s * bytes_per_s
        else:
            self._power_w = self._unconfigured_w

    def current_ma(self, now_ns: int) -> float:
        return self._power_w / self._supply_v * 1000

    def power_w(self) -> float:
        return self._power_w

    def temperature_c(self, now_ns: int) -> float:
        if self._since_ns is None:
            return self._temperature_c
        decay = math.exp(-(now_ns - self._since_ns) / self._tau_ns)
        target = self._target_c()
        return target + (self._temperature_c - target) * decay

    def _target_c(self) -> float:
        return self.ambient_c + self._k_per_w * self._power_w
