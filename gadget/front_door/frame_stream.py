"""Frames out of a camera in this process, as numpy arrays that have crossed the wire.

A `FrameStream` is a host: it opens the camera over its `LoopbackBus`, starts the acquisition with the commands
and registers any USB3 Vision host uses, and assembles leader, payload and trailer into a `Frame`. State: the
reader with its queued requests, and the settings that each block id was exposed with, noted when its exposure
starts. Always true: pixels are the caller's own; after `close()` the acquisition is over and the stream is off.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from frames.pictures import Pixels, picture
from gadget.front_door.camera_verbs import CameraError, CameraTimeout
from gadget.front_door.live import LiveCamera
from gadget.tools.images import format_name, to_pixels
from u3v.features import Value
from u3v.happenings import Happening
from u3v.host.assembler import Frame as Received
from u3v.host.bus import HostBus, UsbError, UsbTimeout
from u3v.host.client import U3VClient
from u3v.host.stream import StreamReader

DEFAULT_TIMEOUT_S = 60.0
"""How long a frame may take, in the camera's time, which costs none of ours."""
_SLOTS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image and what is known of it.

    `pixels`: (H, W), or (H, W, 3) for RGB formats; uint8 for 8-bit formats, else uint16 with the camera's
    numbers unscaled (0 .. 4095 for 12 bits); Bayer formats as the sensor saw them. `timestamp_ns`: start of the
    exposure on the camera's clock. `settings`: the features that shaped it, as they were when it was exposed.
    `status`: "complete", or what is missing; missing pixels are 0.
    """

    pixels: Pixels
    block_id: int
    timestamp_ns: int
    pixel_format: str
    settings: Mapping[str, Value]
    status: str

    @property
    def complete(self) -> bool:
        return self.status == "complete"

    def picture(self) -> npt.NDArray[np.uint8]:
        """What it looks like, 8 bits a colour: numbers scaled down, Bayer formats demosaiced to (H, W, 3)."""
        return picture(self.pixels, self.pixel_format)

    def __repr__(self) -> str:
        height, width = self.pixels.shape[:2]
        return f"<frame {self.block_id}: {width} x {height} {self.pixel_format}, {self.status}>"


class FrameStream:
    """Frames of one acquisition: an iterator without end, or until the camera has sent all that it was asked for.

    A context manager; `close()` stops the acquisition.
    """

    def __init__(
        self,
        live: LiveCamera,
        bus: HostBus,
        lock: AbstractContextManager[Any],
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self._live = live
        self._lock = lock
        self._timeout_s = timeout_s
        self._settings: dict[int, dict[str, Value]] = {}
        self._client = U3VClient(bus)
        self._reader: StreamReader | None = None
        self._stop_listening = live.listen(self._note_settings, Happening.FRAME_START)
        with lock:
            try:
                self._open()
            except UsbError as error:
                self.close()
                raise CameraError(f"{live.name} cannot be opened: {live.history.trouble or error}") from None
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> "FrameStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        with self._lock:
            return self._next()

    def _open(self) -> None:
        self._client.open()
        reader = self._reader = StreamReader(self._client)
        reader.start(bytearray(reader.buffer_bytes) for _ in range(_SLOTS))
        self._command("TLParamsLocked")
        self._command("AcquisitionStart")

    def _next(self) -> Frame:
        live = self._live
        if self._reader is None:
            raise StopIteration
        exposure_s = float(live.settings().get("ExposureTime", 0)) / 1e6
        try:
            received = self._reader.next_frame(int((self._timeout_s + exposure_s) * 1000))
        except UsbTimeout:
            if not live.built.camera.acquisition.active:
                raise StopIteration from None
            raise CameraTimeout(
                f"{live.name}: no frame came within {self._timeout_s:g} s{self._why()}"
            ) from None
        except UsbError as error:
            raise CameraError(f"{live.name}: the stream ended: {live.history.trouble or error}") from None
        try:
            return self._frame(received)
        finally:
            self._reader.release(received)

    def next(self) -> Frame:
        """The next frame. Raises CameraTimeout where none comes, CameraError where none is to come."""
        for frame in self:
            return frame
        raise CameraError(f"{self._live.name}: the acquisition is over, no frame is to come")

    def take(self, *, within_s: float) -> None:
        """Take a frame and drop it. Raises CameraTimeout where none comes so soon."""
        with self._lock:
            if self._reader is None:
                raise CameraTimeout(f"{self._live.name}: the acquisition is over")
            try:
                self._reader.release(self._reader.next_frame(max(1, int(within_s * 1000))))
            except UsbTimeout:
                raise CameraTimeout(f"{self._live.name}: no frame within {within_s:g} s") from None

    def close(self) -> None:
        """Stop the acquisition, as a host does. A camera that is gone has stopped already."""
        self._stop_listening()
        self._stop_listening = lambda: None
        reader, self._reader = self._reader, None
        if reader is None:
            return
        with self._lock, suppress(UsbError):
            self._command("AcquisitionStop")
            self._command("TLParamsLocked", 0)
            reader.stop()

    def _command(self, feature: str, value: int = 1) -> None:
        if self._live.has(feature):
            self._client.write_u32(self._live.address_of(feature), value)

    def _note_settings(self, _what: Happening, _at_ns: int, block_id: int) -> None:
        self._settings[block_id] = self._live.settings()

    def _frame(self, received: Received) -> Frame:
        leader, block_id = received.leader, received.block_id
        if leader is None or block_id is None:
            raise CameraError(f"{self._live.name}: a frame came without its leader: {received.reason}")
        payload = received.payload
        if not received.complete and self._reader is not None:
            payload = memoryview(bytes(payload).ljust(self._reader.setup.payload_size, b"\0"))
        settings = self._settings.pop(block_id, None) or self._live.settings()
        for old in [known for known in self._settings if known < block_id]:
            del self._settings[old]
        return Frame(
            to_pixels(leader, payload).copy(),
            block_id,
            leader.timestamp,
            format_name(leader.pixel_format),
            MappingProxyType(settings),
            "complete" if received.complete else received.reason,
        )

    def _why(self) -> str:
        """What a camera that sends nothing waits for, if that is known."""
        ask = self._live.ask
        if not self._live.has("TriggerSelector"):
            return ""
        for selector in ask("describe", {"name": "TriggerSelector"})["entries"]:
            chosen = {"TriggerSelector": selector}
            if ask("get", {"name": "TriggerMode", "selectors": chosen}) == "On":
                return f": TriggerMode of {selector} is On, and no trigger came"
        return ""
