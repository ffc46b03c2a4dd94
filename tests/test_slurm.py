"""Sweep on many machines, through a real SLURM: Debian's, started by the test on 127.0.0.1.

It has one node, this computer, and is told that it has eight processors. As root, with the
packages slurmctld, slurmd, slurm-client and munge (`make test-slurm`).
"""

import ast
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
from faulty_server import unused_port
from test_many_machines import CHAPTER, assert_same, chapter  # noqa: F401  the fixture

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
MISSING = [program for program in PROGRAMS if not shutil.which(program)]

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="SLURM is started as root"),
]

SETTINGS = """\
ClusterName=course
SlurmctldHost={name}(127.0.0.1)
SlurmUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
MpiDefault=none
KillWait=1
SlurmdParameters=config_overrides
NodeName={name} NodeAddr=127.0.0.1 CPUs=8 RealMemory=32000
PartitionName=short Nodes={name} Default=YES MaxTime=60 State=UP
"""


def call(*command):
    """Return what a command says."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def wait_for(condition, seconds, what):
    """Wait until a condition holds."""
    deadline = time.time() + seconds
    while not condition():
        assert time.time() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Start a SLURM of one node; its commands find it by SLURM_CONF."""
    folder = tmp_path_factory.mktemp("slurm")
    for part in ("state", "spool"):
        (folder / part).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    settings = folder / "slurm.conf"
    settings.write_text(
        SETTINGS.format(
            name=socket.gethostname().partition(".")[0],
            folder=folder,
            ports=(unused_port(), unused_port()),
        )
    )
    munge = [f"--{part}-file={folder}/munge.{part}" for part in ("key", "pid", "log", "seed")]
    commands = (
        ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *munge],
        ["slurmctld", "-D", "-f", str(settings)],
        ["slurmd", "-D", "-f", str(settings)],
    )
    started = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(settings))
        try:
            for command in commands:
                with open(folder / f"{command[0]}.out", "w") as said:
                    started.append(subprocess.Popen(command, stdout=said, stderr=said))
                if command[0] == "munged":
                    wait_for((folder / "munge.socket").exists, 10, "munged")
            wait_for(lambda: "idle" in node_state(), 60, f"SLURM (its logs: {folder})")
            yield started
        finally:
            for process in reversed(started):
                process.send_signal(signal.SIGTERM)
                process.wait(30)


def node_state():
    """Return the state of the node, or nothing before the controller answers."""
    done = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True)
    return done.stdout


@pytest.fixture(scope="module")
def cluster(slurm, tmp_path_factory):
    """Start the chapter's cluster: its settings, with this computer's Python."""
    from dask_jobqueue import SLURMCluster

    call_of_chapter = next(
        node
        for node in ast.walk(ast.parse(code_of_chapter()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "SLURMCluster"
    )
    settings = {word.arg: ast.literal_eval(word.value) for word in call_of_chapter.keywords}
    settings |= {
        "python": sys.executable,
        "job_script_prologue": [],
        "log_directory": str(tmp_path_factory.mktemp("jobs")),
        "interface": "lo",
    }
    with SLURMCluster(**settings) as cluster:
        yield cluster


def code_of_chapter():
    """Return all code of the chapter."""
    import jupytext

    cells = jupytext.read(CHAPTER).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "code")


def test_it_listens_to_this_computer_alone(slurm):
    for process in slurm[1:]:
        for connection in psutil.Process(process.pid).net_connections():
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip == "127.0.0.1"


def test_what_the_chapter_says_works(chapter, cluster):  # noqa: F811
    from distributed import Client

    (block,) = re.findall(r"```python\n(on_slurm.*?)```", CHAPTER.read_text(), re.S)
    names = {"on_slurm": cluster, "Client": Client} | chapter
    # Where no job comes, the reader may wait for ever, the test may not.
    exec(block.replace("wait_for_workers(1)", "wait_for_workers(1, timeout=120)"), names)
    assert call("squeue", "-h", "-o", "%j %P %C").splitlines()[0] == "dask-worker short 1"
    assert_same(names["results"].items(), chapter["serial"])
    names["client"].close()


def test_a_job_that_is_cancelled_loses_nothing(chapter, cluster):  # noqa: F811
    from distributed import Client

    cluster.adapt(minimum_jobs=2, maximum_jobs=2)
    with Client(cluster) as client:
        client.wait_for_workers(2, timeout=120)
        jobs = chapter["hand_in"](client)
        first = min(running(), key=int)
        call("scancel", first)
        results = chapter["collect"](jobs)
        wait_for(lambda: len(running() - {first}) == 2, 60, "a job in place of the cancelled one")
    assert_same(results.items(), chapter["serial"])


def running():
    """Return the numbers of the jobs that run."""
    return set(call("squeue", "-h", "-t", "R", "-o", "%i").split())
