"""The camera: features, acquisition, frame memory, happenings and inputs. Behaviour only, whatever the wire.

Nothing here does I/O, reads a clock or names a wire: every entry point takes `now_ns`. A wire (`u3v.usb3v` is one)
is composed beside the camera. It tells the camera when a host has configured it, gives hosts `memory` to read and
write, opens `frames` and fetches what is in them, offers a way out for events, and hears happenings like DeviceReset.
The surroundings (`Surroundings`) give temperature and current; pixels come from a `PixelSource`.

Settings survive when a host goes away, as in a camera that keeps its power; `reset` is power-up.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from u3v import sfnc
from u3v.acquisition import Acquisition
from u3v.auto_brightness import adjust
from u3v.chunks import ChunkData
from u3v.device import Surroundings, Timed, Timing
from u3v.digital_io import DigitalIO
from u3v.errors import GenCPError, Status
from u3v.exposure import Exposure, ImageSettings, PixelSource, Tail
from u3v.family import BURST, FRAME
from u3v.feature_set import KEPT, FeatureSet
from u3v.features import Value
from u3v.files import Files
from u3v.frame_memory import FrameMemory
from u3v.happenings import Happening, Happenings
from u3v.instants import Instants
from u3v.lines import KEEP
from u3v.memory import Memory
from u3v.model import Model
from u3v.notifications import Notifications
from u3v.sequencer import Sequencer
from u3v.settings import SettingsReader
from u3v.thermal import ThermalGuard
from u3v.throughput import Throughput
from u3v.wire_traits import Link, WireTraits

USER_ID = "DeviceUserID"
FEATURE_BYTES = 0x40000


@dataclass(frozen=True, slots=True)
class Options:
    """How one camera deviates from its model's defaults.

    `paced`: frames come at the modelled rate; otherwise as fast as the host reads them.
    `slow_link`: the camera's own wire at its lower speed (100 Mbit/s Ethernet); for models that have one.
    `advance_clock`: lets a clock in lockstep go on by some ns, once the request that asked for it is answered.
    `undefined_level`: what lines make of volts between low and high (see `u3v.lines.Lines`).
    `user_sets`: saved sets by name; `save_user_sets` is called with the one that is saved.
    """

    serial: str = "40000001"
    user_defined_name: str = ""
    paced: bool = True
    slow_link: bool = False
    user_sets: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    save_user_sets: Callable[[Mapping[str, Mapping[str, Value]]], None] | None = None
    advance_clock: Callable[[int], None] | None = None
    undefined_level: str | int = KEEP


class Camera:
    """A camera of one model, for any wire."""

    def __init__(
        self,
        model: Model,
        timing: Timing,
        surroundings: Surroundings,
        wire: WireTraits,
        options: Options | None = None,
        tail: Tail | None = None,
    ) -> None:
        self.model = model
        self.family = sfnc.family(model, wire)
        self.options = options or Options()
        self.wire = wire
        self.surroundings = surroundings
        self.now_ns = 0
        self.configured = False
        self.reset_requested = False
        self.user_sets = dict(self.options.user_sets)
        if self.options.user_defined_name:
            self.user_sets[USER_ID] = {"name": self.options.user_defined_name}
        self._link = _own_link(model, self.options.slow_link)
        self._link_version = 0
        self._latched_ns = 0
        self.clock_offset_ns = 0
        """What the camera's clock is ahead of the instants."""
        self._tick_ns = model.integer("timestamp_increment_ns", 1)
        self._pixels: PixelSource | None = None
        self._is_ready = True
        self.memory = Memory()
        region = self.memory.add_region("features", wire.features_address, FEATURE_BYTES)
        self.features = FeatureSet(self, sfnc.features(model, wire), self.memory, region)
        self.files = Files(self, self.family.files(model))
        self.chunks = self.family.chunks(model)
        self._tail = ChunkData(self, self.chunks) if self.chunks and tail is None else tail
        self._reader = SettingsReader(self, self.features, self.family, self._tail)
        self._limit_mode = self.features.handle("DeviceLinkThroughputLimitMode", str, "On")
        self._limit = self.features.handle("DeviceLinkThroughputLimit", int)
        self.happenings = Happenings()
        self.frames = FrameMemory(
            model.integer("frame_memory_bytes"),
            self._slots_now,
            self.happenings.tell,
        )
        self.thermal = ThermalGuard(self.family.thermal, surroundings, self.happenings, self._images_switched)
        self.acquisition = Acquisition(
            self, self.happenings, timing, self.options.paced, self._exposures_aborted
        )
        io = DigitalIO(
            model, self.family, self.features, self.happenings, self.acquisition, self.options.undefined_level
        )
        self.io, self.lines, self.inputs = io, io.lines, io.inputs
        self.counters, self.signals = io.counters, io.signals
        self.sequencer = Sequencer(self, self.features, self.family.sequenced)
        io.listeners.append(self.sequencer.hear)
        self.throughput = Throughput(self, self.happenings, self._throughput_changed)
        self.notifications = Notifications(self.family, self.features, self.happenings, self.stamp)
        self.happenings.listen(
            lambda _what, at_ns, _block_id: self.acquisition.resume(at_ns), Happening.STREAM_START
        )
        self.instants = Instants(self.acquisition, self.lines, self.counters, self.signals)
        self.timed: list[Timed] = [self.thermal, self.instants, self.throughput]
        self._name_itself()
        self.features.restore_kept(self.user_sets.get(KEPT, {}))
        sfnc.load_startup_set(self, self.family.user_sets)

    # -- what a wire tells and asks -----------------------------------------------------------------------

    def at(self, now_ns: int) -> None:
        """Time has passed. `now_ns` never goes backwards."""
        self.now_ns = max(self.now_ns, now_ns)

    def tick(self, now_ns: int) -> None:
        """Let everything happen that is due."""
        self.at(now_ns)
        for part in self.timed:
            part.tick(now_ns)

    def next_wakeup_ns(self) -> int | None:
        """When `tick` must be called next, if nothing else happens before."""
        instants = (part.next_wakeup_ns() for part in self.timed)
        return min((at for at in instants if at is not None), default=None)

    def join(self, other: "Camera") -> None:
        """Lines of the two are wired: what happens in the one, happens to the other at the same instant."""
        if self.instants is not other.instants:
            self.instants.join(other.instants)
            other.timed[other.timed.index(other.instants)] = self.instants
            other.instants = self.instants

    def configure(self, configured: bool, now_ns: int) -> None:
        """A host has configured the camera, or has gone: nothing of an earlier acquisition goes on."""
        self.at(now_ns)
        self.acquisition.abort(now_ns)
        self.frames.close()
        self.files.forget()
        changed, self.configured = configured != self.configured, configured
        self.throughput.report()
        if changed:
            what = Happening.DEVICE_CONFIGURED if configured else Happening.DEVICE_UNCONFIGURED
            self.happened(what, self.now_ns)

    @property
    def link(self) -> Link:
        return self._link

    def use_link(self, link: Link) -> None:
        """The wire has come up at this speed."""
        self._link = link
        self._link_version += 1

    def render_with(self, pixels: PixelSource) -> None:
        """Who makes the pixels, from now on."""
        self._pixels = pixels

    def pixels_ready(self, ready: bool, now_ns: int) -> None:
        """Whoever renders needs time before the first frame: until then the sensor exposes nothing by itself. A trigger
        exposes at its instant all the same, and the frame waits for its pixels."""
        self.tick(now_ns)  # what was not exposed meanwhile is not made up for
        self._is_ready = ready
        self.tick(now_ns)

    def frame_wanted(self) -> None:
        """A wire has room for a frame and there is none: whoever renders may go on."""
        if self._pixels is not None and self.frames.waits_for_pixels:
            self._pixels.frame_wanted()

    def deliver(
        self,
        exposure: Exposure,
        data: memoryview,
        now_ns: int,
        *,
        lost: bool = False,
        brightness: float | None = None,
        pixels_crc: int | None = None,
    ) -> None:
        """The bytes of a frame: `wire_bytes` of them, the image's filled, not to be changed while any view lives.

        `lost`: they could not be made, and are no image. `brightness`: their mean, 0 to 1, where `meter` asks for it.
        `pixels_crc`: their CRC-16, where a tail has a checksum; None has it computed here.
        """
        self.at(now_ns)
        if exposure.tail is not None:
            exposure.tail.write(data[: exposure.settings.wire_bytes], pixels_crc)
        self.frames.fill(exposure, data.toreadonly(), now_ns, lost=lost)
        if brightness is not None and self.family.auto is not None:
            adjust(self, self.family.auto, exposure, brightness)
        if lost:
            self.happened(Happening.FRAME_LOST, self.now_ns, exposure.block_id)

    # -- what the features read ---------------------------------------------------------------------------

    @property
    def settings_version(self) -> int:
        """Changes with everything that pixels and periods depend on."""
        return self.memory.version + self._link_version

    @property
    def settings(self) -> ImageSettings:
        """The settings as they are, as far as pixels depend on them."""
        return self._reader.read(self.settings_version)

    @property
    def wire_bytes(self) -> int:
        """Bytes of one frame's payload with the settings as they are: image and chunks."""
        return self.settings.wire_bytes

    @property
    def sensor_rows(self) -> int:
        """Sensor rows that are read out for one frame."""
        return self.settings.sensor_rows

    @property
    def throughput_bytes_per_s(self) -> float:
        """What the stream may use of the link now: the camera's own rate, or the limit the host set."""
        rate = self._link.payload_bytes_per_s
        if self._limit_mode.get() == "On":
            rate = min(rate, float(self._limit.get()))
        return rate

    @property
    def link_bits_per_s(self) -> int:
        """Speed of the camera's own wire."""
        return self._link.bits_per_s

    def image_slots(self, triggered: bool) -> int | None:
        """How many images the image buffer takes; None where only their bytes count."""
        slots = self.model.optional(f"images_in_{'trigger_mode' if triggered else 'free_run'}")
        return None if slots is None else int(slots)

    def _slots_now(self) -> int | None:
        return self.image_slots(self.acquisition.triggered(FRAME))

    @property
    def timestamp_ns(self) -> int:
        """The camera's clock."""
        return self.stamp(self.now_ns)

    def stamp(self, at_ns: int) -> int:
        """An instant as the camera's clock shows it: in ns, in steps of its increment."""
        shown_ns = at_ns + self.clock_offset_ns
        return shown_ns - shown_ns % self._tick_ns

    def set_clock(self, shows_ns: int, at_ns: int) -> None:
        """A wire sets the camera's clock: at this instant it shows that time."""
        self.clock_offset_ns = shows_ns - at_ns
        self.acquisition.forget_timestamp()

    @property
    def latched_timestamp_ns(self) -> int:
        return self._latched_ns

    def latch_timestamp(self) -> None:
        self._latched_ns = self.timestamp_ns

    @property
    def events_dropped(self) -> int:
        return self.notifications.dropped

    @property
    def user_defined_name(self) -> str:
        """The name that the camera was given, by option or last by a host."""
        return str(self.user_sets.get(USER_ID, {}).get("name", ""))

    # -- what the acquisition asks ------------------------------------------------------------------------

    @property
    def sends_nothing(self) -> bool:
        """Too hot for images: nothing is exposed."""
        return self.thermal.sends_nothing

    @property
    def pixels_are_ready(self) -> bool:
        """Whether frames are rendered at once. Before, only those are exposed that a trigger asks for."""
        return self._is_ready

    def holds_trigger(self, trigger: str) -> bool:
        """Whether a line's level gives this trigger now."""
        return self.inputs.holds(trigger)

    def exposure(self, index: int, block_id: int, start_ns: int, timestamp_ns: int) -> Exposure:
        """All that the exposure that starts at `start_ns`, which is now, depends on."""
        settings = self.settings
        exposure = Exposure(
            index=index,
            block_id=block_id,
            start_ns=start_ns,
            readout_start_ns=start_ns + settings.exposure_ns,
            readout_ns=self.acquisition.timing.readout_ns(settings.sensor_rows),
            timestamp_ns=timestamp_ns,
            test_image=self.thermal.test_image(self._test_image()),
            temperature_c=self.surroundings.temperature_c(self.now_ns),
            settings=settings,
        )
        if self._tail is None or not settings.chunk_bytes:
            return exposure
        return replace(exposure, tail=self._tail.begin(exposure, self.settings_version))

    def expose(self, exposure: Exposure) -> None:
        if self._pixels is not None:
            self._pixels.expose(exposure)

    def _test_image(self) -> int | str:
        """What the host asked for instead of the sensor's image: 0, a maker's number or an SFNC name."""
        name: str = self.features.get_or("TestImageSelector", self.features.get_or("TestPattern", "Off"))
        if name == "Off":
            return 0
        return int(name[-1]) if name.startswith("Testimage") else name

    # -- what the throughput asks -------------------------------------------------------------------------

    @property
    def bytes_sent(self) -> int:
        return self.frames.bytes_delivered

    @property
    def frames_exposed(self) -> int:
        return self.acquisition.exposed

    @property
    def is_paced(self) -> bool:
        return self.acquisition.paced

    @property
    def sends_images(self) -> bool:
        return self.configured and self.acquisition.active and not self.thermal.is_stopped

    @property
    def waits_for_triggers(self) -> bool:
        return self.acquisition.triggered(FRAME) or self.acquisition.triggered(BURST)

    def period_ns(self) -> int:
        return self.acquisition.period_ns()

    def _throughput_changed(self, bytes_per_s: float) -> None:
        self.surroundings.load(self.now_ns, configured=self.configured, bytes_per_s=bytes_per_s)
        self.thermal.look(self.now_ns)

    def _images_switched(self) -> None:
        self.throughput.report()

    def _exposures_aborted(self, at_ns: int) -> None:
        self.signals.clear(at_ns)

    # -- happenings and commands --------------------------------------------------------------------------

    def happened(self, what: Happening, at_ns: int, block_id: int = 0) -> None:
        """Something has happened: whoever listens hears of it."""
        self.happenings.tell(what, at_ns, block_id)

    def reset(self) -> None:
        """DeviceReset: everything as after power-up, the startup user set loaded. The transport replugs the device
        when it can; a wire that listens for the happening resets its own registers."""
        self.acquisition.abort(self.now_ns)
        self.frames.close()
        self.files.forget()
        self.sequencer.power_up()
        self.features.power_up()
        self._name_itself()
        self._latched_ns = 0
        sfnc.load_startup_set(self, self.family.user_sets)
        self.io.power_up(self.now_ns)
        self.reset_requested = True
        self.happened(Happening.DEVICE_RESET, self.now_ns)
        self.throughput.report()

    def rename(self, name: str) -> None:
        """A host has written DeviceUserID: kept over power cycles. Raises GenCPError where it cannot be."""
        self.store_user_set(USER_ID, {"name": name})

    def store_user_set(self, key: str, values: Mapping[str, Any]) -> None:
        """Remember `values` under `key`, or nothing at all. Raises GenCPError where they cannot be stored."""
        changed = {key: dict(values)}
        room = self.model.optional("nonvolatile_bytes")
        if room is not None and stored_bytes(self.user_sets | changed) > room:
            raise GenCPError(
                Status.ERROR, f"the camera's memory for user sets is full: it has {room:.0f} bytes"
            )
        if self.options.save_user_sets is not None:
            try:
                self.options.save_user_sets(changed)
            except OSError as error:
                raise GenCPError(Status.ERROR, f"user sets could not be stored: {error}") from error
        self.user_sets |= changed

    def advance_clock(self, duration_ns: int) -> None:
        """VirtualClockAdvance was written."""
        if self.options.advance_clock is not None:
            self.options.advance_clock(duration_ns)

    def _name_itself(self) -> None:
        """Identity strings that no register of the wire holds."""
        known = {
            "DeviceFirmwareVersion": sfnc.firmware_version(self),
            "DeviceSerialNumber": self.options.serial,
            "DeviceID": self.options.serial,
            USER_ID: self.user_defined_name,
        }
        for name, text in known.items():
            if name in self.features and name not in self.wire.identity:
                self.features.set(name, text)


def stored_bytes(sets: Mapping[str, Mapping[str, Any]]) -> int:
    """What user sets take in a camera's non-volatile memory: 8 bytes a value (assumed), a byte for two hex digits."""
    values = (value for values in sets.values() for value in values.values())
    return sum(max(8, len(value) // 2) if isinstance(value, str) else 8 for value in values)


def _own_link(model: Model, slow: bool) -> Link:
    """The camera's own wire, as its data sheet has it."""
    which = "slow_" if slow else ""
    return Link(model.integer(f"link_{which}bits_per_s"), model.number(f"payload_rate_{which}bytes_per_s"))
