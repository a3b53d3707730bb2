"""The scripts of explorers: each is an ES module, joined with its siblings into one text.

A notebook and a page import that text as it is, without another request: a module that is read from
a notebook's message or from a disk cannot import a file beside it.
"""

from __future__ import annotations

import functools
import re
from importlib.resources import files

FOLDER = files(__package__)
# The two forms in which a module may import and export; `deno lint` and the tests know no other.
IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";\n', re.M)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|const|class) (\w+))", re.M)


@functools.cache
def joined(name: str) -> str:
    """Return the text of a module in which each module that it imports stands as a function.

    Examples
    --------
    >>> "import " in joined("kernel")
    False
    """
    parts = [_as_function(sibling) for sibling in _needs(name)]
    return "\n".join([*parts, _with_names(source(name))]) + f"//# sourceURL={name}.js\n"


def rules(name: str) -> str:
    """Return the rules of style that an explorer has for itself; ``explore`` are those of all."""
    file = FOLDER.joinpath(f"{name}.css")
    return file.read_text("utf-8") if file.is_file() else ""


def source(name: str) -> str:
    """Return the text of a module as it stands in its file."""
    return FOLDER.joinpath(f"{name}.js").read_text("utf-8")


def _needs(name: str) -> list[str]:
    """List the modules that one imports, and those that these import before them."""
    found: list[str] = []
    for _, sibling in IMPORT.findall(source(name)):
        found += [new for new in (*_needs(sibling), sibling) if new not in found]
    return found


def _with_names(text: str) -> str:
    """Take names from the functions above in place of imports."""
    return IMPORT.sub(lambda found: f"const {{{_renamed(found[1])}}} = {found[2]}_js;\n", text)


def _renamed(names: str) -> str:
    return names.replace(" as ", ": ")


def _as_function(name: str) -> str:
    """Close a module in, so that its names meet no others; it gives what it exports."""
    text = source(name)
    given, body = ", ".join(EXPORT.findall(text)), EXPORT.sub("", _with_names(text))
    return f"const {name}_js = (() => {{\n{body}return {{ {given} }};\n}})();"
