"""Nested networks, compiled: each member runs, by one program with other constants, and is taken from the cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests import boards, sr_models
from tests.quantize.helpers import QUICK
from toolchain.bundle import NESTED, QDQ, open_bundle
from toolchain.frontend.nested_file import read_nested
from toolchain.targets.elf import read_library
from toolchain.workflows.deploy import Request, deploy

SETTINGS = replace(QUICK, bits_nested=(7, 4), tame=False, augment=False)


@pytest.mark.slow
@pytest.mark.skipif(not boards.have_compiler, reason="there is no C++ compiler here")
def test_members_are_one_program_with_other_constants(photo_folder: Path, tmp_path: Path) -> None:
    onnx.save(sr_models.espcn(width=8), tmp_path / "net.onnx")
    whole = deploy(Request(tmp_path / "net.onnx", tmp_path / "whole.clipfree", photo_folder, settings=SETTINGS)).path
    nested = read_nested((whole / NESTED).read_bytes(), "it")
    programs, libraries, outputs = [], [], []
    for bits in nested.held:
        file = tmp_path / f"{bits}.nested"
        file.write_bytes(nested.prefix(bits))
        dump = tmp_path / f"dump{bits}"
        made = deploy(Request(file, tmp_path / f"{bits}.clipfree", name="net", dump=dump))
        assert made.verified
        (finished,) = (path for path in dump.iterdir() if "finish" in path.name)
        programs.append(finished.read_text())
        libraries.append(made.path / made.manifest.library)
        outputs.append(open_bundle(made.path).golden()[1])
    assert programs[0] == programs[1]
    first, second = (np.frombuffer(library.read_bytes(), np.uint8) for library in libraries)
    assert len(first) == len(second)
    assert 0 < np.count_nonzero(first != second) < len(first) / 2
    assert read_library(libraries[0]).defines == read_library(libraries[1]).defines
    assert not np.array_equal(*outputs)


@pytest.mark.usefixtures("without_compiler")
def test_the_file_is_kept_with_the_network(model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
    request = Request(model_file, tmp_path / "a.clipfree", photo_folder, settings=SETTINGS, keep=True)
    first, again = (deploy(replace(request, out=tmp_path / f"{name}.clipfree")) for name in "ab")
    assert (first.cached, again.cached) == (False, True)
    for name in (NESTED, QDQ, "recipe.json"):
        assert (first.path / name).read_bytes() == (again.path / name).read_bytes()
    assert first.manifest.weights == again.manifest.weights != ""
