"""Let 5, 10 and 20 people work through a chapter on a running hub (`make -C deploy bench-hub`).

Each signs in, starts a server, pulls the notebooks through nbgitpuller, opens a chapter, starts
its kernel and runs every cell, in order and with time to think. There is no browser: this script
sends the requests that JupyterLab would send. The hub runs on this computer, so that its memory
and CPU time can be measured, and the people have accounts on it already (README.md; `--help`). A
round stops after `--minutes`, or as soon as less than `--spare-gb` of memory is available.

Writes deploy/results/load.json and prints the table of README.md.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import re
import statistics
import time
import uuid
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote, urlsplit

import aiohttp
import nbformat
import psutil
import yarl

RESULT = Path(__file__).resolve().parents[1] / "results" / "load.json"
STEPS = ("sign in", "spawn", "pull", "open", "kernel start", "cell")


class Person:
    """One participant: a browser's cookies, and how long each step took."""

    def __init__(self, hub, name, password, options):
        self.hub, self.name, self.password, self.options = hub, name, password, options
        self.waits = {step: [] for step in STEPS}
        self.errors = []
        self.random = random.Random(name)

    def url(self, path):
        """Return the URL of a path on the hub."""
        return yarl.URL(self.hub + path, encoded=True)

    def xsrf_token(self, path):
        """Return the XSRF token for a path."""
        cookies = self.http.cookie_jar.filter_cookies(self.url(path))
        return cookies["_xsrf"].value

    async def get(self, path):
        """Return the text of the response for a path."""
        async with self.http.get(self.url(path)) as response:
            response.raise_for_status()
            return await response.text()

    async def events(self, path, token, last):
        """Read a stream of server-sent events until `last` is true of one."""
        async with self.http.get(self.url(path), headers={"X-XSRFToken": token}) as response:
            response.raise_for_status()
            async for line in response.content:
                if line.startswith(b"data:"):
                    event = json.loads(line[5:])
                    if event.get("failed") or event.get("phase") == "error":
                        raise RuntimeError(str(event)[:300])
                    if last(event):
                        return

    async def sign_in(self):
        """Submit the sign-in form."""
        await self.get("/hub/login")
        form = {
            "username": self.name,
            "password": self.password,
            "_xsrf": self.xsrf_token("/hub/"),
        }
        async with self.http.post(self.url("/hub/login?next=/hub/home"), data=form) as response:
            response.raise_for_status()
            if response.url.path.endswith("/login"):
                raise RuntimeError("not signed in: wrong name or password?")

    async def spawn(self):
        """Start the server, and wait until the hub says that it is ready."""
        path = f"/hub/api/users/{quote(self.name)}/server"
        token = {"X-XSRFToken": self.xsrf_token("/hub/")}
        async with self.http.post(self.url(path), json={}, headers=token) as response:
            if response.status not in (201, 202):
                raise RuntimeError(f"spawn: {response.status} {(await response.text())[:300]}")
        await self.events(
            path + "/progress", self.xsrf_token("/hub/"), lambda event: event.get("ready")
        )
        await self.get(f"/user/{quote(self.name)}/lab")  # the server has its own cookie

    async def pull(self):
        """Pull the notebooks, as a click on a link of a chapter does."""
        query = f"repo={quote(self.options.repository, '')}&branch={self.options.branch}"
        path = f"/user/{quote(self.name)}/git-pull"
        await self.get(f"{path}?{query}")
        target = f"&targetpath={quote(self.options.folder, '')}"
        token = self.xsrf_token(f"/user/{quote(self.name)}/")
        await self.events(
            f"{path}/api?{query}{target}", token, lambda event: event.get("phase") == "finished"
        )

    async def open(self):
        """Fetch JupyterLab's page, its scripts, and the notebook."""
        base = f"/user/{quote(self.name)}"
        notebook = f"{self.options.folder}/{self.options.edition}/{self.options.chapter}.ipynb"
        page = await self.get(f"{base}/lab/tree/{notebook}")
        for script in re.findall(r'<script[^>]+src="([^"]+)"', page):
            await self.get(script)
        model = json.loads(await self.get(f"{base}/api/contents/{notebook}"))
        self.path = notebook
        return nbformat.from_dict(model["content"])

    async def start_kernel(self):
        """Start the kernel of the notebook and wait for its first reply."""
        base = f"/user/{quote(self.name)}"
        session = {"path": self.path, "name": "", "type": "notebook"}
        session["kernel"] = {"name": "python3"}
        token = {"X-XSRFToken": self.xsrf_token(base + "/")}
        url = self.url(f"{base}/api/sessions")
        async with self.http.post(url, json=session, headers=token) as response:
            response.raise_for_status()
            kernel = (await response.json())["kernel"]["id"]
        channels = f"{base}/api/kernels/{kernel}/channels?session_id={uuid.uuid4().hex}"
        self.socket = await self.http.ws_connect(self.url(channels), max_msg_size=0)
        await self.request("kernel_info_request", {})

    async def request(self, kind, content):
        """Send one request to the kernel and wait until it is idle again."""
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
                continue  # a widget's data
            if received.type is not aiohttp.WSMsgType.TEXT:
                raise RuntimeError(f"the kernel's connection closed ({received.type.name})")
            reply = json.loads(received.data)
            kind_of, content = reply["header"]["msg_type"], reply["content"]
            if reply["parent_header"].get("msg_id") != header["msg_id"]:
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
        """Await `work` and note how long it took."""
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
                content = {"code": cell.source, "store_history": True, "allow_stdin": False}
                await self.timed("cell", self.request("execute_request", content))
                await self.think()

    async def stay(self, seconds):
        """Work; an exception is noted for this person and does not end the round."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=30)
        jar = aiohttp.CookieJar(unsafe=True)  # the hub has an IP address only
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
            token = {"X-XSRFToken": self.xsrf_token("/hub/")}
            for _ in range(60):
                async with self.http.delete(self.url(path), headers=token) as response:
                    if response.status in (204, 404):
                        return
                await asyncio.sleep(1)


def hub_and_proxy(hub):
    """Return the processes behind a URL: the proxy, and the hub that it forwards to."""
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
    of_person = {name: [] for name in names}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            of_person.get(process.environ().get("JUPYTERHUB_USER"), []).append(process)
    return of_person


def memory(processes):
    """Return the memory of each process in bytes; shared pages are divided (PSS)."""
    pss = {}
    for process in processes:
        with contextlib.suppress(psutil.Error):
            pss[process] = process.memory_full_info().pss
    return pss


async def watch(names, round_, cpu, options, everyone):
    """Measure every few seconds; end the round before memory runs out."""
    behind = hub_and_proxy(options.hub)
    psutil.cpu_percent(None)
    while True:
        await asyncio.sleep(5)
        running = await asyncio.to_thread(servers, names)
        for process in [p for name in names for p in running[name]]:
            with contextlib.suppress(psutil.Error):
                cpu[process] = sum(process.cpu_times()[:2])
        sizes = [await asyncio.to_thread(memory, processes) for processes in running.values()]
        hub = sum((await asyncio.to_thread(memory, behind)).values())
        of_people = [sum(of_one.values()) for of_one in sizes]
        # A person's first process is their server, the others are its kernels.
        of_servers = [of_one[min(of_one, key=lambda p: p.pid)] for of_one in sizes if of_one]
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
            round_["stopped"] = f"stopped: less than {options.spare_gb} GB of memory available"
            for task in everyone:
                task.cancel()
            return


async def one_round(people, options):
    """Let all of them work at once; return what was measured: MB, seconds, errors."""
    names = [person.name for person in people]
    bytes_ = {"peak_total": 0, "peak_person": 0, "peak_server": 0, "peak_hub": 0}
    round_ = bytes_ | {"least_free": psutil.virtual_memory().available, "busy": []}
    started = time.perf_counter()
    cpu = {}
    everyone = [asyncio.create_task(person.stay(options.minutes * 60)) for person in people]
    watcher = asyncio.create_task(watch(names, round_, cpu, options, everyone))
    await asyncio.gather(*everyone, return_exceptions=True)
    watcher.cancel()
    seconds = time.perf_counter() - started
    await asyncio.gather(*(person.leave() for person in people), return_exceptions=True)
    return {
        "people": len(people),
        "seconds": round(seconds),
        "cpu_seconds_per_person": round(sum(cpu.values()) / len(people), 1),
        "cpu_busy_percent": round(statistics.mean(round_["busy"] or [0])),
        **{f"{key}_mb": round(round_[key] / 1e6) for key in (*bytes_, "least_free")},
        "waits": {
            step: summary([w for person in people for w in person.waits[step]]) for step in STEPS
        },
        "people_with_errors": sum(bool(person.errors) for person in people),
        "errors": sorted({error for person in people for error in person.errors})[:5],
        "stopped": round_.get("stopped"),
    }


async def versions(hub):
    """Return the hub's version, and those of the lock that it shares with this script."""
    async with aiohttp.ClientSession() as http, http.get(hub + "/hub/api") as response:
        jupyterhub = (await response.json())["version"]
    return {"jupyterhub": jupyterhub} | {
        name: version(name) for name in ("jupyterlab", "jax", "nemos")
    }


def summary(waits):
    """Return "median · 95th percentile · maximum" of waits, in seconds."""
    if not waits:
        return "-"
    p95 = statistics.quantiles(waits, n=20, method="inclusive")[-1] if waits[1:] else waits[0]
    return f"{statistics.median(waits):.1f} · {p95:.1f} · {max(waits):.1f}"


def row(round_):
    """Return the round's row of the table."""
    return (
        f"| {round_['people']} | {' | '.join(round_['waits'].values())} "
        f"| {round_['peak_total_mb'] / 1000:.1f} GB | {round_['least_free_mb'] / 1000:.1f} GB "
        f"| {round_['cpu_seconds_per_person']:.0f} s |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hub", default="http://127.0.0.1:8000", help="where it listens")
    parser.add_argument("--people", required=True, help="file with name and password on each line")
    parser.add_argument("--repository", required=True, help="what nbgitpuller pulls")
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
    accounts = [line.split() for line in Path(options.people).read_text().splitlines() if line]
    if len(accounts) < max(options.counts):
        raise SystemExit(f"{options.people} has only {len(accounts)} people.")

    result = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB, "
        f"{platform.system()} {platform.machine()}",
        "versions": asyncio.run(versions(options.hub)),
        "chapter": options.chapter,
        "note": options.note,
        "rounds": [],
    }
    print("| people |", " | ".join(STEPS), "| memory of servers | least free | CPU time each |")
    print("|---:" * (len(STEPS) + 4) + "|", flush=True)
    for count in options.counts:
        people = [Person(options.hub, *account, options) for account in accounts[:count]]
        round_ = asyncio.run(one_round(people, options))
        result["rounds"].append(round_)
        print(row(round_), flush=True)
        for problem in (*round_["errors"], round_["stopped"]):
            if problem:
                print(f"  {problem}", flush=True)
    RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
