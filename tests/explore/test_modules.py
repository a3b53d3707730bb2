"""How modules are joined into one text."""

from __future__ import annotations

import pytest

from cnncourse.explore import modules

SOURCES = {
    "low": "const secret = 1;\nexport const one = secret;\n"
    "export function two() {\n  return 2;\n}\n",
    "middle": 'import { one as uno, two } from "./low.js";\nexport const three = uno + two();\n',
    "top": 'import { three } from "./middle.js";\nimport {\n  one,\n  two,\n} from "./low.js";\n'
    "const secret = 10;\nexport const all = () => [one, two(), three, secret];\n",
}


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(modules, "source", SOURCES.__getitem__)
    modules.joined.cache_clear()
    yield
    modules.joined.cache_clear()


def test_each_module_is_joined_once_and_before_those_that_need_it(small) -> None:
    text = modules.joined("top")
    assert text.count("const low_js") == text.count("const middle_js") == 1
    assert text.index("const low_js") < text.index("const middle_js") < text.index("secret = 10")
    assert "import" not in text


def test_names_of_two_modules_do_not_meet(small, browser) -> None:
    page = browser.new_page()
    text = modules.joined("top")
    found = page.evaluate(
        """async text => {
            const blob = new Blob([text], {type: "text/javascript"});
            return (await import(URL.createObjectURL(blob))).all();
        }""",
        text,
    )
    page.close()
    assert found == [1, 2, 3, 10]
