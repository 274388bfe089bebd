"""The tuning space of the OpenCL templates: every cut of it gives the same bits, and none is beyond the device."""

from __future__ import annotations

import dataclasses
from math import prod

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lower.nets import Act, Net
from tests.opencl.devices import CHOICES, GPU, SIZE, always, assert_equal
from tests.tune.specs import conv
from toolchain.backends.opencl.estimate import cuts, estimate, fits, registers
from toolchain.backends.opencl.job import Job
from toolchain.kernels.launch import PIXELS, VECTORS, LaunchConfig, pieces
from toolchain.kernels.spec import DepthToSpace
from toolchain.targets import find_target, list_targets

GPUS = [target.gpu for target in list_targets() if target.gpu is not None]
JOBS = [
    Job(conv()),
    Job(conv(3, 16), 3),
    Job(conv(28, 32, 1)),
    Job(conv(16, 16, groups=4)),
    Job(conv(16, 27, pixels=DepthToSpace(3, 3, tuple(range(27))))),
    Job(conv(16, 48, 5, pixels=DepthToSpace(4, 3, tuple(range(48))), residual=True), None, (3,)),
]


@given(st.integers(0, 70), st.sampled_from(VECTORS))
def test_loads_take_every_element_once(count: int, vector: int):
    widths = pieces(count, vector)
    assert sum(widths) == count
    assert max(widths, default=1) <= vector
    assert list(widths) == sorted(widths, reverse=True)


@given(st.sampled_from(JOBS), st.sampled_from(GPUS), st.integers(1, 3000), st.integers(1, 3000))
@settings(max_examples=30, deadline=None)
def test_what_is_offered_is_within_the_device(job: Job, gpu, height: int, width: int):
    offered = cuts(job, gpu, height, width)
    assert offered
    assert len({cut for cut, _ in offered}) == len(offered)
    for cut, expected in offered:
        assert fits(job, cut, gpu)
        assert prod(cut.group) <= gpu.largest_group
        assert expected.registers <= gpu.core.most_registers
        assert expected.groups >= 1
        assert 0 < expected.occupancy <= 1
    costs = [expected.cycles for _, expected in offered]
    assert costs == sorted(costs)


@pytest.mark.parametrize(
    ("cut", "reason"),
    [
        (LaunchConfig(4, 4, (32, 32, 1)), "more work-items than run together"),
        (LaunchConfig(8, 16, (8, 8, 1)), "more registers than a work-item has"),
        (LaunchConfig(4, 6, (8, 8, 1)), "channels that no word holds"),
    ],
)
def test_what_is_beyond_the_device_does_not_fit(cut: LaunchConfig, reason: str):
    job = Job(conv())
    assert not fits(job, cut, GPU), reason
    assert cut not in [offered for offered, _ in cuts(job, GPU, *SIZE)]


def test_a_smaller_device_is_offered_less():
    small = dataclasses.replace(GPU, largest_group=64, core=dataclasses.replace(GPU.core, most_registers=32))
    offered = [cut for cut, _ in cuts(Job(conv()), small, *SIZE)]
    assert max(prod(cut.group) for cut in offered) == 64
    assert max(registers(Job(conv()), cut) for cut in offered) <= 32


def test_mali_holds_half_as_many_work_items_beyond_32_registers():
    job = Job(conv())
    full, half = LaunchConfig(4, 4, (8, 8, 1)), LaunchConfig(4, 8, (8, 8, 1))
    assert registers(job, full) <= 32 < registers(job, half)
    assert estimate(job, full, GPU.core, *SIZE).occupancy == 1
    assert estimate(job, half, GPU.core, *SIZE).occupancy == 0.5
    adreno = find_target("adreno-740").gpu
    assert adreno is not None
    assert estimate(job, half, adreno.core, *SIZE).occupancy == 1


def test_neighbours_that_read_neighbours_touch_fewer_lines():
    job = Job(conv())
    along = estimate(job, LaunchConfig(1, 4, (64, 1, 1)), GPU.core, *SIZE)
    down = estimate(job, LaunchConfig(1, 4, (4, 16, 1)), GPU.core, *SIZE)
    assert along.lines < down.lines


def test_larger_work_groups_read_less_around_them():
    job = Job(conv())
    small, large = (estimate(job, LaunchConfig(4, 4, group), GPU.core, *SIZE) for group in ((8, 2, 1), (16, 16, 1)))
    assert large.read < small.read
    assert large.written == small.written == SIZE[0] * SIZE[1] * 16


def test_groups_of_channels_read_what_is_theirs():
    """Along z, work-items of a dense convolution read the same source, those of a grouped one each their own part."""
    chosen = LaunchConfig(1, 4, (16, 4, 1)), LaunchConfig(1, 4, (16, 4, 4))
    dense, grouped = (
        [estimate(Job(conv(16, 16, groups=groups)), cut, GPU.core, *SIZE).read for cut in chosen] for groups in (1, 4)
    )
    assert dense[1] < dense[0] / 2
    assert grouped[1] == grouped[0] < dense[1]


@given(st.data())
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_cut_gives_the_references_bits(monkeypatch: pytest.MonkeyPatch, data):
    """A picture read, groups, a residual, slopes, and a picture written with an anchor."""
    monkeypatch.setenv("PYOPENCL_BUILD_OPTIONS", "-cl-opt-disable")
    net = Net()
    x = net.conv(net.input, 8, zero=33, act=Act("PRelu"))
    x = net.conv(x, 16, groups=2, zero=9, residual=net.conv(x, 16, 1))
    model = net.model(net.conv(x, 12, residual=net.concat(*[net.input] * 4)), 2)

    def draw(job: Job) -> LaunchConfig:
        return LaunchConfig(
            data.draw(st.sampled_from(PIXELS)),
            data.draw(st.sampled_from(job.channels)),
            data.draw(st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 3))),
            data.draw(st.sampled_from(VECTORS)),
            data.draw(st.booleans()),
        )

    monkeypatch.setitem(CHOICES, "drawn", always(draw, GPU, *SIZE))
    assert_equal(model, "drawn")
