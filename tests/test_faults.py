"""Downloads from a real server on this computer that misbehaves in every way we know of.

Whatever it does, the outcome is either the right file or an error that says why, and the
cache never holds a wrong or partial file under the real name.
"""

import contextlib
import hashlib
import multiprocessing
import os
import random
import signal
import threading
import time
from dataclasses import replace
from time import sleep  # the real one: retries do not wait in these tests

import pytest
import requests  # noqa: F401  imported before a test gives up the right to read it
from faulty_server import in_turn, login_page, status
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workshop_utils import DATASETS, DataError, fetch_data
from workshop_utils.data import fetch, http

NAME = "allen_478498617.nwb"
CONTENT = random.Random(0).randbytes(640_000)
WRONG = CONTENT[:-1] + b"?"


def good(handler, start, content=CONTENT):
    """Answer as a server should, ranges included."""
    if start >= len(content):
        handler.head(416)
        return
    headers = {"Content_Length": len(content) - start}
    if start:
        headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
    handler.head(206 if start else 200, **headers)
    handler.body(content[start:])


def cut_short(handler, start):
    handler.head(200, Content_Length=len(CONTENT))
    handler.body(CONTENT[:1000])


def stalls(handler, start):
    handler.head(200, Content_Length=len(CONTENT))
    handler.body(CONTENT[:1000])
    sleep(3)


def never_ends(handler, start):
    handler.head(200)
    while True:
        handler.body(CONTENT)


def wrong_bytes(handler, start):
    good(handler, start, WRONG)


def wrong_size(handler, start):
    good(handler, start, CONTENT[:-1])


def no_length(handler, start):
    handler.head(200)
    handler.body(CONTENT)


def no_ranges(handler, start):
    handler.head(200, Content_Length=len(CONTENT))
    handler.body(CONTENT)


def slow(handler, start):
    handler.head(200, Content_Length=len(CONTENT))
    for i in range(0, len(CONTENT), 64_000):
        handler.body(CONTENT[i : i + 64_000])
        sleep(0.05)


def circle(handler, start):
    handler.head(302, Location=handler.server.url, Content_Length=0)


def drops_often(handler, start):
    """Send another 200 kB in each request, then close."""
    handler.head(
        206 if start else 200,
        Content_Length=len(CONTENT) - start,
        **({"Content_Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"} if start else {}),
    )
    handler.body(CONTENT[start : start + 250_000])


FILE = "the file"
CASES = {
    "all is well": (good, FILE),
    "403": (status(403), "answered 403 Forbidden"),
    "404": (status(404), "answered 404 Not Found"),
    "429 for long": (status(429, Retry_After=3600), "answered 429.*asks to wait 3600 s"),
    "429, then well": (
        in_turn(status(429, Retry_After=0), status(429, Retry_After=0), good),
        FILE,
    ),
    "500 for ever": (status(500), "answered 500"),
    "503, then well": (
        in_turn(status(503, Retry_After=0), status(503, Retry_After=0), good),
        FILE,
    ),
    "redirect to a file": (status(302, Location="file:///etc/passwd"), "only http and https"),
    "redirects in a circle": (circle, "in a circle"),
    "cut short for ever": (cut_short, "ended before the file was complete|connection ended"),
    "cut short once": (in_turn(cut_short, cut_short, good), FILE),
    "drops often, with ranges": (drops_often, FILE),
    "stalls for ever": (stalls, "no response in time"),
    "stalls once": (in_turn(stalls, stalls, good), FILE),
    "never ends": (never_ends, "more than 1280000 bytes came"),
    "sign-in page": (login_page, "web page came instead.*sign in"),
    "right size, wrong bytes": (wrong_bytes, "wrong checksum"),
    "wrong size": (wrong_size, "wrong checksum"),
    "no Content-Length": (no_length, FILE),
    "no ranges": (no_ranges, FILE),
    "slow but complete": (slow, FILE),
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, only recordings count, and nobody waits long."""
    monkeypatch.setenv("WORKSHOP_DATA_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WORKSHOP_DATA_SOURCE", "recorded")
    monkeypatch.delenv("WORKSHOP_DATA_MIRROR", raising=False)
    monkeypatch.setattr(http, "STALL_S", 0.5)
    monkeypatch.setattr(http, "MAX_BYTES", 2 * len(CONTENT))
    monkeypatch.setattr(http.time, "sleep", lambda seconds: None)
    return tmp_path / "cache"


@pytest.fixture
def serve(monkeypatch, start_server):
    """Start a server; the registry then says that the recording is there."""

    def start(behave):
        server = start_server(behave)
        changed = replace(
            DATASETS[NAME],
            urls=(server.url,),
            sha256=hashlib.sha256(CONTENT).hexdigest(),
        )
        monkeypatch.setitem(DATASETS, NAME, changed)
        return server

    return start


def fetch_quietly():
    """Fetch, for a process of its own."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    fetch_data(NAME)


@pytest.mark.parametrize("case", CASES)
def test_fault(case, serve, cache):
    behave, expected = CASES[case]
    server = serve(behave)
    if expected == FILE:
        assert fetch_data(NAME).read_bytes() == CONTENT
    else:
        with pytest.raises(DataError, match=rf"(?s){server.url}: .*({expected})"):
            fetch_data(NAME)
        assert not (cache / NAME).exists()


@pytest.mark.parametrize("case", [c for c, (_, expected) in CASES.items() if expected != FILE])
def test_a_fault_does_no_lasting_harm(case, serve):
    serve(CASES[case][0])
    with pytest.raises(DataError):
        fetch_data(NAME)
    serve(good)
    assert fetch_data(NAME).read_bytes() == CONTENT


def test_connection_refused(serve):
    server = serve(good)
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError, match="no connection"):
        fetch_data(NAME)


def test_name_that_nobody_knows(serve, monkeypatch):
    serve(good)
    changed = replace(DATASETS[NAME], urls=("http://nobody.invalid/x",))
    monkeypatch.setitem(DATASETS, NAME, changed)
    with pytest.raises(DataError, match=r"could not be found|no answer"):
        fetch_data(NAME)


def test_what_is_here_is_not_asked_for_again(serve, cache):
    starts = []

    def noted(handler, start):
        starts.append(start)
        good(handler, start)

    serve(noted)
    cache.mkdir()
    (cache / f".{NAME}.part").write_bytes(CONTENT[:400_000])
    assert fetch_data(NAME).read_bytes() == CONTENT
    assert starts == [400_000], "one request, for the rest"


def test_server_without_ranges_sends_it_once(serve, cache):
    server = serve(no_ranges)
    cache.mkdir()
    (cache / f".{NAME}.part").write_bytes(CONTENT[:400_000])
    assert fetch_data(NAME).read_bytes() == CONTENT
    assert server.requests == 1


def test_wrong_beginning_is_noticed(serve, cache):
    serve(good)
    cache.mkdir()
    (cache / f".{NAME}.part").write_bytes(b"?" * 400_000)
    assert fetch_data(NAME).read_bytes() == CONTENT


def test_complete_but_unfinished(serve, cache):
    serve(good)
    cache.mkdir()
    (cache / f".{NAME}.part").write_bytes(CONTENT)
    assert fetch_data(NAME).read_bytes() == CONTENT


@pytest.mark.skipif(os.name != "posix", reason="needs fork, to take the test's registry along")
@pytest.mark.parametrize("killed_after", [100_000, 300_000, 600_000])
def test_killed_process_continues_where_it_stopped(killed_after, serve, cache):
    got_there = threading.Event()

    def pauses(handler, start):
        if handler.server.requests != 1:
            good(handler, start)
            return
        handler.head(200, Content_Length=len(CONTENT))
        handler.body(CONTENT[:killed_after])
        got_there.wait(10)

    server = serve(pauses)
    process = multiprocessing.get_context("fork").Process(target=fetch_quietly)
    process.start()
    part = cache / f".{NAME}.part"
    deadline = time.time() + 10
    while time.time() < deadline and not (
        part.exists() and part.stat().st_size >= killed_after - 2**17
    ):
        sleep(0.02)
    process.kill()
    process.join()
    got_there.set()
    assert process.exitcode == -signal.SIGKILL
    assert not (cache / NAME).exists()
    arrived = part.stat().st_size
    assert 0 < arrived <= killed_after

    starts = []

    def noted(handler, start):
        starts.append(start)
        good(handler, start)

    server.behave = noted
    assert fetch_data(NAME).read_bytes() == CONTENT
    assert starts == [arrived], "one request, for the rest"


@pytest.mark.skipif(os.name != "posix", reason="needs fork, to take the test's registry along")
@pytest.mark.parametrize("kill_first", [False, True])
def test_eight_processes_download_once(kill_first, serve, cache, monkeypatch):
    # Eight processes on a slow computer: nobody gives up and asks again while they start.
    monkeypatch.setattr(http, "STALL_S", 60)
    monkeypatch.setattr(http, "HEADERS_S", 60)
    release = threading.Event()

    def waits(handler, start):
        if handler.server.requests == 1:
            handler.head(200, Content_Length=len(CONTENT))
            handler.body(CONTENT[:200_000])
            release.wait(60)
            handler.body(CONTENT[200_000:])
        else:
            good(handler, start)

    server = serve(waits)
    processes = [multiprocessing.get_context("fork").Process(target=fetch_quietly)]
    processes[0].start()
    while server.requests < 1:
        sleep(0.02)
    for _ in range(7):
        processes.append(multiprocessing.get_context("fork").Process(target=fetch_quietly))
        processes[-1].start()
    if kill_first:
        processes[0].kill()
    release.set()
    for process in processes:
        process.join(60)
    expected = [-signal.SIGKILL if kill_first else 0] + [0] * 7
    assert [process.exitcode for process in processes] == expected
    assert (cache / NAME).read_bytes() == CONTENT
    assert server.requests == (2 if kill_first else 1), "downloaded by more than one"


def test_full_disk(serve, cache, monkeypatch):
    serve(good)
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here to write to")
    cache.mkdir()
    (cache / f".{NAME}.part").symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"the disk that holds .* is full"):
        fetch_data(NAME)
    assert not os.path.lexists(cache / f".{NAME}.part")
    assert not (cache / NAME).exists()


def test_part_that_cannot_be_written(serve, cache):
    serve(good)
    (cache / f".{NAME}.part").mkdir(parents=True)  # nobody can write bytes into a folder
    with pytest.raises(DataError, match=rf"cannot be written to {cache}.*WORKSHOP_DATA_DIR"):
        fetch_data(NAME)


def test_waiting_is_announced(serve, cache, monkeypatch, capsys):
    serve(good)
    cache.mkdir()
    monkeypatch.setattr(fetch, "ANNOUNCE_S", 0.1)
    monkeypatch.setattr(fetch, "LOCK_S", 0.2)
    with FileLock(cache / f".{NAME}.lock"), pytest.raises(DataError, match="Another process"):
        fetch_data(NAME)
    assert f"busy with {NAME}; waiting" in capsys.readouterr().out


@pytest.fixture
def read_only(cache):
    """Make the cache a folder of somebody else; give it back afterwards."""
    if os.name != "posix":
        pytest.skip("Windows has no folders that are read-only by their mode")
    import filelock  # noqa: F401  as root gives up its rights, its packages may be out of reach

    cache.mkdir()
    restore = []

    def protect():
        cache.chmod(0o555)
        if os.geteuid() == 0:  # root may write everywhere
            for folder in cache.parents:
                if folder.stat().st_mode & 0o005 != 0o005:
                    restore.append((folder, folder.stat().st_mode))
                    folder.chmod(folder.stat().st_mode | 0o055)
            os.seteuid(65534)

    yield protect
    if os.getuid() == 0:
        os.seteuid(0)
    cache.chmod(0o755)
    for folder, mode in restore:
        folder.chmod(mode)


def test_read_only_cache_with_the_file(serve, cache, read_only):
    server = serve(good)
    (cache / NAME).write_bytes(CONTENT)
    read_only()
    assert fetch_data(NAME) == cache / NAME
    assert server.requests == 0


def test_read_only_cache_without_the_file(serve, cache, read_only):
    serve(good)
    read_only()
    with pytest.raises(DataError, match=r"(?s)nothing can be written there.*make data"):
        fetch_data(NAME)


def test_files_follow_the_umask(serve, cache):
    if os.name != "posix":
        pytest.skip("Windows has no umask")
    serve(good)
    old = os.umask(0o022)
    try:
        assert fetch_data(NAME).stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(old)


def test_mirror_is_asked_first(serve, monkeypatch):
    mirror = serve(good)
    archive = serve(good)
    monkeypatch.setenv("WORKSHOP_DATA_MIRROR", mirror.url.removesuffix(f"/{NAME}"))
    assert fetch_data(NAME).read_bytes() == CONTENT
    assert (mirror.requests, archive.requests) == (1, 0)


def test_mirror_with_a_wrong_file_is_not_trusted(serve, monkeypatch):
    mirror = serve(wrong_bytes)
    serve(good)
    monkeypatch.setenv("WORKSHOP_DATA_MIRROR", mirror.url.removesuffix(f"/{NAME}"))
    assert fetch_data(NAME).read_bytes() == CONTENT


def test_mirror_must_be_a_web_address(serve, monkeypatch):
    serve(good)
    monkeypatch.setenv("WORKSHOP_DATA_MIRROR", "ftp://127.0.0.1/data")
    with pytest.raises(ValueError, match=r"WORKSHOP_DATA_MIRROR is 'ftp://"):
        fetch_data(NAME)


def test_a_changed_file_is_replaced_even_if_its_size_and_time_are_right(serve, cache):
    serve(good)
    path = fetch_data(NAME)
    state = path.stat()
    path.write_bytes(WRONG)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert fetch_data(NAME).read_bytes() == CONTENT


def answers_with(plan):
    """Answer the n-th request as the plan says: how far, and with which byte changed."""
    plan = iter(plan)

    def behave(handler, start):
        kind, position = next(plan, ("good", 0))
        content = CONTENT
        if kind == "corrupt":
            content = CONTENT[:position] + b"?" + CONTENT[position + 1 :]
        if kind == "from the start":
            start = 0
        if kind == "shifted":  # says that it continues, but at another place
            handler.head(206, Content_Range=f"bytes {position}-{len(CONTENT) - 1}/{len(CONTENT)}")
            handler.body(CONTENT[position:])
        elif kind == "truncate" and position > start:
            handler.head(
                206 if start else 200,
                Content_Length=len(CONTENT) - start,
                Content_Range=f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}",
            )
            handler.body(CONTENT[start:position])
        else:
            good(handler, start, content)

    return behave


steps = st.tuples(
    st.sampled_from(["good", "truncate", "corrupt", "from the start", "shifted"]),
    st.integers(0, len(CONTENT) - 1),
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(plan=st.lists(steps, max_size=8), beginning=st.integers(0, len(CONTENT) + 1000))
def test_no_bad_file_whatever_comes(plan, beginning, serve, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    server = serve(answers_with(plan))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKSHOP_DATA_DIR", str(folder))
        (folder / f".{NAME}.part").write_bytes((CONTENT + b"!" * 1000)[:beginning])
        for _ in range(3):
            with contextlib.suppress(DataError):
                fetch_data(NAME)
            if (folder / NAME).exists():
                assert (folder / NAME).read_bytes() == CONTENT
        server.behave = good
        assert fetch_data(NAME).read_bytes() == CONTENT, "in the end it always arrives"
