"""Blocks, comments above them, and the lines of shell blocks are read from pages as people write them."""

from __future__ import annotations

import pytest

from tests.documented_pages import Block, code_blocks, nctools_lines, shell_lines

PAGE = """words

```sh
$ nctools train a \\
  --set b=1  # comment
nctools measure x > table.txt
make test
```

<!-- test: slow -->
<!-- test: "epochs=100" becomes "epochs=1" -->
```python
train(epochs=100)
```

- in a list:

  <!-- test: skip, needs a GPU -->
  ```bash
  nctools train b
  ```
"""


def test_blocks_come_in_order_with_the_line_of_their_code() -> None:
    shell, python, listed = code_blocks(PAGE)
    assert (shell.language, shell.line, shell.skipped, shell.slow) == ("sh", 4, "", False)
    assert python == Block("python", "train(epochs=1)\n", 13, slow=True)
    assert listed == Block("bash", "nctools train b\n", 20, skipped="needs a GPU")
    assert PAGE.splitlines()[python.line - 1] == "train(epochs=100)"


def test_languages_choose_the_blocks() -> None:
    assert [block.line for block in code_blocks(PAGE, "python", "bash")] == [13, 20]


@pytest.mark.parametrize("comment", ["slwo", "skip", '"epochs=7" becomes "epochs=1"'])
def test_a_comment_that_says_nothing_about_its_block_is_refused(comment: str) -> None:
    with pytest.raises(ValueError, match=r"line 3: .*is none of skip, slow, or a change"):
        list(code_blocks(f"<!-- test: {comment} -->\n```python\nepochs=100\n```\n"))


def test_shell_lines_are_joined_and_lose_prompt_and_comment() -> None:
    block = next(code_blocks(PAGE, "sh"))
    assert list(shell_lines(block)) == [
        ["nctools", "train", "a", "--set", "b=1"],
        ["nctools", "measure", "x", ">", "table.txt"],
        ["make", "test"],
    ]


def test_nctools_lines_end_before_a_redirection_and_stand_behind_starters() -> None:
    page = PAGE + "\n```sh\nsrun --kill-on-bad-exit=1 nctools train c\n```\n"
    assert list(nctools_lines(page)) == [
        ["train", "a", "--set", "b=1"], ["measure", "x"], ["train", "b"], ["train", "c"],
    ]  # fmt: skip
