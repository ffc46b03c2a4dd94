"""Read an NWB file on a web server: only the bytes that are needed are transferred."""

from __future__ import annotations

import asyncio
import bisect
import functools
import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from workshop_utils.data.errors import DataError, DownloadError, InterruptedDownload
from workshop_utils.data.fetch import candidate_urls, fetch_data, without_credentials
from workshop_utils.data.http import body, get, repeated, session, within
from workshop_utils.data.provenance import (
    Provenance,
    data_source,
    provenance_from_nwb,
    refuse_simulated,
)
from workshop_utils.data.registry import DATASETS

if TYPE_CHECKING:
    import pynapple as nap

__all__ = ["StreamedRecording", "StreamedSeries", "serve_folder", "stream_data"]

#: Bytes are kept, and requested, in blocks of this size.
BLOCK = 2**16
#: Size of the first request: HDF5 files keep most of their table of contents there.
FIRST_BYTES = 2**18
#: Blocks of one request at the most (8 MB), so that each is done in time on a slow line.
REQUEST_BLOCKS = 128
#: Blocks that are kept in memory (64 MB).
KEPT_BLOCKS = 1024
#: Seconds that one request may take, from beginning to end.
REQUEST_S = 60.0
#: Seconds that a URL gets for the first piece, name look-up included.
OPEN_S = 15.0
#: Bytes of HDF5's own memory for decompressed chunks.
CHUNK_CACHE = 2**25
_SERVERS: list[subprocess.Popen] = []  # they end when these are closed, at the latest at exit


def stream_data(name_or_url: str) -> StreamedRecording:
    """Open an NWB file on a web server without downloading it.

    Parameters
    ----------
    name_or_url : str
        The http(s) URL of an NWB file, or one of `DATASETS`. A name is looked for where
        `fetch_data` would download it, governed by the same environment variables. If no
        URL delivers it, the simulated stand-in is served from this computer instead, and a
        notice says so.

    Returns
    -------
    StreamedRecording
        Maps the names in the file to pynapple objects.

    Raises
    ------
    ValueError
        If `name_or_url` is neither.
    DataError
        If the URL does not deliver ranges of an NWB file, or if it delivers simulated data
        while ``WORKSHOP_DATA_SOURCE`` is ``recorded``.
    """
    if str(name_or_url).lower().startswith(("http://", "https://")):
        return StreamedRecording(name_or_url)
    known = [name for name, dataset in DATASETS.items() if not dataset.package]
    if name_or_url not in known:
        raise ValueError(
            f"{name_or_url!r} is neither an http(s) URL nor a data set of the course that "
            f"can be streamed. Known names: {', '.join(known)}."
        )
    dataset = DATASETS[name_or_url]
    reasons = []
    if data_source() != "simulated":
        for url in candidate_urls(dataset):
            try:
                return StreamedRecording(url)
            except DataError as error:
                reasons.append(str(error))
        if data_source() == "recorded":
            raise DataError(
                f"{dataset.name} cannot be streamed.\n" + "\n".join(f"- {r}" for r in reasons)
            )
        print("\n".join([f"{dataset.name} cannot be streamed.", *reasons]))
    path = fetch_data(dataset.name)
    return StreamedRecording(f"{serve_folder(path.parent)}/{path.name}")


class StreamedRecording(Mapping):
    """An NWB file on a web server, as pynapple objects.

    Works like the object that `pynapple.load_file` returns, with one difference: a time series
    comes as a `StreamedSeries`, which reads samples and time stamps only where it is restricted.

    Parameters
    ----------
    url : str
        The http(s) URL of an NWB file.

    Attributes
    ----------
    provenance : Provenance
        What the file says of itself: recorded or simulated, and where it is from.

    Raises
    ------
    DataError
        If the URL does not deliver ranges of an NWB file, or if it delivers simulated data
        while ``WORKSHOP_DATA_SOURCE`` is ``recorded``.
    """

    def __init__(self, url: str):
        import h5py
        import pynapple as nap
        from pynwb import NWBHDF5IO

        self._remote = RemoteFile(url)
        try:
            self._hdf5 = h5py.File(self._remote, "r", rdcc_nbytes=CHUNK_CACHE)
            self._io = NWBHDF5IO(file=self._hdf5, mode="r")
            self._nwb = nap.NWBFile(self._io.read())
        except Exception as error:
            self._remote.close()
            if isinstance(error, DataError):
                raise
            raise DataError(
                f"{without_credentials(url)} is not an NWB file that can be read ({error}). "
                "Is it the URL of the file itself, and not of a page about it?"
            ) from error
        try:
            shown = without_credentials(url)
            name = shown.rpartition("/")[2]
            self.provenance: Provenance = provenance_from_nwb(self._hdf5, name, shown, None)
            refuse_simulated(self.provenance)
            print(self.provenance)
        except DataError:
            self.close()
            raise

    @property
    def size_bytes(self) -> int:
        """Size of the file on the server."""
        return self._remote.size

    @property
    def received_bytes(self) -> int:
        """How much of it has been downloaded so far."""
        return self._remote.received

    @property
    def requests(self) -> int:
        """How many requests were sent to the server."""
        return self._remote.requests

    def __getitem__(self, key: str) -> nap.IntervalSet | nap.TsGroup | StreamedSeries:
        if key not in self._nwb:
            raise KeyError(f"There is no {key!r} in this file. Its names are: {', '.join(self)}.")
        item = self._nwb.nwb.objects[self._nwb.key_to_id[key]]
        if hasattr(item, "timestamps") and getattr(item, "data", None) is not None:
            return StreamedSeries(key, item, self._remote, self._sweeps)
        return self._nwb[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._nwb.keys())

    def __len__(self) -> int:
        return len(self._nwb.keys())

    def __repr__(self) -> str:
        table = str(self._nwb).partition("\n")[2]  # without pynapple's name of the session
        return f"{self.provenance.source}\n{table}"

    @functools.cached_property
    def _sweeps(self) -> nap.IntervalSet | None:
        """Return when samples were taken, if the file says so."""
        return self["epochs"] if "epochs" in self else None

    def close(self) -> None:
        """Close the connection."""
        self._io.close()
        self._remote.close()

    def __enter__(self) -> StreamedRecording:
        return self

    def __exit__(self, *exception) -> None:
        self.close()


class StreamedSeries:
    """A time series that stays on the server until a piece of it is asked for.

    Values are in `unit`: the ``conversion`` and ``offset`` that an NWB file may give are applied
    (pynapple itself does not apply them).

    Attributes
    ----------
    name : str
        Its name in the file.
    shape : tuple of int
        Of the whole series; the first number counts samples.
    unit : str
        Unit of the samples.
    """

    def __init__(self, name: str, series, remote: RemoteFile, sweeps):
        self.name = name
        self.shape: tuple[int, ...] = tuple(series.data.shape)
        self.unit: str = series.unit
        self._series = series
        self._scale = float(getattr(series, "conversion", 1.0) or 1.0)
        self._offset = float(getattr(series, "offset", 0.0) or 0.0)
        self._remote = remote
        self._sweeps = sweeps

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return (
            f"{self.name}: {self.shape} samples in {self.unit}, still on the server.\n"
            "Call restrict(...) to read an interval."
        )

    def restrict(self, intervals: nap.IntervalSet) -> nap.Tsd | nap.TsdFrame | nap.TsdTensor:
        """Read what lies in some intervals.

        Parameters
        ----------
        intervals : pynapple.IntervalSet
            In seconds.

        Returns
        -------
        pynapple.Tsd, TsdFrame or TsdTensor
            The samples in the intervals, both ends included, in memory.
        """
        import numpy as np
        import pynapple as nap

        pieces: list[tuple[int, int]] = []
        for start, end in intervals.values:
            first, stop = self._range(start, end)
            if pieces:  # where intervals touch, each sample is read once
                first = max(first, pieces[-1][1])
            if stop > first or not pieces:
                pieces.append((first, max(stop, first)))
        times = np.concatenate([self._times(first, stop) for first, stop in pieces])
        if not (np.isfinite(times).all() and (np.diff(times) >= 0).all()):
            raise DataError(
                f"The time stamps of {self.name} are not in ascending order, so the samples of an "
                "interval cannot be told. Download the file and sort times and values together."
            )
        samples = np.concatenate([self._read(self._series.data, *piece) for piece in pieces])
        if (self._scale, self._offset) != (1.0, 0.0):
            samples = samples * self._scale + self._offset
        kind = {1: nap.Tsd, 2: nap.TsdFrame}.get(samples.ndim, nap.TsdTensor)
        return kind(t=times, d=samples).restrict(intervals)

    def _range(self, start_s: float, end_s: float) -> tuple[int, int]:
        """Return the index of the first sample in an interval, and that after the last.

        With some margin: pynapple rounds times to 1e-9 s before it restricts.
        """
        times = self._series.timestamps
        if times is None:  # regular sampling
            rate, first_s = self._series.rate, self._series.starting_time
            if not rate > 0:
                raise DataError(f"{self.name} has neither time stamps nor a sampling rate.")
            first = int((start_s - first_s) * rate) - 1
            stop = int((end_s - first_s) * rate) + 2
            return min(max(first, 0), len(self)), min(max(stop, 0), len(self))
        first = self._find(times, start_s - 1e-9, bisect.bisect_left)
        return first, self._find(times, end_s + 1e-9, bisect.bisect_right)

    def _find(self, times, when_s: float, bisection) -> int:
        """Bisect the time stamps, which are on the server, around the place that is likely."""
        if self._sweeps is not None:
            recorded_s = self._sweeps.end - self._sweeps.start
            before_s = (when_s - self._sweeps.start).clip(0, recorded_s).sum()
            guess = round(before_s / recorded_s.sum() * len(times))
            low, high = max(guess - 2, 0), min(guess + 3, len(times))
            near = times[low:high]
            index = low + bisection(near, when_s)
            if (index > low or low == 0) and (index < high or high == len(times)):
                return index
        return bisection(times, when_s)

    def _times(self, first: int, stop: int):
        """Return the time stamps of some samples."""
        import numpy as np

        if self._series.timestamps is not None:
            return self._read(self._series.timestamps, first, stop)
        return self._series.starting_time + np.arange(first, stop) / self._series.rate

    def _read(self, stored, first: int, stop: int):
        """Read a slice; chunks that HDF5 would request one by one are requested together."""
        if getattr(stored, "chunks", None) and stop > first:
            step = stored.chunks[0]
            rest = (0,) * (stored.ndim - 1)
            at = range(first // step * step, stop, step)
            chunks = [stored.id.get_chunk_info_by_coord((k, *rest)) for k in at]
            self._remote.prefetch([(c.byte_offset, c.size) for c in chunks if c.byte_offset])
        return stored[first:stop]


class RemoteFile(io.RawIOBase):
    """A file on a web server that is read in pieces, as if it were open here.

    A range is requested again when the connection fails, and is used only if the server says
    that it is the right range of the same file: same size and same ETag or, where there is no
    strong one, same Last-Modified. (fsspec's and remfile's files do not check that, or have no
    time limit, or keep zeros for a range that did not arrive.)

    Parameters
    ----------
    url : str
        An http(s) URL.

    Raises
    ------
    DataError
        If the URL does not deliver ranges of a file; also from every later read.
    """

    def __init__(self, url: str):
        self.url = url
        self.size = 0
        self.received = 0
        self.requests = 0
        self._at = 0
        self._version: tuple[str | None, str | None] | None = None
        self._blocks: dict[int, bytes] = {}
        self._session = session()
        self._redirected = url  # where redirects lead to
        try:
            within(OPEN_S, lambda: self._load_blocks(range(FIRST_BYTES // BLOCK)))
        except DownloadError as error:
            raise self._failed(error) from error

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = base + offset
        return self._at

    def readinto(self, buffer) -> int:
        """Fill `buffer` from the position on; return how many bytes that were."""
        start, stop = self._at, min(self._at + len(buffer), self.size)
        if stop <= start:
            return 0
        first, last = start // BLOCK, (stop - 1) // BLOCK
        self._load_blocks(range(first, last + 1))
        whole = b"".join(self._blocks[k] for k in range(first, last + 1))
        buffer[: stop - start] = whole[start - first * BLOCK : stop - first * BLOCK]
        self._at = stop
        while len(self._blocks) > KEPT_BLOCKS:
            del self._blocks[next(iter(self._blocks))]
        return stop - start

    def prefetch(self, pieces: list[tuple[int, int]]) -> None:
        """Load pieces, given as (position, length), in as few requests as possible."""
        blocks = {k for at, n in pieces for k in range(at // BLOCK, (at + n - 1) // BLOCK + 1)}
        if len(blocks) < KEPT_BLOCKS:
            self._load_blocks(sorted(blocks))

    def close(self) -> None:
        """Close the connection."""
        self._session.close()
        super().close()

    def _load_blocks(self, wanted: Iterable[int]) -> None:
        """Request the blocks that are not here, neighbours together."""
        missing = [k for k in wanted if k not in self._blocks]
        while missing:
            n = 1
            while n < min(len(missing), REQUEST_BLOCKS) and missing[n] == missing[0] + n:
                n += 1
            start, stop = missing[0] * BLOCK, (missing[0] + n) * BLOCK
            content = self._request(start, min(stop, self.size) if self.size else stop)
            for i in range(0, len(content), BLOCK):
                self._blocks[(start + i) // BLOCK] = content[i : i + BLOCK]
            del missing[:n]

    def _request(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` up to, not including, `stop`."""
        try:
            return repeated(lambda: self._request_once(start, stop))
        except DownloadError as error:
            raise self._failed(error) from error

    def _failed(self, reason: DownloadError) -> DataError:
        return DataError(
            f"{without_credentials(self.url)} cannot be streamed: {reason}. "
            "Download the file instead, or try another URL."
        )

    def _request_once(self, start: int, stop: int) -> bytes:
        url, self._redirected = self._redirected, self.url  # if it fails, start at the first URL
        try:
            with get(self._session, url, {"Range": f"bytes={start}-{stop - 1}"}) as response:
                content = self._check_and_read(response, start, stop)
                self._redirected = response.url
        except InterruptedDownload:
            raise
        except DownloadError as error:
            if url != self.url:  # a signed URL may have expired
                raise InterruptedDownload(str(error)) from error
            raise
        self.requests += 1
        self.received += len(content)
        return content

    def _check_and_read(self, response, start: int, stop: int) -> bytes:
        """Return the body of a response if it is the range that was requested."""
        if response.status_code != 206:
            raise DownloadError("the server does not send ranges of a file, only all of it")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise DownloadError("the server compresses the range that was requested")
        sent = re.fullmatch(
            r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})",
            response.headers.get("Content-Range", ""),
        )
        size = int(sent[3]) if sent else 0
        stop = min(stop, size)
        if not sent or (int(sent[1]), int(sent[2])) != (start, stop - 1):
            raise DownloadError("the server sent another range than the one that was requested")
        tag = response.headers.get("ETag", "")
        strong = tag if tag.startswith('"') else None
        version = strong, None if strong else response.headers.get("Last-Modified")
        if self.size and (size, version) != (self.size, self._version):
            raise DownloadError("the file on the server has changed since it was opened")
        content = bytearray()
        until = time.monotonic() + REQUEST_S
        for chunk in body(response):
            content += chunk
            if len(content) > stop - start:
                raise DownloadError("the server sent more bytes than were requested")
            if time.monotonic() > until:
                raise DownloadError(f"a range of {stop - start} bytes took too long")
        if len(content) != stop - start:
            raise InterruptedDownload(f"{len(content)} bytes came instead of {stop - start}")
        self.size, self._version = size, version
        return bytes(content)


@functools.cache
def serve_folder(folder: str | os.PathLike) -> str:
    """Serve a folder over HTTP on this computer only, until the Python process ends.

    The server answers range requests (single pieces of a file), which `http.server` of the
    standard library does not. It listens on 127.0.0.1, so nobody else can reach it. A second
    call for the same folder returns the same URL.

    Parameters
    ----------
    folder : str or path-like
        The folder to serve.

    Returns
    -------
    str
        URL of the folder, such as ``"http://127.0.0.1:43210"``; a file in it is at
        ``f"{url}/{file_name}"``.

    Raises
    ------
    NotADirectoryError
        If `folder` is not a folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder, so it cannot be served.")
    # In a process of its own: h5py holds a lock while it waits for the server, and a thread in
    # which Python happens to tidy up an HDF5 object would wait for that lock in turn.
    server = subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import _serve; _serve()", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    port = server.stdout.readline().strip()
    if not port:
        raise RuntimeError(f"The local web server did not start (exit status {server.wait()}).")
    _SERVERS.append(server)
    return f"http://127.0.0.1:{port}"


def _serve() -> None:
    """Serve the folder named as argument, print the port, and end with standard input."""
    from aiohttp import web

    async def run() -> None:
        app = web.Application()
        app.router.add_static("/", sys.argv[1])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()  # 0: any free port
        print(runner.addresses[0][1], flush=True)
        await asyncio.to_thread(sys.stdin.read)

    asyncio.run(run())
