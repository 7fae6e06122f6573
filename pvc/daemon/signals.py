"""Signals of the process, heard on a thread of their own.

Python's handlers run on the main thread, and only once that wakes: a signal that the kernel gives to another thread, as after SIGCONT, does
not wake it. The interpreter writes each signal's number into a file descriptor at once, whoever got it.
"""

import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def listen(hear: Callable[[signal.Signals], None]) -> None:
    """Have each of these told to ``hear``. Only on the main thread."""
    heard, told = socket.socketpair()
    told.setblocking(False)
    signal.set_wakeup_fd(told.detach(), warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, _take_notice)
    threading.Thread(target=_hear, args=(heard, hear), name="signals", daemon=True).start()


def _hear(heard: socket.socket, hear: Callable[[signal.Signals], None]) -> None:
    while True:
        for number in heard.recv(16):
            if number in SIGNALS:
                hear(signal.Signals(number))


def _take_notice(number: int, frame: FrameType | None) -> None:
    """Nothing: that there is a handler keeps the signal from ending the process, and it is heard elsewhere."""
