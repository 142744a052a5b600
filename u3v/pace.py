"""What the settings of one moment say about instants: which triggers are awaited, how long readout and period are."""

from dataclasses import dataclass
from typing import Protocol

from u3v.device import FeatureValues, Timing
from u3v.edges import LEVELS
from u3v.exposure import Exposure, ImageSettings
from u3v.family import BURST, FRAME, Family
from u3v.frame_memory import FrameMemory
from u3v.model import Model


class Exposer(Protocol):
    """The camera, as its acquisition sees it."""

    @property
    def now_ns(self) -> int: ...

    @property
    def model(self) -> Model: ...

    @property
    def family(self) -> Family: ...

    @property
    def features(self) -> FeatureValues: ...

    @property
    def frames(self) -> FrameMemory: ...

    @property
    def settings(self) -> ImageSettings: ...

    @property
    def settings_version(self) -> int:
        """Changes with everything that a period depends on."""

    @property
    def throughput_bytes_per_s(self) -> float: ...

    def image_slots(self, triggered: bool) -> int | None:
        """How many images the image buffer takes; None where only their bytes count."""

    @property
    def sends_nothing(self) -> bool:
        """Too hot for images."""

    @property
    def pixels_are_ready(self) -> bool:
        """Whether frames are rendered at once."""

    def holds_trigger(self, trigger: str) -> bool:
        """Whether a line's level gives this trigger now."""

    def exposure(self, index: int, block_id: int, start_ns: int, timestamp_ns: int) -> Exposure: ...

    def expose(self, exposure: Exposure) -> None:
        """The exposure has a place in the frame memory: have its pixels made."""

    def stamp(self, at_ns: int) -> int: ...


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings of one moment say about instants.

    `sensor_period_ns` is what sensor and exposure need from one exposure to the next, `period_ns` what everything
    needs: sensor, link and frame rate. `spacing_ns`: from an exposure to the next one that a trigger may start.
    Where the image buffer holds one image, the link does not delay a trigger: the exposure takes place, and if the
    buffer is still full then, its image is skipped. `gap_ns`: what link and frame rate ask for. It leaves the
    sensor out, because the sensor is bound by the exposure that it had, with the settings of that time.
    `frame_by_level`: frames are triggered as long as a line has a level. Of TriggerOverlap, where triggers are awaited:
    `no_overlap` (Off), none counts before the last frame is read out; `latches` (PreviousFrame), one that comes earlier
    waits until the sensor is ready.
    """

    version: int
    waits_for_frame: bool
    waits_for_burst: bool
    frame_by_level: bool
    no_overlap: bool
    latches: bool
    readout_ns: int
    sensor_period_ns: int
    period_ns: int
    spacing_ns: int
    gap_ns: int


def rules_of(camera: Exposer, timing: Timing, version: int) -> Rules:
    """The rules with the settings as they are; `version` is theirs."""
    features, settings = camera.features, camera.settings
    modes = {
        trigger: features.get("TriggerMode", TriggerSelector=entry) == "On"
        for trigger, entry in camera.family.triggers.items()
    }
    readout_ns = timing.readout_ns(settings.sensor_rows)
    exposure_ns = settings.exposure_ns
    overlap = ""
    if modes.get(FRAME, False):
        overlap = features.get_or("TriggerOverlap", "", TriggerSelector=camera.family.triggers[FRAME])
    no_overlap = overlap == "Off"
    if no_overlap or features.get_or("ReadoutMode", "Overlapped") == "Sequential":
        exposure_ns += readout_ns
    sensor_ns = timing.frame_period_ns(settings.sensor_rows, exposure_ns, 0)
    link_ns = int(settings.wire_bytes * 1e9 / camera.throughput_bytes_per_s)
    period_ns = max(sensor_ns, link_ns)
    one_image = camera.image_slots(modes.get(FRAME, False)) == 1
    if one_image:
        latency_ns = round(camera.model.number("trigger_latency_us", 0.0) * 1000)
        period_ns = max(period_ns, latency_ns + settings.exposure_ns + max(readout_ns, link_ns))
    rate_ns = 0
    if features.get_or("AcquisitionFrameRateEnable", False):
        rate_ns = int(1e9 / features.get("AcquisitionFrameRate"))
    period_ns = max(period_ns, rate_ns)
    return Rules(
        version=version,
        waits_for_frame=modes.get(FRAME, False),
        waits_for_burst=modes.get(BURST, False),
        frame_by_level=_by_level(camera, FRAME),
        no_overlap=no_overlap,
        latches=overlap == "PreviousFrame",
        readout_ns=readout_ns,
        sensor_period_ns=sensor_ns,
        period_ns=period_ns,
        spacing_ns=sensor_ns if one_image else period_ns,
        gap_ns=0 if one_image else max(link_ns, rate_ns),
    )


def _by_level(camera: Exposer, trigger: str) -> bool:
    entry = camera.family.triggers[trigger]
    activation: str = camera.features.get_or("TriggerActivation", "", TriggerSelector=entry)
    return activation in LEVELS
