"""Find in a notebook's text what the watch at run time cannot see, for an instructor to look at.

No mark rests on this: a mark rests on what was called when the answer ran. A submission shares its
process with that watch, so it can call things where nobody looks, or switch the watch off. Words of
such ways are listed here, comments included. Most of them stand in honest notebooks too.

Not handled: a way that needs none of these words.
"""

from __future__ import annotations

import re

from cnncourse.checks.notebook import Notebook
from cnncourse_grader import words

MOST = 5  # of one notebook
# What the first cell of every notebook holds, to see whether the course is installed.
SETUP = re.compile(r'from importlib\.util import find_spec|"google\.colab" in sys\.modules')
SIGNS = {
    re.compile(
        r"\b(?:_?threading|_thread|concurrent\.futures|multiprocessing|ThreadPool\w*|asyncio"
        r"|subprocess|os\.(?:fork|system|popen|(?:posix_)?spawn|exec)\w*)\b"
    ): words.PARALLEL,
    re.compile(r"\b(?:numpy|np)\.(?:convolve|correlate)\b|\bscipy\b"): words.LIBRARY,
    re.compile(
        r"\b(?:torch\.library|custom_op|cpp_extension|ctypes|cffi|numba|py_function)\b"
    ): words.OTHER_CODE,
    re.compile(
        r"__(?:self|code|closure|globals|class|dict|subclasses|mro|bases)__|\bcell_contents\b"
        r"|\b_getframe\b|\b[ft]b?_(?:back|locals|globals|frame)\b|\bgc\.get_\w+"
        r"|\bimport inspect\b|\.forward\s*=(?!=)|\bset(?:trace|profile)\b"
    ): words.EXCHANGED,
    re.compile(
        r"\b(?:cnncourse_grader|checks\.(?:run|cells|exercise|given|attempt|handed_in)"
        r"|handed_in|_python_dispatch|_disable_current_modes|torch\.overrides|torch\._C"
        r"|sys\.modules|os\.(?:write|dup2?|fdopen|_exit|kill))\b|/proc/"
    ): words.RUNNER,
    re.compile(
        r"(?<![.\w])(?:exec|eval|compile|getattr|setattr|vars|globals|__import__)\s*\("
        r"|\b(?:importlib|builtins|__builtins__|marshal|pickle|base64)\b"
    ): words.AT_RUN_TIME,
}


def worth_a_look(notebook: Notebook) -> tuple[str, ...]:
    """List the places of a notebook that an instructor may want to look at.

    Parameters
    ----------
    notebook : Notebook
        As handed in; nothing of it is run or parsed.

    Returns
    -------
    tuple of str
        Cell, word and reason; at most a few, one for each reason and cell.

    Examples
    --------
    >>> worth_a_look(Notebook("a.py", ("x = 1", "import threading")))
    ('cell 2 of a.py, `threading`: what another thread or process calls is not seen',)
    """
    found = [
        words.worth_a_look(notebook.name, number, match[0], reason)
        for number, cell in enumerate(notebook.cells, start=1)
        for sign, reason in SIGNS.items()
        if (match := sign.search(SETUP.sub("", cell)))
    ]
    return tuple(found[:MOST])
