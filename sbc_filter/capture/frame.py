"""Captured frames, and what readers and writers have in common."""

from typing import NamedTuple

from sbc_filter.errors import FilterError

MAX_DATA = 256 << 10  # bytes of a frame, as in libpcap and Wireshark
SECOND = 10**9  # nanoseconds


class CaptureError(FilterError):
    """A capture file cannot be read or written; one sentence with the file and the place in it."""


class NotACapture(CaptureError):
    """A file is empty, or begins like no capture."""


class Frame(NamedTuple):
    """One captured frame."""

    number: int  # from 1 in each file, as Wireshark counts
    time: float  # seconds since 1970
    timestamp: int  # the same in nanoseconds; 0 without one (simple packet blocks), or before 1970 or after 2554
    linktype: int
    interface: int  # from 0, counted through all sections of the file
    data: bytes
    original_length: int  # bytes; more than `data` if the capture cut it
    interface_name: str = ""  # where the file has one
    file: str = ""  # the capture that it is in, where there are several
