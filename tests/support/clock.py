"""A clock that tests set, in the place of the module `time`."""


class FakeTime:
    """It goes on by what is slept, and by what a test adds to `now`, and by nothing else; `looks` counts readers."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self.looks = 0

    def monotonic(self) -> float:
        self.looks += 1
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
