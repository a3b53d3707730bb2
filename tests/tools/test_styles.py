"""A style sheet cut to the classes in use: what can apply stays, byte for byte."""

from __future__ import annotations

import pytest

from tools.pages.styles import cut_rules, words

KNOWN = words('<p class="used also-used">text</p> classList.add("shown")')


@pytest.mark.parametrize(
    "kept",
    [
        ".used{color:red}",
        "p{margin:0}",
        "#id>p::before{content:none}",
        ".used .also-used:hover{color:red}",
        ".used:not(.unknown){color:red}",
        ":is(.unknown,.used){color:red}",
        "@media print{.shown{color:red}}",
        "@media (width>1px){@supports (gap:0){.used{gap:0}}}",
        "@font-face{font-family:x;src:url(x.woff)}",
        "@keyframes k{0%{opacity:0}to{opacity:1}}",
        'html[data-theme="dark"] .used{color:red}',
    ],
)
def test_rule_that_can_apply_stays(kept: str) -> None:
    assert cut_rules(kept, KNOWN) == kept


@pytest.mark.parametrize(
    ("styles", "left"),
    [
        (".unknown{color:red}", ""),
        (".used .unknown{color:red}", ""),
        (".unknown,.used{color:red}", ".used{color:red}"),
        (".used:is(a,b),.unknown:is(a,b){color:red}", ".used:is(a,b){color:red}"),
        ("@media print{.unknown{color:red}}", ""),
        ("@media print{.unknown{top:0}p{top:0}}", "@media print{p{top:0}}"),
        ("/* .used{ */p{top:0}", "p{top:0}"),
        ('.fa-unknown:before{content:"\\f000"}p{top:0}', "p{top:0}"),
    ],
)
def test_rule_that_cannot_apply_goes(styles: str, left: str) -> None:
    assert cut_rules(styles, KNOWN) == left
