"""Under which name a library is loaded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from toolchain.support.files import scratch_folder


@contextlib.contextmanager
def fresh_path(library: Path) -> Iterator[Path]:
    """Yield an absolute path that leads to ``library`` and that nothing was loaded by, as long as the block lasts.

    glibc compares paths before files (``dlopen``): where a bundle was replaced while the library of the old one is in
    use, its own path would give that library again. Where no link can be made, it is the file's own path.
    """
    with contextlib.ExitStack() as stack:
        path = library.absolute()
        try:
            link = stack.enter_context(scratch_folder()) / library.name
            link.symlink_to(path)
        except OSError:  # nothing can be written here
            link = path
        yield link
