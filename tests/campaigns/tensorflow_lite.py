"""Damaged TensorFlow Lite files: spoilt bytes of float and of integer networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.campaigns.campaign import Campaign, Fault, Outcome
from tests.campaigns.command import clipfree, judge
from tests.campaigns.damage import spoil
from tests.conftest import photograph
from tests.standin import standing_in
from tests.tflite_files import enlarger, integer_enlarger


def trial(seed: int, folder: Path) -> Outcome:
    """Inspect what damage of ``seed`` made of a sound file; what `inspect` takes is deployed."""
    rng = np.random.default_rng([seed, 11])
    integer = bool(rng.integers(2))
    sound = integer_enlarger(12, 14, pixel=float(rng.choice([1.0, 0.97]))) if integer else enlarger(12, 14)[0]
    path = folder / "damaged.tflite"
    path.write_bytes(sound[:8] + spoil(sound[8:], rng) if rng.random() < 0.95 else sound)
    outcome = judge(clipfree("inspect", path))
    if outcome.verdict == "passed":
        Image.fromarray(photograph(56, 64, 0)).save(folder / "photo.png")
        with standing_in():
            outcome = judge(clipfree("deploy", path, "--calib", folder / "photo.png", "-o", folder / "out"))
    left = sorted(entry.name for entry in (folder / "out").glob(".*"))
    if left:
        raise Fault(f"left behind: {left[0]}")
    return Outcome(outcome.verdict, f"{'integer' if integer else 'float'}: {outcome.note}", outcome.details)


CAMPAIGN = Campaign(
    "tflite", "damaged TensorFlow Lite files: a bundle or a sentence", trial, limit=120, share=2, sample=range(8)
)
