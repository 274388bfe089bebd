"""Mobile super-resolution networks, in PyTorch, as their papers lay them out; one file a family.

Tensors are float32 NCHW in 0..1. A network maps ``(n, c, h, w)`` to ``(n, c, h*scale, w*scale)`` and has the
attributes ``scale`` and ``channels`` (3: RGB, 1: luma). Networks with a training form made of several linear layers
run the one convolution these amount to while they train, and the layers themselves in evaluation, which is what is
exported: collapsing them is the deployment's work.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from toolchain.zoo.nets.abpn import ABPN
from toolchain.zoo.nets.ecbsr import ECBSR
from toolchain.zoo.nets.espcn import ESPCN
from toolchain.zoo.nets.quicksrnet import QuickSRNet
from toolchain.zoo.nets.reparameterized import Norms, Reparameterized
from toolchain.zoo.nets.sesr import SESR
from toolchain.zoo.nets.xlsr import XLSR

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "xlsr_x2": lambda: XLSR(2),
    "xlsr_x3": lambda: XLSR(3),
    "xlsr_x4": lambda: XLSR(4),
    "xlsr_x3_unclipped": lambda: XLSR(3, clipped=False),
    "abpn_x3": lambda: ABPN(3),
    "abpn_x3_unclipped": lambda: ABPN(3, clipped=False),
    "espcn_x3": lambda: ESPCN(3),
    "quicksrnet_small_x2": lambda: QuickSRNet(2),
    "sesr_m5_x2": lambda: SESR(2),
    "ecbsr_m4c16_x2": lambda: ECBSR(2),
    "ecbsr_m4c16_x3": lambda: ECBSR(3),
    "repvgg_x3": lambda: Reparameterized(3),
    "repvgg_qa_x3": lambda: Reparameterized(3, norms=Norms.SUM),
    "repvgg_oabn_x3": lambda: Reparameterized(3, norms=Norms.BOUNDED),
    "mobileone_x3": lambda: Reparameterized(3, spatial=2),
    "mobileone_qa_x3": lambda: Reparameterized(3, norms=Norms.SUM, spatial=2),
    "mobileone_oabn_x3": lambda: Reparameterized(3, norms=Norms.BOUNDED, spatial=2),
}
"""Every network the trainer knows, by the name used on the command line and for the exported file."""
