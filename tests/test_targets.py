"""Targets are found by name or by this machine's CPU; mistakes are answered by a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from toolchain.backends import backend_for
from toolchain.kernels.intrinsics import dot_product
from toolchain.support.cpu import Cpu, configure_tvm_threads, this_cpu
from toolchain.support.errors import TargetError
from toolchain.targets import CACHE, DEVICES, Target, devices_of, find_target, list_targets, target_folder
from toolchain.targets.features import requirements
from toolchain.targets.gpu import Gpu, GpuCore
from toolchain.targets.llvm import check_target, features, required

GOOD = """
description = "a board"
triple = "aarch64-linux-gnu"
cpu = "cortex-a76"
attributes = ["+dotprod"]
instruction_set = "neon-dotprod"
requires = ["asimddp"]
cores = 4
"""


def cpu_with(*features: str, machine: str = "x86_64") -> Cpu:
    return Cpu("test", machine, frozenset(features), 3)


def test_every_shipped_target_reads():
    assert {"x86-avx512vnni", "x86-avx2", "x86-sse4"} <= {target.name for target in list_targets()}


@pytest.mark.parametrize("name", ["x86-avx512vnni", "x86-cascadelake", "x86-avx2", "x86-sse4"])
def test_host_is_the_best_the_cpu_can_run(name):
    target = find_target(name)
    host = find_target("host", cpu=cpu_with(*target.requires, *find_target("x86-sse4").requires))
    assert (host.name, host.instruction_set, host.cores) == (name, target.instruction_set, 3)


def test_one_missing_feature_means_the_lesser_target():
    best = find_target("x86-avx512vnni")
    features = set(best.requires) | set(find_target("x86-sse4").requires)
    assert find_target("host", cpu=cpu_with(*(features - {"avx512vbmi"}))).name == "x86-cascadelake"
    cpu = cpu_with(*(features - {"avx512_vnni"}))
    assert best.missing_on(cpu) == ("avx512_vnni",)
    assert find_target("host", cpu=cpu).name == "x86-avx2"


def test_no_target_fits():
    with pytest.raises(TargetError, match="no target fits this machine's CPU"):
        find_target("host", cpu=cpu_with("avx2", machine="riscv64"))


def test_names_do_not_leave_the_folder():
    with pytest.raises(TargetError, match="there is no target called"):
        find_target("../targets/x86-avx2")


def test_a_users_target_reads(tmp_path: Path):
    (tmp_path / "board.toml").write_text(GOOD)
    target = find_target("board", folder=tmp_path)
    assert (target.cpu, target.attributes, target.requires) == ("cortex-a76", ("+dotprod",), ("asimddp",))
    assert target.cache == CACHE
    (tmp_path / "small.toml").write_text(GOOD + "cache = 131_072\n")
    assert find_target("small", folder=tmp_path).cache == 131072


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("cores = 4", "cores = ", "cannot be read"),
        ("cores = 4", "cores = 0", "Target.cores must be a whole number"),
        ("cores = 4", "cores = 99999999999999999999", "Target.cores must be a whole number from 1 to 1024"),
        ("cores = 4", f"cores = {'9' * 5000}", "cannot be read: .*digits"),
        ("cores = 4", "cores = nan", "Target.cores must be a whole number"),
        (
            "cores = 4",
            "cores = 4\ncache = 1_000_000_000_000",
            "Target.cache must be a whole number from 1 to 4294967296",
        ),
        ("cores = 4", "cores = 4" + "\n# filled" * 10_000, "it is too large to be one"),
        ("cores = 4", "cores = true", "Target.cores must be a whole number"),
        ("cores = 4", "", "lacks 'cores'"),
        ("cores = 4", "cores = 4\ncache = 0", "Target.cache must be a whole number"),
        ('cpu = "cortex-a76"', "cpu = 76", "Target.cpu must be a text"),
        ('["asimddp"]', '"asimddp"', "Target.requires cannot be 'asimddp'"),
        ("cores = 4", "cores = 4\ncoers = 5", "Target has no field 'coers', only attributes, cache"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, before: str, after: str, sentence: str):
    (tmp_path / "board.toml").write_text(GOOD.replace(before, after))
    with pytest.raises(TargetError, match=sentence) as caught:
        find_target("board", folder=tmp_path)
    assert "board.toml" in str(caught.value)


def test_the_folder_is_there():
    assert (target_folder() / "x86-sse4.toml").is_file()


def test_cpuinfo_of_unlike_cores_counts_what_all_have(tmp_path: Path):
    info = tmp_path / "cpuinfo"
    info.write_text("processor: 0\nFeatures\t: fp asimd asimddp\n\nprocessor: 1\nFeatures\t: fp asimd\n")
    assert this_cpu(info).features == {"fp", "asimd"}


def test_cpuinfo_of_x86(tmp_path: Path):
    info = tmp_path / "cpuinfo"
    info.write_text("processor: 0\nmodel name\t: Some CPU @ 3 GHz\nflags\t\t: fpu avx2 avx512_vnni\n")
    cpu = this_cpu(info)
    assert (cpu.name, cpu.features) == ("Some CPU @ 3 GHz", {"fpu", "avx2", "avx512_vnni"})


def test_without_cpuinfo_nothing_is_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    cpu = this_cpu(tmp_path / "absent")
    assert cpu.features == frozenset()
    assert cpu.cores >= 1


def test_tvm_is_told_how_its_threads_behave(monkeypatch: pytest.MonkeyPatch):
    names = ("TVM_NUM_THREADS", "TVM_BIND_THREADS", "TVM_THREAD_POOL_SPIN_COUNT")
    for name in names:
        monkeypatch.setenv(name, "")  # restored by the test's end, whatever is set below
        monkeypatch.delenv(name)
    monkeypatch.setenv("TVM_NUM_THREADS", "3")
    configure_tvm_threads()
    assert [os.environ[name] for name in names] == ["3", "0", "200"]


@pytest.mark.parametrize("target", [t for t in list_targets() if t.gpu is None], ids=lambda target: target.name)
def test_whatever_llvm_may_emit_is_required(target: Target):
    check_target(target)
    needed = requirements(features(target), target.triple)
    assert needed
    assert needed <= set(target.requires)
    assert required(target) == target.requires


@pytest.mark.parametrize("target", list_targets(), ids=lambda target: target.name)
def test_there_are_kernels_for_every_target(target: Target):
    assert dot_product(target.instruction_set).name == target.instruction_set


GPU = """
[gpu]
name = "Phone"
pixels = 4
work_group = [8, 8, 1]
largest_group = 64
integer_dot = true

[gpu.core]
warp = 16
items = 512
registers = 16384
step = 32
most_registers = 64
operations = 32
dot = 1
cache = 16384
line = 64
bandwidth = 3
"""


def test_a_gpu_is_a_target(tmp_path: Path):
    path = tmp_path / "phone.toml"
    path.write_text(GOOD.replace("neon-dotprod", "opencl") + GPU)
    core = GpuCore(16, 512, 16384, 32, 64, 32, 1, 16384, 64, 3.0)
    assert find_target(str(path)).gpu == Gpu("Phone", 4, (8, 8, 1), 64, True, core)
    assert {"mali-g78", "adreno-740"} <= {target.name for target in list_targets() if target.gpu}


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("warp = 16", "", "'warp'"),
        ("warp = 16", "warp = 16\nwarps = 2", "Core has no field 'warps'"),
        ("warp = 16", "warp = 0", "Core.warp must be a whole number from 1 to 2147483647, not 0"),
        ("warp = 16", "warp = 9999999999", "Core.warp must be a whole number from 1 to 2147483647, not 9999999999"),
        ("bandwidth = 3", "bandwidth = nan", "Core.bandwidth must be a number from"),
        ("pixels = 4", "pixels = 3", "Gpu.pixels must be one of 1, 2, 4, 8, not 3"),
        ("pixels = 4", "pixels = 4.0", "Gpu.pixels must be one of 1, 2, 4, 8, not 4.0"),
        ("[8, 8, 1]", "[8, 8]", "Gpu.work_group cannot be"),
        ("[8, 8, 1]", "[16, 8, 1]", "a work-group of 128 work-items is more than 64"),
        ("true", "1", "Gpu.integer_dot cannot be 1"),
    ],
)
def test_broken_gpus_are_named(tmp_path: Path, before: str, after: str, sentence: str):
    (tmp_path / "phone.toml").write_text(GOOD + GPU.replace(before, after))
    with pytest.raises(TargetError, match=sentence):
        find_target("phone", folder=tmp_path)


def test_a_file_is_a_target(tmp_path: Path):
    path = tmp_path / "board.toml"
    path.write_text(GOOD)
    assert find_target(str(path)).cpu == "cortex-a76"
    with pytest.raises(TargetError, match=r"nowhere.toml cannot be read: it is not there"):
        find_target(str(tmp_path / "nowhere.toml"))
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(TargetError, match=r"pipe.toml cannot be read: it is no plain file"):
        find_target(str(tmp_path / "pipe.toml"))


def test_what_llvm_enables_is_required_of_a_users_target(tmp_path: Path):
    path = tmp_path / "board.toml"
    path.write_text(GOOD.replace('["+dotprod"]', '["+dotprod", "+i8mm"]').replace('["asimddp"]', '["sha512"]'))
    assert {"sha512", "asimddp", "asimdhp", "fphp", "i8mm", "lrcpc"} <= set(find_target(str(path)).requires)
    path.write_text(GOOD.replace('requires = ["asimddp"]\n', ""))
    assert {"asimddp", "asimdhp"} <= set(find_target(str(path)).requires)
    path.write_text(
        GOOD.replace("aarch64-linux-gnu", "x86_64-linux-gnu")
        .replace("cortex-a76", "x86-64-v3")
        .replace("neon-dotprod", "avx2")
        .replace("+dotprod", "+avx512vnni")
    )
    target = find_target(str(path))
    assert target.missing_on(cpu_with(*find_target("x86-avx2").requires, "asimddp")) == ("avx512_vnni", "avx512f")


def checked(path: Path) -> Target:
    """The target that a file describes, as a deployment takes it."""
    target = find_target(str(path))
    backend_for(target).check(target)
    return target


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ('"cortex-a76"', '"cortex-a67"', "LLVM knows no CPU 'cortex-a67' for aarch64-linux-gnu; close to it: cortex-a"),
        ('"+dotprod"', '"+dotprodd"', "knows no feature '[+]dotprodd' .*; close to it: dotprod"),
        ('"+dotprod"', '"dotprod"', "knows no feature 'dotprod' .*; write [+]dotprod or -dotprod"),
        ('"+dotprod"', '"-dotprod"', "the kernels for neon-dotprod need dotprod, which cortex-a76 has not"),
        ('"cortex-a76"', '"cortex-a53"\nx = 1', "Target has no field 'x'"),
        ('"neon-dotprod"', '"neon-dotprot"', "no kernels for 'neon-dotprot'; close to it: neon-dotprod"),
        ('["asimddp"]', '["dotprod"]', "'dotprod' in 'requires' is LLVM's word; /proc/cpuinfo says asimddp"),
        ("aarch64-linux-gnu", "aarch65-linux-gnu", "nothing to compile with for .*x86_64, aarch64, armv7a"),
    ],
)
def test_what_llvm_or_kernels_do_not_know_is_named(tmp_path: Path, before: str, after: str, sentence: str):
    path = tmp_path / "board.toml"
    path.write_text(GOOD.replace(before, after))
    with pytest.raises(TargetError, match=sentence):
        checked(path)


@pytest.mark.parametrize(
    ("cpu", "lacking", "able"),
    [
        ("cascadelake", "avx512vbmi", "avx512vnni-bw"),
        ("skylake-avx512", "avx512vbmi, avx512vnni", "avx2"),
        ("x86-64", "avx512bw, avx512vbmi, avx512vnni", None),
    ],
)
def test_who_asks_for_too_new_kernels_learns_which_to_take(tmp_path: Path, cpu: str, lacking: str, able: str | None):
    path, text = tmp_path / "server.toml", (target_folder() / "x86-avx512vnni.toml").read_text()
    path.write_text(text.replace("icelake-server", cpu))
    hint = f'write instruction_set = "{able}"' if able else "choose other kernels"
    with pytest.raises(TargetError, match=f"need {lacking}, which {cpu} has not; {hint}"):
        checked(path)
    if able:
        path.write_text(path.read_text().replace('"avx512vnni"', f'"{able}"'))
        assert checked(path).instruction_set == able


def test_what_linux_does_not_tell_of_cannot_be_asked_for(tmp_path: Path):
    path = tmp_path / "server.toml"
    path.write_text(
        GOOD.replace("aarch64-linux-gnu", "x86_64-linux-gnu")
        .replace("cortex-a76", "sierraforest")
        .replace("neon-dotprod", "avx2")
        .replace("+dotprod", "+avx2")
    )
    untold = "avxifma, avxneconvert, avxvnniint8"
    with pytest.raises(TargetError, match=f"a machine has {untold}.*attributes = ..-avxifma., .-avxneconvert"):
        find_target(str(path))
    path.write_text(path.read_text().replace('"+avx2"', ", ".join(f'"-{name}"' for name in untold.split(", "))))
    assert "avx_vnni" in find_target(str(path)).requires


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("x86-avx3", "did you mean x86-avx2[?]"),
        ("Cortex_A76", "did you mean cortex-a76[?]"),
        ("HOST", "did you mean host[?]"),
        ("cortex-a75", "--target cortex-a76 makes code that .*cortex-a76.toml, write cpu = .cortex-a75. there"),
        ("cortex-a15", "--target cortex-a7 makes code"),
        ("znver3", "--target x86-avx2 makes code"),
        ("skylake-avx512", "--target x86-avx2 makes code"),
        ("cascadelake", "did you mean x86-cascadelake[?]"),
        ("cooperlake", "--target x86-cascadelake makes code|did you mean x86-cascadelake[?]"),
        ("sapphirerapids", "--target x86-avx512vnni makes code"),
        ("nehalem", "--target x86-sse4 makes code"),
        ("cortex-m4", "no target makes code that runs on that CPU"),
        ("arm64", "for aarch64 there are aarch64, .*neoverse-v1"),
        ("armhf", "for armv7a there are android-armv7, cortex-a7, cortex-a9"),
        ("raspberrypi5", "did you mean cortex-a76[?]"),
        ("mali", "did you mean mali-g52, mali-g610 or mali-g78[?]"),
        ("cuda", "`clipfree targets list` names them all"),
        ("", "`clipfree targets list` names them all"),
    ],
)
def test_who_names_no_target_learns_which_to_take(name: str, advice: str):
    with pytest.raises(TargetError, match=f"there is no target called '{name}'; {advice}"):
        find_target(name)


@pytest.mark.parametrize(("device", "name"), DEVICES.items())
def test_devices_stand_for_targets(device: str, name: str):
    assert find_target(device) == find_target(name)
    assert device in devices_of(name)


def test_who_mistypes_a_device_learns_its_name():
    with pytest.raises(TargetError, match=r"did you mean rpi5\?"):
        find_target("RPi-5")


@pytest.mark.parametrize(
    ("machine", "features_", "name"),
    [("aarch64", "asimd", "aarch64"), ("aarch64", "asimd crc32", "cortex-a72"), ("armv7l", "neon", None)],
)
def test_host_of_an_arm_board(machine: str, features_: str, name: str | None):
    cpu = cpu_with(*features_.split(), machine=machine)
    if name is None:
        with pytest.raises(TargetError, match="no target fits"):
            find_target("host", cpu=cpu)
    else:
        assert find_target("host", cpu=cpu).name == name
