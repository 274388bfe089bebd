"""Make a picture larger: ``python -m NETWORK SMALL.png LARGE.png``, for which Pillow is needed."""

from __future__ import annotations

import argparse
import sys

from . import InterfaceError, upscale


def main() -> str | None:
    """Run the command; returns what is wrong."""
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description="Make a picture larger.")
    parser.add_argument("small", help="a picture")
    parser.add_argument("large", help="where to write the larger one")
    parser.add_argument("--threads", type=int, help="default: as many as there are cores")
    words = parser.parse_args()
    try:
        from PIL import Image
    except ImportError:
        return "this needs Pillow: pip install pillow"
    try:
        with Image.open(words.small) as picture:
            upscale(picture, threads=words.threads).save(words.large)
    except (InterfaceError, OSError, ValueError) as error:
        return str(error)
    return None


if __name__ == "__main__":
    sys.exit(main())
