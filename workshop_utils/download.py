"""Bring one file from a web address to this computer, whatever the network does."""

from __future__ import annotations

import contextlib
import errno
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import requests

__all__ = [
    "DownloadError",
    "TryAgain",
    "download",
    "get",
    "probe",
    "retrying",
    "session",
    "within",
]

T = TypeVar("T")

CONNECT_S = 4.0
STALL_S = 20.0
ATTEMPTS = 3
#: The longest that a server may ask us to wait before the next attempt.
WAIT_S = 10.0
#: A body that grows beyond this is not one of our files.
MAX_BYTES = 4 * 2**30
BUSY = (429, 500, 502, 503, 504)


class DownloadError(OSError):
    """An address did not deliver; the message says why in plain words."""


class TryAgain(DownloadError):
    """An address did not deliver this time; it may `after` so many seconds."""

    def __init__(self, message: str, after: float | None = None):
        super().__init__(message)
        self.after = after


def probe(url: str, seconds: float) -> None:
    """Raise unless an address begins to answer in time.

    Parameters
    ----------
    url : str
        The address.
    seconds : float
        How long it may take to answer, name look-up included.

    Raises
    ------
    DownloadError
        If there is no answer in time, or no connection. Any answer will do, also a refusal.
    """
    import requests

    def ask() -> None:
        try:
            with requests.get(url, stream=True, timeout=seconds, allow_redirects=False):
                pass
        except requests.RequestException as error:
            raise DownloadError(_in_plain_words(error)) from error

    within(seconds, ask)


def within[T](seconds: float, call: Callable[[], T]) -> T:
    """Return what `call` returns, or raise `DownloadError` when it takes too long."""
    outcome: list[tuple[T | None, BaseException | None]] = []

    def run() -> None:
        try:
            outcome.append((call(), None))
        except BaseException as error:  # handed to the caller below
            outcome.append((None, error))

    # A thread, because the time that a name look-up takes cannot be limited otherwise.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise DownloadError(f"no answer within {seconds:g} s")
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


def download(url: str, part: Path, *, size: int | None = None) -> None:
    """Download a file, or the rest of it if its beginning is already here.

    Parameters
    ----------
    url : str
        An http or https address.
    part : pathlib.Path
        Where the bytes go. What is there is taken for the beginning of the file. After an
        interruption it holds what has arrived, and the next call continues. The content is
        *not* verified here.
    size : int, optional
        Number of bytes of the whole file.

    Raises
    ------
    DownloadError
        If the address does not deliver, after several attempts where another may help. On a
        full disk, and where something else than the file arrives, `part` is removed.
    """
    try:
        retrying(_attempt)(url, part, size)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            part.unlink(missing_ok=True)
            raise DownloadError(f"the disk that holds {part.parent} is full") from error
        raise


def _attempt(url: str, part: Path, size: int | None) -> None:
    """Ask once for what is missing in `part` and append it."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with session() as opened, get(opened, url, headers) as answer:
        if answer.status_code == 416:  # there is nothing after what we have
            return
        if not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            have = 0  # the server sends all of it again
        _write(answer, part, have, size)


def retrying(attempt: Callable) -> Callable:
    """Return a function that calls `attempt` again if that raises `TryAgain`."""
    from tenacity import retry, retry_if_exception_type, stop_after_attempt

    def pause(state) -> float:
        asked = state.outcome.exception().after
        return 0.5 * 2**state.attempt_number if asked is None else asked

    return retry(
        retry=retry_if_exception_type(TryAgain),
        wait=pause,
        stop=stop_after_attempt(ATTEMPTS),
        reraise=True,
    )(attempt)


def session() -> requests.Session:
    """Return a session. It knows http and https only: redirects to others are refused."""
    import requests

    opened = requests.Session()
    opened.max_redirects = 5
    return opened


@contextlib.contextmanager
def get(opened: requests.Session, url: str, headers: dict) -> Iterator[requests.Response]:
    """Ask for a file; whatever goes wrong until its body is read becomes a `DownloadError`."""
    import requests

    # Compressed on the way, byte positions would not be those of the file.
    headers = {"Accept-Encoding": "identity", **headers}
    try:
        with opened.get(url, stream=True, headers=headers, timeout=(CONNECT_S, STALL_S)) as answer:
            _refuse_what_is_no_file(answer)
            yield answer
    except requests.RequestException as error:
        again = (
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ReadTimeout,
            requests.exceptions.ConnectionError,
        )
        never = (requests.exceptions.ConnectTimeout, requests.exceptions.SSLError)
        temporary = isinstance(error, again) and not isinstance(error, never)
        kind = TryAgain if temporary else DownloadError
        raise kind(_in_plain_words(error)) from error


def _refuse_what_is_no_file(answer) -> None:
    """Raise if the server sends an error or a web page."""
    status = f"the server answered {answer.status_code} {answer.reason}"
    if answer.status_code in BUSY:
        asked = answer.headers.get("Retry-After", "")
        after = float(asked) if asked.isdigit() else None
        if after is not None and after > WAIT_S:
            raise DownloadError(f"{status} and asks to wait {after:.0f} s")
        raise TryAgain(status, after)
    if not answer.ok and answer.status_code != 416:
        raise DownloadError(status)
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        raise DownloadError(
            "a web page came instead of the file. Does this network want you to sign in first? "
            "Open any page in a browser"
        )


def _write(answer, part: Path, have: int, size: int | None) -> None:
    """Append the body of `answer` to the first `have` bytes of `part`."""
    from tqdm import tqdm

    announced = answer.headers.get("Content-Length")
    total = have + int(announced) if announced else None
    if size is not None and total is not None and total != size:
        part.unlink(missing_ok=True)
        raise DownloadError(f"a file of {total} bytes was offered instead of {size}")
    bar = tqdm(
        total=total or size,
        initial=have,
        unit="B",
        unit_scale=True,
        desc=part.name.removeprefix(".").removesuffix(".part"),
        disable=not sys.stderr.isatty(),  # for people at a terminal, not for pages
    )
    with bar, open(part, "ab" if have else "wb") as file:
        for chunk in answer.iter_content(2**16):
            have += len(chunk)
            if have > (size or MAX_BYTES):
                part.unlink()
                raise DownloadError(f"more than {size or MAX_BYTES} bytes came; gave up")
            file.write(chunk)
            bar.update(len(chunk))
    if (total or size or have) > have:
        raise TryAgain(f"the connection ended after {have} of {total or size} bytes")


def _in_plain_words(error: BaseException) -> str:
    """Say in a few words why there was no answer."""
    import requests

    text = str(error)
    if "NameResolutionError" in text or "getaddrinfo" in text or "resolve" in text:
        return "the server's name could not be found (is there a network?)"
    if isinstance(error, requests.TooManyRedirects):
        return "the server sends us in a circle (more than 5 redirects)"
    if isinstance(error, requests.exceptions.InvalidSchema):
        return f"only http and https addresses are followed ({text})"
    if isinstance(error, requests.Timeout) or "timed out" in text:
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError) or "IncompleteRead" in text:
        return "the connection ended before the file was complete"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return f"{type(error).__name__}: {text}"
