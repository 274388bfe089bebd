"""What to do with a network that takes or gives another number of channels than a picture has."""

from __future__ import annotations

KEPT = "networks that keep the channels, 1 (Y) or 3 (RGB), can be deployed"


def wrapped(taken: int | None, given: int, scale: int = 1) -> str:
    """Return a hint for a network of ``taken`` channels that gives ``given``, ``scale`` times as large: what to export
    in its place, in PyTorch's words.

    ``taken``: None where it is not known; ``given``: 0 where it is not known yet.
    """
    first, others = _large("x[:, :1]", scale), _large("x[:, 1:]", scale)
    match taken, given:
        case 3, 2:
            return f"{KEPT}: join the channel that it lacks, {_joined(f'{first}, net(x)')}"
        case 3, 1:
            return f"{KEPT}: join the channels that it lacks, {_joined(f'net(x), {others}')}"
        case 1, 3:
            return f"{KEPT}: export x -> net(x.mean(1, keepdim=True)), which takes RGB"
        case 4, _:
            opaque = "F.pad(x, (0, 0, 0, 0, 0, 1), value=1.0)"
            return f"{KEPT}: export x -> net({opaque})[:, :3], which takes RGB; pictures' alpha is enlarged beside it"
    return KEPT


def _joined(parts: str) -> str:
    return f"x -> torch.cat([{parts}], 1), whose channels are those of the picture it is given: Y, Cb and Cr"


def _large(part: str, scale: int) -> str:
    return part if scale == 1 else f"F.interpolate({part}, scale_factor={scale}, mode='bicubic')"
