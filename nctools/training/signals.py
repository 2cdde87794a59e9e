"""Ctrl-C and SIGTERM during a training: the first asks it to save and leave, the second leaves at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether somebody asked for the end of the training.

    Args:
        speaks: Say so on stderr, and leave at once when asked again; of several processes only the first should.

    Attributes:
        wanted: True from the first signal on.
    """

    def __init__(self, *, speaks: bool = True) -> None:
        self.wanted = False
        self._speaks = speaks
        # None is a handler that is not Python's: it could not be put back, so it stays.
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        self._before = {number: handler for number, handler in handlers.items() if handler is not None}

    def listen(self) -> None:
        """Take the signals, also from what registered itself later (Lightning, when a training starts).

        A signal that the program ignores stays ignored: shells start jobs in the background so.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is signal.SIG_IGN else self)

    def leave(self) -> None:
        """Put back the handlers that were there before."""
        if threading.current_thread() is threading.main_thread():
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Take note of a signal.

        Args:
            number: The signal.
            frame: Not used.

        Raises:
            KeyboardInterrupt: If it is not the first.
        """
        if self.wanted and self._speaks:
            raise KeyboardInterrupt
        self.wanted = True
        if not self._speaks:
            return
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        _tell(f"\n{name}: the state is saved after this step; once more to leave at once\n")


def spare_worker(worker: int) -> None:
    """Let a process that loads images live on when a signal goes to all processes of a job; for ``worker_init_fn``.

    A terminal sends Ctrl-C to all of them, a scheduler SIGTERM: without images the present step could not be finished.
    When the training ends it ends its workers, the second SIGTERM does it, too.

    Args:
        worker: Not used.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _only_once)


def _only_once(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)


def _tell(text: str) -> None:
    # The signal may come while the program itself is writing there, or after the terminal is gone.
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except RuntimeError:
        with contextlib.suppress(OSError):
            os.write(2, text.encode())
    except (OSError, ValueError):
        pass


@contextmanager
def stop_on_signals(*, speaks: bool = True) -> Iterator[StopRequest]:
    """Listen for SIGINT and SIGTERM while a block runs; outside the main thread nothing is changed.

    Args:
        speaks: See ``StopRequest``.

    Yields:
        What the signals ask for.
    """
    request = StopRequest(speaks=speaks)
    request.listen()
    try:
        yield request
    finally:
        request.leave()
