"""Data: delivered and verified, or replaced with a notice; never silently swapped."""

import gc
import hashlib
import os
import shutil
import socket
import threading
import weakref
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from faulty_server import unused_port

from workshop_utils import (
    DATASETS,
    DataError,
    fetch_data,
    load_data,
    load_grasshopper,
    provenance,
    serve_folder,
)
from workshop_utils.data import fetch, http

NAME = "allen_478498617.nwb"
CONTENT = b"as good as a recording" * 1000


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache folder, and no setting from outside."""
    monkeypatch.setenv("WORKSHOP_DATA_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("WORKSHOP_DATA_SOURCE", raising=False)
    monkeypatch.delenv("WORKSHOP_DATA_MIRROR", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def with_stand_in(cache, stand_in):
    """The cache holds the stand-in already, which takes seconds to make."""
    shutil.copytree(stand_in.parent, cache / stand_in.parent.name)


@pytest.fixture
def served(tmp_path):
    """Folder and address of a web server."""
    folder = tmp_path / "served"
    folder.mkdir()
    return folder, serve_folder(folder)


def register(monkeypatch, *urls, content=CONTENT):
    """Make the registry say that the recording is `content`, at `urls`."""
    checksum = hashlib.sha256(content).hexdigest()
    changed = replace(DATASETS[NAME], urls=urls, sha256=checksum)
    monkeypatch.setitem(DATASETS, NAME, changed)


def files(folder):
    """Names of all files but those of locks and checksums."""
    paths = folder.rglob("*") if folder.exists() else []
    beside = (".lock", ".sha256")
    return sorted(p.name for p in paths if p.is_file() and p.suffix not in beside)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"no data set named 'alen.nwb'.*allen_478498617\.nwb"):
        fetch_data("alen.nwb")


@pytest.mark.parametrize("name", ["../allen_478498617.nwb", "/etc/passwd", ""])
def test_names_do_not_leave_the_cache(name):
    with pytest.raises(ValueError, match="no data set named"):
        fetch_data(name)


def test_unknown_source(monkeypatch):
    monkeypatch.setenv("WORKSHOP_DATA_SOURCE", "real")
    with pytest.raises(ValueError, match=r"'real'.*auto, recorded, simulated"):
        fetch_data(NAME)


def test_download_is_verified_kept_and_announced(cache, served, monkeypatch, capfd):
    folder, address = served
    (folder / NAME).write_bytes(CONTENT)
    register(monkeypatch, f"{address}/{NAME}")
    path = fetch_data(NAME)
    assert path == cache / NAME
    assert path.read_bytes() == CONTENT
    captured = capfd.readouterr()
    assert "Recorded data: allen_478498617.nwb (checksum verified)" in captured.out
    assert captured.err == ""
    if os.name == "posix":
        assert path.stat().st_mode & 0o044 == 0o044, "others can read it"


def test_second_address_is_tried(cache, served, monkeypatch):
    folder, address = served
    (folder / NAME).write_bytes(CONTENT)
    register(monkeypatch, f"http://127.0.0.1:{unused_port()}/x", f"{address}/{NAME}")
    assert fetch_data(NAME).read_bytes() == CONTENT


def test_cache_is_used_without_any_server(cache, monkeypatch):
    cache.mkdir()
    (cache / NAME).write_bytes(CONTENT)
    register(monkeypatch, f"http://127.0.0.1:{unused_port()}/{NAME}")
    monkeypatch.setenv("WORKSHOP_DATA_SOURCE", "recorded")
    assert fetch_data(NAME) == cache / NAME


def test_damaged_cache_is_replaced(cache, served, monkeypatch):
    folder, address = served
    (folder / NAME).write_bytes(CONTENT)
    register(monkeypatch, f"{address}/{NAME}")
    cache.mkdir()
    (cache / NAME).write_bytes(CONTENT[:-1] + b"?")
    assert fetch_data(NAME).read_bytes() == CONTENT


def test_wrong_checksum_is_thrown_away(cache, served, with_stand_in, monkeypatch, capsys):
    folder, address = served
    (folder / NAME).write_bytes(b"something else")
    register(monkeypatch, f"{address}/{NAME}")
    path = fetch_data(NAME)
    assert provenance(path).kind == "simulated"
    assert not (cache / NAME).exists()
    assert files(cache) == [path.name], "no debris"
    assert "wrong checksum" in " ".join(capsys.readouterr().out.split())


def test_without_a_network_the_notice_says_why(with_stand_in, monkeypatch, capsys):
    port = unused_port()
    register(monkeypatch, f"http://127.0.0.1:{port}/{NAME}")
    path = fetch_data(NAME)
    assert provenance(path).kind == "simulated"
    assert path.name != NAME
    notice = capsys.readouterr().out
    assert notice.startswith("=" * 78)
    assert "SIMULATED DATA" in notice
    assert f"127.0.0.1:{port}" in notice
    assert "no connection" in notice
    assert max(len(line) for line in notice.splitlines()) <= 78


def test_server_that_answers_with_an_error(served, with_stand_in, monkeypatch, capsys):
    _, address = served
    register(monkeypatch, f"{address}/missing.nwb")
    assert provenance(fetch_data(NAME)).kind == "simulated"
    assert "404 Not Found" in capsys.readouterr().out


def test_server_that_never_answers_is_given_up(monkeypatch, with_stand_in, capsys):
    monkeypatch.setattr(http, "HEADERS_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        register(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}/{NAME}")
        assert provenance(fetch_data(NAME)).kind == "simulated"
    assert "no response" in capsys.readouterr().out


def test_name_look_up_that_hangs_is_given_up(monkeypatch, with_stand_in, capsys):
    forever = threading.Event()
    monkeypatch.setattr(http, "LOOKUP_S", 0.3)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: forever.wait(20))
    register(monkeypatch, f"http://example.invalid/{NAME}")
    assert provenance(fetch_data(NAME)).kind == "simulated"
    forever.set()
    assert "no response" in capsys.readouterr().out


def test_recorded_means_recorded(cache, monkeypatch):
    port = unused_port()
    register(monkeypatch, f"http://127.0.0.1:{port}/{NAME}")
    monkeypatch.setenv("WORKSHOP_DATA_SOURCE", "recorded")
    with pytest.raises(DataError, match=rf"(?s)could not be downloaded.*{port}.*copy the file"):
        fetch_data(NAME)
    assert files(cache) == []


def test_simulated_asks_no_server(tmp_path, with_stand_in, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(fetch, "download", lambda *args: asked.append(args))
    monkeypatch.setenv("WORKSHOP_DATA_SOURCE", "simulated")
    assert provenance(fetch_data(NAME)).kind == "simulated"
    assert asked == []
    assert "WORKSHOP_DATA_SOURCE=simulated" in capsys.readouterr().out


def test_stand_in_is_made_where_there_is_none(cache, monkeypatch):
    monkeypatch.setenv("WORKSHOP_DATA_SOURCE", "simulated")
    path = fetch_data(NAME)
    assert provenance(path).kind == "simulated"
    assert path.is_relative_to(cache)


def test_range_requests(served):
    import requests

    folder, address = served
    (folder / "numbers.bin").write_bytes(bytes(range(100)))
    answer = requests.get(f"{address}/numbers.bin", headers={"Range": "bytes=10-19"}, timeout=5)
    assert answer.status_code == 206
    assert answer.content == bytes(range(10, 20))
    assert address.startswith("http://127.0.0.1:")


def test_serving_what_is_no_folder(tmp_path):
    with pytest.raises(NotADirectoryError, match="not a folder"):
        serve_folder(tmp_path / "nothing")


def test_one_server_for_each_folder(tmp_path):
    assert serve_folder(tmp_path) == serve_folder(tmp_path) != serve_folder(tmp_path.parent)


@pytest.mark.parametrize(
    ("stimulus", "n_spikes", "highest_db"), [(1, 929, 76.4286), (2, 868, 71.2)]
)
def test_grasshopper(stimulus, n_spikes, highest_db):
    spikes, level = load_grasshopper(stimulus)
    assert len(spikes[0]) == n_spikes
    assert len(level) == 200_000
    np.testing.assert_allclose(np.diff(level.t), 1 / 20_000, atol=1e-9)
    assert level.max() == pytest.approx(highest_db, abs=1e-4)
    assert spikes[0].t[0] > 0
    assert spikes[0].t[-1] < 10


def test_grasshopper_says_where_it_is_from(capsys):
    spikes, _ = load_grasshopper(1)
    assert "Recorded data: grasshopper_spike_times1.txt" in capsys.readouterr().out
    assert list(spikes["kind"]) == ["recorded"]


def test_grasshopper_with_other_bytes_is_refused(monkeypatch):
    name = "grasshopper_stimulus1.txt"
    monkeypatch.setitem(DATASETS, name, replace(DATASETS[name], sha256="0" * 64))
    with pytest.raises(DataError, match=f"{name} is missing, or not the file"):
        load_grasshopper(1)


def test_loaded_data_know_where_they_are_from(with_stand_in, stand_in, monkeypatch):
    monkeypatch.setenv("WORKSHOP_DATA_SOURCE", "simulated")
    origin = load_data(NAME).provenance
    assert origin.kind == "simulated"
    assert origin.sha256 == hashlib.sha256(stand_in.read_bytes()).hexdigest()
    assert "Teeter" in origin.citation
    assert str(origin) == f"SIMULATED DATA: {stand_in.name} is not a recording."


def test_series_of_a_whole_recording_are_not_kept(with_stand_in, monkeypatch):
    monkeypatch.setenv("WORKSHOP_DATA_SOURCE", "simulated")
    data = load_data(NAME)
    assert data["units"] is data["units"]
    before = set(data.keys())
    forgotten = weakref.ref(data["stimulus"])
    gc.collect()
    assert forgotten() is None
    assert set(data.keys()) == before
    assert data["stimulus"].shape == data["response"].shape


def test_recording_is_known_by_its_checksum(monkeypatch, stand_in, tmp_path):
    """Whatever the file is called; the registry's file is the recording."""
    register(monkeypatch, "http://127.0.0.1/there", content=stand_in.read_bytes())
    path = shutil.copy(stand_in, tmp_path / "renamed.nwb")
    origin = provenance(path)
    assert (origin.kind, origin.name) == ("recorded", "renamed.nwb")
    assert origin.source == "http://127.0.0.1/there"
    assert origin.citation == DATASETS[NAME].citation


def test_a_recording_that_is_loaded_knows_its_checksum(cache, monkeypatch, stand_in):
    register(monkeypatch, "http://127.0.0.1/there", content=stand_in.read_bytes())
    cache.mkdir()
    shutil.copy(stand_in, cache / NAME)
    assert load_data(NAME).provenance.kind == "recorded"
    assert load_data(NAME).provenance.sha256 == DATASETS[NAME].sha256


def damaged(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    return bytes(content)


@pytest.mark.parametrize(
    "content", [damaged, lambda path: b"", lambda path: path.read_bytes()[:99]]
)
def test_a_damaged_stand_in_is_made_again(content, cache, monkeypatch):
    monkeypatch.setenv("WORKSHOP_DATA_SOURCE", "simulated")
    path = fetch_data(NAME)
    wrong = content(path)
    path.write_bytes(wrong)
    assert fetch_data(NAME) == path
    assert path.read_bytes() != wrong
    assert len(load_data(path)["units"]) == 1


def test_a_full_disk_is_named_before_the_stand_in_is_made(cache, monkeypatch):
    monkeypatch.setenv("WORKSHOP_DATA_SOURCE", "simulated")
    usage = SimpleNamespace(total=1e9, used=1e9, free=1e6)
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DataError, match="is full: 1 MB are free"):
        fetch_data(NAME)
    assert files(cache) == []


def test_loading_a_text_file_says_how():
    with pytest.raises(ValueError, match=r"not an NWB file\. Use load_grasshopper"):
        load_data("grasshopper_stimulus1.txt")


def test_loading_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing.nwb is neither a file nor a data set"):
        load_data(tmp_path / "nothing.nwb")


def test_grasshopper_knows_two_stimuli():
    with pytest.raises(ValueError, match="stimulus is 3, but must be 1"):
        load_grasshopper(3)


def test_grasshopper_without_nitime(monkeypatch):
    monkeypatch.setattr(fetch.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install nitime"):
        load_grasshopper()
