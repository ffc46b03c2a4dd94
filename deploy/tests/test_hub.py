"""The JupyterHub of deploy/jupyterhub, installed and started: `sudo make -C deploy test-hub`.

Participants, who are users of this system, click a chapter's link, get updates, fill their
memory, keep working while the hub restarts, and try to read one another's work.
Prints how long each step from the click to the data took.
"""

import contextlib
import io
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time
import uuid
import zipfile
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
import requests
import websocket
from toc import ROOT

from spikes_hub.server import KERNEL_ENVIRONMENT

pytestmark = pytest.mark.hub

DEPLOY = ROOT / "deploy" / "jupyterhub"
# Participants must be able to enter every folder above the hub; a clone may be closed to them.
OPEN = all(folder.stat().st_mode & 0o001 for folder in (ROOT, *ROOT.parents))
HERE = ROOT / "build" / "hub" if OPEN else Path("/var/tmp/test-hub-installed")
PREFIX = Path(os.environ.get("HUB_PREFIX", HERE))
HOMES, STATE = Path("/var/tmp/test-hub"), PREFIX / "state"
COURSE = "https://example.org/course"  # not requested: the notebooks are on this computer
CHAPTER = "course/participant/fit_glm.ipynb"
TEACHER, ADA, BOB, EVE = "teacher", "test-ada", "test-bob", "test-eve"
MEMORY_GB = 1.5


class Hub:
    """The installed hub: its URL, its process, everybody's password."""

    def __init__(self):
        settings = (PREFIX / "etc" / "hub.toml").read_text()
        self.port, self.hub_port, self.proxy_port = (unused_port() for _ in range(3))
        for name, value in {
            "listen": f'"http://127.0.0.1:{self.port}"',
            "hub_port": self.hub_port,
            "proxy_api_port": self.proxy_port,
            "homes": f'"{HOMES}"',
            "memory_gb": MEMORY_GB,
        }.items():
            settings = re.sub(rf"(?m)^{name} = [^#\n]*", f"{name} = {value} ", settings)
        (PREFIX / "etc" / "hub.toml").write_text(settings)
        self.url = f"http://127.0.0.1:{self.port}"
        self.passwords = {}
        self.process = None
        self.log = PREFIX / "hub.log"

    def start(self):
        """Start it as `spikes-start` does, and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [PREFIX / "bin" / "spikes-start"],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

        def ready():
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            return answers(f"{self.url}/hub/api/")

        wait_for(ready, f"the hub (see {self.log})", 120)

    def stop(self):
        """Stop the hub alone."""
        self.process.terminate()
        self.process.wait(60)

    def accounts(self, *arguments):
        """Create accounts with the installed command."""
        done = run(PREFIX / "bin" / "spikes-accounts", *arguments)
        self.passwords |= dict(line.split("\t") for line in done.splitlines())

    def sign_in(self, name, password=None):
        """Return a session with a browser's cookies, signed in if the password is right."""
        session = requests.Session()
        session.get(f"{self.url}/hub/login")
        self.post(session, "/hub/login", username=name, password=password or self.passwords[name])
        return session

    def post(self, session, path, **data):
        """Submit a form of the hub."""
        data["_xsrf"] = session.cookies.get("_xsrf", path="/hub/")
        return session.post(self.url + path, data=data, allow_redirects=False)

    def person(self, name):
        """Return somebody who is signed in and has a running server."""
        session = self.sign_in(name)
        headers = {"X-XSRFToken": session.cookies.get("_xsrf", path="/hub/")}
        headers["Referer"] = f"{self.url}/hub/home"
        api = f"{self.url}/hub/api/users/{name}"
        made = session.post(f"{api}/tokens", headers=headers, json={"note": "test"})
        assert made.ok, made.text
        session.headers["Authorization"] = f"token {made.json()['token']}"
        session.post(f"{api}/server")
        wait_for(
            lambda: session.get(api).json()["servers"].get("", {}).get("ready"), "a server", 180
        )
        return Person(self, name, session)


class Person:
    """A participant: an account, a user of the system, a running server."""

    def __init__(self, hub, name, session):
        self.name, self.session, self.token = name, session, session.headers["Authorization"]
        self.url = f"{hub.url}/user/{name}"
        self.system = pwd.getpwnam(f"spikes-{name}")
        self.home = Path(self.system.pw_dir)
        self.chapter = self.home / CHAPTER

    def pull(self):
        """Do what a click on a chapter's link does."""
        query = {"repo": COURSE, "branch": "notebooks", "targetpath": "course"}
        output = self.session.get(f"{self.url}/git-pull/api", params=query).text
        assert '"phase": "finished"' in output, output

    def write(self, notebook):
        """Save a notebook as JupyterLab does."""
        model = {"type": "notebook", "format": "json", "content": notebook}
        done = self.session.put(f"{self.url}/api/contents/{CHAPTER}", json=model)
        assert done.ok, done.text

    def processes(self):
        """Return everything that runs as this user."""
        return [
            p for p in psutil.process_iter() if alive(p) and p.uids().real == self.system.pw_uid
        ]

    def server(self):
        """Return the process of the server."""
        return next(p for p in self.processes() if "spikes_hub.server" in p.cmdline())

    def kernel(self):
        """Start a kernel."""
        return Kernel(self)

    def sh(self, command):
        """Run a shell command as this system user; return exit status and all output."""
        user = f"--reuid={self.system.pw_uid}", f"--regid={self.system.pw_gid}"
        done = subprocess.run(
            ["setpriv", *user, "--clear-groups", "bash", "-c", command],
            capture_output=True,
            text=True,
            errors="replace",
            env={"PATH": os.environ["PATH"], "HOME": str(self.home)},
            cwd="/",
        )
        return done.returncode, done.stdout + done.stderr


class Kernel:
    """A kernel, reached through the hub's proxy as JupyterLab does."""

    def __init__(self, person):
        made = person.session.post(f"{person.url}/api/kernels", json={"name": "python3"})
        assert made.ok, made.text
        self.person, self.id = person, made.json()["id"]
        self.socket = websocket.create_connection(
            f"{person.url}/api/kernels/{self.id}/channels".replace("http", "ws", 1),
            header=[f"Authorization: {person.token}"],
            timeout=120,
        )
        self.pid = int(self.run("import os; print(os.getpid())"))

    def send(self, code):
        """Send code to execute; return the id of the message."""
        header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "version": "5.3"}
        header |= {"username": "", "session": "test", "date": "2026-01-01T00:00:00Z"}
        content = {"code": code, "silent": False, "store_history": False}
        content |= {"user_expressions": {}, "allow_stdin": False, "stop_on_error": True}
        self.socket.send(
            json.dumps(
                {"header": header, "parent_header": {}, "metadata": {}, "content": content}
                | {"channel": "shell", "buffers": []}
            )
        )
        return header["msg_id"]

    def read(self, message):
        """Return what an execution printed, or its traceback, when it is done."""
        printed = ""
        while True:
            heard = json.loads(self.socket.recv())
            if heard["parent_header"].get("msg_id") != message or heard["channel"] != "iopub":
                continue
            content = heard["content"]
            printed += content.get("text", "") + "\n".join(content.get("traceback", []))
            if content.get("execution_state") == "idle":
                return printed

    def run(self, code):
        """Execute code; return what it printed."""
        return self.read(self.send(code))


def run(*command, **options):
    """Run a program; return its output. If it fails, the error shows stdout and stderr."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def unused_port():
    """Return a port of this computer on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(condition, what, seconds):
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not there after {seconds} s"
        time.sleep(0.3)


def answers(url):
    """Tell whether a web server answers."""
    try:
        return requests.get(url, timeout=5).status_code < 500
    except requests.ConnectionError:
        return False


def alive(process):
    """Tell whether a process runs; a process that just ended is not an error."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def remove_people():
    """End the processes of the participants of these tests; remove their users and files."""
    for user in pwd.getpwall():
        if not Path(user.pw_dir).is_relative_to(HOMES):
            continue
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.uids().real == user.pw_uid:
                    process.kill()
                    process.wait(10)
        run("userdel", "--remove", user.pw_name)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Install, start; at the end stop everything that was started and remove everybody."""
    if os.geteuid() != 0:
        pytest.fail("This creates system users. Type: sudo make -C deploy test-hub")
    needed = ("git", "curl", "node", "npm", "useradd", "setpriv")
    if missing := [name for name in needed if not shutil.which(name)]:
        pytest.fail(f"needs {', '.join(missing)}. Debian: apt install git curl nodejs npm")
    if not (ROOT / "build/site/notebooks/participant").exists():
        pytest.fail("There are no notebooks to hand out. Type first: make notebooks")
    remove_people()
    for old in (STATE, PREFIX / "notebooks.git", HOMES, PREFIX / "etc", PREFIX / "hub.log"):
        shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
    handed_out = tmp_path_factory.mktemp("notebooks")
    for kind in ("participant", "complete"):
        shutil.copytree(ROOT / "build/site/notebooks" / kind, handed_out / kind)
    begin = time.monotonic()
    install = [DEPLOY / "install.sh", "--prefix", PREFIX, "--course", COURSE]
    output = run(
        *install, "--notebooks", handed_out, env=os.environ | {"WORKSHOP_DATA_SOURCE": "simulated"}
    )
    print(f"\ninstalled in {time.monotonic() - begin:.0f} s")
    HOMES.mkdir()
    hub = Hub()
    hub.handed_out = handed_out
    hub.passwords[TEACHER] = re.search("with the password '(.+?)'", output)[1]
    hub.accounts(ADA, BOB)
    try:
        hub.start()
        yield hub
    finally:
        if hub.process:
            hub.stop()
        subprocess.run([PREFIX / "bin" / "spikes-start", "--stop"], check=True)
        remove_people()
        shutil.rmtree(HOMES)
        if PREFIX == HERE and not OPEN:  # build/hub stays: the next run need not install again
            shutil.rmtree(PREFIX)


@pytest.fixture(scope="module")
def ada(hub):
    person = hub.person(ADA)
    person.pull()
    return person


@pytest.fixture(scope="module")
def bob(hub):
    return hub.person(BOB)


# The first minute


@pytest.fixture
def page(hub):
    """A page of a browser that prefers the dark theme."""
    from make_pdf import find_chromium
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="dark")
        page.set_default_timeout(120_000)
        yield page
        browser.close()


def test_one_click_leads_to_the_first_output(hub, page, monkeypatch):
    from extensions.take_away import places

    monkeypatch.setenv("COURSE_REPOSITORY", COURSE)
    monkeypatch.setenv("HUB_URL", hub.url)
    hub.accounts(EVE)
    times = [("click", time.perf_counter())]

    def note(what):
        times.append((what, time.perf_counter()))

    page.goto(places("fit_glm")["JupyterHub"])
    note("page to sign in")
    page.fill("#username_input", EVE)
    page.fill("#password_input", hub.passwords[EVE])
    page.click("#login_submit")
    page.wait_for_url("**/git-pull?**", wait_until="commit")
    note("server runs")
    page.wait_for_url("**/lab/tree/course/**", wait_until="commit")
    note("notebooks are there")
    code = page.locator(".jp-Notebook .jp-CodeCell")
    code.first.wait_for()
    note("notebook is open")
    page.locator("#jp-main-statusbar", has_text="Idle").wait_for()
    note("kernel is ready")
    for n, what in enumerate(["first cell is done", "packages are imported", "data are loaded"]):
        code.nth(n).locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        code.nth(n).locator(".jp-InputPrompt", has_text=f"[{n + 1}]").wait_for()
        note(what)
    output = code.nth(2).locator(".jp-OutputArea-output")
    output.first.wait_for()
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    print(f"\nFrom the click to the data, in seconds ({load}):")
    for (_, before), (what, after) in pairwise(times):
        print(f"  {after - before:5.1f}  {what}")
    print(f"  {times[-1][1] - times[0][1]:5.1f}  all")

    assert "allen_478498617" in output.first.inner_text()
    # The settings for everyone.
    assert page.locator("body").get_attribute("data-jp-theme-light") == "false"
    assert page.locator("#jp-main-statusbar", has_text="Mem:").count()
    assert page.locator(".jp-toast, .Toastify__toast").count() == 0
    text = page.locator(".jp-Notebook").inner_text()
    assert "{exercise" not in text and ":::" not in text and "$$" not in text
    assert page.locator(".jp-Notebook .math, .jp-Notebook .katex").count()
    page.locator(".lm-MenuBar-itemLabel", has_text="My work").click()
    with page.expect_popup() as opened:
        page.locator(".lm-Menu-itemLabel", has_text="Save my work").click()
    opened.value.wait_for_url("**/my-work")
    assert "Begin again" in opened.value.inner_text("body")


# During the day


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_an_update_keeps_what_was_typed(hub, ada):
    """Both sides edited one cell, and each side edited others alone."""
    before = json.loads(ada.chapter.read_text())
    mine = json.loads(ada.chapter.read_text())
    code_cells(mine)[1]["source"] = "mine = 'typed'  # both edited this cell"
    code_cells(mine)[2]["source"] += "\nmine_too = 2"
    code_cells(mine)[4]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "42\n"}]
    last = dict(code_cells(mine)[0], id="my-last-cell", source="mine_at_the_end = 3")
    mine["cells"].append(last)
    ada.write(mine)
    (ada.chapter.parent / "notes.txt").write_text("mine")

    path = hub.handed_out / "participant" / ada.chapter.name
    theirs = json.loads(path.read_text())
    code_cells(theirs)[1]["source"] = "course = 'corrected'"
    code_cells(theirs)[6]["source"] = "corrected = 'elsewhere'"
    theirs["cells"].append(dict(last, id="their-last-cell", source="course_at_the_end = 4"))
    path.write_text(json.dumps(theirs, indent=1) + "\n")
    (hub.handed_out / "participant" / "notes.txt").write_text("the course's, new")
    run(PREFIX / "bin" / "spikes-notebooks", hub.handed_out)
    ada.pull()

    after = json.loads(ada.chapter.read_text())
    sources = ["".join(cell["source"]) for cell in after["cells"]]
    for typed in ("mine = 'typed'", "mine_too = 2", "mine_at_the_end = 3"):
        assert any(typed in source for source in sources), typed
    assert any("42" in str(cell.get("outputs")) for cell in after["cells"])
    assert "corrected = 'elsewhere'" in sources
    assert not any("<<<<" in source for source in sources)
    kept = [p.read_text() for p in ada.chapter.parent.glob("notes__*.txt")]
    assert kept == ["mine"]
    assert (ada.chapter.parent / "notes.txt").read_text() == "the course's, new"
    assert len(before["cells"]) < len(after["cells"])


def my_work(ada, **form):
    """Open the page, or submit its form."""
    url = f"{ada.url}/my-work"
    if not form:
        return ada.session.get(url)
    ada.session.get(url)
    return ada.session.post(url, data=form)


def test_begin_a_chapter_again_and_keep_ones_own(hub, ada):
    mine = json.loads(ada.chapter.read_text())
    mine["cells"][0]["source"] = "# Mine"
    ada.write(mine)
    typed = ada.chapter.read_bytes()
    assert CHAPTER in my_work(ada).text
    page = my_work(ada, chapter=CHAPTER)
    assert page.ok and "is new again" in page.text, page.text
    assert ada.chapter.read_bytes() == (hub.handed_out / "participant/fit_glm.ipynb").read_bytes()
    kept = list(ada.chapter.parent.glob("fit_glm_before_*.ipynb"))
    assert [path.read_bytes() for path in kept] == [typed]
    assert ada.chapter.stat().st_uid == ada.system.pw_uid


def test_a_failed_reset_loses_nothing(ada):
    """The copy of the old version cannot be written."""
    mine = json.loads(ada.chapter.read_text())
    mine["cells"][0]["source"] = "# Mine, and to stay"
    ada.write(mine)
    typed, folder = ada.chapter.read_bytes(), ada.chapter.parent
    folder.chmod(0o500)
    try:
        assert not my_work(ada, chapter=CHAPTER).ok
    finally:
        folder.chmod(0o755)
    assert ada.chapter.read_bytes() == typed
    assert my_work(ada, chapter=CHAPTER).ok


def test_only_chapters_can_be_reset(ada):
    for other in ("course/../../.bashrc", "/etc/passwd", "course/participant/none.ipynb", ""):
        assert my_work(ada, chapter=other).status_code in (400, 404)


def test_save_my_work(ada):
    (ada.home / "own.txt").write_text("something of mine")
    got = ada.session.get(f"{ada.url}/my-work/zip")
    archive = zipfile.ZipFile(io.BytesIO(got.content))
    assert archive.testzip() is None
    assert archive.read(CHAPTER) == ada.chapter.read_bytes()
    assert archive.read("own.txt") == b"something of mine"
    assert not [name for name in archive.namelist() if "/." in name or name.startswith(".")]


def test_a_kernel_out_of_memory_gets_advice_and_others_keep_running(ada):
    large, other = ada.kernel(), ada.kernel()
    other.run("kept = 41")
    busy = other.send("import time; time.sleep(5); print(kept + 1)")
    large.run("mine = 'still here'")
    for code in (
        "import numpy as np; np.ones(10**9)",
        "import jax; jax.numpy.ones(10**9).block_until_ready()",
        "[bytes(10**8) for _ in range(100)]",
    ):
        output = large.run(code)
        assert f"{MEMORY_GB} GB" in output and "restart the kernel" in output, output
    assert "still here" in large.run("print(mine)")
    assert "42" in other.read(busy)
    assert "restart the kernel" not in other.run("1 / 0")
    assert "restart the kernel" not in other.run("raise ValueError('mine')")


def test_kernels_have_their_environment(ada):
    output = ada.kernel().run("import json, os; print(json.dumps(dict(os.environ)))")
    assert json.loads(output).items() >= KERNEL_ENVIRONMENT.items()


def test_a_killed_kernel_is_restarted_and_nothing_else_dies(ada):
    """As by the kernel of Linux when memory runs out: it must choose a kernel, not the server."""
    dying, other = ada.kernel(), ada.kernel()
    other.run("kept = 41")
    server = ada.server()

    def first_to_die(pid):
        return int(Path(f"/proc/{pid}/oom_score_adj").read_text())

    assert first_to_die(dying.pid) > first_to_die(server.pid)
    os.kill(dying.pid, signal.SIGKILL)
    assert "42" in other.run("print(kept + 1)")
    api = f"{ada.url}/api/kernels"
    wait_for(
        lambda: ada.session.get(f"{api}/{dying.id}").json()["execution_state"] != "dead", "it", 60
    )
    assert alive(server) and server.pid == ada.server().pid


def test_a_restarted_hub_finds_servers_and_kernels(hub, ada):
    kernel = ada.kernel()
    server, before = ada.server().pid, hub.process.pid
    computing = kernel.send("import time; time.sleep(12); print('computed')")
    hub.stop()
    hub.start()
    assert hub.process.pid != before
    assert "computed" in kernel.read(computing)  # through the same connection
    assert ada.server().pid == server
    state = ada.session.get(f"{hub.url}/hub/api/users/{ADA}").json()
    assert state["servers"][""]["ready"]
    assert "2" in kernel.run("print(1 + 1)")


def test_a_server_is_not_stopped_in_the_middle_of_a_talk():
    """The culler's rule, during a workshop and after it."""
    code = f"""
import re, sys
from datetime import datetime, timedelta
from pathlib import Path
from traitlets.config import PyFileConfigLoader
config = Path({str(PREFIX / "etc" / "jupyterhub_config.py")!r})
rule = PyFileConfigLoader(config.name, str(config.parent)).load_config().IdleCuller
stop, limit = rule.cull_arbiter_hook, rule.timeout
now, hour = datetime.now(), timedelta(hours=1)
stop.__globals__["WORKSHOP"][:] = [(now - hour, now + hour)]
assert not stop(timedelta(days=1), limit, {{}})
stop.__globals__["WORKSHOP"][:] = [(now - 2 * hour, now - hour)]
assert stop(timedelta(hours=3), limit, {{}}) and not stop(timedelta(hours=1), limit, {{}})
assert not stop(None, limit, {{}})
"""
    run(PREFIX / "hub" / "bin" / "python", "-c", code)


# Safety


def test_nobody_reads_or_writes_files_of_others(hub, ada, bob):
    secrets = [STATE / name for name in ("secrets.env", "jupyterhub.sqlite", "cookie_secret")]
    assert all(path.exists() and path.stat().st_mode & 0o077 == 0 for path in secrets)
    data = next((PREFIX / "data").rglob("*.nwb"))
    shared = next((PREFIX / "course").glob("lib/python3*/site-packages/nemos"))
    for command in (
        f"cat {ada.chapter}",
        f"ls {ada.home}",
        f"touch {ada.home}/there",
        *(f"cat {path}" for path in secrets),
        f"ls {STATE}",
        f"echo >> {data}",
        f"rm {data}",
        f"touch {PREFIX}/data/there",
        f"touch {shared}/there.py",
        f"rm {shared}/__init__.py",
        f"touch {PREFIX}/course/etc/jupyter/there",
        f"touch {PREFIX}/hub/there {PREFIX}/etc/there {PREFIX}/bin/there {PREFIX}/proxy/there",
        f"echo >> {PREFIX}/etc/hub.toml",
        f"touch {PREFIX}/notebooks.git/refs/heads/there",
        f"cat /proc/{ada.server().pid}/environ",
        f"cat /proc/{hub.process.pid}/environ",
        f"kill {ada.server().pid}",
        f"ls {ada.home}/.run",
    ):
        status, output = bob.sh(command)
        assert status != 0, f"{command}: {output}"
        assert "denied" in output or "not permitted" in output, f"{command}: {output}"
    # The same commands work with the right to do so: it is not the commands that fail.
    assert ada.sh(f"cat {ada.chapter}; ls {ada.home}/.run")[0] == 0
    assert bob.sh(f"cat {data} | head -c 9; ls {shared}/__init__.py")[0] == 0


def test_no_secret_is_on_a_command_line(hub, ada, bob):
    """Every user may read the command lines of all processes."""
    lines = bob.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")[1]
    assert "spikes_hub.server" in lines and "configurable-http-proxy" in lines
    proxy = (STATE / "secrets.env").read_text().partition("=")[2].strip()
    environments = [p.environ() for p in [ada.server(), bob.server()]]
    tokens = {proxy, *(e["JUPYTERHUB_API_TOKEN"] for e in environments)}
    assert len(tokens) == 3 and all(len(token) >= 32 for token in tokens)
    assert not [token for token in tokens if token in lines]


def listening(processes):
    """Return IP address and port of each socket on which processes listen."""
    return {
        (c.laddr.ip, c.laddr.port)
        for process in processes
        for c in process.net_connections("inet")
        if c.status == psutil.CONN_LISTEN
    }


def test_ports_are_on_this_computer_only_and_need_a_token(hub, ada, bob):
    kernel = ada.kernel()
    # Whoever can connect to a kernel's sockets reads what it prints, so they are files in a
    # private folder. One port is left, where ipykernel collects its children's output, with a key.
    file = next(ada.home.glob(f".run/kernel-{kernel.id}.json"))
    assert json.loads(file.read_text())["transport"] == "ipc"
    assert len(listening([psutil.Process(kernel.pid)])) <= 1
    assert "not installed" in kernel.run(
        "try:\n    import debugpy\nexcept ImportError:\n    print('not installed')"
    )
    open_to_ada = listening([ada.server()])
    assert len(open_to_ada) == 1
    hub_processes = [hub.process.pid, int((STATE / "proxy.pid").read_text())]
    of_hub = listening(map(psutil.Process, hub_processes))
    assert {port for _, port in of_hub} == {hub.port, hub.hub_port, hub.proxy_port}
    assert {ip for ip, _ in open_to_ada | of_hub} == {"127.0.0.1"}

    ((_, port),) = open_to_ada
    own = bob.token
    for url in (
        f"http://127.0.0.1:{hub.proxy_port}/api/routes",
        f"http://127.0.0.1:{hub.hub_port}/hub/api/users",
        f"http://127.0.0.1:{port}/user/{ADA}/api/contents",
        f"http://127.0.0.1:{port}/user/{ADA}/api/kernels",
        f"http://127.0.0.1:{port}/user/{ADA}/my-work/zip",
        f"{ada.url}/api/contents",
        f"{hub.url}/hub/api/users/{ADA}",
    ):
        for header in ("X: y", f"Authorization: {own}", "Authorization: token 0123456789abcdef"):
            _, status = bob.sh(f"curl -s -o /dev/null -w '%{{http_code}}' -H '{header}' {url}")
            assert status in ("302", "401", "403", "404"), f"{url}, {header.split()[0]}: {status}"
    assert ada.session.get(f"http://127.0.0.1:{port}/user/{ADA}/api/contents").ok
    # With the cookies of a browser, too.
    assert hub.sign_in(BOB).get(f"{ada.url}/lab").status_code == 403
    assert hub.sign_in(BOB).get(f"{hub.url}/hub/admin").status_code == 403


def test_sign_up_waits_for_the_teacher(hub):
    name, password = "test-new", "correct horse battery"
    stranger = requests.Session()
    assert "Ask for one" in stranger.get(f"{hub.url}/hub/login").text
    stranger.get(f"{hub.url}/hub/signup")

    def sign_up(name, password):
        form = {"username": name, "signup_password": password}
        return hub.post(
            stranger, "/hub/signup", **form, signup_password_confirmation=password
        ).text

    assert "sent to the admin" in sign_up(name, password)
    assert "sent to the admin" not in sign_up("test-weak", "password")
    assert "sent to the admin" not in sign_up("../etc", password)
    assert "already in use" in sign_up(TEACHER, password)

    def signed_in():
        reply = hub.sign_in(name, password).get(f"{hub.url}/hub/home", allow_redirects=False)
        return reply.status_code == 200

    assert not signed_in()
    assert hub.sign_in(BOB).get(f"{hub.url}/hub/authorize/{name}").status_code == 403
    teacher = hub.sign_in(TEACHER)
    assert name in teacher.get(f"{hub.url}/hub/authorize").text
    teacher.get(f"{hub.url}/hub/authorize/{name}")
    assert signed_in()


def test_a_participant_named_root_has_no_rights(hub):
    """On the server, the hub's `root` is an ordinary user."""
    hub.accounts("root")
    root = hub.person("root")
    assert root.system.pw_uid >= 1000
    assert str(root.system.pw_uid) in root.kernel().run("import os; print(os.getuid())")


def test_no_password_is_the_same_everywhere(hub):
    guesses = ("", "admin", "teacher", "password", "jupyter", "jupyterhub", TEACHER, "changeme")
    for name in (TEACHER, "admin", "root", "jupyter"):
        for guess in guesses:
            session = requests.Session()
            session.get(f"{hub.url}/hub/login")
            hub.post(session, "/hub/login", username=name, password=guess)
            assert session.get(f"{hub.url}/hub/home", allow_redirects=False).status_code == 302
    # Nor is it in any file: only a hash is stored.
    password = hub.passwords[TEACHER].encode()
    assert len(set(password)) > 5
    for path in [*STATE.iterdir(), *(PREFIX / "etc").iterdir(), hub.log]:
        if path.is_file():
            assert password not in path.read_bytes(), path


def test_a_class_file_creates_accounts_with_different_passwords(hub):
    names = [f"test-class{i:02}" for i in range(20)]
    file = hub.handed_out.parent / "class.txt"
    file.write_text("\n".join(names))
    hub.accounts(f"@{file}")
    passwords = {hub.passwords[name] for name in names}
    assert len(passwords) == 20 and all(len(password) >= 12 for password in passwords)
    for name in (names[0], names[-1]):
        home = hub.sign_in(name).get(f"{hub.url}/hub/home", allow_redirects=False)
        assert home.status_code == 200


def test_installing_again_keeps_settings_and_accounts(hub, ada):
    settings = (PREFIX / "etc" / "hub.toml").read_text()
    secrets = (STATE / "secrets.env").read_text()
    output = run(
        DEPLOY / "install.sh",
        "--prefix",
        PREFIX,
        env=os.environ | {"WORKSHOP_DATA_SOURCE": "simulated"},
    )
    assert (PREFIX / "etc" / "hub.toml").read_text() == settings
    assert (STATE / "secrets.env").read_text() == secrets
    assert "password" not in output
    assert hub.sign_in(ADA).get(f"{hub.url}/hub/home", allow_redirects=False).status_code == 200
    assert ada.session.get(f"{ada.url}/api/contents").ok


def test_the_installer_says_what_is_wrong(tmp_path):
    for arguments, message in (
        (["--domain"], "needs a value"),
        (["--nonsense"], "Install the course"),
    ):
        done = subprocess.run([DEPLOY / "install.sh", *arguments], capture_output=True, text=True)
        assert done.returncode != 0 and message in done.stdout + done.stderr
    done = subprocess.run(
        ["setpriv", "--reuid=nobody", "--clear-groups", "bash", "-s"],
        input=(DEPLOY / "install.sh").read_text(),  # the clone may be closed to nobody
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0 and "must run as root" in done.stderr
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    done = subprocess.run(
        [DEPLOY / "install.sh", "--prefix", closed / "hub"], capture_output=True, text=True
    )
    assert done.returncode != 0 and "closed to them" in done.stderr
    done = subprocess.run(
        [DEPLOY / "install.sh", "--prefix", PREFIX],
        env=os.environ | {"PYTHON": "/bin/false"},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0 and "PYTHON is '/bin/false'" in done.stderr
