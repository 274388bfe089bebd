"""``import clipfree``: what a program in Python does with the toolchain."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clipfree
from tests.browser import browser, needs_browser
from tests.conftest import photograph
from tests.notebook import Executed, execute
from toolchain.cli import main
from toolchain.images.bicubic import enlarge

NOTEBOOK = Path(__file__).parents[1] / "examples" / "clipfree.ipynb"


@pytest.fixture(scope="module")
def network(model_file: Path, photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> clipfree.Network:
    return clipfree.deploy(model_file, photo_folder, out=tmp_path_factory.mktemp("api"), budget=0)


def test_deploy_says_what_happens_and_gives_a_network(model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    photographs = sorted(str(path) for path in photo_folder.iterdir())
    made = clipfree.deploy(
        str(model_file),
        photographs,
        out=str(tmp_path / "mine.clipfree"),
        name="mine",
        budget=0,
        progress=lambda text, share: told.append((text, share)),
    )
    assert (made.path, made.name, made.scale) == (tmp_path / "mine.clipfree", "mine", 2)
    assert told[0][0] == "load"
    assert told[-1][0].startswith("write: ")
    assert [share for _, share in told] == sorted(share for _, share in told)
    assert told[-1][1] == 1.0


def test_pictures_come_out_as_they_went_in(network: clipfree.Network, tmp_path: Path) -> None:
    pixels = photograph(21, 34, 3)
    large = network.upscale(pixels)
    assert (large.shape, large.dtype) == ((42, 68, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "small.png")
    assert main(["run", str(network.path), str(tmp_path / "small.png"), "-o", str(tmp_path / "large.png")]) == 0
    for made in (
        np.asarray(Image.open(tmp_path / "large.png")),
        np.asarray(network.upscale(tmp_path / "small.png")),
        np.asarray(network.upscale(str(tmp_path / "small.png"))),
        np.asarray(network.upscale(Image.fromarray(pixels))),
        network.upscale(np.stack([pixels, pixels]))[1],
        clipfree.load(network.path, threads=1).upscale(pixels),
    ):
        np.testing.assert_array_equal(made, large)


@pytest.mark.parametrize(
    ("shape", "result"),
    [
        ((9, 7), (18, 14)),
        ((9, 7, 1), (18, 14, 1)),
        ((9, 7, 4), (18, 14, 4)),
        ((2, 9, 7, 3), (2, 18, 14, 3)),
        ((0, 9, 7, 3), (0, 18, 14, 3)),
    ],
)
def test_arrays_keep_their_layout(network: clipfree.Network, shape: tuple[int, ...], result: tuple[int, ...]) -> None:
    assert network.upscale(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)).shape == result


@pytest.mark.parametrize(
    ("mode", "result"), [("L", "L"), ("LA", "LA"), ("RGBA", "RGBA"), ("P", "RGB"), ("CMYK", "RGB")]
)
def test_images_of_all_modes(network: clipfree.Network, mode: str, result: str) -> None:
    made = network.upscale(Image.fromarray(photograph(9, 7, 1)).convert(mode))
    assert (made.mode, made.size) == (result, (14, 18))


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4, 3), np.uint8)]
)
def test_arrays_that_are_no_pictures(network: clipfree.Network, pixels: np.ndarray) -> None:
    with pytest.raises(clipfree.InputError, match="is no picture") as caught:
        network.upscale(pixels)
    assert "uint8" in caught.value.hint


def test_quality_beside_the_float_model(network: clipfree.Network, model_file: Path, tmp_path: Path) -> None:
    Image.fromarray(enlarge(photograph(20, 24, 1), 2)).save(tmp_path / "a.png")
    found = network.evaluate(tmp_path, compare=model_file)
    assert [row.name for row in found.rows] == ["a.png"]
    assert found.mean.compared is not None
    assert found.drop is not None
    assert abs(found.drop) < 0.5


def test_time(network: clipfree.Network) -> None:
    timing = network.bench((24, 32), repeats=3)
    assert 0 < timing.minimum <= timing.median


def test_threads_take_turns(network: clipfree.Network) -> None:
    pictures = [photograph(60, 80, seed) for seed in range(16)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(network.upscale, pictures))
    for large, pixels in zip(made, pictures, strict=True):
        np.testing.assert_array_equal(large, network.upscale(pixels))


def test_functions_are_the_methods(network: clipfree.Network, model_file: Path, tmp_path: Path) -> None:
    Image.fromarray(enlarge(photograph(20, 24, 1), 2)).save(tmp_path / "a.png")
    told: list[tuple[str, float]] = []
    found = clipfree.evaluate(
        str(network.path), tmp_path, compare=model_file, progress=lambda name, share: told.append((name, share))
    )
    assert found == network.evaluate(tmp_path, compare=model_file)
    assert told == [("a.png", 0.0)]
    assert isinstance(found, clipfree.Evaluation)
    assert "<th>compared, dB</th>" in found._repr_html_()
    timing = clipfree.bench(network, (24, 32), threads=1, repeats=3)
    assert isinstance(timing, clipfree.Timing)
    assert "<th>median, ms</th>" in timing._repr_html_()


def test_what_replaces_a_bundle_is_run_while_the_old_network_is_in_use(
    model_file: Path, photo_folder: Path, tmp_path: Path
) -> None:
    pixels = photograph(21, 34, 3)
    old = clipfree.deploy(model_file, photo_folder, out=tmp_path / "one", budget=0)
    before = old.upscale(pixels)
    new = clipfree.deploy(model_file, photo_folder, out=tmp_path / "one", weight_bits=2)
    same = clipfree.deploy(model_file, photo_folder, out=tmp_path / "other", weight_bits=2)
    assert new.path == old.path
    np.testing.assert_array_equal(new.upscale(pixels), same.upscale(pixels))
    np.testing.assert_array_equal(old.upscale(pixels), before)
    assert not np.array_equal(new.upscale(pixels), before)


def test_before_and_after(network: clipfree.Network, tmp_path: Path) -> None:
    pixels = photograph(9, 7, 1)
    Image.fromarray(pixels).save(tmp_path / "small.png")
    looks = [network.before_after(one) for one in (pixels, Image.fromarray(pixels), tmp_path / "small.png")]
    for look in looks:
        assert look.before.size == look.after.size == (14, 18)
        np.testing.assert_array_equal(np.asarray(look.after), network.upscale(pixels))
        assert look.before.tobytes() == looks[0].before.tobytes()
    assert looks[0].side_by_side().size == (32, 18)
    shown = looks[0]._repr_html_()
    assert shown.count("data:image/png;base64,") == 2
    assert "max-width:14px;aspect-ratio:14/18" in shown
    assert network.before_after(Image.fromarray(pixels).convert("P")).before.mode == "RGB"


@pytest.mark.slow
def test_what_costs_quality(model_file: Path, photo_folder: Path) -> None:
    told: list[float] = []
    found = clipfree.fidelity(
        model_file, photo_folder, budget=0, crops=1, progress=lambda text, share: told.append(share)
    )
    assert isinstance(found, clipfree.Fidelity)
    assert found.tensors
    assert told == sorted(told)
    assert 0 <= told[-1] <= 1
    shown = found._repr_html_()
    assert all(f"<td>{tensor.name}</td>" in shown for tensor in found.tensors)


def test_representative_photographs(model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
    proof = clipfree.represent(model_file, photo_folder, out=tmp_path / "set", formats=["png"])
    assert isinstance(proof, clipfree.Proof)
    assert len(list((tmp_path / "set" / "images").iterdir())) == len(proof.images)
    assert proof._repr_html_().count("<tr>") == len(proof.images) + 1
    with pytest.raises(clipfree.CalibrationError, match="no treatment 'bend'"):
        clipfree.represent(model_file, photo_folder, out=tmp_path / "other", overshoot="bend")


def test_tuning_gives_logs_that_deploying_takes(model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    tuned = clipfree.tune(
        model_file,
        sizes=[(24, 32)],
        threads=[1],
        trials=2,
        logs=tmp_path / "logs",
        progress=lambda text, share: told.append((text, share)),
    )
    assert tuned.log.is_file()
    assert sum(kernel.trials for kernel in tuned.kernels) >= 2
    assert told
    assert "<th>tile</th>" in tuned._repr_html_()
    made = clipfree.deploy(model_file, photo_folder, out=tmp_path, budget=0, logs=tuned.logs, tuned_for=(24, 32))
    assert made.manifest.tuned.kernels > 0


def test_options_of_quantizing(model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
    made = clipfree.deploy(model_file, photo_folder, out=tmp_path, budget=0, estimator="minmax", static=True)
    assert (made.path / "libmodel.a").is_file()
    recipe = json.loads((made.path / "recipe.json").read_text())
    assert recipe["settings"]["activations"] == "minmax"
    with pytest.raises(clipfree.CalibrationError, match="no range estimator 'magic'"):
        clipfree.deploy(model_file, photo_folder, out=tmp_path, estimator="magic")


def test_lists_of_what_there_is() -> None:
    known = {target.name: target for target in clipfree.targets()}
    assert "rpi5" in known["cortex-a76"].devices
    assert sum(target.host for target in known.values()) <= 1
    assert not known["mali-g78"].runs_here
    networks = {network.name: network for network in clipfree.zoo()}
    assert networks["zoo:xlsr_x3"].psnr_y["Set14"] == 29.4
    assert networks["zoo:xlsr_x3"].path.stat().st_size == networks["zoo:xlsr_x3"].bytes
    assert "<td>Set5 32.99, Set14 29.4</td>" in clipfree.zoo()._repr_html_()
    assert "<td>&ndash;</td>" in clipfree.targets()._repr_html_()


def test_importing_it_takes_nothing_heavy_along() -> None:
    code = (
        "import sys, clipfree; clipfree.zoo(); print([m for m in ('tvm', 'onnxruntime', 'onnx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_notebooks_show(network: clipfree.Network) -> None:
    assert repr(network) == f"<clipfree.Network tiny x2 for {network.target}, int8>"
    assert "<th>loss</th><td>INT8 against float: " in network._repr_html_()


def test_mistakes_are_errors_with_hints(model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(clipfree.BundleError):
        clipfree.load(tmp_path)
    with pytest.raises(clipfree.InputError, match=r"absent\.onnx"):
        clipfree.deploy("absent.onnx", photo_folder, out=tmp_path)
    with pytest.raises(clipfree.TargetError, match="abacus"):
        clipfree.deploy(model_file, photo_folder, target="abacus", out=tmp_path)
    with pytest.raises(clipfree.CalibrationError):
        clipfree.deploy(model_file, out=tmp_path)
    assert issubclass(clipfree.QualityError, clipfree.ClipfreeError)


def test_a_loss_that_cannot_be_kept_to_is_an_error(model_file: Path, photo_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(clipfree.QualityError, match="loses more than 1e-06 dB"):
        clipfree.deploy(model_file, photo_folder, out=tmp_path, max_loss=1e-6)
    assert (tmp_path / "tiny.clipfree" / "manifest.json").is_file()


def test_it_is_the_command_too() -> None:
    done = subprocess.run([sys.executable, "-m", "clipfree", "--version"], capture_output=True, text=True, check=True)
    assert clipfree.__version__ in done.stdout


def test_names_are_there_and_documented() -> None:
    for name in clipfree.__all__:
        found = getattr(clipfree, name)
        if callable(found) and name not in ("Photographs", "Progress"):
            assert found.__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        clipfree.nonsense  # noqa: B018


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executed]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("notebook"))
        yield execute(NOTEBOOK)


@pytest.mark.slow
def test_the_notebook_runs(executed: Executed) -> None:
    said, names = executed.said, executed.names
    assert "100% write: " in said
    assert "ms for 320 x 180 pixels" in said
    assert "nowhere.clipfree" in said
    assert "True" in said.splitlines()  # the set is proved
    assert names["tuned"].log.is_file()
    assert names["beside"].size == (724, 240)
    assert not any(cell.get("outputs") for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"])


@pytest.mark.slow
@needs_browser
def test_the_notebook_in_a_browser(executed: Executed, tmp_path: Path) -> None:
    page = tmp_path / "notebook.html"
    page.write_text(executed.page, encoding="utf-8")
    with browser() as shown:
        for width in (1280, 390):
            shown.show(page, width)
            assert shown.value("document.documentElement.scrollWidth") == width
            left, top, wide, high = shown.value(
                "(({x, y, width, height}) => [x, y + scrollY, width, height])"
                "(document.querySelector('input[type=range]').parentNode.getBoundingClientRect())"
            )
            assert left + wide <= width
            assert wide / high == pytest.approx(360 / 240, rel=0.01)
            shown.click(left + 0.8 * wide, top + 0.5 * high)
            assert float(shown.value("document.querySelector('input[type=range]').value")) == pytest.approx(80, abs=5)
            clip = shown.value("getComputedStyle(document.querySelector('img[alt^=before]')).clipPath")
            (cut,) = re.findall(r"([\d.]+)%", clip)
            assert float(cut) == pytest.approx(20, abs=5)
            (tmp_path / f"{width}.png").write_bytes(shown.picture())
        assert not shown.complaints
