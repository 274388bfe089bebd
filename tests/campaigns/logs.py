"""Damaged tuning logs: spoilt lines, records of hostile fields, tiles that no search would try."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from PIL import Image

from tests import sr_models
from tests.campaigns.campaign import Campaign, Fault, Outcome
from tests.campaigns.command import clipfree, judge
from tests.campaigns.damage import change, spoil
from tests.conftest import photograph
from toolchain.schedules.database import log_folder
from toolchain.schedules.records import LogHeader, encode
from toolchain.targets import find_target


def trial(seed: int, folder: Path) -> Outcome:
    """Damage a log that comes with the package as ``seed`` says, and use it as one of the user's own."""
    rng = np.random.default_rng([seed, 4])
    target = find_target(str(rng.choice(["x86-avx2", "cortex-a76"])))
    header = LogHeader.of(target)
    shipped = (log_folder() / target.name / f"tvm-{header.tvm}.jsonl").read_bytes().splitlines(keepends=True)
    lines = [encode(header), *(shipped[int(i)] for i in rng.integers(1, len(shipped), 8))]
    path = folder / "logs" / target.name / f"tvm-{header.tvm}.jsonl"
    path.parent.mkdir(parents=True)
    said = _damage(lines, rng)
    path.write_bytes(b"".join(lines))
    outcomes = [judge(clipfree("logs", "show", path)), _merged(path, folder / "around" / "around")]
    # This one answers damage in its own way: a line for each log.
    checked = clipfree("logs", "check", path)
    if checked.code not in (0, 10):
        outcomes.append(judge(checked))
    if rng.random() < 0.1:
        outcomes.append(_deployed(path.parent.parent, target.name, folder))
    worst = next((outcome for outcome in outcomes if outcome.verdict == "refused"), outcomes[0])
    return Outcome(worst.verdict, f"{said}: {worst.note}", worst.details)


def _merged(path: Path, around: Path) -> Outcome:
    """Merged into a folder of ``around``; names in the log do not lead out of it."""
    outcome = judge(clipfree("logs", "merge", path, "-o", around / "merged"))
    written = {entry.relative_to(around.parent).parts[:2] for entry in around.parent.rglob("*")}
    if not written <= {("around",), ("around", "merged")}:
        raise Fault(f"written outside of the folder that was named: {sorted(written)}")
    return outcome


def _damage(lines: list[bytes], rng: np.random.Generator) -> str:
    """Change some of ``lines``; returns how."""
    way = rng.random()
    if way < 0.25:
        whole = spoil(b"".join(lines), rng)
        lines[:] = [whole]
        return "bytes"
    index = 0 if way < 0.35 else int(rng.integers(1, len(lines)))
    if way > 0.9:
        lines[index] = [
            b"\n",
            b"null\n",
            b"[]\n",
            b"{}\n",
            b"[" * 5000 + b"\n",
            b"1" * 5000 + b"\n",
            b"\xff\n",
            b'{"kind": "trial"}\n',
        ][rng.integers(8)]
        return f"line {index} {lines[index][:20]!r}"
    table, said = change(json.loads(lines[index]), rng)
    lines[index] = json.dumps(table, separators=(",", ":")).encode() + b"\n"
    return f"line {index}, {said}"


def _deployed(logs: Path, target: str, folder: Path) -> Outcome:
    """Built with it for real: what the log says of tiles is used, or not."""
    onnx.save(sr_models.xlsr(2, width=2, blocks=1), folder / "tiny.onnx")
    Image.fromarray(photograph(48, 48, 0)).save(folder / "photo.png")
    return judge(
        clipfree(
            "deploy",
            folder / "tiny.onnx",
            "--calib",
            folder / "photo.png",
            "-o",
            folder / "out",
            "--target",
            target,
            "--logs",
            logs,
        )
    )


CAMPAIGN = Campaign(
    "logs", "damaged tuning logs: used or refused by a sentence", trial, limit=120, share=2, sample=range(20)
)
