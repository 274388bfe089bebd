"""What a deployment is asked for, and where its bundle goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain import bundle as store
from toolchain.schedules.select import SIZE
from toolchain.support.errors import OutputError
from toolchain.targets.precision import INT8

if TYPE_CHECKING:
    from toolchain.quantize import Settings


@dataclass(frozen=True)
class Request:
    """What to deploy.

    Attributes:
        model: an ONNX file.
        out: the bundle's folder if it ends in ``.clipfree``, else the folder in which it is made.
        calibration: a folder of photographs, or picture files; not needed for a model that is quantized already, and
            for a float network only to be verified on.
        target: a target's name, or "host".
        name: of the bundle; default: the model file's.
        value_range: what the model's floats mean, "0..1" or "0..255"; None to find out.
        settings: of the quantization; None for the defaults.
        logs: folders of tuning logs that come before those of the package.
        size: height and width of the picture whose tuned tiles are taken.
        precision: "int8", or "float32" or "float16" for a baseline.
        layers: run layer by layer instead of streaming: slower, but kernels can be timed one by one.
        dump: a folder for the network as it is after every step; None: it is not written.
        keep_rounding: of a model that is quantized already: round every tensor that it rounds.
        inputs: values of the model's inputs beside the picture, by name.
        static: write the library as a static one too, beside the shared one.
        page: write a page to look at into the bundle.
        command: that asks for all this, for the page; empty where there is none.
        keep: keep the quantized network in the user's cache, or take it from there if it was made of the same things.
    """

    model: Path
    out: Path
    calibration: Path | Sequence[Path] | None = None
    target: str = "host"
    name: str | None = None
    value_range: str | None = None
    settings: Settings | None = None
    logs: tuple[Path, ...] = ()
    size: tuple[int, int] = SIZE
    precision: str = INT8
    layers: bool = False
    dump: Path | None = None
    keep_rounding: bool = False
    static: bool = False
    keep: bool = False
    page: bool = False
    command: str = ""
    inputs: Mapping[str, float] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The bundle's name; a float network's does not get in the way of the integer one's."""
        if self.name is not None:
            return self.name
        return self.model.stem + ("" if self.precision == INT8 else f"_{self.precision}")


def bundle_path(out: Path, name: str) -> Path:
    """Return where the bundle called ``name`` goes.

    Raises:
        OutputError: ``name`` cannot be a file's.
    """
    if not name or "/" in name or name.startswith(".") or not name.isprintable():
        raise OutputError(f"a bundle cannot be called {name!r}", hint="choose a plain name with --name")
    if out.suffix == store.SUFFIX:
        return out
    return out / f"{name}{store.SUFFIX}"
