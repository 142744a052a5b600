"""The camera: register map, features, three channels and the acquisition, composed into one USB function.

Nothing here does I/O or reads a clock: every entry point takes `now_ns`. The surroundings (`Surroundings`)
give what lies outside of the protocol: the sensor's timing, temperature and current draw. Pixels come from
outside too: whoever runs the camera takes `Exposure`s from `take_exposures` and hands frames to `deliver`.

Lifecycle: configured (SET_CONFIGURATION 1) or not. Unconfiguring, a bus reset and a halt of the stream
endpoint by the host stop acquisition and stream; settings survive all three, as in a camera that keeps its
power.
"""

import hashlib
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from u3v import sfnc
from u3v.acquisition import Acquisition, Exposure, Timing, event_data
from u3v.control import MAX_TRANSFER_BYTES, ControlChannel
from u3v.errors import GenCPError, Stall, Status
from u3v.event import MAX_TRANSFER_BYTES as MAX_EVENT_BYTES
from u3v.event import TEST_EVENT_ID, EventChannel
from u3v.features import FeatureSet, Value
from u3v.function import InTransfer
from u3v.genapi import FILE_VERSION, build_xml, zip_xml
from u3v.load import LoadMeter
from u3v.memory import Check, Hook, Memory, Refresh, Region, Register
from u3v.model import USB, Model
from u3v.sfnc.family import FRAME
from u3v.stream import StreamChannel
from u3v.thermal import ThermalGuard
from u3v.wire import bootstrap as boot
from u3v.wire.pfnc import PIXEL_FORMATS
from u3v.wire.stream import LEADER_BYTES, TRAILER_BYTES, TransferPlan
from u3v.wire.usb import (
    CONTROL_IN,
    CONTROL_OUT,
    EVENT_IN,
    STREAM_IN,
    Descriptors,
    Identity,
    Speed,
    build_descriptors,
)


class Surroundings(Protocol):
    """What the camera is in: its temperature and what it draws from its supply."""

    def temperature_c(self, now_ns: int) -> float: ...

    def current_ma(self, now_ns: int) -> float: ...

    def reaches_ns(self, temperature_c: float, now_ns: int) -> int | None:
        """When the temperature will have passed this one, from either side, if the load stays; None: never."""

    def load(self, now_ns: int, *, configured: bool, bytes_per_s: float) -> None:
        """The camera's state has changed to this."""


@dataclass(slots=True)
class Options:
    """How one camera deviates from its model's defaults.

    `strict`: SI registers refuse what the standard calls wrong (A003, A004, no writes while streaming).
    `paced`: frames come at the modelled rate; otherwise as fast as the host reads them.
    `required_leader_bytes`, `required_trailer_bytes`: what SIRM asks for (1024 as Basler; at least 52/32).
    `alignment_exponent`: transfer sizes must be multiples of 2**n bytes (SI_Info).
    `response_time_ms`: Maximum_Device_Response_Time. `zipped_xml`: deliver the XML zipped.
    `slow_link`: the camera's own wire at its lower speed (100 Mbit/s Ethernet); for models that have one.
    `advance_clock`: lets a clock in lockstep go on by some ns, once the request that asked for it is answered.
    `user_sets`: saved sets by name; `save_user_sets` is called with all of them after each save.
    """

    serial: str = "40000001"
    user_defined_name: str = ""
    strict: bool = False
    paced: bool = True
    required_leader_bytes: int = 1024
    required_trailer_bytes: int = 1024
    alignment_exponent: int = 2
    response_time_ms: int = 1000
    zipped_xml: bool = True
    slow_link: bool = False
    user_sets: dict[str, dict[str, Value]] = field(default_factory=dict)
    save_user_sets: Callable[[Mapping[str, Mapping[str, Value]]], None] | None = None
    advance_clock: Callable[[int], None] | None = None


class Camera:
    """A USB3 Vision camera of one model. Implements `u3v.function.Function`."""

    def __init__(
        self, model: Model, timing: Timing, surroundings: Surroundings, options: Options | None = None
    ) -> None:
        self.model = model
        self.family = sfnc.family(model)
        self.options = options or Options()
        self.now_ns = 0
        self.speed = Speed.SUPER
        self.configured = False
        self.reset_requested = False
        self.surroundings = surroundings
        self.user_sets = self.options.user_sets
        self._latched_ns = 0
        self._events_lost = False
        self._tick_ns = model.integer("timestamp_increment_ns", 1)
        self.thermal = ThermalGuard(self, self.family.thermal)
        self.memory = Memory()
        self.control = ControlChannel(self.memory, self.options.response_time_ms)
        self.event = EventChannel()
        self.stream = StreamChannel(self, model.integer("frame_memory_bytes"))
        self.acquisition = Acquisition(self, timing, self.options.paced)
        self.load = LoadMeter(self)
        self._abrm = self._block("ABRM", 0, boot.ABRM)
        self._sbrm = self._block("SBRM", boot.SBRM_ADDRESS, boot.SBRM)
        self._sirm = self._block("SIRM", boot.SIRM_ADDRESS, boot.SIRM)
        self._eirm: Region | None = None
        if self.family.events:
            self._eirm = self._block("EIRM", boot.EIRM_ADDRESS, boot.EIRM)
            self._set(self._eirm, boot.EIRM, "Maximum_Event_Transfer_Length", MAX_EVENT_BYTES)
        region = self.memory.add_region("features", boot.FEATURES_ADDRESS, 0x10000)
        self.features = FeatureSet(self, sfnc.features(model), self.memory, region)
        self.xml = build_xml(
            self.features,
            vendor=model.maker,
            model=model.name.replace("-", "_"),
            tooltip=f"{model.title}, a virtual camera",
            events=sfnc.event_nodes(self.family),
        )
        self._fill_bootstrap()
        self._fill_files()
        sfnc.load_startup_set(self)

    # -- what the features read ---------------------------------------------------------------------------

    @property
    def payload_bytes(self) -> int:
        """Bytes of one frame with the settings as they are."""
        get = self.features.get
        return PIXEL_FORMATS[get("PixelFormat")].payload_bytes(get("Width"), get("Height"))

    @property
    def sensor_rows(self) -> int:
        """Sensor rows that are read out for one frame."""
        get = self.features.get
        rows = self.acquisition.timing.rows_read(get("Height"), get("BinningVertical"))
        return min(rows, self.model.integer("height_max_px"))

    @property
    def throughput_bytes_per_s(self) -> float:
        """What the stream may use of the link now: the camera's own rate, or the limit the host set."""
        slow = "slow_" if self.options.slow_link else ""
        rate = self.model.number(f"payload_rate_{slow}bytes_per_s")
        if self.speed is Speed.HIGH:
            rate = min(rate, HIGH_SPEED_BYTES_PER_S)
        if self.features.get_or("DeviceLinkThroughputLimitMode", "On") == "On":
            rate = min(rate, float(self.features.get("DeviceLinkThroughputLimit")))
        return rate

    @property
    def link_bits_per_s(self) -> int:
        """Speed of the camera's own wire."""
        if self.model.wire == USB:
            return self.speed.bits_per_s
        return self.model.integer("link_slow_bits_per_s" if self.options.slow_link else "link_bits_per_s")

    @property
    def image_slots(self) -> int | None:
        """How many images the image buffer takes now; None where only their bytes count."""
        mode = "trigger_mode" if self.acquisition.triggered(FRAME) else "free_run"
        slots = self.model.optional(f"images_in_{mode}")
        return None if slots is None else int(slots)

    @property
    def timestamp_ns(self) -> int:
        """The camera's clock."""
        return self._stamp(self.now_ns)

    def _stamp(self, at_ns: int) -> int:
        """An instant as the camera's clock shows it: in ns, in steps of its increment."""
        return at_ns - at_ns % self._tick_ns

    @property
    def latched_timestamp_ns(self) -> int:
        return self._latched_ns

    def latch_timestamp(self) -> None:
        self._latched_ns = self.timestamp_ns

    def emit(self, name: str, at_ns: int, frame_id: int = 0) -> None:
        """Something has happened: send the event, if the camera has one for it and the host wants it."""
        event = self.family.event_name(name)
        if event is None or not self._notifies(event):
            return
        if self._events_lost and self.event.has_room:
            self._events_lost = False
            if self._notifies("EventLost"):
                self.event.emit(self.family.event_ids["EventLost"], self._stamp(at_ns), event_data(0))
        sent = self.event.emit(self.family.event_ids[event], self._stamp(at_ns), event_data(frame_id))
        self._events_lost = self._events_lost or (self.event.enabled and not sent)

    def _notifies(self, event: str) -> bool:
        known = event in self.family.events
        return known and self.features.get("EventNotification", EventSelector=event) == "On"

    def exposure(self, index: int, start_ns: int) -> Exposure:
        """A snapshot of all settings for the exposure that starts at `start_ns`."""
        get, get_or = self.features.get, self.features.get_or
        exposure_us = float(get("ExposureTime"))
        return Exposure(
            index=index,
            block_id=self.stream.next_block_id,
            start_ns=start_ns,
            readout_start_ns=start_ns + int(exposure_us * 1000),
            readout_ns=self.acquisition.timing.readout_ns(self.sensor_rows),
            timestamp_ns=self._stamp(start_ns),
            exposure_us=exposure_us,
            gain_db=self.family.gain_db(self),
            black_level_dn12=float(get_or("BlackLevel", 0.0)),
            offset_x=get("OffsetX"),
            offset_y=get("OffsetY"),
            width=get("Width"),
            height=get("Height"),
            binning_horizontal=get("BinningHorizontal"),
            binning_vertical=get("BinningVertical"),
            reverse_x=get("ReverseX"),
            reverse_y=get("ReverseY"),
            pixel_format=get("PixelFormat"),
            payload_bytes=self.payload_bytes,
            test_image=self.thermal.test_image(self._test_image()),
            temperature_c=self.surroundings.temperature_c(self.now_ns),
            defect_correction=bool(get_or("DefectPixelCorrection", False)),
        )

    def _test_image(self) -> int | str:
        """What the host asked for instead of the sensor's image: 0, a maker's number or an SFNC name."""
        name: str = self.features.get_or("TestImageSelector", self.features.get_or("TestPattern", "Off"))
        if name == "Off":
            return 0
        return int(name[-1]) if name.startswith("Testimage") else name

    # -- pixels -------------------------------------------------------------------------------------------

    def take_exposures(self) -> list[Exposure]:
        """Exposures whose pixels are due, oldest first; each is handed out once."""
        taken = list(self.acquisition.exposures)
        self.acquisition.exposures.clear()
        return taken

    def deliver(self, exposure: Exposure, data: memoryview, now_ns: int) -> None:
        """The pixels of an exposure: `payload_bytes` bytes, not to be changed while any view lives."""
        self._at(now_ns)
        self.stream.deliver(exposure, data)

    # -- the USB function ---------------------------------------------------------------------------------

    @property
    def identity(self) -> Identity:
        return self.model.identity(self.options.serial, self._string("User_Defined_Name"))

    def descriptors(self, speed: Speed) -> Descriptors:
        self.speed = speed
        self._set(self._sbrm, boot.SBRM, "Current_Speed", speed.sbrm_bit)
        return build_descriptors(self.identity, speed, events=bool(self.family.events))

    def configure(self, value: int, now_ns: int) -> None:
        self._at(now_ns)
        self._stop_all(now_ns)
        self.control.flush()
        self._stop_events()
        self.configured = bool(value)
        self.load.report()

    def transfer_out(self, endpoint: int, data: memoryview, now_ns: int) -> None:
        self._at(now_ns)
        if endpoint != CONTROL_OUT:
            raise Stall(f"no OUT endpoint {endpoint:#04x}")
        self.control.receive(data, now_ns)

    def transfer_in(self, endpoint: int, now_ns: int) -> InTransfer | None:
        self._at(now_ns)
        if endpoint == CONTROL_IN:
            return self.control.next_transfer(now_ns)
        if endpoint == EVENT_IN:
            return self.event.next_transfer()
        if endpoint == STREAM_IN:
            return self.stream.next_transfer()
        raise Stall(f"no IN endpoint {endpoint:#04x}")

    def set_halt(self, endpoint: int, now_ns: int) -> None:
        self._at(now_ns)
        if endpoint == STREAM_IN:
            # Hosts halt the stream endpoint before they enable the stream, or to recover from another
            # host that died: either way nothing of an older acquisition may go on.
            self._stop_all(now_ns)
        self.clear_halt(endpoint, now_ns)

    def clear_halt(self, endpoint: int, now_ns: int) -> None:
        self._at(now_ns)
        if endpoint in (CONTROL_IN, CONTROL_OUT):
            self.control.flush()
        elif endpoint == EVENT_IN:
            self.event.flush()
        elif endpoint == STREAM_IN:
            self.stream.flush()

    def tick(self, now_ns: int) -> None:
        self._at(now_ns)
        self.thermal.tick(now_ns)
        self.acquisition.tick(now_ns)
        self.load.tick(now_ns)

    def next_wakeup_ns(self) -> int | None:
        instants = (
            self.acquisition.next_wakeup_ns(),
            self.control.next_wakeup_ns(self.now_ns),
            self.thermal.next_wakeup_ns(),
            self.load.next_wakeup_ns(),
        )
        return min((at for at in instants if at is not None), default=None)

    # -- commands behind features -------------------------------------------------------------------------

    def reset(self) -> None:
        """DeviceReset: back to the startup user set; the transport replugs the device when it can."""
        self._stop_all(self.now_ns)
        self._stop_events()
        sfnc.load_startup_set(self)
        self.reset_requested = True

    def advance_clock(self) -> None:
        """VirtualClockAdvance was written."""
        if self.options.advance_clock is not None:
            self.options.advance_clock(self.features.get("VirtualClockAdvance"))

    # -- bootstrap ----------------------------------------------------------------------------------------

    def _at(self, now_ns: int) -> None:
        self.now_ns = max(self.now_ns, now_ns)

    def _stop_all(self, now_ns: int) -> None:
        self.acquisition.abort(now_ns)
        self.stream.disable()
        self._set(self._sirm, boot.SIRM, "SI_Control", 0)
        self.load.report()

    def _stop_events(self) -> None:
        self.event.set_enabled(False)
        if self._eirm is not None:
            self._set(self._eirm, boot.EIRM, "EI_Control", 0)

    def _block(self, name: str, base: int, layout: Mapping[str, boot.Layout]) -> Region:
        region = self.memory.add_region(name, base, boot.REGION_BYTES)
        special = self._special_registers()
        for key, field_ in layout.items():
            refresh, check, written = special.get(key, (None, None, None))
            region.add(
                Register(key, base + field_.offset, field_.size, field_.access, refresh, check, written)
            )
        return region

    def _special_registers(self) -> Mapping[str, tuple[Refresh | None, Check | None, Hook | None]]:
        """Bootstrap registers that are more than bytes."""
        special: dict[str, tuple[Refresh | None, Check | None, Hook | None]] = {
            "Timestamp": (lambda: struct.pack("<Q", self._latched_ns), None, None),
            "Timestamp_Latch": (None, None, self._latch_written),
            "User_Defined_Name": (None, self._check_text, self._name_written),
            "SI_Control": (None, self._check_si_control, self._si_control_written),
            "SI_Required_Payload_Size": (lambda: struct.pack("<Q", self.payload_bytes), None, None),
            "EI_Control": (None, _check_bit0, self._ei_control_written),
            "Event_Test_Control": (None, None, self._event_test_written),
        }
        for key in (
            "SI_Maximum_Leader_Size",
            "SI_Payload_Transfer_Size",
            "SI_Payload_Final_Transfer1_Size",
            "SI_Payload_Final_Transfer2_Size",
            "SI_Maximum_Trailer_Size",
        ):
            special[key] = (None, self._check_si_size, None)
        special["SI_Payload_Transfer_Count"] = (None, self._check_si_writable, None)
        return special

    def _latch_written(self) -> None:
        if self._get(self._abrm, boot.ABRM, "Timestamp_Latch"):
            self.latch_timestamp()
        self._set(self._abrm, boot.ABRM, "Timestamp_Latch", 0)

    def _check_text(self, raw: bytes) -> None:
        if not raw.partition(b"\0")[0].isascii():
            raise GenCPError(Status.INVALID_PARAMETER, "User_Defined_Name: not ASCII")

    def _name_written(self) -> None:
        """Kept over power cycles, as the user sets are."""
        try:
            sfnc.store(self, "DeviceUserID", {"name": self._string("User_Defined_Name")})
        except GenCPError:
            self._set(self._abrm, boot.ABRM, "User_Defined_Name", self._stored_name())
            raise

    def _stored_name(self) -> str:
        return str(self.user_sets.get("DeviceUserID", {}).get("name", self.options.user_defined_name))

    def _check_si_writable(self, raw: bytes) -> None:
        if self.options.strict and self.stream.enabled:
            raise GenCPError(Status.ACCESS_DENIED, "SI registers are locked while the stream is enabled")

    def _check_si_size(self, raw: bytes) -> None:
        self._check_si_writable(raw)
        size = struct.unpack("<I", raw)[0]
        if self.options.strict and size % (1 << self.options.alignment_exponent):
            raise GenCPError(
                Status.SI_PAYLOAD_SIZE_NOT_ALIGNED,
                f"{size} bytes is no multiple of {1 << self.options.alignment_exponent}",
            )

    def _check_si_control(self, raw: bytes) -> None:
        _check_bit0(raw)
        if not raw[0] or not self.options.strict:
            return
        plan = self._plan()
        get = self._get
        if (
            plan.capacity < self.payload_bytes
            or get(self._sirm, boot.SIRM, "SI_Maximum_Leader_Size") < self.options.required_leader_bytes
            or get(self._sirm, boot.SIRM, "SI_Maximum_Trailer_Size") < self.options.required_trailer_bytes
        ):
            raise GenCPError(Status.SI_REGISTERS_INCONSISTENT, f"{plan} for {self.payload_bytes} bytes")

    def _si_control_written(self) -> None:
        if self._get(self._sirm, boot.SIRM, "SI_Control"):
            self.stream.enable(self._plan())
        else:
            self.stream.disable()

    def _ei_control_written(self) -> None:
        assert self._eirm is not None
        self.event.set_enabled(bool(self._get(self._eirm, boot.EIRM, "EI_Control")))

    def _event_test_written(self) -> None:
        assert self._eirm is not None
        if self._get(self._eirm, boot.EIRM, "Event_Test_Control"):
            self.event.emit(TEST_EVENT_ID, self.timestamp_ns, event_data(0))
        self._set(self._eirm, boot.EIRM, "Event_Test_Control", 0)

    def _plan(self) -> TransferPlan:
        names = (
            "SI_Payload_Transfer_Size",
            "SI_Payload_Transfer_Count",
            "SI_Payload_Final_Transfer1_Size",
            "SI_Payload_Final_Transfer2_Size",
        )
        return TransferPlan(*(self._get(self._sirm, boot.SIRM, name) for name in names))

    def _get(self, region: Region, layout: Mapping[str, boot.Layout], name: str) -> int:
        at = layout[name]
        return int.from_bytes(region.read(region.base + at.offset, at.size), "little")

    def _set(self, region: Region, layout: Mapping[str, boot.Layout], name: str, value: Any) -> None:
        at = layout[name]
        if isinstance(value, str):
            raw = value.encode("ascii", "replace")[: at.size - 1].ljust(at.size, b"\0")
        else:
            raw = int(value).to_bytes(at.size, "little")
        region.write(region.base + at.offset, raw)

    def _string(self, name: str) -> str:
        at = boot.ABRM[name]
        return self._abrm.read(at.offset, at.size).partition(b"\0")[0].decode("ascii", "replace")

    def _fill_bootstrap(self) -> None:
        model, options = self.model, self.options
        events = bool(self.family.events)
        capability = boot.DEVICE_CAPABILITY | (boot.DEVICE_CAPABILITY_MESSAGE_CHANNEL if events else 0)
        abrm = {
            "GenCP_Version": 0x0001_0001,
            "Manufacturer_Name": model.maker,
            "Model_Name": model.name,
            "Family_Name": model.family,
            "Device_Version": model.device_version,
            "Manufacturer_Info": model.manufacturer_info,
            "Serial_Number": options.serial,
            "User_Defined_Name": options.user_defined_name or self._stored_name(),
            "Device_Capability": capability,
            "Maximum_Device_Response_Time": options.response_time_ms,
            "Manifest_Table_Address": boot.MANIFEST_ADDRESS,
            "SBRM_Address": boot.SBRM_ADDRESS,
            "Timestamp_Increment": self._tick_ns,
        }
        sbrm = {
            "U3V_Version": 0x0001_0000,
            "U3VCP_Capability": boot.U3VCP_SIRM | (boot.U3VCP_EIRM if events else 0),
            "Maximum_Command_Transfer_Length": MAX_TRANSFER_BYTES,
            "Maximum_Acknowledge_Transfer_Length": MAX_TRANSFER_BYTES,
            "Number_of_Stream_Channels": 1,
            "SIRM_Address": boot.SIRM_ADDRESS,
            "SIRM_Length": boot.SIRM_BYTES,
            "EIRM_Address": boot.EIRM_ADDRESS if events else 0,
            "EIRM_Length": boot.EIRM_BYTES if events else 0,
            "Current_Speed": self.speed.sbrm_bit,
        }
        sirm = {
            "SI_Info": options.alignment_exponent << 24,
            "SI_Required_Leader_Size": max(options.required_leader_bytes, LEADER_BYTES),
            "SI_Required_Trailer_Size": max(options.required_trailer_bytes, TRAILER_BYTES),
        }
        for name, value in abrm.items():
            self._set(self._abrm, boot.ABRM, name, value)
        for name, number in sbrm.items():
            self._set(self._sbrm, boot.SBRM, name, number)
        for name, number in sirm.items():
            self._set(self._sirm, boot.SIRM, name, number)

    def _fill_files(self) -> None:
        file = zip_xml(self.xml, self.model.name) if self.options.zipped_xml else self.xml.encode()
        manifest = boot.build_manifest(
            FILE_VERSION, self.options.zipped_xml, boot.XML_ADDRESS, len(file), hashlib.sha1(file).digest()
        )
        for name, base, data in (
            ("manifest", boot.MANIFEST_ADDRESS, manifest),
            ("XML file", boot.XML_ADDRESS, file),
        ):
            region = self.memory.add_region(name, base, -(-len(data) // 0x1000) * 0x1000)
            region.add(Register(name, base, len(data), "R"))
            region.write(base, data)


HIGH_SPEED_BYTES_PER_S = 40_000_000.0
"""What a camera gets through a High-Speed link in practice (480 Mbit/s, 512-byte packets); assumed."""


def _check_bit0(raw: bytes) -> None:
    if int.from_bytes(raw, "little") > 1:
        raise GenCPError(Status.INVALID_PARAMETER, "only bit 0 is defined")
