"""``clipfree run``: photographs in, larger photographs out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain.cli.console import Console, Json, Threads
from toolchain.cli.places import Device, machine_for
from toolchain.errors import InputError

if TYPE_CHECKING:
    from toolchain.bundle import Manifest
    from toolchain.runtime.tiles import Tiling

Bundle = Annotated[Path, typer.Argument(help="A folder made by `clipfree deploy`.")]


def run(
    bundle: Bundle,
    photos: Annotated[list[Path], typer.Argument(help="Pictures of any size: grey, RGB, RGBA, 8 or 16 bit.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="A picture, or a folder for several.")] = None,
    tile: Annotated[str, typer.Option("--tile", help="auto, off, or a side in pixels.")] = "auto",
    memory: Annotated[int, typer.Option("--memory", min=1, help="Megabytes that --tile auto keeps to.")] = 512,
    threads: Threads = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Upscale photographs. Tiles give the same bytes as the whole picture."""
    import time

    from toolchain.images import read_photo
    from toolchain.precision import TITLES
    from toolchain.runtime.measure import free_memory
    from toolchain.runtime.photo import check_memory, check_output, upscale_photo, write_photo

    console = Console(as_json=as_json)
    side = parse_tile(tile)
    with machine_for(bundle, None, wait=0.0, threads=threads, device=device) as (opened, machine):
        manifest = opened.manifest
        tiles = tiling(manifest, side=side, megabytes=memory if tile == "auto" else None)
        outputs = output_paths(photos, out, manifest.scale)
        for path in outputs:
            check_output(path)
        upscale = tiles.over(machine.upscale)
        results = []
        with console.progress(len(photos)) as tell:
            for index, (photo_path, output) in enumerate(zip(photos, outputs, strict=True)):
                photo = read_photo(photo_path)
                height, width = photo.pixels.shape[:2]
                check_memory(height, width, scale=manifest.scale, available=free_memory())
                begin = time.perf_counter()
                big = upscale_photo(photo, upscale, channels=manifest.channels, scale=manifest.scale)
                seconds = time.perf_counter() - begin
                write_photo(output, big)
                size = (width * manifest.scale, height * manifest.scale)
                tell(f"{photo_path.name}: {width} x {height} to {size[0]} x {size[1]} in {seconds:.2f} s, "
                     f"{TITLES[manifest.precision]}", index + 1)  # fmt: skip
                console.say(str(output))
                results.append({"photo": photo_path, "output": output, "width": size[0], "height": size[1],
                                "tile": tiles.side_for(height, width), "seconds": seconds})  # fmt: skip
    console.result(command="run", bundle=bundle, precision=manifest.precision, pictures=results)


def parse_tile(tile: str) -> int | None:
    """The side of ``--tile N``, None for "auto" and "off".

    Raises:
        InputError: it is none of them.
    """
    if tile in ("auto", "off"):
        return None
    if not tile.isascii() or not tile.isdigit() or int(tile) < 1:
        raise InputError(f"--tile {tile} is not understood", hint="give auto, off, or a side in pixels such as 256")
    return int(tile)


def tiling(manifest: Manifest, *, side: int | None = None, megabytes: int | None = 512) -> Tiling:
    """How pictures are cut for the network of a bundle.

    Raises:
        InputError: ``side`` is given, but each output pixel of this network depends on the whole picture.
    """
    from toolchain.frontend import UNBOUNDED_HALO
    from toolchain.runtime.tiles import Tiling

    if side is not None and manifest.halo >= UNBOUNDED_HALO:
        raise InputError("this network looks at the whole picture at once and cannot run in tiles", hint="--tile off")
    budget = None if megabytes is None else megabytes * 10**6
    return Tiling(manifest.scale, manifest.halo, manifest.workspace_per_pixel, side, budget, UNBOUNDED_HALO)


def output_paths(photos: list[Path], out: Path | None, scale: int) -> list[Path]:
    """Where the results go: ``out`` itself, or a name made from the photo's in ``out`` or beside the photo.

    Raises:
        InputError: several photos for one file, two of them with the same name, or a result over its own photo.
    """
    if out is not None and out.suffix and not out.is_dir():
        if len(photos) > 1:
            raise InputError(f"{out} cannot hold {len(photos)} pictures", hint="give a folder with -o")
        paths = [out]
    else:
        paths = [(out or photo.parent) / f"{photo.stem}_x{scale}.png" for photo in photos]
    if len(set(paths)) < len(paths):
        raise InputError("two of the photos have the same name", hint="run them one by one with -o")
    for photo, path in zip(photos, paths, strict=True):
        if photo.resolve() == path.resolve():
            raise InputError(f"{path} would be written over itself", hint="choose another name with -o")
    return paths
