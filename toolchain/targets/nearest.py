"""What to advise where a name is no target's: which one was meant, or which one makes code that runs on that CPU."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from toolchain.targets import DEVICES, HOST, Target, architecture, target_folder

_LIST = "`clipfree targets list` names them all, and a .toml file of your own is one too"
_ALIKE = 0.75
_ARCHITECTURES = {
    "x86_64": ("x86", "x8664", "x64", "amd64", "i386", "i686"),
    "aarch64": ("arm64", "armv8", "armv8a", "arm64v8"),
    "armv7a": ("arm", "arm32", "armv7", "armv7l", "armhf"),
}
"""Other names of architectures, as `_bare` writes them."""


def advise(name: str, targets: Sequence[Target]) -> str:
    """Return a hint for somebody who asked for ``name``, which none of ``targets`` is called."""
    by_name = {_bare(name): name for name in (*(target.name for target in targets), *DEVICES, HOST)}
    wanted = _bare(name)
    if wanted in by_name:
        return f"did you mean {by_name[wanted]}?"
    for known, others in _ARCHITECTURES.items():
        if wanted == _bare(known) or wanted in others:
            return f"for {known} there are {', '.join(t.name for t in targets if _is_for(t, known))}"
    described = [target.name for target in targets if len(wanted) > 2 and wanted in _bare(target.description)]
    if described:
        return f"did you mean {_either(described)}?"
    able = _for_cpu(name.lower(), targets)
    if able is not None:
        return _of_its_own(name.lower(), able) if able else f"no target makes code that runs on that CPU; {_LIST}"
    close = difflib.get_close_matches(wanted, by_name, n=1, cutoff=_ALIKE)
    return f"did you mean {by_name[close[0]]}?" if close else _LIST


def _of_its_own(cpu: str, able: Sequence[Target]) -> str:
    """How to get code for ``cpu`` from the target that uses most of what it has; of several, the one called alike."""
    nearest = max(able, key=lambda target: (len(target.requires), _common(target.name, cpu))).name
    return (
        f"--target {nearest} makes code that runs on that CPU; for code of its own, copy "
        f'{target_folder() / nearest}.toml, write cpu = "{cpu}" there, and name it in place of a target'
    )


def _for_cpu(cpu: str, targets: Sequence[Target]) -> list[Target] | None:
    """Return the targets that make code for a CPU that LLVM calls ``cpu``; None if it knows none of that name."""
    from toolchain.targets.features import words
    from toolchain.targets.llvm import cpu_features

    found = None
    for known in _ARCHITECTURES:  # a CPU that has 64 bits is taken for one of 64 bits
        candidates = [target for target in targets if _is_for(target, known) and "linux-gnu" in target.triple]
        features = cpu_features(cpu, candidates[0].triple) if candidates else None
        if features is not None and not found:
            has = words(features, candidates[0].triple) | {"cx16"}
            found = [target for target in candidates if set(target.requires) <= has]
    return found


def _is_for(target: Target, known: str) -> bool:
    return target.gpu is None and architecture(target.triple) == known


def _common(name: str, cpu: str) -> int:
    """How many letters two names begin with alike."""
    pairs = enumerate(zip(name, cpu, strict=False))
    return next((count for count, (one, other) in pairs if one != other), min(len(name), len(cpu)))


def _either(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _bare(name: str) -> str:
    """Without case, spaces and signs: what people vary."""
    return "".join(letter for letter in name.lower() if letter.isalnum())
