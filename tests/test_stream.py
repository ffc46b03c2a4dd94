"""Streaming: the right numbers or an error, for a small part of the bytes."""

import gc
from dataclasses import replace
from datetime import UTC, datetime
from time import sleep  # the real one: retries do not wait in these tests

import h5py
import numpy as np
import pynapple as nap
import pytest
import requests
from faulty_server import in_turn, login_page, status, unused_port
from pynwb import NWBHDF5IO, NWBFile, TimeSeries

from workshop_utils import (
    DATASETS,
    DataError,
    load_data,
    serve_folder,
    stream_data,
)
from workshop_utils.data import http, stream

NAME = "allen_478498617.nwb"


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    """Nothing is set from outside, and nobody waits long."""
    monkeypatch.setenv("WORKSHOP_DATA_SOURCE", "simulated")
    monkeypatch.delenv("WORKSHOP_DATA_MIRROR", raising=False)
    monkeypatch.setattr(http, "STALL_S", 1.0)
    monkeypatch.setattr(http.time, "sleep", lambda seconds: None)


@pytest.fixture(autouse=True)
def no_tidying():
    """Let no thread of a server tidy up HDF5 objects: it would wait for h5py, and h5py for it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="module")
def content(stand_in):
    return stand_in.read_bytes()


@pytest.fixture(scope="module")
def local(stand_in):
    return nap.load_file(str(stand_in))


def piece(content, *, shift=0, short=0, etag='"1"', say=None, tell_length=True):
    """Answer range requests; on request wrongly."""

    def behave(handler, start):
        last = len(content) - 1 if handler.last is None else min(handler.last, len(content) - 1)
        body = content[start + shift : last + 1 + shift]
        handler.head(
            206,
            **({"Content_Length": len(body)} if tell_length else {}),
            Content_Range=say or f"bytes {start + shift}-{last + shift}/{len(content)}",
            ETag=etag,
        )
        handler.body(body[: len(body) - short])
        if short:
            handler.close_connection = True

    return behave


def first_noise(data):
    epochs = data["epochs"]
    return epochs[epochs.tags == "Noise 1"][0]


def same(streamed, local):
    return (
        type(streamed) is type(local)
        and np.array_equal(streamed.t, local.t)
        and np.array_equal(streamed.d, np.asarray(local.d))
        and np.array_equal(streamed.time_support.values, local.time_support.values)
    )


def test_a_sweep_is_the_same_and_cheap(stand_in, local):
    address = f"{serve_folder(stand_in.parent)}/{stand_in.name}"
    with stream_data(address) as data:
        sweep = first_noise(data)
        assert same(data["stimulus"].restrict(sweep), local["stimulus"].restrict(sweep))
        assert np.array_equal(data["units"][0].t, local["units"][0].t)
        assert data.size_bytes == stand_in.stat().st_size
        assert data.received_bytes <= 0.15 * data.size_bytes
        assert data.requests <= 5


def test_every_sweep_of_every_series_is_the_same(content, local, start_server):
    data = stream_data(start_server(piece(content)).url)
    assert set(data) == set(local.keys())
    for name in ("stimulus", "response", "conditional_intensity"):
        for i in range(0, len(local["epochs"]), 5):
            sweep = local["epochs"][i]
            assert same(data[name].restrict(sweep), local[name].restrict(sweep)), (name, i)
    assert data.received_bytes <= data.size_bytes  # no byte came twice


@pytest.mark.parametrize(
    ("start", "end"),
    [([35.0], [36.0]), ([-5.0], [0.01]), ([897.4], [2000.0]), ([33.9, 461.0], [39.1, 461.5])],
    ids=["in a pause", "before the beginning", "after the end", "two, one over a pause"],
)
def test_any_interval(start, end, content, local, start_server):
    intervals = nap.IntervalSet(start, end)
    streamed = stream_data(start_server(piece(content)).url)["stimulus"].restrict(intervals)
    assert same(streamed, local["stimulus"].restrict(intervals))


REFUSED = {
    "no ranges": (lambda h, start: (h.head(200), h.body(bytes(10**6))), "not send ranges"),
    "403": (status(403), "403 Forbidden"),
    "404": (status(404), "404 Not Found"),
    "429 for long": (status(429, Retry_After=3600), "asks to wait 3600 s"),
    "503 for ever": (status(503), "503"),
    "redirect to a file": (status(302, Location="file:///etc/passwd"), "only http and https"),
    "sign-in page": (login_page, "web page came instead"),
    "not an NWB file": (piece(bytes(10**5)), "not an NWB file"),
    "beyond the end": (status(416), "not send ranges"),
    "stalls": (lambda h, start: sleep(2), "no response in time"),
    "unknown size": (piece(bytes(10**5), say="bytes 0-99999/*"), "another range"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_at_opening(case, start_server):
    behave, message = REFUSED[case]
    server = start_server(behave)
    with pytest.raises(DataError, match=rf"(?s){server.url}.*{message}"):
        stream_data(server.url)


# What may happen after the file was opened (1st request): to one request, or to all.
LATER = {
    "connection dropped": (lambda c: piece(c, short=1000), "connection ended|bytes came"),
    "cut short, length not told": (
        lambda c: piece(c, short=1000, tell_length=False),
        "bytes came instead of",
    ),
    "503": (lambda c: status(503, Retry_After=0), "503"),
    "stalls": (lambda c: lambda h, start: sleep(2), "no response in time"),
    "closed without an answer": (
        lambda c: lambda h, start: None,
        "no connection|no response|connection ended",
    ),
}


@pytest.mark.parametrize("case", LATER)
def test_later_fault_is_overcome(case, content, local, start_server):
    good, bad = piece(content), LATER[case][0](content)
    data = stream_data(start_server(in_turn(good, bad, good, bad, good)).url)
    sweep = first_noise(local)
    assert same(data["stimulus"].restrict(sweep), local["stimulus"].restrict(sweep))


WRONG = LATER | {
    "another piece": (lambda c: piece(c, shift=64), "another range"),
    "another piece under the right name": (
        lambda c: piece(c, short=64, say=f"bytes 0-9/{len(c)}"),
        "another range",
    ),
    "file changed, same size": (lambda c: piece(c, etag='"2"'), "changed"),
    "file changed, other size": (lambda c: piece(c + b"!"), "changed"),
    "whole file": (
        lambda c: lambda h, start: (h.head(200), h.body(c[: 10**6])),
        "not send ranges",
    ),
    "forbidden": (lambda c: status(403), "403"),
}


@pytest.mark.parametrize("case", WRONG)
def test_lasting_fault_is_an_error_and_leaves_no_wrong_numbers(case, content, local, start_server):
    wrong, message = WRONG[case]
    good, bad = piece(content), wrong(content)
    data = stream_data(start_server(in_turn(good, *[bad] * (3 * http.ATTEMPTS), good)).url)
    sweep = first_noise(local)
    with pytest.raises(DataError, match=message):
        data["stimulus"].restrict(sweep)
    while True:  # the server has recovered
        try:
            again = data["stimulus"].restrict(sweep)
        except DataError:
            continue
        break
    assert same(again, local["stimulus"].restrict(sweep))


def test_damaged_samples_are_noticed(content, local, start_server, stand_in):
    with h5py.File(stand_in) as file:
        chunk = file["stimulus/presentation/stimulus/data"].id.get_chunk_info(22)
    at = chunk.byte_offset + chunk.size // 2
    damaged = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    data = stream_data(start_server(piece(damaged)).url)
    with pytest.raises(OSError, match=r"fletcher32|filter"):
        data["stimulus"].restrict(first_noise(local))


def test_expired_address_is_renewed(content, local, start_server):
    """Archives redirect to an address that is valid for a while."""
    signed = start_server(in_turn(piece(content), status(403), piece(content)))
    archive = start_server(lambda h, start: h.head(302, Location=signed.url, Content_Length=0))
    data = stream_data(archive.url)
    sweep = first_noise(local)
    assert same(data["stimulus"].restrict(sweep), local["stimulus"].restrict(sweep))
    assert archive.requests == 2  # at the opening, and when the address had expired


@pytest.fixture
def other_file(tmp_path):
    """An NWB file that is not like ours: regular, irregular and two-dimensional series."""
    nwb = NWBFile("Some other recording", "other", datetime(2020, 1, 1, tzinfo=UTC))
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.exponential(0.01, 5000))
    about = {"unit": "V", "description": "x"}
    nwb.add_acquisition(
        TimeSeries(
            name="regular", data=rng.normal(size=5000), rate=100.0, starting_time=3.0, **about
        )
    )
    nwb.add_acquisition(
        TimeSeries(name="irregular", data=rng.normal(size=5000), timestamps=times, **about)
    )
    nwb.add_acquisition(
        TimeSeries(name="matrix", data=rng.normal(size=(5000, 3)), rate=30.0, **about)
    )
    nwb.add_epoch(start_time=10.0, stop_time=30.0)  # which do not tell where the samples are
    with NWBHDF5IO(tmp_path / "other.nwb", "w") as io:
        io.write(nwb)
    return tmp_path / "other.nwb"


@pytest.mark.parametrize("name", ["regular", "irregular", "matrix"])
def test_other_kinds_of_series(name, other_file):
    data = stream_data(f"{serve_folder(other_file.parent)}/{other_file.name}")
    intervals = nap.IntervalSet([3.5, 20.0], [4.5, 41.25])
    assert same(
        data[name].restrict(intervals), nap.load_file(str(other_file))[name].restrict(intervals)
    )
    assert "still on the server" in repr(data[name])
    assert data[name].shape[0] == len(data[name]) == 5000


def test_unknown_key_lists_the_known_ones(content, start_server):
    with pytest.raises(KeyError, match=r"no 'stimulos'.*stimulus"):
        stream_data(start_server(piece(content)).url)["stimulos"]


@pytest.mark.parametrize(
    "name",
    ["other.nwb", "file:///etc/passwd", "ftp://127.0.0.1/x.nwb", "grasshopper_stimulus1.txt"],
)
def test_neither_name_nor_address(name):
    with pytest.raises(ValueError, match=rf"neither an http.*Known names: {NAME}\.$"):
        stream_data(name)


def register(monkeypatch, *urls):
    monkeypatch.setitem(DATASETS, NAME, replace(DATASETS[NAME], urls=urls))


def test_name_is_streamed_from_the_mirror_then_from_the_archive(
    content, start_server, monkeypatch, other_file
):
    monkeypatch.setenv("WORKSHOP_DATA_SOURCE", "recorded")
    archive = start_server(piece(other_file.read_bytes()))
    register(monkeypatch, archive.url)
    mirror = start_server(status(404))
    monkeypatch.setenv("WORKSHOP_DATA_MIRROR", mirror.url.rpartition("/")[0])
    data = stream_data(NAME)
    assert mirror.requests > 0
    assert data.provenance.kind == "recorded"
    assert data.provenance.source == archive.url


def test_name_without_network_is_the_stand_in_with_a_notice(monkeypatch, capsys):
    port = unused_port()
    register(monkeypatch, f"http://127.0.0.1:{port}/{NAME}")
    monkeypatch.setenv("WORKSHOP_DATA_SOURCE", "auto")
    data = stream_data(NAME)
    notice = capsys.readouterr().out
    assert "cannot be streamed" in notice and "SIMULATED DATA" in notice
    assert data.provenance.kind == "simulated"
    monkeypatch.setenv("WORKSHOP_DATA_SOURCE", "recorded")
    with pytest.raises(DataError, match=rf"(?s)cannot be streamed.*{port}.*no connection"):
        stream_data(NAME)


def test_simulated_file_is_refused_when_a_recording_is_asked_for(
    content, stand_in, start_server, monkeypatch
):
    server = start_server(piece(content))
    monkeypatch.setenv("WORKSHOP_DATA_SOURCE", "recorded")
    with pytest.raises(DataError, match=r"simulated data.*WORKSHOP_DATA_SOURCE=recorded"):
        stream_data(server.url)
    with pytest.raises(DataError, match=r"simulated data.*WORKSHOP_DATA_SOURCE=recorded"):
        load_data(stand_in)


def test_large_pieces_come_in_parts(content, local, start_server, monkeypatch):
    monkeypatch.setattr(stream, "REQUEST_BLOCKS", 2)
    server = start_server(piece(content))
    data = stream_data(server.url)
    sweep = first_noise(local)
    assert same(data["response"].restrict(sweep), local["response"].restrict(sweep))
    assert data.received_bytes / data.requests <= 2 * stream.BLOCK


def test_memory_is_bounded(content, start_server, local, monkeypatch):
    monkeypatch.setattr(stream, "KEPT_BLOCKS", 8)
    data = stream_data(start_server(piece(content)).url)
    for i in (0, 35, 60):
        sweep = local["epochs"][i]
        assert same(data["response"].restrict(sweep), local["response"].restrict(sweep))
    assert len(data._remote._blocks) <= 8


def test_local_server_knows_ranges(stand_in):
    address = serve_folder(stand_in.parent)
    assert serve_folder(stand_in.parent) == address
    answer = requests.get(f"{address}/{stand_in.name}", headers={"Range": "bytes=1-3"}, timeout=5)
    assert (answer.status_code, answer.content) == (206, b"HDF")
