"""``represent`` as one function: a float model and photographs in, a folder with the tamed set and its proof out.

The folder is meant for other toolchains' calibrators: the images as PNG and as arrays, the clip-free float network they
were tamed for, and the proof that a calibrator which records extremes finds the pixel range with them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolchain.images import ImageSet, Photo, read_images, write_photo
from toolchain.quantize.crops import usable
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.representative import Reading, RepresentativeSet, TamedImage, represent
from toolchain.support.errors import CalibrationError, InputError
from toolchain.support.files import atomic_folder, check_replaceable, check_writable
from toolchain.workflows.report.contact_sheet import Pair, contact_sheet, thumbnail
from toolchain.workflows.report.proof import ImageProof, LeftOut, Proof

if TYPE_CHECKING:
    from toolchain.frontend import SRModel

PROOF, SHEET, NETWORK, IMAGES, FLOATS, CODES = (
    "proof.json",
    "sheet.html",
    "network.onnx",
    "images",
    "float.npz",
    "u8.npz",
)
FORMATS = ("png", "npz")
_OLD_SHEET = "sheet.png"
"""What versions up to 0.2 wrote."""

_SHOWN, _ADDED = 24, 4  # pairs on the contact sheet, and how many of them are of frames at most


@dataclass(frozen=True)
class RepresentRequest:
    """What to tame.

    Attributes:
        model: a float ONNX file.
        photographs: a folder of photographs, or picture files; taken as low-resolution pictures as they are.
        out: the folder to write.
        value_range: what the model's floats mean, "0..1" or "0..255"; None to find out.
        reading: of the abstract.
        crop: photographs larger than this are cut to their middle; pixels.
        most: of more photographs so many, spread evenly over them, are used; memory does not grow with the others.
        formats: among ``FORMATS``: images/*.png; float.npz and u8.npz.
        inputs: values of the model's inputs beside the picture, by name.
        command: that asks for it, for the contact sheet; may be empty.
    """

    model: Path
    photographs: Path | Sequence[Path]
    out: Path
    value_range: str | None = None
    reading: Reading = field(default_factory=Reading)
    crop: int = 512
    most: int = 128
    formats: tuple[str, ...] = FORMATS
    inputs: Mapping[str, float] = field(default_factory=dict)
    command: str = ""


def make_representative_set(
    request: RepresentRequest, *, progress: Callable[[str, int, int], None] | None = None
) -> Proof:
    """Tame photographs for a model and write them, their proof and a contact sheet; nothing is left on an error.

    Args:
        request: what to tame.
        progress: called with (text, pictures done, pictures in all).

    Raises:
        ModelError: the model cannot be used, or its value range cannot be told.
        CalibrationError: the photographs cannot be used.
        OutputError: the folder holds other things, or cannot be written.
    """
    from toolchain.frontend import load_model, normalize
    from toolchain.frontend.inputs import set_inputs
    from toolchain.frontend.smallest import smallest_to_mirror
    from toolchain.images.geometry import UNBOUNDED_HALO

    unknown = [name for name in request.formats if name not in FORMATS]
    if unknown or not request.formats:
        raise InputError(f"'{', '.join(unknown)}' is no format of a set", hint=f"choose among {', '.join(FORMATS)}")
    check_writable(request.out, folder=True)
    check_replaceable(request.out, (PROOF, SHEET, _OLD_SHEET, NETWORK, IMAGES, FLOATS, CODES))
    tell = progress or (lambda text, done, total: None)
    sr = normalize(set_inputs(load_model(request.model), request.inputs), value_range=request.value_range)
    photographs = read_images(
        request.photographs, channels=sr.channels, crop=request.crop, crops_per_photo=1, most=request.most
    )
    halo = sr.halo if sr.halo < UNBOUNDED_HALO else 0
    kept, warnings = usable(photographs.images, channels=sr.channels, halo=halo, smallest=smallest_to_mirror(sr.model))
    images, names = [photographs.images[index] for index in kept], [photographs.names[index] for index in kept]
    model = FloatModel(sr.model)

    def run(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return model.run(to_float(pixels, sr.value_range))

    made = represent(
        run,
        images,
        sr.value_range,
        request.reading,
        halo=sr.halo if sr.halo < UNBOUNDED_HALO else None,
        progress=lambda index: tell(f"[{index + 1}/{len(images)}] {names[index]}", index, len(images)),
    )
    if not made.images:
        raise CalibrationError(
            "not one image could be brought into range, and no frame either",
            hint="look at the model's output: does it follow its input at all?",
        )
    proof = _proof(request, sr, photographs, names, made, warnings)
    tell("writing", len(images), len(images))
    with atomic_folder(request.out) as folder:
        _write(folder, request.formats, sr, made, proof)
        page = contact_sheet(proof, _pairs(run, images, sr, made), request.command)
        (folder / SHEET).write_text(page, encoding="utf-8")
    return proof


def _proof(
    request: RepresentRequest,
    sr: SRModel,
    photographs: ImageSet,
    names: Sequence[str],
    made: RepresentativeSet,
    warnings: tuple[str, ...],
) -> Proof:
    natural = [image.before for image in _natural(made)] + [left.before for left in made.rejected]
    quantization = made.coverage.quantization()
    digits = len(str(len(made.images)))
    return Proof(
        model=request.model.name,
        channels=sr.channels,
        scale=sr.scale,
        value_range=sr.value_range,
        reading=request.reading,
        before=(min(low for low, _ in natural), max(high for _, high in natural)),
        coverage=made.coverage,
        proved=made.coverage.proved,
        output_scale=quantization.scale,
        output_zero_point=quantization.zero_point,
        codes=(min(int(i.pixels.min()) for i in made.images), max(int(i.pixels.max()) for i in made.images)),
        images=tuple(
            ImageProof(
                f"{index:0{digits}}_{_stem(names, image)}",
                names[image.source] if image.source >= 0 else "",
                image.kind,
                image.factor,
                image.pixels.shape[1],
                image.pixels.shape[0],
                image.place,
                image.before,
                image.after,
            )
            for index, image in enumerate(made.images)
        ),
        left_out=tuple(LeftOut(names[left.source], left.place, left.before) for left in made.rejected),
        skipped=photographs.skipped,
        warnings=warnings + _warnings(made),
    )


def _natural(made: RepresentativeSet) -> list[TamedImage]:
    return [image for image in made.images if image.kind in ("natural", "contracted")]


def _stem(names: Sequence[str], image: TamedImage) -> str:
    return Path(names[image.source].split("@")[0]).stem if image.source >= 0 else "flat"


def _warnings(made: RepresentativeSet) -> tuple[str, ...]:
    said = []
    total = len(_natural(made)) + len(made.rejected)
    if not _natural(made):
        said.append(
            f"all {total} natural images overshoot and were left out: the set says nothing of inner tensors; "
            "contract them, or cut them into patches"
        )
    elif made.rejected:
        said.append(f"{len(made.rejected)} of {total} natural images or patches overshoot and were left out")
    for end, touched, value in zip(
        ("low", "high"), (made.coverage.touches_low, made.coverage.touches_high), made.coverage.wanted, strict=True
    ):
        if not touched:
            reached = made.coverage.low if end == "low" else made.coverage.high
            said.append(f"no image makes the output touch {value:g}: the {end}est output is {reached:.4g}")
    return tuple(said)


def _write(folder: Path, formats: Sequence[str], sr: SRModel, made: RepresentativeSet, proof: Proof) -> None:
    pairs = [(entry.name, image.pixels) for entry, image in zip(proof.images, made.images, strict=True)]
    (folder / NETWORK).write_bytes(sr.model.SerializeToString(deterministic=True))
    (folder / PROOF).write_text(proof.to_json(), encoding="utf-8")
    if "png" in formats:
        for name, pixels in pairs:
            write_photo(folder / IMAGES / f"{name}.png", Photo(pixels))
    if "npz" in formats:
        _save(folder / FLOATS, ((name, to_float(pixels, sr.value_range)) for name, pixels in pairs))
        _save(folder / CODES, pairs)


def _save(path: Path, arrays: Iterable[tuple[str, NDArray[Any]]]) -> None:
    """Write an .npz one array at a time: memory holds one, and equal arrays give equal bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in arrays:
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)


def _pairs(
    run: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    images: Sequence[NDArray[np.uint8]],
    sr: SRModel,
    made: RepresentativeSet,
) -> list[Pair]:
    """Return the network's outputs before and after of the first images, and of those that were made for an end."""
    added = [index for index, image in enumerate(made.images) if image.kind in ("flat", "end")][:_ADDED]
    rest = [index for index in range(len(made.images)) if index not in added][: _SHOWN - len(added)]
    pairs = []
    for index in sorted(rest + added):
        image = made.images[index]
        before = None
        if image.source >= 0:
            top, left = image.place
            before = images[image.source][top : top + image.pixels.shape[0], left : left + image.pixels.shape[1]]
        shown = [
            None if pixels is None else thumbnail(run(pixels), sr.value_range) for pixels in (before, image.pixels)
        ]
        assert shown[1] is not None
        pairs.append(Pair(index, shown[0], shown[1]))
    return pairs
