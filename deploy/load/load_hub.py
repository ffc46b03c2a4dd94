"""Let 5, 10 and 20 people work through a chapter on a running hub (`make bench-hub`).

Each signs in, starts a server, pulls the notebooks through nbgitpuller, opens a chapter,
starts its kernel and runs every cell, in order and with time to think. No browser: the
requests that JupyterLab would send, sent from here. The hub runs on this computer, so that
its memory and processor can be measured; the people exist on it already. See
`python benchmarks/load_hub.py --help`. It ends by itself: after `--minutes` a round breaks
off, and also when less than `--spare-gb` of memory is left.

Writes content/results/hub_load.json and prints its table.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import re
import shlex
import statistics
import sys
import time
import uuid
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote, urlsplit

import aiohttp
import nbformat
import psutil
import yarl

RESULT = Path(__file__).parent / "results" / "hub_load.json"
STEPS = ("sign in", "spawn", "pull", "open", "kernel start", "cell")


class Person:
    """One participant: a browser's cookies, and what they waited for."""

    def __init__(self, hub, name, password, options):
        self.hub, self.name, self.password, self.options = hub, name, password, options
        self.waits = {step: [] for step in STEPS}
        self.errors = []
        self.random = random.Random(name)

    def url(self, path):
        """Return the address of a path on the hub."""
        return yarl.URL(self.hub + path, encoded=True)

    def token(self, path):
        """Return the token against forged requests that belongs to a path."""
        cookies = self.http.cookie_jar.filter_cookies(self.url(path))
        return cookies["_xsrf"].value

    async def get(self, path, **headers):
        """Return what is at a path."""
        async with self.http.get(self.url(path), headers=headers) as answer:
            answer.raise_for_status()
            return await answer.text()

    async def events(self, path, token, last):
        """Read a stream of events until one of them says that it is the last."""
        async with self.http.get(self.url(path), headers={"X-XSRFToken": token}) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                if line.startswith(b"data:"):
                    event = json.loads(line[5:])
                    if event.get("failed") or event.get("phase") == "error":
                        raise RuntimeError(str(event)[:300])
                    if last(event):
                        return

    async def sign_in(self):
        """Fill in the form for name and password."""
        await self.get("/hub/login")
        form = {"username": self.name, "password": self.password, "_xsrf": self.token("/hub/")}
        async with self.http.post(self.url("/hub/login?next=/hub/home"), data=form) as answer:
            answer.raise_for_status()
            if answer.url.path.endswith("/login"):
                raise RuntimeError("not signed in: wrong name or password?")

    async def spawn(self):
        """Start the server, and wait until the hub says that it is ready."""
        path = f"/hub/api/users/{quote(self.name)}/server"
        token = {"X-XSRFToken": self.token("/hub/")}
        async with self.http.post(self.url(path), json={}, headers=token) as answer:
            if answer.status not in (201, 202):
                raise RuntimeError(f"spawn: {answer.status} {(await answer.text())[:300]}")
        await self.events(
            path + "/progress", self.token("/hub/"), lambda event: event.get("ready")
        )
        await self.get(f"/user/{quote(self.name)}/lab")  # the server has its own cookie

    async def pull(self):
        """Pull the notebooks, as a click on a link of a chapter does."""
        asked = f"repo={quote(self.options.repository, '')}&branch={self.options.branch}"
        path = f"/user/{quote(self.name)}/git-pull"
        await self.get(f"{path}?{asked}")
        target = f"&targetpath={quote(self.options.folder, '')}"
        token = self.token(f"/user/{quote(self.name)}/")
        await self.events(
            f"{path}/api?{asked}{target}", token, lambda event: event.get("phase") == "finished"
        )

    async def open(self):
        """Fetch JupyterLab's page, what it names, and the notebook."""
        base = f"/user/{quote(self.name)}"
        notebook = f"{self.options.folder}/{self.options.edition}/{self.options.chapter}.ipynb"
        page = await self.get(f"{base}/lab/tree/{notebook}")
        for script in re.findall(r'<script[^>]+src="([^"]+)"', page):
            await self.get(script)
        found = json.loads(await self.get(f"{base}/api/contents/{notebook}"))
        self.path = notebook
        return nbformat.from_dict(found["content"])

    async def start_kernel(self):
        """Start the kernel of the notebook and wait for its first answer."""
        base = f"/user/{quote(self.name)}"
        asked = {
            "path": self.path,
            "name": "",
            "type": "notebook",
            "kernel": {"name": "python3"},
        }
        token = {"X-XSRFToken": self.token(base + "/")}
        url = self.url(f"{base}/api/sessions")
        async with self.http.post(url, json=asked, headers=token) as answer:
            answer.raise_for_status()
            kernel = (await answer.json())["kernel"]["id"]
        channels = f"{base}/api/kernels/{kernel}/channels?session_id={uuid.uuid4().hex}"
        self.socket = await self.http.ws_connect(self.url(channels), max_msg_size=0)
        await self.ask("kernel_info_request", {})

    async def ask(self, kind, content):
        """Send one message to the kernel and wait until it is idle again."""
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": kind,
            "username": self.name,
            "session": uuid.uuid4().hex,
            "version": "5.3",
            "date": "",
        }
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        await self.socket.send_json({**message, "channel": "shell", "buffers": []})
        missing = {"reply", "idle"}
        while missing:
            received = await self.socket.receive()
            if received.type is aiohttp.WSMsgType.BINARY:
                continue  # a widget's data: none of the answers waited for here
            if received.type is not aiohttp.WSMsgType.TEXT:
                raise RuntimeError(f"the kernel's connection closed ({received.type.name})")
            answer = json.loads(received.data)
            kind_of, content = answer["header"]["msg_type"], answer["content"]
            if answer["parent_header"].get("msg_id") != header["msg_id"]:
                if kind_of == "status" and content["execution_state"] in ("restarting", "dead"):
                    raise RuntimeError("the kernel died")
                continue
            if kind_of == "error":
                self.errors.append(f"{content['ename']}: {content['evalue'][:200]}")
            elif kind_of == "stream" and content["name"] == "stderr":
                self.errors.append(f"stderr: {content['text'][:200]}")
            elif kind_of == kind.replace("request", "reply"):
                missing.discard("reply")
            elif kind_of == "status" and content["execution_state"] == "idle":
                missing.discard("idle")

    async def timed(self, step, work):
        """Await something and keep how long it took."""
        started = time.perf_counter()
        result = await work
        self.waits[step].append(time.perf_counter() - started)
        return result

    async def think(self):
        """Read, for a random time."""
        mean = self.options.think
        await asyncio.sleep(min(self.random.expovariate(1 / mean), 4 * mean) if mean else 0)

    async def work(self):
        """Do all of it, in order."""
        await asyncio.sleep(self.random.uniform(0, self.options.arrive))
        await self.timed("sign in", self.sign_in())
        await self.timed("spawn", self.spawn())
        await self.timed("pull", self.pull())
        notebook = await self.timed("open", self.open())
        await self.timed("kernel start", self.start_kernel())
        for cell in notebook.cells:
            if cell.cell_type == "code":
                request = {"code": cell.source, "store_history": True, "allow_stdin": False}
                await self.timed("cell", self.ask("execute_request", request))
                await self.think()

    async def stay(self, seconds):
        """Work, then leave; what goes wrong is an error of this person, not of the round."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=30)
        jar = aiohttp.CookieJar(unsafe=True)  # the hub has an address and no name
        async with aiohttp.ClientSession(cookie_jar=jar, timeout=timeout) as self.http:
            try:
                await asyncio.wait_for(self.work(), seconds)
            except TimeoutError:
                self.errors.append("not done in time")
            except (aiohttp.ClientError, RuntimeError, KeyError, OSError) as error:
                self.errors.append(f"{type(error).__name__}: {error}"[:300])

    async def leave(self):
        """Stop the server, as the culler would."""
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as self.http:
            await self.sign_in()
            path = f"/hub/api/users/{quote(self.name)}/server"
            token = {"X-XSRFToken": self.token("/hub/")}
            for _ in range(60):
                async with self.http.delete(self.url(path), headers=token) as answer:
                    if answer.status in (204, 404):
                        return
                await asyncio.sleep(1)


def hub_and_proxy(hub):
    """Return the processes behind an address: the proxy, and the hub that it asks."""
    listening = {
        connection.laddr.port: connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    proxy = psutil.Process(listening[urlsplit(hub).port])
    command = proxy.cmdline()
    target = urlsplit(command[command.index("--default-target") + 1])
    return [proxy, psutil.Process(listening[target.port])]


def servers(names):
    """Return the processes of each person: their server and its kernels."""
    found = {name: [] for name in names}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found.get(process.environ().get("JUPYTERHUB_USER"), []).append(process)
    return found


def memory(processes):
    """Return the memory of each process in bytes, what they share counted in parts (PSS)."""
    found = {}
    for process in processes:
        with contextlib.suppress(psutil.Error):
            found[process] = process.memory_full_info().pss
    return found


async def watch(names, round_, used, options, everyone):
    """Look at the machine every few seconds, and end the round before memory runs out."""
    behind = hub_and_proxy(options.hub)
    psutil.cpu_percent(None)
    while True:
        await asyncio.sleep(5)
        found = await asyncio.to_thread(servers, names)
        for process in [p for name in names for p in found[name]]:
            with contextlib.suppress(psutil.Error):
                used[process] = sum(process.cpu_times()[:2])
        sizes = {
            name: await asyncio.to_thread(memory, processes) for name, processes in found.items()
        }
        hub = sum((await asyncio.to_thread(memory, behind)).values())
        of_people = [sum(of_one.values()) for of_one in sizes.values()]
        # A person has one server, the first of their processes, and its kernels.
        of_servers = [
            of_one[min(of_one, key=lambda p: p.pid)] for of_one in sizes.values() if of_one
        ]
        for what, now in {
            "total": sum(of_people),
            "person": max(of_people),
            "server": max(of_servers, default=0),
            "hub": hub,
        }.items():
            round_["peak_" + what] = max(round_["peak_" + what], now)
        round_["busy"].append(psutil.cpu_percent(None))
        free = psutil.virtual_memory().available
        round_["least_free"] = min(round_["least_free"], free)
        if free < options.spare_gb * 1e9:
            round_["broken_off"] = f"less than {options.spare_gb} GB of memory left"
            for task in everyone:
                task.cancel()
            return


async def one_round(people, options):
    """Let all of them work at once; return what they waited for and what it took."""
    names = [person.name for person in people]
    round_ = {
        "people": len(people),
        "peak_total": 0,
        "peak_person": 0,
        "peak_server": 0,
        "peak_hub": 0,
        "least_free": psutil.virtual_memory().available,
        "busy": [],
    }
    started = time.perf_counter()
    used = {}
    everyone = [asyncio.create_task(person.stay(options.minutes * 60)) for person in people]
    watcher = asyncio.create_task(watch(names, round_, used, options, everyone))
    await asyncio.gather(*everyone, return_exceptions=True)
    watcher.cancel()
    round_["seconds"] = round(time.perf_counter() - started, 1)
    round_["cpu_seconds_per_person"] = round(sum(used.values()) / len(people), 1)
    busy = round_.pop("busy") or [0.0]
    round_["cpu_busy_percent"] = round(statistics.mean(busy), 1)
    for key in ("peak_total", "peak_person", "peak_server", "peak_hub", "least_free"):
        round_[key + "_mb"] = round(round_.pop(key) / 1e6)
    round_["waits"] = {
        step: summary([w for person in people for w in person.waits[step]]) for step in STEPS
    }
    round_["cells"] = slowest(people)
    round_["errors"] = sorted({e for person in people for e in person.errors})
    round_["people_with_errors"] = sum(bool(person.errors) for person in people)
    await asyncio.gather(*(person.leave() for person in people), return_exceptions=True)
    return round_


async def versions(hub):
    """Return the hub's version, and those of the lock that it shares with this script."""
    async with aiohttp.ClientSession() as http, http.get(hub + "/hub/api") as answer:
        found = {"jupyterhub": (await answer.json())["version"]}
    return found | {name: version(name) for name in ("jupyterlab", "jax", "nemos")}


def summary(waits):
    """Return median, 95th percentile and maximum of waits, in seconds."""
    if not waits:
        return {"count": 0, "median": None, "p95": None, "max": None}
    ordered = sorted(waits)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    return {
        "count": len(ordered),
        "median": round(statistics.median(ordered), 2),
        "p95": round(p95, 2),
        "max": round(ordered[-1], 2),
    }


def slowest(people):
    """Return the waits for each cell of the chapter, cell by cell."""
    longest = max(len(person.waits["cell"]) for person in people)
    return [
        summary([p.waits["cell"][i] for p in people if len(p.waits["cell"]) > i])
        for i in range(longest)
    ]


def table(rounds):
    """Return the table that people read."""
    lines = ["people  step           median    95 %     max   (seconds)"]
    for found in rounds:
        for step in STEPS:
            wait = found["waits"][step]
            if wait["count"]:
                lines.append(
                    f"{found['people']:6}  {step:12} {wait['median']:8.2f} {wait['p95']:7.2f} "
                    f"{wait['max']:7.2f}"
                )
        lines.append(
            f"        {found['seconds']:.0f} s; memory {found['peak_total_mb']} MB of servers, "
            f"at most {found['peak_person_mb']} MB one ({found['peak_server_mb']} MB without its "
            f"kernel), {found['peak_hub_mb']} MB hub and proxy, "
            f"{found['least_free_mb']} MB left; {found['cpu_seconds_per_person']} s of processor "
            f"each, {found['cpu_busy_percent']} % busy; {found['people_with_errors']} with errors"
        )
        if "broken_off" in found:
            lines.append(f"        broken off: {found['broken_off']}")
        lines += [f"        {error}" for error in found["errors"][:5]]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hub", default="http://127.0.0.1:8000", help="where it listens")
    parser.add_argument("--people", help="file with a name and a password on each line")
    parser.add_argument("--repository", help="what nbgitpuller pulls")
    parser.add_argument("--branch", default="notebooks")
    parser.add_argument("--folder", default="notebooks", help="where it is pulled to")
    parser.add_argument("--edition", default="participant")
    parser.add_argument("--chapter", default="fit_glm")
    parser.add_argument("--counts", type=int, nargs="+", default=[5, 10, 20])
    parser.add_argument("--think", type=float, default=5, help="mean seconds before a cell")
    parser.add_argument("--arrive", type=float, default=20, help="all come in these seconds")
    parser.add_argument("--minutes", type=float, default=6, help="longest round")
    parser.add_argument("--spare-gb", type=float, default=2, help="memory to leave alone")
    parser.add_argument("--note", default="", help="what is special about this hub")
    options = parser.parse_args()
    if urlsplit(options.hub).hostname not in ("127.0.0.1", "localhost", "::1"):
        raise SystemExit("This load test is for a hub on this computer.")
    known = [line.split() for line in Path(options.people).read_text().splitlines() if line]
    if len(known) < max(options.counts):
        raise SystemExit(f"{options.people} names {len(known)} people only.")

    known_versions = asyncio.run(versions(options.hub))
    rounds = []
    for count in options.counts:
        people = [Person(options.hub, *pair, options) for pair in known[:count]]
        rounds.append(asyncio.run(one_round(people, options)))
        print(table(rounds[-1:]), flush=True)
    found = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB, "
        f"{platform.system()} {platform.machine()}",
        "command": "python benchmarks/load_hub.py " + shlex.join(sys.argv[1:]),
        "versions": known_versions,
        "note": options.note,
        "rounds": rounds,
    }
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
