"""docs/errors.md: every error that the toolchain raises, read off its source.

    python -m tests.tools.errors_catalogue      # writes it; `make docs` does

What is put into a message while the toolchain runs stands in it in italics, or as … where that is
more than a name.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import ROOT
from toolchain.datasets._sources import NotThereError
from toolchain.support import errors, files, suggestions

PACKAGE = ROOT / "toolchain"
PAGE = ROOT / "docs" / "errors.md"
OFFER = inspect.signature(suggestions.unknown).parameters["offer"].default
PASSED_ON = "*what the part that failed says*"
HEAD = """\
# What errors say

Made from the source by `make docs`; a test fails where it is not up to date. Every error of the
toolchain is one sentence or a few on standard error, which begin with `Error: `, and an exit code:
what happened, what was expected, what to do next. *Words like these* are filled in, and … stands
for more than one word. To find an error here, search for a part that is no name and no figure.

{codes}

What does not fit an option's form, such as `--epochs many`, is refused by the command line itself:
exit code 2, and the usage of the command.
"""


@dataclass(frozen=True)
class Entry:
    """An error: the name of its class, what it says as Markdown, and the function it arises in."""

    kind: str
    says: str
    place: str


class Module:
    """One file of the package, and what is needed to make sense of the messages in it."""

    def __init__(self, path: Path, family: dict[str, int]) -> None:
        self.name = path.relative_to(PACKAGE).as_posix()
        self._tree = ast.parse(path.read_text("utf-8"))
        self._family = family
        self.about = (ast.get_docstring(self._tree) or "").splitlines()[0]
        nodes = list(ast.walk(self._tree))
        self._functions = {each.name: each for each in nodes if isinstance(each, ast.FunctionDef)}
        self._constants = _assigned(self._tree.body)

    def entries(self) -> Iterator[Entry]:
        """All errors that are made here, from top to bottom."""
        yield from self._inside(self._tree, "", self._constants)

    def _inside(self, node: ast.AST, place: str, known: dict[str, ast.expr]) -> Iterator[Entry]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                inner = f"{place}.{child.name}".lstrip(".")
                yield from self._inside(child, inner, known | _assigned(ast.walk(child)))
                continue
            if isinstance(child, ast.Call) and (kind := self._kind(child.func)):
                yield Entry(kind, self._says(child, known), place)
            yield from self._inside(child, place, known)

    def _kind(self, called: ast.expr) -> str:
        """The class of the error that a call makes; empty where it makes none."""
        name = called.id if isinstance(called, ast.Name) else ""
        if name == "unknown":
            return "UsageError"
        return name if name in self._family else ""

    def _says(self, call: ast.Call, known: dict[str, ast.expr]) -> str:
        if isinstance(call.func, ast.Name) and call.func.id == "unknown":
            what, rest = call.args[0], call.args[3:]
            offer = self._words(rest[0], known) if rest else OFFER
            return f"There is no {self._filled(what, known)} '*word*'. Did you mean …? {offer}: …."
        said = " ".join(self._words(call.args[0], known).split())
        return PASSED_ON if said == "…" else re.sub("…+", "…", said)

    def _words(self, node: ast.expr, known: dict[str, ast.expr]) -> str:
        """An expression as a reader of its value would see it, as far as it can be told."""
        if isinstance(node, ast.Constant):
            return _escaped(str(node.value))
        if isinstance(node, ast.JoinedStr):
            return "".join(self._words(part, known) for part in node.values)
        if isinstance(node, ast.FormattedValue):
            return self._filled(node.value, known)
        if isinstance(node, ast.BinOp):
            return self._words(node.left, known) + self._words(node.right, known)
        if isinstance(node, ast.IfExp):
            both = self._words(node.body, known), self._words(node.orelse, known)
            return " / ".join(filter(None, both))
        if isinstance(node, ast.Name) and node.id in known:
            rest = {name: value for name, value in known.items() if name != node.id}
            return self._words(known[node.id], rest)
        if isinstance(node, ast.Call) and (function := self._function(node.func)):
            return " / ".join(self._returned(function))
        return "…"

    def _filled(self, node: ast.expr, known: dict[str, ast.expr]) -> str:
        value = known.get(node.id) if isinstance(node, ast.Name) else node
        if isinstance(value, ast.Constant | ast.JoinedStr):
            return self._words(value, known)
        name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
        return _italic(name) if name else "…"

    def _function(self, called: ast.expr) -> ast.FunctionDef | None:
        """The function of this file that is called, by its name or as a method."""
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        return self._functions.get(name)

    def _returned(self, function: ast.FunctionDef) -> Iterator[str]:
        known = self._constants | _assigned(ast.walk(function))
        for node in ast.walk(function):
            if isinstance(node, ast.Return) and node.value is not None:
                inner = isinstance(node.value, ast.Call) and self._function(node.value.func)
                yield "…" if inner is function else self._words(node.value, known)


def _assigned(nodes: Iterable[ast.AST]) -> dict[str, ast.expr]:
    """What is assigned to plain names, the last assignment of each."""
    return {
        node.targets[0].id: node.value
        for node in nodes
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def _italic(name: str) -> str:
    return f"*{name.strip('_').replace('_', ' ')}*"


def _escaped(text: str) -> str:
    return re.sub(r"([*_|<>\[\]\\])", r"\\\1", text)


def family() -> dict[str, int]:
    """The names of our exceptions with their exit codes."""
    ours = errors.ToolchainError
    found: list[type[errors.ToolchainError]] = [ours, *ours.__subclasses__(), NotThereError]
    return {each.__name__: each.exit_code for each in found}


def page() -> str:
    """The whole page."""
    known = family()
    rows = re.findall(r"^(\d+) +(.+)$", errors.__doc__ or "", re.MULTILINE)
    codes = "| exit code | means |\n|---:|---|\n"
    codes += "\n".join(f"| {code} | {meaning} |" for code, meaning in rows)
    parts = [HEAD.format(codes=codes)]
    for path in sorted(PACKAGE.rglob("*.py")):
        module = Module(path, known)
        entries = list(dict.fromkeys(module.entries()))
        if entries:
            lines = [f"| {known[each.kind]} | {each.says} | `{each.place}` |" for each in entries]
            parts.append(
                f"## {module.name}\n\n{module.about}\n\n"
                "| exit code | it says | raised in |\n|---:|---|---|\n" + "\n".join(lines) + "\n"
            )
    return "\n".join(parts)


if __name__ == "__main__":
    files.replace(PAGE, page().encode())
    print(f"Wrote {PAGE.relative_to(ROOT)}.")
