"""Ctrl-C and SIGTERM during a training: the first asks it to save and leave, the second leaves at once."""

from __future__ import annotations

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

    def listen(self) -> None:
        """Take the signals, also from what registered itself later (Lightning, when a training starts)."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                signal.signal(number, self)

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
        sys.stderr.write(f"\n{name}: the state is saved after this step; once more to leave at once\n")


@contextmanager
def stop_on_signals(*, speaks: bool = True) -> Iterator[StopRequest]:
    """Listen for SIGINT and SIGTERM while a block runs; outside the main thread nothing is changed.

    Args:
        speaks: See ``StopRequest``.

    Yields:
        What the signals ask for.
    """
    request = StopRequest(speaks=speaks)
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    request.listen()
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
