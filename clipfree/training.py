"""What is learnt: weights of few bits, from photographs and the float network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from clipfree.arguments import Photographs, Progress, photographs_for, settings_of

if TYPE_CHECKING:
    from toolchain.workflows.finetune import FinetuneResult


def finetune(
    model: str | Path,
    photographs: Photographs | None = None,
    *,
    out: str | Path = "finetuned.qdq.onnx",
    teacher: str | Path | None = None,
    value_range: str | None = None,
    weight_bits: int | str | Mapping[str, int] | None = None,
    codebook: bool = False,
    steps: int | None = None,
    minutes: float | None = None,
    inputs: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> FinetuneResult:
    """Train a quantized network to give what the float one gives, and write it as ONNX, which `deploy` takes as it is.

    PyTorch must be installed. A call that was interrupted goes on where it was, from a file beside ``out``.

    Args:
        model: a float model's file, or "zoo:NAME", which is quantized first; or a quantized one.
        photographs: a folder, or picture files, at least four. None, for an embedded network: those of scikit-image.
        out: the ONNX file to write.
        teacher: the float model whose pictures are to be matched; None: ``model``, which must then be float.
        value_range: what the model's numbers mean, as for `deploy`.
        weight_bits: as for `deploy`.
        codebook: as for `deploy`; the entries are learnt too.
        steps: of training.
        minutes: of training, in place of ``steps``: as many steps as fit.
        inputs: values of the model's inputs beside the picture, by name.
        progress: called with what happens, as text, and the share of all that is done.

    Returns:
        the file's ``path``; PSNR in dB of its pictures against the teacher's, ``before`` and ``after``, which is never
        less.

    Raises:
        ModelError, CalibrationError, InputError, OutputError: a model, photographs or file cannot be used, or there is
            no PyTorch.
    """
    from toolchain.support.progress import untold
    from toolchain.workflows.finetune import FinetuneRequest, finetune_model
    from toolchain.zoo.embedded import resolve

    request = FinetuneRequest(
        resolve(str(model)),
        photographs_for(model, photographs),
        Path(out),
        None if teacher is None else resolve(str(teacher)),
        value_range,
        settings_of(weight_bits=weight_bits, codebook=codebook),
        inputs or {},
        steps,
        minutes,
    )
    return finetune_model(request, progress=progress or untold)
