from __future__ import annotations

import pytest

from tests.report.html_check import read_page

HEAD = "<!DOCTYPE html><html><head><title>t</title></head><body><h1>a</h1>"


def test_a_sound_page_has_no_faults() -> None:
    assert read_page(f"{HEAD}<p id='x'>a<br>b</p><a href='#x'>c</a></body></html>").faults == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<p>a", "<p> is not closed"),
        ("<b><i>a</b></i>", "</b> closes <i>"),
        ("<p id='x'>a</p><p id='x'>b</p>", "id 'x' stands 2 times"),
        ("<a href='#gone'>a</a>", "nothing has the id 'gone'"),
        ("<img src='a'>", "without alt"),
        ("<h3>b</h3>", "h3 follows h1"),
        ("<li>a</li>", "<li> in <body>"),
        ("<p><ul><li>a</li></ul></p>", "<ul> inside <p>"),
        ("<i class='a' class='b'>c</i>", "an attribute twice"),
        ("<h1>b</h1>", "2 headings of the first level"),
    ],
)
def test_each_fault_is_found(body: str, fault: str) -> None:
    assert any(fault in found for found in read_page(f"{HEAD}{body}</body></html>").faults)
