"""Hook of MkDocs: links that lead out of docs/, as a forge follows them, lead to pages of the site.

Markdown elsewhere in the repository becomes a page under ``project/``, another file a page under ``source/`` that shows
it, and a folder a page that lists it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()([^)\s]+)(\))")
CODE = re.compile(r"(^(?:```|~~~).*?^(?:```|~~~)\s*$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)
LANGUAGES = {".py": "python", ".c": "c", ".h": "c", ".cc": "cpp", ".json": "json", ".toml": "toml", ".ipynb": "json"}
PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "benchmarks/README.md")
LINES = 1000  # of a file that is shown


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that links lead to from Markdown in docs/, and from what they lead to."""
    waiting = [*PAGES]
    for file in files.documentation_pages():
        waiting += _targets(file.content_string, f"docs/{file.src_uri}")
    while waiting:
        path = waiting.pop()
        place = _place(path)
        if place is None or files.get_file_from_path(place) is not None:
            continue
        if place.startswith("project/"):
            content = (ROOT / path).read_text(encoding="utf-8")
            waiting += _targets(content, path)
            files.append(File.generated(config, place, content=content))
        elif place.startswith("source/"):
            files.append(File.generated(config, place, content=_shown(path), inclusion=InclusionLevel.NOT_IN_NAV))
        else:
            files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the page with its links as the site has them."""
    uri = page.file.src_uri
    if uri.startswith(("source/", "reference/")):
        return markdown
    path = uri.removeprefix("project/") if uri.startswith("project/") else f"docs/{uri}"

    def lead(found: re.Match[str]) -> str:
        target, _, anchor = found[2].partition("#")
        if not target or re.match(r"[a-z]+:", target):
            return found[0]
        place = _place(posixpath.normpath(posixpath.join(posixpath.dirname(path), target)))
        if place is None:
            return found[0]  # which MkDocs then warns of
        relative = posixpath.relpath(place, posixpath.dirname(uri) or ".")
        return f"{found[1]}{relative}{'#' if anchor else ''}{anchor}{found[3]}"

    return _outside_code(markdown, lambda text: LINK.sub(lead, text))


def _place(path: str) -> str | None:
    """Where the site has a path of the repository; None if there is no such path."""
    whole = ROOT / path
    if not whole.exists() or not whole.resolve().is_relative_to(ROOT):
        return None
    if whole.is_dir() and (whole / "README.md").exists():
        path = f"{path}/README.md"
    if path.startswith("docs/") and not path.endswith((".py", ".json")):
        return path.removeprefix("docs/")
    if path.endswith(".md"):
        return f"project/{path}"
    if path.endswith((".png", ".svg", ".webp")):
        return f"project/{path}"
    return f"source/{path}.md"


def _targets(markdown: str, path: str) -> list[str]:
    found: list[str] = []

    def note(text: str) -> str:
        found.extend(link[2] for link in LINK.finditer(text))
        return text

    _outside_code(markdown, note)
    local = [target.split("#")[0] for target in found if not re.match(r"[a-z]+:|#", target)]
    return [posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) for target in local]


def _outside_code(markdown: str, change: Callable[[str], str]) -> str:
    parts = CODE.split(markdown)
    # Code stands at the odd places. A mark takes its place meanwhile: a link's text may hold some.
    kept: list[str] = []
    text = ""
    for index, part in enumerate(parts):
        if index % 2:
            text += f"\0{len(kept)}\0"
            kept.append(part)
        else:
            text += part
    return re.sub(r"\0(\d+)\0", lambda mark: kept[int(mark[1])], change(text))


def _shown(path: str) -> str:
    head = f"---\nsearch:\n  exclude: true\nhide: [navigation, toc]\n---\n\n# {path}\n\n"
    whole = ROOT / path
    if whole.is_dir():
        names = sorted(
            f"{entry.name}{'/' if entry.is_dir() else ''}" for entry in whole.iterdir() if entry.name[0] not in "_."
        )
        return head + "A folder of the repository:\n\n" + "\n".join(f"- `{name}`" for name in names) + "\n"
    lines = whole.read_text(encoding="utf-8").splitlines()
    text = "\n".join(lines[:LINES])
    rest = f"\n\n{len(lines) - LINES} more lines.\n" if len(lines) > LINES else ""
    return f"{head}~~~~~~{LANGUAGES.get(whole.suffix, 'text')}\n{text}\n~~~~~~\n{rest}"
