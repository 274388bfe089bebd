"""What makes two kernels one task."""

from __future__ import annotations

import dataclasses

import pytest

from tests.tune.specs import conv, kernel
from toolchain.kernels.spec import Conv, DepthToSpace, View
from toolchain.schedules.task import Demand, Task, describe, normal, tasks_of


def crd(scale: int) -> DepthToSpace:
    side = range(scale)
    return DepthToSpace(scale, 3, tuple((c * scale + dy) * scale + dx for dy in side for dx in side for c in range(3)))


def replaced(**changes: object) -> Conv:
    return dataclasses.replace(conv(), requantize=dataclasses.replace(conv().requantize, **changes))  # type: ignore[arg-type]


SAME = {
    "another zero point": (conv(), conv(zero_point=200)),
    "no zero point": (conv(), conv(zero_point=0)),
    "another place in a buffer": (conv(residual=True), conv(residual=True, start=4)),
    "other bounds of an activation": (conv(inner=(0.0, 3.0)), conv(inner=(-1.0, 99.0))),
    "another order of the shuffle": (
        conv(outputs=12, pixels=crd(2)),
        conv(outputs=12, pixels=DepthToSpace(2, 3, tuple(range(12)))),
    ),
    "weights that are known to be small": (conv(), replaced(fits=True)),
    "an activation at the end": (conv(), replaced(low=0)),
    "pads on another side": (conv(), dataclasses.replace(conv(), pads=(0, 2))),
    # Which does touch the speed, but not the choice of a tile.
    "codes of 16 bits": (conv(), dataclasses.replace(conv(), source=View.whole(conv().source.count, wide=True))),
}
OTHER = {
    "channels": conv(outputs=12),
    "inputs": conv(inputs=16),
    "kernel": conv(kernel=1),
    "groups": conv(groups=2),
    "dilation": dataclasses.replace(conv(), dilation=(2, 2)),
    "slopes": conv(slopes=True),
    "residual": conv(residual=True),
    "inner bounds": conv(inner=(0.0, 3.0)),
    "an open inner bound": conv(inner=(0.0, float("inf"))),
    "pixels": conv(outputs=12, pixels=crd(2)),
}


@pytest.mark.parametrize("name", SAME)
def test_what_does_not_touch_the_speed_is_left_out(name: str):
    first, second = SAME[name]
    assert first != second
    assert normal(first) == normal(second)


def test_what_touches_the_speed_is_kept():
    specs = [normal(spec) for spec in (conv(), *OTHER.values())]
    assert len(set(specs)) == len(specs)


@pytest.mark.parametrize("spec", [*OTHER.values(), *(pair[0] for pair in SAME.values())])
def test_normal_is_a_normal_form(spec: object):
    assert normal(normal(spec)) == normal(spec)  # type: ignore[arg-type]


def test_equal_kernels_of_all_networks_are_one_task():
    body, head = conv(), conv(inputs=3)
    networks = [[kernel(head), kernel(body), kernel(conv(zero_point=99))], [kernel(body)]]
    found = tasks_of(networks, [(20, 30), (40, 60)], [1, 2])
    assert len(found) == 2 * 2 * 2
    assert found[Task(normal(body), 20, 30, 2)] == Demand(20, 30, 3)
    assert found[Task(normal(head), 40, 60, 1)] == Demand(40, 60, 1)


def test_kernels_on_enlarged_tensors_are_tuned_at_their_own_size():
    ((task, demand),) = tasks_of([[kernel(conv(), enlarged=4)]], [(20, 30)], [1]).items()
    assert (task.height, task.width, demand) == (40, 60, Demand(20, 30, 1))


def test_description():
    assert describe(conv(27, 27, groups=1, residual=True)) == "3x3 28->28, residual"
    assert describe(OTHER["dilation"]) == "3x3 8->16, dilation 2"
    assert str(Task(conv(outputs=12, pixels=crd(2), slopes=True), 4, 5, 2)) == (
        "3x3 8->12, slopes, pixels x2, 4x5, 2 threads"
    )
    assert Task(conv(8, 16, 3, 2), 10, 20, 1).macs == 16 * 4 * 9 * 200
