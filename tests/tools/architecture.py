"""The table of rooms in ARCHITECTURE.md: read off the import contract and the packages.

python -m tests.tools.architecture      # writes it; `make docs` does
"""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import grimp

from tests import ROOT
from toolchain.delivery.bundling import PACKAGES
from toolchain.support import files

PACKAGE = ROOT / "toolchain"
PAGE = ROOT / "ARCHITECTURE.md"
START, END = "<!-- rooms: made by `make docs` -->\n", "<!-- rooms end -->\n"


def layers() -> list[list[str]]:
    """The rooms of each layer of the import contract, the highest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (contract,) = (each for each in settings["contracts"] if each["type"] == "layers")
    return [layer.split(" | ") for layer in contract["layers"]]


def table() -> str:
    """A row a room, as Markdown, from the lowest layer up."""
    graph = grimp.build_graph("toolchain", exclude_type_checking_imports=True)
    shipped = {name.partition("/")[0] for name in PACKAGES}
    rows = ["| room | what is in it | modules | imports |", "|---|---|---|---|"]
    for room in (room for layer in reversed(layers()) for room in layer):
        inside = _modules(PACKAGE / room)
        imports = ", ".join(sorted(_imports(graph, room))) or "nothing"
        mark = " ●" if room in shipped else ""
        rows.append(f"| `{room}/`{mark} | {_about(room)} | {inside} | {imports} |")
    return "\n".join(rows) + "\n"


def _about(room: str) -> str:
    docstring = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text("utf-8")))
    return " ".join((docstring or "").split("\n\n")[0].split())


def _modules(folder: Path) -> str:
    names = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    names += [f"{path.parent.name}/" for path in folder.glob("*/__init__.py")]
    return ", ".join(sorted(names)).replace("_", r"\_")


def _imports(graph: grimp.ImportGraph, room: str) -> set[str]:
    name = f"toolchain.{room}"
    modules = {name, *graph.find_descendants(name)}
    found = {each for m in modules for each in graph.find_modules_directly_imported_by(m)}
    return {each.split(".")[1] for each in found - modules if "." in each}


def page() -> str:
    """ARCHITECTURE.md with the table as it should be."""
    before, _, rest = PAGE.read_text("utf-8").partition(START)
    return f"{before}{START}{table()}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    files.replace(PAGE, page().encode())
    print(f"Wrote the rooms into {PAGE.name}.")
