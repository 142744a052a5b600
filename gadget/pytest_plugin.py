"""Virtual cameras for tests, known to pytest wherever this package is installed.

    def test_brightness(virtual_camera):
        camera = virtual_camera("acA4096-40um", scene="uniform:photons=500000", Gain=6)
        assert camera.grab().pixels.mean() > 100

    @pytest.mark.u3v("acA4096-40um", scene="bar")
    def test_my_program(u3v_environment):
        subprocess.run(["my-program"], env=u3v_environment, check=True)

`pytest --u3v-device=TARGET` runs the conformance checks instead (`u3v conform`), each one a test; TARGET is a model,
usbip://HOST:PORT/BUSID or usb:VID:PID.

A test fails when a camera of its had to discard frames because nobody fetched them in time, unless it says that
it expects that: `@pytest.mark.u3v(lost_frames=True)`. The report of a failed test tells what its cameras saw.

State, kept with each test: its cameras. Always true: they are switched off when the test is over. Nothing of the
camera is imported before a test asks for one: pytest loads this module in every project of the environment.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gadget.front_door.virtual_camera import VirtualCamera
    from u3v.host.conformance.run import Run

DEFAULT_MODEL = "acA4096-40um"
WAYS = ("usbip", "local")
_CAMERAS = pytest.StashKey["list[VirtualCamera]"]()


class CameraEnvironment(dict[str, str]):
    """Environment variables for a child process that sees `camera`."""

    camera: "VirtualCamera"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("u3v", "virtual cameras")
    group.addoption("--u3v-model", metavar="MODEL", help="Camera of tests that name none.")
    group.addoption(
        "--u3v-scene", metavar="SCENE", help="What the cameras of tests see that say nothing of it."
    )
    group.addoption(
        "--u3v-clock",
        choices=["real", "simulated", "lockstep"],
        help="Clock of served cameras of tests that name none (in process it is always simulated).",
    )
    group.addoption(
        "--u3v-device",
        metavar="TARGET",
        help="Run the conformance checks on this camera (a model, usbip://... or usb:VID:PID), each as a test.",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--u3v-device"):
        checks = str(Path(__file__).parent / "tools" / "conformance" / "as_tests.py")
        named = config.args if config.args_source is config.ArgsSource.ARGS else []
        config.args = named if any(checks == each for each in named) else [*named, checks]
    config.addinivalue_line(
        "markers",
        "u3v(model, lost_frames=False, **keywords): the virtual camera of this test, as VirtualCamera takes it; "
        "lost_frames=True: the test expects that frames are lost.",
    )


@pytest.fixture
def virtual_camera(request: pytest.FixtureRequest) -> "Iterator[Callable[..., VirtualCamera]]":
    """Make cameras: `virtual_camera(model, served=None, **keywords)`, keywords as `gadget.VirtualCamera` takes them.

    Without `served` the camera is in this process and can be grabbed from; served="usbip" gives it an `address`,
    served="local" a `child_env` for programs. What is left out comes from the marker `u3v`, then from the
    command line (--u3v-model, --u3v-scene, --u3v-clock).
    """
    with ExitStack() as stack:
        yield lambda model=None, **keywords: _make(request, stack, model, keywords)


@pytest.fixture
def u3v_environment(request: pytest.FixtureRequest) -> Iterator[CameraEnvironment]:
    """Environment of a child process that sees a camera (that of the marker `u3v`); `.camera` is the camera."""
    with ExitStack() as stack:
        camera = _make(request, stack, None, {"served": "local"})
        environment = CameraEnvironment(camera.child_env)
        environment.camera = camera
        yield environment


@pytest.fixture(scope="session")
def u3v_device(pytestconfig: pytest.Config) -> "Iterator[Run]":
    """A conformance run on the camera of --u3v-device."""
    from gadget.runner import CameraSpec
    from gadget.tools.conformance.routes import in_process, open_address
    from gadget.tools.targets import is_address
    from u3v.host.conformance.context import Context
    from u3v.host.conformance.families import all_checks
    from u3v.host.conformance.run import Run

    target = pytestconfig.getoption("--u3v-device") or DEFAULT_MODEL
    with closing(open_address(target)) if is_address(target) else in_process(CameraSpec(target)) as route:
        run = Run(Context(route), all_checks())
        run.begin()
        yield run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A test that passes has failed after all where frames were lost."""
    yield
    if _marked(item).pop("lost_frames", False):
        return
    for camera in item.stash.get(_CAMERAS, []):
        counters = camera.counters()
        if counters["lost"]:
            pytest.fail(
                f"{camera.state()['model']} lost {counters['lost']} of {counters['offered']} frames: the host was too "
                "slow (if that is expected: @pytest.mark.u3v(lost_frames=True))",
                pytrace=False,
            )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what the cameras saw to the report of a failed test."""
    report = yield
    if report.when == "call" and report.failed:
        for camera in item.stash.get(_CAMERAS, []):
            report.sections.append((f"virtual camera {camera.state()['serial']}", describe(camera)))
    return report


def describe(camera: "VirtualCamera") -> str:
    """What a camera saw, for people."""
    state, history = camera.state(), camera.history()
    lines = [
        f"{state['maker']} {state['model']} {state['serial']}: {state['state']}, {state['temperature_c']} C",
        "counters: " + ", ".join(f"{name} {count}" for name, count in camera.counters().items()),
    ]
    for title, what in (("last happenings", history["happenings"]), ("last commands", history["writes"])):
        lines.append(f"{title}:" if what else f"{title}: none")
        lines += [f"  {line}" for line in what]
    return "\n".join(lines)


def _make(
    request: pytest.FixtureRequest, stack: ExitStack, model: str | None, keywords: dict[str, Any]
) -> "VirtualCamera":
    from gadget.front_door.virtual_camera import VirtualCamera
    from u3v.did_you_mean import hint

    wanted = _defaults(request) | _marked(request.node) | keywords
    wanted.pop("lost_frames", None)
    named = wanted.pop("model", DEFAULT_MODEL)
    served = wanted.pop("served", None)
    if served is not None and served not in WAYS:
        pytest.fail(
            f"served={served!r}: must be one of {', '.join(WAYS)}{hint(str(served), WAYS)}", pytrace=False
        )
    camera = stack.enter_context(VirtualCamera(model or named, **wanted))
    request.node.stash.setdefault(_CAMERAS, []).append(camera)
    if served == "usbip":
        stack.enter_context(camera.serve())
    elif served == "local":
        stack.enter_context(camera.environment())
    return camera


def _defaults(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the command line says."""
    options = {name: request.config.getoption(f"--u3v-{name}") for name in ("model", "scene", "clock")}
    return {name: value for name, value in options.items() if value}


def _marked(item: Any) -> dict[str, Any]:
    """What the markers of a test say, the nearest last."""
    said: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers("u3v"))):
        said |= {"model": marker.args[0]} if marker.args else {}
        said |= marker.kwargs
    return said
