"""Faults of cable, bus, supply and air, and of what comes in at the camera's inputs.

A fault that happens at an instant waits for it (`at_ms`), or for a part of a frame (`frame`, `part`), and is then
done by the camera's port, outside of the call that it was noticed in.
"""

import ipaddress
import socket
from typing import Any

from gadget.faults.packets import PARTS, PacketFault, about, first
from gadget.faults.wrappers import MS, CameraFault, FunctionFault, Strikes, Victim, changed, part_of
from gadget.usb.device import UsbDevice
from u3v.errors import Mistake
from u3v.function import InTransfer
from u3v.gev.control import Datagram
from u3v.gev.stream import Sent
from u3v.wire.usb import STREAM_IN, Speed


class Happens:
    """What a fault does to the camera's surroundings, whatever the wire: `happen(now_ns)` is called at the instant."""

    strikes: Strikes
    values: dict[str, Any]
    victim: Victim

    def _due_ns(self) -> int | None:
        return None if self.strikes.is_over else self.strikes.due_ns()

    def _look(self, now_ns: int) -> None:
        self.strikes.begin(now_ns)
        due_ns = self._due_ns()
        if due_ns is not None and due_ns <= now_ns and self.strikes(now_ns):
            self._soon(now_ns)

    def _soon(self, at_ns: int) -> None:
        self.victim.port.at(at_ns + round(self.values.get("after_ms", 0.0) * MS), self.happen)

    def happen(self, now_ns: int) -> None:
        raise NotImplementedError


class HappeningFault(Happens, FunctionFault):
    """On USB."""

    block_id: int | None = None

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        self.strikes.begin(now_ns)
        transfer = self.inner.transfer_in(endpoint, now_ns)
        if endpoint == STREAM_IN and transfer is not None and self.strikes.after_ns is None:
            part, block_id = part_of(transfer.data, self.block_id)
            self.block_id = None if part == "trailer" else block_id
            if part == self.values.get("part", "leader") and self.strikes(now_ns, block_id):
                self._soon(max(now_ns, transfer.ready_ns))
        return transfer

    def configure(self, value: int, now_ns: int) -> None:
        self.block_id = None
        super().configure(value, now_ns)

    def tick(self, now_ns: int) -> None:
        self._look(now_ns)
        super().tick(now_ns)

    def next_wakeup_ns(self) -> int | None:
        return first(self.inner.next_wakeup_ns(), self._due_ns())


class PacketHappening(Happens, PacketFault):
    """On Ethernet: in a frame it happens with the first packet of that part."""

    _struck_in: tuple[int, int] | None = None

    def packets(self, now_ns: int, most: int) -> list[Sent]:
        packets = self.came(now_ns, most)
        if self.strikes.after_ns is None:
            wanted = PARTS[self.values.get("part", "leader")]
            for kind, block_id, _ in map(about, packets):
                if kind != wanted or self._struck_in == (kind, block_id):
                    continue
                self._struck_in = kind, block_id
                if self.strikes(now_ns, block_id):
                    self._soon(now_ns)
        return [*packets]

    def tick(self, now_ns: int) -> list[Datagram]:
        self._look(now_ns)
        return super().tick(now_ns)

    def next_wakeup_ns(self) -> int | None:
        return first(self.inner.next_wakeup_ns(), self._due_ns())


class NewAddress(PacketHappening):
    """The camera's address becomes another one, as where DHCP gives it a new one."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        try:
            ip = str(ipaddress.IPv4Address(self.values["to"]))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((ip, 0))
        except ValueError:
            raise Mistake(
                f"fault new-address: to={self.values['to']} is no IPv4 address, such as 127.0.0.9"
            ) from None
        except OSError:
            raise Mistake(
                f"fault new-address: {ip} is no address of this machine; all of 127.0.0.0/8 work"
            ) from None

    def _soon(self, _at_ns: int) -> None:
        self.victim.move(self.values["to"])


class Pulled(Happens):
    """The cable is pulled, and plugged in again after `back_ms` (0: never)."""

    def happen(self, now_ns: int) -> None:
        port, back_ms = self.victim.port, self.values["back_ms"]
        port.unplug(now_ns, keeps_power=self.values["power"] == "kept")
        if back_ms:
            port.at(now_ns + round(back_ms * MS), self.come_back)

    def come_back(self, now_ns: int) -> None:
        self.victim.port.replug(now_ns)


class Yank(Pulled, HappeningFault):
    """On USB."""


class YankOfEthernet(Pulled, PacketHappening):
    """On Ethernet, which may carry the power (PoE)."""


class FallBack(Yank):
    """The link fails and comes back at High-Speed."""

    def come_back(self, now_ns: int) -> None:
        device = self.victim.port.device
        if isinstance(device, UsbDevice):
            device.change_speed(Speed.HIGH)
        super().come_back(now_ns)


class BusReset(HappeningFault):
    """The bus resets the device."""

    def happen(self, now_ns: int) -> None:
        self.victim.device.bus_reset(now_ns)


class SaggingSupply(Happens):
    """The supply sags to `volts` for `for_ms`; one that strikes again meanwhile lasts longer."""

    before_v = 0.0
    sags = 0

    def happen(self, now_ns: int) -> None:
        power = self.victim.port.power
        self.before_v = self.before_v if self.sags else power.supply_v
        self.sags += 1
        power.surround(now_ns, supply_v=self.values["volts"])
        self.victim.port.at(now_ns + round(self.values["for_ms"] * MS), self.recover)

    def recover(self, now_ns: int) -> None:
        self.sags -= 1
        if not self.sags:
            self.victim.port.power.surround(now_ns, supply_v=self.before_v)


class BrownOut(SaggingSupply, HappeningFault):
    """On USB."""


class BrownOutOfEthernet(SaggingSupply, PacketHappening):
    """On Ethernet."""


class Heat(Happens):
    """Air and camera have `celsius` from one moment to the next, until the fault is cleared."""

    before_c: float | None = None

    def happen(self, now_ns: int) -> None:
        power = self.victim.port.power
        self.before_c = power.ambient_c if self.before_c is None else self.before_c
        power.surround(now_ns, ambient_c=self.values["celsius"], camera_c=self.values["celsius"])
        self.victim.camera.thermal.look(now_ns)

    def end(self, now_ns: int) -> None:
        if self.before_c is not None:
            power = self.victim.port.power
            power.surround(now_ns, ambient_c=self.before_c, camera_c=self.before_c)
            self.victim.camera.thermal.look(now_ns)


class OverTemperature(Heat, HappeningFault):
    """On USB."""


class OverTemperatureOfEthernet(Heat, PacketHappening):
    """On Ethernet."""


class SlowLink(FunctionFault):
    """No more than `mb_per_s` come through, of all endpoints together, as behind a slow hub or beside other devices."""

    free_ns = 0

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        transfer = self.inner.transfer_in(endpoint, now_ns)
        if transfer is None or not self.strikes(now_ns):
            return transfer
        rate = self.values["mb_per_s"] * 1e6
        start_ns = max(now_ns, transfer.ready_ns, self.free_ns)
        self.free_ns = start_ns + round(len(transfer.data) / rate * 1e9)
        slowest = min(rate, transfer.bytes_per_s) if transfer.bytes_per_s else rate
        return changed(transfer, transfer.data, ready_ns=start_ns, bytes_per_s=slowest)


class LostTriggers(CameraFault):
    """A trigger that comes in has no effect."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        inputs = self.victim.camera.inputs
        self.trigger = inputs.trigger
        """What becomes of one that passes, as `Inputs.trigger` is: faults stand one behind the other."""
        inputs.trigger = self._lose

    def end(self, now_ns: int) -> None:
        before: Any = self.victim.camera.inputs
        while before.trigger != self._lose:
            before = before.trigger.__self__
        before.trigger = self.trigger

    def _lose(self, name: str, at_ns: int, **how: bool) -> None:
        if not self.strikes(at_ns):
            self.trigger(name, at_ns, **how)
