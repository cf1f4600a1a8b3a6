"""Reports to the service manager: ready, reloading, stopping, status and watchdog (sd_notify(3))."""

import contextlib
import os
import socket
import time


class Notifier:
    """Writes to the socket that `NOTIFY_SOCKET` names; does nothing without one."""

    def __init__(self) -> None:
        where = os.environ.get("NOTIFY_SOCKET", "")
        self._where = "\0" + where[1:] if where.startswith("@") else where
        self._watchdog = _interval()
        self._next = 0.0
        self.is_ready = False

    def ready(self, status: str) -> None:
        """Report that the filter runs, or that a reload is complete."""
        self.is_ready = True
        self._say("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Report that a reload has begun."""
        self._say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report that the filter is about to exit."""
        self._say("STOPPING=1")

    def status(self, status: str) -> None:
        """Set the line that `systemctl status` shows."""
        self._say(f"STATUS={status}")

    def alive(self) -> None:
        """Feed the watchdog (WatchdogSec=). Only the main loop calls this, so a loop that hangs is detected."""
        now = time.monotonic()
        if self._watchdog is not None and now >= self._next:
            self._next = now + self._watchdog / 2
            self._say("WATCHDOG=1")

    def _say(self, *lines: str) -> None:
        if not self._where:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            out.sendto("\n".join(lines).encode(), self._where)


def _interval() -> float | None:
    """Seconds within which the service manager expects a heartbeat of this process; None without a watchdog."""
    wanted, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not wanted.isdigit() or int(wanted) == 0 or (process and process != str(os.getpid())):
        return None
    return int(wanted) / 1e6
