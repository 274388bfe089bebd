"""Where in a packed buffer a tensor lies."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """Consecutive blocks of a packed buffer: ``count`` blocks from block ``start`` of a buffer of ``total`` blocks.

    ``wide``: codes have 16 bits. The blocks hold their high bytes; the low bytes lie in the buffer's second half, from
    block ``low`` on. ``fine``: of how many blocks, the first ones, low bytes are stored; None: of all. The others' low
    bytes are those of the zero point, and only convolutions can read such a tensor.
    """

    total: int
    start: int
    count: int
    wide: bool = False
    fine: int | None = None

    @property
    def low(self) -> int:
        """The first block of the low bytes of ``wide`` codes."""
        return self.start + self.total // 2

    @property
    def low_count(self) -> int:
        """Blocks of low bytes."""
        if not self.wide:
            return 0
        return self.count if self.fine is None else self.fine

    @property
    def bytes(self) -> int:
        """Bytes of a code."""
        return 2 if self.wide else 1

    @property
    def qmax(self) -> int:
        """The largest code."""
        return int(256**self.bytes - 1)

    def planes(self, code: int) -> tuple[tuple[int, int], ...]:
        """Return where the bytes of codes lie, and those of ``code``: pairs of a first block and a byte."""
        return ((self.start, code >> 8), (self.low, code & 255)) if self.wide else ((self.start, code),)

    @classmethod
    def whole(cls, blocks: int, *, wide: bool = False) -> View:
        """Return all of a buffer for ``blocks`` blocks of codes."""
        return cls(2 * blocks if wide else blocks, 0, blocks, wide)
