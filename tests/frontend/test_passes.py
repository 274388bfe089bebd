"""The pipeline: its order, what its passes ensure, and how a pass is added."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from hypothesis import given, settings

from tests.campaigns.random_graph import random_graph
from tests.frontend.test_channel_writes import CASES as CHANNEL_CASES
from tests.frontend.test_channels_last_goldens import CASES as LAST_CASES
from tests.frontend.test_convolution_goldens import CASES as CONVOLUTION_CASES
from tests.frontend.test_crops import CASES as CROP_CASES
from tests.frontend.test_goldens import CASES as OLD_CASES
from tests.frontend.test_graph_goldens import CASES
from tests.frontend.test_layer_norms import CASES as LAYER_NORM_CASES
from tests.frontend.test_model_goldens import CASES as MODEL_CASES
from tests.frontend.test_multiples import CASES as MULTIPLES_CASES
from tests.frontend.test_picture_norms import CASES as PICTURE_NORM_CASES
from tests.frontend.test_random import network
from tests.frontend.test_rms_norms import CASES as RMS_CASES
from tests.frontend.test_tokens import CASES as TOKEN_CASES
from tests.frontend.test_unequal_strides import CASES as STRIDE_CASES
from tests.sr_models import abpn
from toolchain.frontend import normalize
from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Graph
from toolchain.frontend.interface import read_interface
from toolchain.frontend.passes.base import Pass, Property
from toolchain.frontend.pipeline import OPEN, READ, REWRITE, find_passes, run_passes
from toolchain.zoo.embedded import list_models, resolve

ROOT = Path(__file__).resolve().parents[2]
LISTED = (*READ, *OPEN, *REWRITE)


def check_promises(model: onnx.ModelProto) -> None:
    """What a pass requires holds before it; what it ensures holds after it, and after all that follow."""
    ensured: list[tuple[str, Property]] = []

    def watch(step: Pass, subject: onnx.ModelProto | Graph) -> None:
        ensured.extend((step.name, found) for found in step.ensures)
        for maker, found in ensured:
            assert found.holds(subject), f"after '{step.name}' it is not true any more that {found} ('{maker}')"

    read, openers = (find_passes(names, onnx.ModelProto) for names in (READ, (*READ, *OPEN)))
    plain = onnx.ModelProto.FromString(model.SerializeToString())
    run_passes(read, plain, Facts(), watch)
    facts = Facts(read_interface(plain))
    run_passes(openers[len(READ) :], plain, facts, watch)
    ensured.clear()
    run_passes(find_passes(REWRITE, Graph), Graph(plain, facts.interface.shape), facts, watch)


@settings(max_examples=30, deadline=None)
@given(network())
def test_promises_are_kept_on_random_spellings(model: onnx.ModelProto) -> None:
    check_promises(model)


@pytest.mark.parametrize("seed", range(30))
def test_promises_are_kept_on_random_graphs(seed: int) -> None:
    check_promises(random_graph(seed).model)


@pytest.mark.parametrize("name", [found.name for found in list_models()])
def test_promises_are_kept_on_the_embedded_networks(name: str) -> None:
    check_promises(onnx.load(resolve(f"zoo:{name}")))


def test_a_property_can_be_false() -> None:
    """What a plain network is before anything is done to it: the checks above can fail."""
    graph = Graph(abpn(), (1, 3, 23, 18))
    false = {str(p) for step in find_passes(REWRITE, Graph) for p in step.ensures if not p.holds(graph)}
    assert "there is no clip to black and white at the end" in false
    assert "padding and strides of convolutions are numbers" in false


def test_every_pass_is_in_the_pipeline() -> None:
    files = {path.stem for path in (ROOT / "toolchain/frontend/passes").glob("*.py")} - {"__init__", "base"}
    assert files == set(LISTED)


def test_every_pass_has_a_golden() -> None:
    tables = (
        CASES,
        CHANNEL_CASES,
        CONVOLUTION_CASES,
        CROP_CASES,
        LAST_CASES,
        LAYER_NORM_CASES,
        MODEL_CASES,
        MULTIPLES_CASES,
        PICTURE_NORM_CASES,
        RMS_CASES,
        STRIDE_CASES,
        TOKEN_CASES,
    )
    named = [case for table in tables for case in table.values()]
    cases = [*(case[0] for case in OLD_CASES.values()), *(case.apply for case in named)]
    assert {case.name for case in cases if isinstance(case, Pass)} | {"windows"} == set(LISTED)


def test_a_pass_in_the_wrong_place_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'affine' requires that padding .* are numbers, which no pass before it"):
        find_passes(("channels_first", "constants", "biases", "affine"), Graph)
    with pytest.raises(ValueError, match="there is no frontend pass 'nonsense'"):
        find_passes(("nonsense",), Graph)


def test_a_pass_is_one_file_and_one_name(new_pass: Callable[[str, str], None]) -> None:
    code = """
        count = 0
        for node in graph.nodes:
            if node.op_type == "Relu":
                node.op_type, count = "LeakyRelu", count + 1
                node.attribute.append(__import__("onnx").helper.make_attribute("alpha", 0.0))
        return facts.said(f"wrote {count} Relu as LeakyRelu")
    """
    new_pass("leaky", code)
    plain, found = normalize(abpn()), normalize(abpn(), passes=(*REWRITE, "leaky"))
    relus = [node.op_type for node in plain.model.graph.node].count("Relu")
    assert relus
    assert [node.op_type for node in found.model.graph.node].count("LeakyRelu") == relus
    assert found.changes == (*plain.changes, f"wrote {relus} Relu as LeakyRelu")


def test_the_table_of_passes_is_of_today() -> None:
    code = "import sys; sys.path.insert(0, 'docs'); import passes; sys.stdout.write(passes.page())"
    page = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert page == (ROOT / "docs" / "passes.md").read_text(encoding="utf-8"), "run python docs/passes.py"
