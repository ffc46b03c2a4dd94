"""What is raised when data cannot be delivered."""

__all__ = ["DataError", "DownloadError", "InterruptedDownload"]


class DataError(RuntimeError):
    """A data set is not available; the message says what was tried and what to do."""


class DownloadError(OSError):
    """A URL did not deliver; the message says why in plain words."""


class InterruptedDownload(DownloadError):
    """The body of a response ended too early; asking again may help."""
