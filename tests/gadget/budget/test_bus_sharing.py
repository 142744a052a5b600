"""Cameras on one bus."""

import pytest

from tests.gadget.eager import Eager, rig
from u3v.errors import Status
from u3v.wire.usb import EVENT_IN

SECOND = 10**9
MODEL = "acA4096-40um"


def counts_add_up(eager: Eager) -> None:
    stream = eager.camera.frames
    assert stream.offered == stream.delivered + stream.discarded + stream.in_flight
    held = eager.camera.acquisition.exposed - stream.offered
    assert held == 0, "every exposure was offered"
    whole = [b for b, status in zip(eager.block_ids, eager.statuses, strict=True) if status == Status.SUCCESS]
    assert eager.block_ids == sorted(set(eager.block_ids))
    assert len(whole) in (stream.delivered, stream.delivered - 1)  # the last trailer may be on its way


def test_one_camera_has_its_printed_rate_on_a_bus_of_its_own() -> None:
    time, (one,) = rig([MODEL], "5gbps", DeviceLinkThroughputLimitMode="Off")
    time.advance(2 * SECOND)
    assert one.camera.frames.discarded == 0
    assert one.camera.frames.offered / 2 == pytest.approx(42.7, abs=0.5)
    counts_add_up(one)


def test_two_cameras_get_half_a_bus_each() -> None:
    time, hosts = rig([MODEL, MODEL], "5gbps")
    time.advance(2 * SECOND)
    before = [host.payload_bytes for host in hosts]
    lost = [host.camera.frames.discarded for host in hosts]
    offered = [host.camera.frames.offered for host in hosts]
    time.advance(4 * SECOND)
    for host, first, gone, had in zip(hosts, before, lost, offered, strict=True):
        stream = host.camera.frames
        assert (host.payload_bytes - first) / 4 == pytest.approx(479e6 / 2, rel=0.01)
        assert (stream.offered - had) / 4 == pytest.approx(360e6 / 8880128, abs=0.5)
        expected = (360e6 - 479e6 / 2) / 8880128
        assert (stream.discarded - gone) / 4 == pytest.approx(expected, abs=0.5)
        counts_add_up(host)
    one, other = (host.camera.frames for host in hosts)
    assert abs(one.delivered - other.delivered) <= 1


def test_cameras_that_wait_for_the_bus_draw_less() -> None:
    time, hosts = rig([MODEL, MODEL], "5gbps")
    powers = [host.port.power for host in hosts]
    assert [power.power_w() for power in powers] == [pytest.approx(powers[0].power_for(360e6), rel=0.01)] * 2
    time.advance(6 * SECOND)
    for power in powers:
        assert power.power_w() == pytest.approx(power.power_for(479e6 / 2), rel=0.02)


def test_a_full_camera_says_so() -> None:
    time, hosts = rig([MODEL, MODEL], "5gbps")
    host = hosts[0]
    host.nodes.set("EventSelector", "FrameBufferOverrun")
    host.nodes.set("EventNotification", "On")
    host.client.write_u32(host.client.sbrm.eirm_address, 1)
    event = bytearray(1024)
    length = host.host.bulk_in_into(EVENT_IN, event, 2000)
    first_lost = int.from_bytes(event[24:length], "little")
    assert host.camera.frames.discarded == 1
    time.advance(2 * SECOND)
    assert first_lost not in host.block_ids and first_lost - 1 in host.block_ids
    discarded = host.camera.frames.discarded
    assert discarded > 0
    gaps = host.block_ids[-1] + 1 - len(host.block_ids)
    assert 0 < gaps <= discarded  # a gap shows when a later frame comes
    stream = host.camera.frames
    assert stream.offered - len(host.block_ids) - stream.in_flight - discarded in (0, 1)
    assert host.camera.frames.in_flight >= 6
    assert set(host.statuses) == {Status.SUCCESS}


def test_a_memory_smaller_than_a_frame_runs_over_where_the_bus_is_slower_than_the_sensor() -> None:
    time, (alone,) = rig([MODEL], "5gbps")
    alone.camera.frames.memory_bytes = 2 << 20
    time.advance(2 * SECOND)
    assert set(alone.statuses) == {Status.SUCCESS} and alone.camera.frames.discarded == 0
    time, hosts = rig([MODEL, MODEL], "5gbps")
    for host in hosts:
        host.camera.frames.memory_bytes = 2 << 20
        host.nodes.set("EventSelector", "FrameBufferOverrun")
        host.nodes.set("EventNotification", "On")
        host.client.write_u32(host.client.sbrm.eirm_address, 1)
    time.advance(2 * SECOND)
    for host in hosts:
        counts_add_up(host)
        assert Status.DATA_OVERRUN in host.statuses
        assert host.statuses.count(Status.DATA_OVERRUN) <= host.camera.frames.discarded
        event = bytearray(1024)
        length = host.host.bulk_in_into(EVENT_IN, event, 2000)
        lost = int.from_bytes(event[24:length], "little")
        if lost in host.block_ids:
            assert host.statuses[host.block_ids.index(lost)] == Status.DATA_OVERRUN


def test_other_traffic_and_a_faster_bus() -> None:
    time, hosts = rig([MODEL, MODEL], "10gbps")
    time.advance(SECOND)
    assert [host.camera.frames.discarded for host in hosts] == [0, 0]
    time, hosts = rig([MODEL], "5gbps,other=200MB/s")
    time.advance(SECOND)
    first = hosts[0].payload_bytes
    time.advance(2 * SECOND)
    assert (hosts[0].payload_bytes - first) / 2 == pytest.approx(279e6, rel=0.01)


def test_a_stop_in_a_crowd_is_accounted_for() -> None:
    time, hosts = rig([MODEL] * 3, "5gbps")
    time.advance(SECOND)
    for host in hosts:
        host.host.device.on_complete = host.host._completed
        host.nodes.execute("AcquisitionStop")
        host.host.device.on_complete = host._completed
    time.advance(SECOND)
    for host in hosts:
        assert host.camera.frames.in_flight == 0
        counts_add_up(host)


def test_two_runs_are_the_same() -> None:
    def run() -> list[object]:
        time, hosts = rig([MODEL] * 3, "5gbps,other=50MB/s", Height=1000)
        time.advance(SECOND)
        return [(h.payload_bytes, h.block_ids, h.camera.frames.discarded) for h in hosts]

    assert run() == run()
