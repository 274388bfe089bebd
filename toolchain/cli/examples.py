"""An example of every command, which its ``--help`` ends with; the tests parse each."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "deploy": (
        "clipfree deploy zoo:xlsr_x3",
        "clipfree deploy model.onnx --calib photos/ --target rpi5 -o out/pi5/",
    ),
    "run": (
        "clipfree run out/xlsr_x3.clipfree photo.png -o big.png",
        "clipfree run out/xlsr_x3.clipfree photos/ -r -o larger/ --format webp",
    ),
    "demo": ("clipfree demo -o out/demo",),
    "evaluate": ("clipfree evaluate out/xlsr_x3.clipfree --hr Set14/ --compare zoo:xlsr_x3",),
    "fidelity": ("clipfree fidelity model.onnx --calib photos/ -o out/fidelity",),
    "verify": (
        "clipfree verify out/xlsr_x3.clipfree --photo photo.png",
        "clipfree verify out/xlsr_x3.clipfree --rpc 192.168.1.20:9090",
    ),
    "inspect": ("clipfree inspect model.onnx --target rpi5 --target mali-g78",),
    "nested": (
        "clipfree nested out/model.clipfree",
        "clipfree nested out/model.clipfree --bits 4 -o small.nested",
    ),
    "represent": ("clipfree represent model.onnx --calib photos/ -o out/representative",),
    "finetune": (
        "clipfree finetune model.onnx --photos photos/ --weight-bits 4 -o out/model.qdq.onnx",
        "clipfree finetune zoo:xlsr_x3 --photos photos/ --weight-bits 4 --codebook --minutes 30",
    ),
    "bench": ("clipfree bench out/xlsr_x3.clipfree --size 540x960 --threads 1 --threads 4",),
    "compare": (
        "clipfree compare zoo:xlsr_x3 zoo:abpn_x3 --target host --hr Set14/ -o compared/",
        "clipfree compare model.onnx --calib photos/ --target rpi5 --target rpi4 --rpc rpi5=192.168.1.20:9090",
    ),
    "tune": ("clipfree tune zoo:xlsr_x3 --minutes 10 --resume --logs tuning/",),
    "package": ("clipfree package out/xlsr_x3.clipfree --as cmake -o packages/",),
    "doctor": ("clipfree doctor", "clipfree doctor --json"),
    "completion": (
        "source <(clipfree completion bash)  # in ~/.bashrc",
        "source <(clipfree completion zsh)  # in ~/.zshrc, after compinit",
        "clipfree completion fish > ~/.config/fish/completions/clipfree.fish",
    ),
    "targets list": ("clipfree targets list",),
    "targets show": ("clipfree targets show rpi5",),
    "targets doctor": ("clipfree targets doctor rpi5",),
    "zoo list": ("clipfree zoo list",),
    "zoo show": ("clipfree zoo show xlsr_x3",),
    "zoo export": ("clipfree zoo export xlsr_x3 -o xlsr_x3.onnx",),
    "logs check": ("clipfree logs check tuning/",),
    "logs show": ("clipfree logs show tuning/",),
    "logs best": ("clipfree logs best tuning/ -o best/",),
    "logs merge": ("clipfree logs merge tuning/ others/ -o all/",),
    "board build": ("clipfree board build --target rpi5 -o board/",),
    "board pack": ("clipfree board pack out/xlsr_x3.clipfree -o device/",),
    "board serve": ("clipfree board serve --port 9090",),
    "board tracker": ("clipfree board tracker --port 9190",),
    "board list": ("clipfree board list --tracker 127.0.0.1:9190",),
    "board check": ("clipfree board check --rpc 192.168.1.20:9090",),
}
"""By the words behind ``clipfree``."""


def examples(command: str) -> str:
    """Return what the help of ``command`` ends with."""
    shown = EXAMPLES[command]
    return "\n\n".join(["Examples:" if len(shown) > 1 else "Example:", *(line.replace("[", r"\[") for line in shown)])
