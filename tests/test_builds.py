"""What tests compile is kept under a name that changes with whatever its machine code depends on."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import tvm

from tests import builds
from tests.boards import have_compiler
from tests.builds import Kept
from tests.kernels.harness import Case, geometry, spec, tile_of
from toolchain.kernels.intrinsics import dot_product
from toolchain.support.errors import TargetError
from toolchain.targets import Target, find_target
from toolchain.targets.linker import Linker, find_linker
from toolchain.targets.llvm import tvm_target
from toolchain.tune.kernel import ENTRY, standalone

HOST = find_target("host")
pytestmark = pytest.mark.skipif(not have_compiler, reason="needs a C compiler")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(builds, "FOLDER", tmp_path / "kept")
    return tmp_path / "kept"


def kernel(case: Case, target: Target = HOST) -> Kept:
    module = standalone(spec(case), geometry(case, target), dot_product(target.instruction_set), tile_of(case, target))
    made: Any = tvm.compile(module, target=tvm_target(target))
    return made


def test_the_second_is_not_compiled(folder: Path, tmp_path: Path):
    first, second = kernel(Case(4, 4)), kernel(Case(4, 4))
    linker = find_linker(HOST.triple)
    first.export_library(str(tmp_path / "first.so"), fcompile=linker)
    with mock.patch.object(second, "_build", side_effect=AssertionError("compiled")):
        second.export_library(str(tmp_path / "second.so"), fcompile=linker)
        assert second[ENTRY] is not None
    assert len(list(folder.iterdir())) == 1
    first.made.export_library(str(tmp_path / "plain.so"), fcompile=linker)
    assert (tmp_path / "second.so").read_bytes() == (tmp_path / "plain.so").read_bytes()


def test_whatever_changes_the_code_changes_the_name():
    plain = Case(4, 4)
    changed = [kernel(case) for case in (plain, Case(4, 4, zero_out=6), Case(4, 4, low=0), Case(4, 4, 1))]
    changed.append(kernel(plain, dataclasses.replace(HOST, cores=HOST.cores + 1)))
    with tvm.transform.PassContext(opt_level=1):
        changed.append(kernel(plain))
    with mock.patch("tests.builds.Versions.installed", return_value=mock.Mock(tvm="0.28.0", tvm_ffi="0.1.14")):
        changed.append(kernel(plain))
    assert len({made._key for made in changed}) == len(changed)


def test_a_linker_of_its_own_links(folder: Path, tmp_path: Path):
    linker, made = find_linker(HOST.triple), kernel(Case(4, 4))
    wrapper = tmp_path / "cc"
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which(linker.command[0])} "$@"\n')
    wrapper.chmod(0o755)
    for command in (linker.command, (str(wrapper),)):
        made.export_library(str(tmp_path / "out.so"), fcompile=dataclasses.replace(linker, command=command))
    assert len(list(folder.iterdir())) == 2
    with pytest.raises(TargetError, match="failed"):
        made.export_library(str(tmp_path / "out.so"), fcompile=Linker(("false",), HOST.triple, "PATH"))
    assert len(list(folder.iterdir())) == 2, "what failed is not kept"


def test_what_nobody_asked_for_is_removed(folder: Path):
    folder.mkdir()
    (folder / "new.so").touch()
    (folder / "old.so").touch()
    (folder / "old").mkdir()
    for name in ("old.so", "old"):
        os.utime(folder / name, (0, 0))
    builds.clean()
    assert [path.name for path in folder.iterdir()] == ["new.so"]
