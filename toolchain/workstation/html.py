"""How our pages are written: self-contained HTML that escapes every word from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolchain.support.errors import require

if TYPE_CHECKING:
    from jinja2 import Template


def template(room: str) -> Template:
    """The `page.html.jinja` in the folder `room` of this package; `page.css` has the looks of all.

    Raises:
        ToolchainError: jinja2 is not installed.
    """
    require("jinja2", "report")
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader("toolchain", each) for each in (room, "workstation")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html.jinja")
