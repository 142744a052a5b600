"""Scenes that are computed by a person's Python code, whose errors become one line with file and line number."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from frames._user_modules import module_from_here
from frames.light import (
    Eye,
    FloatMap,
    Radiance,
    Scene,
    SceneError,
    Times,
    choice,
    defocused,
    expose,
    spread,
    text,
)

LightFunction = Callable[[float, int, int], npt.ArrayLike]


@dataclass
class Function(Scene):
    """Light computed by a Python function (time_s, width, height) -> photons/s/pixel, grey or RGB."""

    name: ClassVar[str] = "function"
    function: LightFunction
    moves: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._refuse("drift_x", "drift_y", "photons", "lux", "fnumber")

    @property
    def moving(self) -> bool:
        return self.moves

    def look(self, times: Times, width: int, height: int, eye: Eye, blur_px: tuple[int, int]) -> Radiance:
        key = (width, height, eye)
        if self.moves or self._canvas is None or self._canvas[0] != key:
            time_s = float(times.min()) if self.moves else 0.0
            with blamed(f"scene {self.name}", self.function):
                picture, self._brightest = brightness(self.function(time_s, width, height))
            if picture.shape[:2] != (height, width):
                got = "x".join(map(str, picture.shape[1::-1]))
                raise SceneError(f"scene {self.name}: returned {got} pixels, the sensor has {width}x{height}")
            self._canvas = (
                key,
                expose(
                    spread(defocused(picture, self.defocus), eye.charge_spread), eye, eye.weights(self.nm)
                ),
            )
        return Radiance(self._canvas[1], self._brightest / 65535)

    def white_photons(self, eye: Eye) -> float:
        return 1.0


@dataclass(kw_only=True)
class NamedFunction(Function):
    """Light computed by a Python function: call=MODULE:NAME, (time_s, width, height) -> photons/s/pixel."""

    name: ClassVar[str] = "python"
    function: LightFunction = field(default=lambda time_s, width, height: np.zeros((height, width)))
    call: str = text("MODULE:NAME of the function")
    still: str = choice("no", ("yes", "no"), "whether it is called only once")

    def __post_init__(self) -> None:
        super().__post_init__()
        module, colon, attribute = self.call.partition(":")
        if not colon or not module or not attribute:
            raise SceneError(f"scene python: call={self.call} must be MODULE:NAME")
        try:
            with blamed("scene python"):
                code = module_from_here(module)
            function = getattr(code, attribute)
        except (ImportError, AttributeError) as error:
            raise SceneError(f"scene python: call={self.call}: {error}") from None
        if not callable(function):
            raise SceneError(f"scene python: call={self.call} is not callable")
        self.function = function
        self.moves = self.still == "no"


@contextmanager
def blamed(where: str, function: LightFunction | None = None) -> Iterator[None]:
    """Make what a person's code raises a SceneError of one line, such as "scene python: myscene.py:12:
    ZeroDivisionError: division by zero". SceneError and, from an import, ImportError pass.
    """
    try:
        yield
    except SceneError:
        raise
    except Exception as error:
        if isinstance(error, ImportError) and function is None:
            raise
        text = (error.msg if isinstance(error, SyntaxError) else str(error)).partition("\n")[0]
        kind = type(error).__name__
        raise SceneError(f"{where}: {_place(error, function)}{kind}{': ' if text else ''}{text}") from error


def _place(error: Exception, function: LightFunction | None) -> str:
    """ "FILE:LINE: " of an error: the last line of it in the function's file, else the first that is a person's."""
    if isinstance(error, SyntaxError):
        return f"{Path(error.filename or '?').name}:{error.lineno}: "
    lines = [(at.filename, at.lineno) for at in traceback.extract_tb(error.__traceback__)]
    code: Any = getattr(function, "__code__", None)
    if code is not None:
        own = [at for at in lines if at[0] == code.co_filename][-1:] or [
            (code.co_filename, code.co_firstlineno)
        ]
    else:
        here = Path(__file__).parent
        own = [at for at in lines if Path(at[0]).parent != here and "importlib" not in at[0]][:1]
    return "".join(f"{Path(file).name}:{line}: " for file, line in own)


def brightness(photons_per_s: npt.ArrayLike) -> tuple[FloatMap, float]:
    """Light, any real (h, w) or (h, w, 3) array, as a picture of 0 .. 1 and the light of its 1. Negative light
    counts as none. Raises SceneError.
    """
    light = np.asarray(photons_per_s, dtype=np.float32)
    if light.ndim != 2 and not (light.ndim == 3 and light.shape[2] == 3):
        raise SceneError(f"a scene's light must be a 2-D array or one of RGB, not {light.ndim}-D")
    brightest = float(light.max(initial=0.0))
    if not np.isfinite(light).all():
        raise SceneError("a scene's light must be finite")
    if brightest <= 0:
        return np.zeros(light.shape, np.float32), 1.0
    return (np.maximum(light, 0) / brightest).astype(np.float32), brightest
