"""What packages can be called, whatever their kind, and what may be said of them: it ends in files of many formats."""

from __future__ import annotations

import keyword
import re

from toolchain.support.errors import InputError

_LONGEST = 48
_TAKEN = ("numpy", "PIL", "clipfree", "toolchain", "test")


def check_name(name: str) -> None:
    """See that a package can be called so, whatever its kind.

    Raises:
        InputError: it cannot, and why.
    """
    said = f"no package can be called {name!r:.80}"
    hint = "choose another one with --name"
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", name):
        raise InputError(f"{said}: names are letters and digits, and _ between them", hint=hint)
    if len(name) > _LONGEST:
        raise InputError(f"{said}: that is longer than {_LONGEST} letters", hint=hint)
    if keyword.iskeyword(name) or name in _TAKEN:
        raise InputError(f"{said}: that means something else in Python", hint=hint)


def check_version(version: str) -> None:
    """See that a package can have a version.

    Raises:
        InputError: it cannot.
    """
    if not re.fullmatch(r"(0|[1-9]\d{0,8})(\.(0|[1-9]\d{0,8})){0,3}", version):
        raise InputError(
            f"a package cannot have the version {version!r:.80}", hint="numbers with dots between them: --version 1.2"
        )


def check_licence(licence: str) -> None:
    """See that a text may be an expression of SPDX.

    Raises:
        InputError: it cannot.
    """
    if not re.fullmatch(r"\(*[A-Za-z0-9][\w.+-]*\)*( \(*[A-Za-z0-9][\w.+-]*\)*)*", licence, re.ASCII):
        raise InputError(
            f"{licence!r:.80} is no license as SPDX writes them", hint="such as --license MIT, or LicenseRef-Ours"
        )


def check_maintainer(maintainer: str) -> None:
    """See that a text is a name and an address.

    Raises:
        InputError: it is not.
    """
    if not re.fullmatch(r"[^<>@,\"\x00-\x1f]*[^<>@,\"\s\x00-\x1f] <[^<>@\s]+@[^<>@\s]+>", maintainer):
        raise InputError(
            f"{maintainer!r:.80} names nobody to write to", hint='--maintainer "Ada Lovelace <ada@example.org>"'
        )
