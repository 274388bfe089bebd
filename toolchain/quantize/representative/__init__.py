"""Representative images that make a clip needless, from the float network's outputs alone.

After "clip-free quantization pipeline" (CFQP; Kalay, Bilecen, Ayazoglu, arXiv:2308.11365), of which only the abstract
is public: what follows are readings of it, see ``Reading``. A calibrator that records the extremes of a network's
output finds more than the pixel range, because super-resolution overshoots at edges; a clip is then needed to undo it.
Here images whose outputs overshoot are tamed or left out, and frames are added until the outputs touch both ends. The
recorded range is then the pixel range, and integer saturation does what the clip did. No labels, no inner tensors and
no training are needed.
"""

from toolchain.quantize.representative.frames import FRAMES
from toolchain.quantize.representative.reading import Reading
from toolchain.quantize.representative.represent import represent
from toolchain.quantize.representative.tamed import Outputs, OutputSpan, Rejected, RepresentativeSet, TamedImage
from toolchain.quantize.representative.treatments import TREATMENTS, contract

__all__ = [
    "FRAMES",
    "TREATMENTS",
    "OutputSpan",
    "Outputs",
    "Reading",
    "Rejected",
    "RepresentativeSet",
    "TamedImage",
    "contract",
    "represent",
]
