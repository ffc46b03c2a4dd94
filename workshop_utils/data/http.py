"""Download one file from a URL, whatever the network does."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from workshop_utils.data.errors import DownloadError, InterruptedDownload

if TYPE_CHECKING:
    import requests

__all__ = ["body", "download", "get", "repeated", "session", "within"]

#: Seconds for a name look-up, for a connection, and until the headers of a response are here.
LOOKUP_S = 3.0
CONNECT_S = 4.0
HEADERS_S = 10.0
#: Seconds without any bytes, after which a connection counts as broken.
STALL_S = 20.0
#: A server that sends fewer bytes per second than this is given up, after so many seconds.
MIN_BYTES_PER_S = 1000
PATIENCE_S = 30.0
ATTEMPTS = 3
#: The longest that a server may ask to wait before the next attempt.
MAX_RETRY_AFTER_S = 10.0
#: A larger body is not one of our files.
MAX_BYTES = 2**30
RETRY_STATUS = (429, 500, 502, 503, 504)
CHUNK = 2**16


def within[T](seconds: float, call: Callable[[], T]) -> T:
    """Return what `call` returns, or raise `DownloadError` when it takes too long."""
    outcome: list[tuple[T | None, BaseException | None]] = []

    def run() -> None:
        try:
            outcome.append((call(), None))
        except BaseException as error:  # handed to the caller below
            outcome.append((None, error))

    # A thread, because the duration of a name look-up cannot be limited otherwise.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise DownloadError(f"no response within {seconds:g} s")
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


def download(url: str, part: Path) -> None:
    """Download a file, or the rest of it if its beginning is already here.

    Parameters
    ----------
    url : str
        An http or https URL.
    part : pathlib.Path
        Where the bytes go. What is there is taken for the beginning of the file. After an
        interruption it holds what has arrived, and the next call continues. The content is
        *not* verified here.

    Raises
    ------
    DownloadError
        If the URL does not deliver, after several attempts where another may help. On a
        full disk, and where something else than the file arrives, `part` is removed.
    """
    try:
        with session() as opened:
            repeated(lambda: _continue(opened, url, part))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            part.unlink(missing_ok=True)
            raise DownloadError(f"the disk that holds {part.parent} is full") from error
        raise


def repeated[T](attempt: Callable[[], T]) -> T:
    """Call `attempt` again while it raises `InterruptedDownload`; urllib3 retries no bodies."""
    for number in range(1, ATTEMPTS):
        try:
            return attempt()
        except InterruptedDownload:
            time.sleep(0.5 * 2**number)
    return attempt()


def _continue(opened: requests.Session, url: str, part: Path) -> None:
    """Ask once for what is missing in `part` and append it."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with get(opened, url, headers) as response:
        if response.status_code == 416:  # there is nothing after what we have
            return
        if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            have = 0  # the server sends all of it again
        _write(response, part, have)


def session() -> requests.Session:
    """Return a session that retries requests; it refuses redirects to anything but http(s)."""
    import requests
    from urllib3.exceptions import MaxRetryError
    from urllib3.util import Retry

    class RetrySoon(Retry):
        """Does not wait for a server that asks for more than MAX_RETRY_AFTER_S."""

        def increment(self, method=None, url=None, response=None, *args, **kwargs):
            if response is not None and (self.get_retry_after(response) or 0) > MAX_RETRY_AFTER_S:
                raise MaxRetryError(kwargs.get("_pool"), url)
            return super().increment(method, url, response, *args, **kwargs)

    retries = RetrySoon(
        total=ATTEMPTS - 1,
        connect=0,  # another URL may answer
        backoff_factor=0.5,
        status_forcelist=RETRY_STATUS,
        raise_on_status=False,
    )
    opened = requests.Session()
    opened.max_redirects = 5
    for scheme in ("http://", "https://"):
        opened.mount(scheme, requests.adapters.HTTPAdapter(max_retries=retries))
    return opened


@contextlib.contextmanager
def get(
    opened: requests.Session, url: str, headers: dict[str, str]
) -> Iterator[requests.Response]:
    """Request a file; whatever goes wrong until its body is read becomes a `DownloadError`."""
    import requests
    from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

    # Compressed on the way, byte positions would not be those of the file.
    headers = {"Accept-Encoding": "identity", **headers}
    try:
        _look_up(url)
        response = within(
            HEADERS_S,
            lambda: opened.get(url, stream=True, headers=headers, timeout=(CONNECT_S, STALL_S)),
        )
        with response:
            _refuse_what_is_no_file(response)
            yield response
    except (ProtocolError, ReadTimeoutError) as error:  # while the body was read
        raise InterruptedDownload(_in_plain_words(error)) from error
    except (requests.RequestException, HTTPError, UnicodeError) as error:
        raise DownloadError(_in_plain_words(error)) from error
    except ValueError as error:  # headers that make no sense
        raise DownloadError(f"the server's response makes no sense ({error})") from error


def _look_up(url: str) -> None:
    """Raise soon where a name look-up hangs; a proxy looks names up by itself."""
    from requests.utils import get_environ_proxies

    parts = urlsplit(url)
    if parts.hostname and not get_environ_proxies(url):
        within(LOOKUP_S, lambda: _resolve(parts.hostname))


def _resolve(host: str) -> None:
    with contextlib.suppress(OSError):  # requests says it in its own words
        socket.getaddrinfo(host, None)


def _refuse_what_is_no_file(response: requests.Response) -> None:
    """Raise if the server sends an error or a web page."""
    status = f"the server answered {response.status_code} {response.reason}"
    if response.status_code in RETRY_STATUS:
        asked = response.headers.get("Retry-After", "")
        if asked.isascii() and asked.isdigit() and float(asked) > MAX_RETRY_AFTER_S:
            raise DownloadError(f"{status} and asks to wait {asked} s")
        raise DownloadError(status)
    if not response.ok and response.status_code != 416:
        raise DownloadError(status)
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise DownloadError(
            "a web page came instead of the file. Does this network want you to sign in first? "
            "Open any page in a browser"
        )


def body(response: requests.Response) -> Iterator[bytes]:
    """Yield the body of a response as it arrives; raise if that is too slow."""
    began, received = time.monotonic(), 0
    while chunk := response.raw.read1(CHUNK, decode_content=True):
        received += len(chunk)
        seconds = time.monotonic() - began
        if seconds > PATIENCE_S and received < MIN_BYTES_PER_S * seconds:
            raise DownloadError(f"only {received} bytes came in {seconds:.0f} s")
        yield chunk


def _length(response: requests.Response) -> int | None:
    """Return the length of a body, where the server gives one."""
    text = response.headers.get("Content-Length", "")
    encoded = response.headers.get("Content-Encoding", "identity") != "identity"
    return int(text) if text.isascii() and text.isdigit() and not encoded else None


def _write(response: requests.Response, part: Path, have: int) -> None:
    """Append the body of a response to the first `have` bytes of `part`."""
    from tqdm import tqdm

    length = _length(response)
    total = have + length if length is not None else None
    bar = tqdm(
        total=total,
        initial=have,
        unit="B",
        unit_scale=True,
        desc=part.name.removeprefix(".").removesuffix(".part"),
        # for people at a terminal, not for pages
        disable=sys.stderr is None or not sys.stderr.isatty(),
    )
    with bar, open(part, "ab" if have else "wb") as file:
        for chunk in body(response):
            have += len(chunk)
            if have > MAX_BYTES:
                part.unlink()
                raise DownloadError(f"more than {MAX_BYTES} bytes came; gave up")
            file.write(chunk)
            bar.update(len(chunk))
    if total is not None and total > have:
        raise InterruptedDownload(f"the connection ended after {have} of {total} bytes")


def _in_plain_words(error: BaseException) -> str:
    """Say in a few words why there was no response."""
    import requests
    from urllib3.exceptions import LocationParseError

    text = str(error)
    if "NameResolutionError" in text or "getaddrinfo" in text or "resolve" in text:
        return "the server's name could not be found (is there a network?)"
    if isinstance(error, requests.TooManyRedirects):
        return "the server redirects in a circle (more than 5 redirects)"
    if isinstance(error, requests.exceptions.InvalidSchema):
        return f"only http and https URLs are followed ({text})"
    if isinstance(error, requests.exceptions.SSLError):
        return (
            "the server's certificate is not accepted. Is the clock right? Behind a firewall "
            "that inspects traffic, set REQUESTS_CA_BUNDLE to its certificate"
        )
    if isinstance(error, requests.Timeout) or "timed out" in text:
        return "no response in time"
    if "IncompleteRead" in text:
        return "the connection ended before the file was complete"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not answer (HTTPS_PROXY, HTTP_PROXY)"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    if isinstance(error, (LocationParseError, UnicodeError)):
        return "the server redirects to a URL that makes no sense"
    return f"{type(error).__name__}: {text}"
