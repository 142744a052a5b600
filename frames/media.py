"""Scenes that come from outside: pictures, videos, another process.

A picture may have any size: it is scaled to the sensor. Values 0 .. 1 are relative light, grey or RGB. Where
pictures follow each other, all rows of a frame see the same one, also with a rolling shutter.
"""

import mmap
import struct
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from frames.computed import blamed
from frames.light import (
    Eye,
    FloatMap,
    Radiance,
    Scene,
    SceneError,
    Times,
    U16Map,
    choice,
    defocused,
    number,
    text,
)

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".webp")


@dataclass(kw_only=True)
class Fitted(Scene):
    """Base of scenes with pictures of their own size."""

    fit: str = choice("cover", ("cover", "contain", "stretch"), "cut, pad or distort to the sensor's shape")
    gamma: float = number(1.0, 0.1, 10, "light = value ** gamma; 2.2 undoes a display's coding")

    def scales(self, picture_width: int, picture_height: int, width: int, height: int) -> tuple[float, float]:
        """Sensor pixels per picture pixel in x and y."""
        fx, fy = width / picture_width, height / picture_height
        if self.fit == "stretch":
            return fx, fy
        f = max(fx, fy) if self.fit == "cover" else min(fx, fy)
        return f, f

    def fitted(self, values: FloatMap, width: int, height: int) -> FloatMap:
        """The picture on the sensor: float32 (height, width[, 3]). Bicubic; for pictures that stay."""
        if values.ndim == 3:
            planes = [self.fitted(np.ascontiguousarray(values[:, :, k]), width, height) for k in range(3)]
            return np.stack(planes, axis=2)
        picture = Image.fromarray(values)
        fx, fy = self.scales(picture.width, picture.height, width, height)
        size = (max(1, round(picture.width * fx)), max(1, round(picture.height * fy)))
        if size != picture.size:
            picture = picture.resize(size, Image.Resampling.BICUBIC)
        left, top = (size[0] - width) // 2, (size[1] - height) // 2
        picture = picture.crop((left, top, left + width, top + height))  # outside the picture: 0
        light: FloatMap = np.clip(np.asarray(picture, np.float32), 0, 1) ** np.float32(self.gamma)
        return light

    def canvas(self, values: FloatMap, width: int, height: int, eye: Eye) -> U16Map:
        """The canvas of a picture: bilinear, averaged where it shrinks. For pictures that change."""
        from frames._scale import scale

        if self.gamma != 1:
            values = values ** np.float32(self.gamma)
        fx, fy = self.scales(values.shape[1], values.shape[0], width, height)
        reduce_x, reduce_y = max(1, int(1 / fx)), max(1, int(1 / fy))
        if reduce_x > 1 or reduce_y > 1:
            values = shrunk(values, reduce_x, reduce_y)
            fx, fy = fx * reduce_x, fy * reduce_y
        values = defocused(values, self.defocus / fx)
        weights = eye.weights(self.nm) * np.float32(65535)
        planes = [values * w.sum() for w in weights] if values.ndim == 2 else [values @ w for w in weights]
        padded = np.stack([np.pad(p, ((0, 1), (0, 1)), mode="edge") for p in planes])
        np.clip(padded + np.float32(0.5), 0, 65535, out=padded)
        out = np.empty((height, width), np.uint16)
        channel = np.array(eye.mosaic or ((0, 0), (0, 0)))
        x, y = between(values.shape[1], width, fx), between(values.shape[0], height, fy)
        scale(padded.astype(np.float32, copy=False), channel, *x, *y, out)
        return out


def between(count: int, wanted: int, factor: float) -> tuple[npt.NDArray[np.int64], FloatMap]:
    """For each of `wanted` pixels, which of `count` it lies behind (-1: outside) and how far; middle on middle."""
    at = (np.arange(wanted) - (wanted - 1) / 2) / factor + (count - 1) / 2
    outside = (at < -0.5 - 1e-9) | (at > count - 0.5 + 1e-9)
    at = np.clip(at, 0, count - 1)
    return np.where(outside, -1, at.astype(np.int64)), (at % 1).astype(np.float32)


def shrunk(values: FloatMap, by_x: int, by_y: int) -> FloatMap:
    """Means of by_y x by_x pixels; what is left over at the right and below is cut."""
    height, width = values.shape[0] // by_y, values.shape[1] // by_x
    cells = values[: height * by_y, : width * by_x].reshape(height, by_y, width, by_x, *values.shape[2:])
    means: FloatMap = cells.mean(axis=(1, 3), dtype=np.float32)
    return means


@dataclass(kw_only=True)
class ImageFile(Fitted):
    """Picture from a file (PNG, TIFF, JPEG, whatever Pillow reads), scaled to the sensor."""

    name: ClassVar[str] = "image"
    path: str = text("the file")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._values = load_image(Path(self.path), f"scene {self.name}: path={self.path}")

    def draw(self, width: int, height: int) -> FloatMap:
        return self.fitted(self._values, width, height)


@dataclass(kw_only=True)
class Pictures(Fitted):
    """Base of scenes that show one picture after the other. Subclasses give `picture`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._refuse("drift_x", "drift_y")
        self._shown: tuple[object, U16Map] | None = None

    @property
    def moving(self) -> bool:
        return True

    def release(self) -> None:
        super().release()
        self._shown = None

    def picture(self, time_s: float) -> tuple[object, Callable[[], FloatMap]]:
        """What is shown at a time: a key that tells pictures apart, and how to get it (h, w[, 3])."""
        raise NotImplementedError

    def look(self, times: Times, width: int, height: int, eye: Eye, blur_px: tuple[int, int]) -> Radiance:
        which, get = self.picture(float(times.min()))
        key = (which, width, height, eye)
        if self._shown is None or self._shown[0] != key:
            self._shown = key, self.canvas(get(), width, height, eye)
        return Radiance(self._shown[1], 1 / 65535)


@dataclass(kw_only=True)
class Folder(Pictures):
    """All pictures of a folder in turn, by name."""

    name: ClassVar[str] = "folder"
    path: str = text("the folder")
    period: float = number(1.0, 0.001, 86400, "seconds that each is shown")

    def __post_init__(self) -> None:
        super().__post_init__()
        folder = Path(self.path)
        if not folder.is_dir():
            raise SceneError(f"scene folder: path={self.path}: no such folder")
        self._files = sorted(f for f in folder.iterdir() if f.suffix.lower() in SUFFIXES)
        if not self._files:
            raise SceneError(f"scene folder: path={self.path}: no picture in it ({' '.join(SUFFIXES)})")
        load_image(self._files[0], f"scene folder: path={self._files[0]}")

    def picture(self, time_s: float) -> tuple[object, Callable[[], FloatMap]]:
        file = self._files[int(time_s / self.period) % len(self._files)]
        return file, lambda: load_image(file, f"scene folder: path={file}")


@dataclass(kw_only=True)
class Video(Pictures):
    """Video file, played again and again at its own speed (needs the package av)."""

    name: ClassVar[str] = "video"
    path: str = text("the file")
    speed: float = number(1.0, 0.001, 1000, "times its own speed")

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            import av
        except ImportError:
            raise SceneError("scene video: the package av is missing (pip install av)") from None
        if not Path(self.path).is_file():
            raise SceneError(f"scene video: path={self.path}: no such file")
        try:
            self._file: Any = av.open(self.path)
            self._stream: Any = self._file.streams.video[0]
            self._seconds = self._length()
            self._rewind()
        except (av.FFmpegError, IndexError, StopIteration):
            raise SceneError(f"scene video: path={self.path}: not a video FFmpeg can read") from None

    def close(self) -> None:
        self._file.close()

    def _length(self) -> float:
        if self._stream.duration:
            return float(self._stream.duration * self._stream.time_base)
        return float((self._file.duration or 1_000_000) / 1e6)

    def _rewind(self) -> None:
        self._file.seek(0)
        self._frames: Iterator[Any] = self._file.decode(self._stream)
        self._now = next(self._frames)
        self._next = next(self._frames, None)

    def picture(self, time_s: float) -> tuple[object, Callable[[], FloatMap]]:
        at_s = time_s * self.speed % self._seconds
        if at_s < (self._now.time or 0):
            self._rewind()
        while self._next is not None and (self._next.time or 0) <= at_s:
            self._now, self._next = self._next, next(self._frames, None)
        frame = self._now

        def get() -> FloatMap:
            values: FloatMap = frame.to_ndarray(format="rgb24").astype(np.float32) / np.float32(255)
            return values

        return frame.time, get


class Array(Fitted):
    """Picture from a numpy array: (h, w) or (h, w, 3), integers over their full range or 0 .. 1 as floats."""

    name: ClassVar[str] = "array"

    def __init__(self, values: npt.ArrayLike, **keys: Any) -> None:
        super().__init__(**keys)
        self._values = relative(np.asarray(values), "scene array")

    def draw(self, width: int, height: int) -> FloatMap:
        return self.fitted(self._values, width, height)


class Generated(Pictures):
    """Pictures from an iterable, such as a generator: the next one `fps` times a second, the last one stays."""

    name: ClassVar[str] = "generated"

    def __init__(self, pictures: Iterable[npt.ArrayLike], *, fps: float, **keys: Any) -> None:
        super().__init__(**keys)
        self._pictures = iter(pictures)
        self._fps = fps
        self._count = 0
        self._values: FloatMap = np.zeros((1, 1), np.float32)

    def picture(self, time_s: float) -> tuple[object, Callable[[], FloatMap]]:
        while self._count <= time_s * self._fps:
            with blamed("scene generated", None):
                following = next(self._pictures, None)
            if following is None:
                break
            self._values = relative(np.asarray(following), "scene generated")
            self._count += 1
        return self._count, lambda: self._values


_HEADER = 64  # int64: sequence number, height, width, channels, bytes per value (1 or 2); the pixels follow


class LivePicture:
    """The writer's end of a `live` scene: a picture in shared memory that another process may look at.

    The sequence number is odd while pixels change: a reader takes a picture only if it was the same even
    number before and after.
    """

    def __init__(
        self, name: str, height: int, width: int, *, colour: bool = False, sixteen_bit: bool = False
    ) -> None:
        shape = (height, width, 3) if colour else (height, width)
        kind = np.uint16 if sixteen_bit else np.uint8
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        self._memory = shared_memory.SharedMemory(name, create=True, size=_HEADER + size)
        self._header: npt.NDArray[np.int64] = np.ndarray(5, np.int64, self._memory.buf)
        self._pixels: npt.NDArray[Any] = np.ndarray(shape, kind, self._memory.buf, _HEADER)
        self._header[:] = 0, height, width, 3 if colour else 1, np.dtype(kind).itemsize

    def show(self, pixels: npt.ArrayLike) -> None:
        """Publish a picture of the shape and type given at the start."""
        self._header[0] += 1
        self._pixels[:] = pixels
        self._header[0] += 1

    def close(self) -> None:
        """Take the memory away; cameras that look keep the last picture."""
        del self._header, self._pixels
        self._memory.close()
        self._memory.unlink()


@dataclass(kw_only=True)
class Live(Pictures):
    """Picture that another process keeps in shared memory (frames.media.LivePicture)."""

    # opened as a file: Python's resource tracker would remove memory that another process owns

    name: ClassVar[str] = "live"
    memory: str = text("name of the shared memory")

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            if "/" in self.memory:
                raise FileNotFoundError
            with open(f"/dev/shm/{self.memory}", "rb") as file:
                self._memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (FileNotFoundError, ValueError):
            raise SceneError(f"scene live: memory={self.memory}: no such shared memory") from None
        header = struct.unpack_from("=5q", self._memory) if len(self._memory) >= _HEADER else (0, 0, 0, 0, 0)
        _, height, width, channels, size = header
        pixels = height * width * channels * size
        if size not in (1, 2) or channels not in (1, 3) or not 0 < pixels <= len(self._memory) - _HEADER:
            self._memory.close()
            raise SceneError(f"scene live: memory={self.memory}: not made by frames.media.LivePicture")
        shape = (height, width, 3) if channels == 3 else (height, width)
        kind = np.uint16 if size == 2 else np.uint8
        self._header: npt.NDArray[np.int64] = np.ndarray(5, np.int64, self._memory)
        self._pixels: npt.NDArray[Any] = np.ndarray(shape, kind, self._memory, _HEADER)
        self._taken: tuple[int, FloatMap] = (-1, np.zeros(shape, np.float32))

    def close(self) -> None:
        del self._header, self._pixels
        self._memory.close()

    def picture(self, time_s: float) -> tuple[object, Callable[[], FloatMap]]:
        for _ in range(3):  # a writer that never rests leaves the last whole picture
            before = int(self._header[0])
            if before % 2 or before == self._taken[0]:
                continue
            copy = self._pixels.copy()
            if int(self._header[0]) == before:
                self._taken = before, relative(copy, "scene live")
                break
        return self._taken[0], lambda: self._taken[1]


def relative(values: npt.NDArray[Any], where: str) -> FloatMap:
    """A picture as float32 (h, w) or (h, w, 3), 0 .. 1. Raises SceneError."""
    if values.ndim == 3 and values.shape[2] == 4:
        values = values[:, :, :3]
    if values.ndim != 2 and not (values.ndim == 3 and values.shape[2] == 3):
        raise SceneError(f"{where}: an array of shape {values.shape} is no picture")
    if values.dtype == bool:
        top = 1.0
    elif values.dtype.kind in "ui":
        top = float(np.iinfo(values.dtype).max)
    else:
        top = 1.0
    picture: FloatMap = values.astype(np.float32) / np.float32(top)
    if not np.isfinite(picture).all():
        raise SceneError(f"{where}: light must be finite")
    return picture


def load_image(path: Path, where: str) -> FloatMap:
    """light: float32 (h, w) or (h, w, 3), 1 = the format's white (float files: brightest pixel)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as file:
                if file.mode in ("F", "I"):
                    values = np.asarray(file, np.float32)
                    top = 65535.0 if file.mode == "I" else float(values.max(initial=0.0))
                elif file.mode.startswith("I;16"):
                    values, top = np.asarray(file, np.float32), 65535.0
                else:
                    grey = file.mode in ("1", "L", "LA")
                    values, top = np.asarray(file.convert("L" if grey else "RGB"), np.float32), 255.0
    except FileNotFoundError:
        raise SceneError(f"{where}: no such file") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise SceneError(f"{where}: larger than {Image.MAX_IMAGE_PIXELS} pixels") from None
    except (OSError, ValueError, SyntaxError) as error:
        reason = "not an image Pillow can read" if isinstance(error, UnidentifiedImageError) else error
        raise SceneError(f"{where}: {reason}") from None
    if not top > 0 or not np.isfinite(values).all():
        raise SceneError(f"{where}: no light in it")
    return np.ascontiguousarray(values / np.float32(top))
