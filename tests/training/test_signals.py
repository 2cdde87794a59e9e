from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from nctools.training.signals import StopRequest, spare_worker, stop_on_signals

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def _handlers_afterwards() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def foreign(number: int, frame: FrameType | None) -> None:
    raise AssertionError(number)


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_the_first_signal_is_a_wish_and_the_second_an_end(
    number: signal.Signals, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with stop_on_signals() as stop:
        heard = [stop.wanted]
        os.kill(os.getpid(), number)
        assert [*heard, stop.wanted] == [False, True]
        assert capsys.readouterr().err == f"\n{name}: the state is saved after this step; once more to leave at once\n"
        for again in NUMBERS:
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(again)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, ValueError])
def test_handlers_are_put_back_however_the_block_ends(error: type[BaseException] | None) -> None:
    for number in NUMBERS:
        signal.signal(number, foreign)

    def block() -> None:
        with stop_on_signals() as stop:
            assert all(signal.getsignal(number) is stop for number in NUMBERS)
            if error is not None:
                raise error

    if error is None:
        block()
    else:
        with pytest.raises(error):
            block()
    assert all(signal.getsignal(number) is foreign for number in NUMBERS)


def test_what_registered_itself_later_is_replaced_and_not_kept() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with stop_on_signals() as stop:
        signal.signal(signal.SIGTERM, foreign)
        stop.listen()
        assert signal.getsignal(signal.SIGTERM) is stop
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stop_on_signals() as stop:
        stop.listen()
        os.kill(os.getpid(), signal.SIGINT)
        assert not stop.wanted
        assert signal.getsignal(signal.SIGTERM) is stop
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_another_thread_changes_nothing() -> None:
    before, found = [signal.getsignal(number) for number in NUMBERS], []

    def block() -> None:
        with stop_on_signals() as stop:
            stop.listen()
            found.append((stop.wanted, [signal.getsignal(number) for number in NUMBERS]))

    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert found == [(False, before)]


class Busy(io.StringIO):
    """A stream that cannot be written to."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def write(self, text: str) -> int:
        raise self._error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>"), True),
        (OSError(5, "Input/output error"), False),
        (ValueError("I/O operation on closed file"), False),
    ],
)
def test_a_message_that_cannot_be_written_does_not_end_the_training(
    error: Exception, told: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    stop = StopRequest()
    with monkeypatch.context() as changed:
        changed.setattr("sys.stderr", Busy(error))
        stop(signal.SIGTERM, None)
    assert stop.wanted
    assert ("SIGTERM: the state is saved" in capfd.readouterr().err) == told


def exit_code(block: Callable[[], Any]) -> int:
    """Run a block in a process of its own."""
    child = os.fork()
    if child == 0:
        try:
            block()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(
    ("numbers", "code"),
    [
        ((signal.SIGINT, signal.SIGINT, signal.SIGINT), 0),
        ((signal.SIGTERM,), 0),
        ((signal.SIGTERM, signal.SIGINT, signal.SIGTERM), -signal.SIGTERM),
    ],
)
def test_a_worker_survives_ctrl_c_and_one_sigterm(numbers: tuple[signal.Signals, ...], code: int) -> None:
    def block() -> None:
        spare_worker(0)
        for number in numbers:
            signal.raise_signal(number)

    assert exit_code(block) == code
