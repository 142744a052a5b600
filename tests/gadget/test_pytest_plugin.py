"""The pytest plugin, in test sessions of its own."""

import contextlib
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from gadget import VirtualCamera
from gadget.tools.grab import GrabOptions, grab
from gadget.tools.targets import open_target
from u3v.host.conformance.families import all_checks
from u3v.model import model_names

pytest_plugins = ["pytester"]

TOP = Path(__file__).parents[2]
LOADED = any(point.name == "u3v" for point in entry_points(group="pytest11"))
"""Whether this environment has the plugin installed: pytest then loads it by itself."""


@pytest.fixture(autouse=True, scope="module")
def everything_is_imported() -> None:
    """pytester forgets what a session has imported, and numpy cannot be imported twice."""
    for pixel_format in ("Mono8", "Mono12p"):
        with VirtualCamera(Width=64, Height=32, PixelFormat=pixel_format) as camera:
            camera.grab()
            with camera.serve() as address, contextlib.closing(open_target(address)) as bus:
                grab(bus, GrabOptions(1))
    for model in model_names():
        VirtualCamera(model).close()
    all_checks()


def run(pytester: pytest.Pytester, test: str, *arguments: str) -> pytest.RunResult:
    pytester.makepyfile(test)
    plugin = () if LOADED else ("-p", "gadget.pytest_plugin")
    return pytester.runpytest_inprocess("--strict-markers", "-W", "error", *plugin, *arguments)


def test_installed_it_is_known_to_pytest() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"u3v": "gadget.pytest_plugin"}


def test_loading_it_imports_nothing_of_the_camera() -> None:
    program = "import sys, gadget.pytest_plugin; print(sorted({'numpy', 'click', 'u3v', 'frames'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_u16_a_test_gets_a_camera_and_it_is_switched_off_afterwards(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest

        made = []

        def test_camera(virtual_camera):
            camera = virtual_camera("acA4096-40um", Width=64, Height=32)
            assert camera.grab().pixels.shape == (32, 64)
            second = virtual_camera("IDS-IMX412")
            made.extend([camera, second])

        def test_switched_off():
            with pytest.raises(Exception, match="is closed"):
                made[0].grab()
        """,
    )
    result.assert_outcomes(passed=2)


def test_marker_command_line_and_arguments_say_what_camera(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import pytest

        @pytest.mark.u3v("IDS-IMX412", scene="wedge")
        class TestMarked:
            def test_marker(self, virtual_camera):
                camera = virtual_camera()
                assert (camera.state()["model"], camera.scene()) == ("IDS-IMX412", "wedge")

            @pytest.mark.u3v(scene="bar")
            def test_nearest_marker(self, virtual_camera):
                camera = virtual_camera()
                assert (camera.state()["model"], camera.scene()) == ("IDS-IMX412", "bar")

            def test_arguments(self, virtual_camera):
                camera = virtual_camera("acA4112-8gm", scene="star")
                assert (camera.state()["model"], camera.scene()) == ("acA4112-8gm", "star")

        def test_command_line(virtual_camera):
            camera = virtual_camera()
            assert (camera.state()["model"], camera.scene()) == ("VCXG-124M", "edge")
        """,
        *("--u3v-model", "VCXG-124M", "--u3v-scene", "edge"),
    )
    result.assert_outcomes(passed=4)


def test_a_camera_is_served_over_usbip_and_to_a_child(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        import contextlib, subprocess, sys
        import pytest
        from gadget.tools.grab import GrabOptions, grab
        from gadget.tools.targets import open_target

        def test_usbip(virtual_camera):
            camera = virtual_camera(served="usbip", Width=64, Height=32)
            with contextlib.closing(open_target(camera.address)) as bus:
                assert grab(bus, GrabOptions(2)).delivered == 2
            assert camera.counters()["delivered"] >= 2

        CHILD = "from gadget.tools.pyusb_bus import UsbBus; UsbBus.open(0x2676, 0xba02, '').close(); print('seen')"

        @pytest.mark.u3v("acA4096-40um", ExposureTime=2000)
        def test_local(u3v_environment):
            assert u3v_environment.camera.features.ExposureTime == 2000
            done = subprocess.run(
                [sys.executable, "-c", CHILD], env=u3v_environment, capture_output=True, text=True
            )
            assert done.stdout == "seen\\n", done.stderr

        def test_local_by_hand(virtual_camera):
            assert virtual_camera(served="local", clock="simulated").child_env["U3V_LOCAL_DIR"]
        """,
    )
    result.assert_outcomes(passed=3)


LOSES = """
    import pytest

    {marker}
    def test_slow(virtual_camera):
        camera = virtual_camera("acA4096-40um", Width=1024, Height=512)
        with camera.acquire() as frames:
            frames.next()
            camera.advance("2s")
    """


def test_a_test_whose_camera_lost_frames_has_failed(pytester: pytest.Pytester) -> None:
    result = run(pytester, LOSES.format(marker=""))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["acA4096-40um lost * of * frames: the host was too slow (if that is expected: *lost_frames=True*"]
    )


def test_unless_it_said_that_it_expects_that(pytester: pytest.Pytester) -> None:
    run(pytester, LOSES.format(marker="@pytest.mark.u3v(lost_frames=True)")).assert_outcomes(passed=1)


def test_the_report_of_a_failed_test_tells_what_its_cameras_saw(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        def test_wrong(virtual_camera):
            camera = virtual_camera("acA4096-40um", Width=64, Height=32)
            assert camera.grab().block_id == 1
        """,
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*- virtual camera 40000001 -*",
            "Basler acA4096-40um 40000001: configured, *",
            "counters: *delivered 1, *",
            "last happenings:",
            "*FrameStart (block 0)",
            "last commands:",
            "*AcquisitionStart",
        ]
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            "virtual_camera(served='usbpi')",
            "*served='usbpi': must be one of usbip, local, did you mean 'usbip'?",
        ),
        ("virtual_camera('acA4096-40')", "*did you mean*acA4096-40um*"),
        ("virtual_camera(scen='bar')", "*no such keyword 'scen', did you mean 'scene'?"),
    ],
)
def test_mistakes_are_told(call: str, message: str, pytester: pytest.Pytester) -> None:
    result = run(pytester, f"def test_wrong(virtual_camera):\n    {call}\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([message])


def test_the_options_and_the_marker_are_in_pytests_help(pytester: pytest.Pytester) -> None:
    text = run(pytester, "", "--help").stdout.str()
    assert "virtual cameras" in text
    assert "--u3v-model=MODEL" in text
    assert "u3v(model, lost_frames=False, **keywords)" in run(pytester, "", "--markers").stdout.str()


def test_each_conformance_check_is_a_test(pytester: pytest.Pytester) -> None:
    done = run(pytester, "", "--u3v-device=acA4096-40um", "-k", "USB-DESC")
    assert done.parseoutcomes()["passed"] == 15
