"""Time how soon the figure of one sweep is there, streamed or downloaded.

A web server on this computer waits 40 ms before each answer and sends 50 Mbit/s, like a
fair connection to an archive. The libraries are loaded, and a first figure was drawn, before
the clock starts.
"""

import asyncio
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path

import matplotlib as mpl
import pynapple as nap

from workshop_utils import fetch_data, stream_data
from workshop_utils.data.http import download

DELAY_S = 0.040
BYTES_PER_S = 50e6 / 8
PIECE = 2**14
REPEATS = 5
MAY_TAKE_BYTES = 0.15
MAY_TAKE_TIME = 0.25


def serve(path, port):
    """Answer GET requests for one file, with ranges, late and slowly."""
    from aiohttp import web

    content = Path(path).read_bytes()

    async def answer(request):
        await asyncio.sleep(DELAY_S)
        asked = request.http_range
        body = content[asked]
        response = web.StreamResponse(status=206 if "Range" in request.headers else 200)
        response.content_length = len(body)
        if "Range" in request.headers:
            first = asked.start
            response.headers["Content-Range"] = (
                f"bytes {first}-{first + len(body) - 1}/{len(content)}"
            )
        await response.prepare(request)
        started = time.perf_counter()
        for sent in range(0, len(body), PIECE):
            await response.write(body[sent : sent + PIECE])
            due = started + (sent + PIECE) / BYTES_PER_S
            await asyncio.sleep(max(due - time.perf_counter(), 0))
        return response

    async def run():
        app = web.Application()
        app.router.add_get("/recording.nwb", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port.put(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())


def draw(data, folder):
    """Draw the first Noise 1 sweep: current and spikes."""
    from matplotlib.figure import Figure

    epochs = data["epochs"]
    sweep = epochs[epochs.tags == "Noise 1"][0]
    current = data["stimulus"].restrict(sweep)
    spikes = data["units"].restrict(sweep)
    figure = Figure(figsize=(6.4, 3))
    ax = figure.subplots()
    ax.plot(current.t, current.d * 1e12, linewidth=0.8)
    ax.eventplot(spikes[0].t, lineoffsets=-10, linelengths=10)
    figure.savefig(Path(folder, "sweep.png"))


def main():
    mpl.use("agg")
    path = fetch_data("allen_478498617.nwb")
    draw(nap.load_file(str(path)), tempfile.gettempdir())

    context = multiprocessing.get_context("spawn")
    port = context.Queue()
    server = context.Process(target=serve, args=(path, port), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{port.get()}/recording.nwb"

    downloads, downloaded, streamed = [], [], []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            copy = Path(folder, "recording.nwb")
            download(url, copy)
            downloads.append(time.perf_counter() - start)
            draw(nap.load_file(str(copy)), folder)
            downloaded.append(time.perf_counter() - start)
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            with stream_data(url) as data:
                draw(data, folder)
                streamed.append(time.perf_counter() - start)
                share = data.received_bytes / data.size_bytes
                requests = data.requests
    server.terminate()

    whole, figure, stream = map(statistics.median, (downloads, downloaded, streamed))
    size_mb = path.stat().st_size / 1e6
    print(f"{path.name}, {size_mb:.1f} MB; median of {REPEATS} runs")
    print(f"  downloaded:                {whole:.2f} s, with the figure {figure:.2f} s")
    print(f"  streamed, with the figure: {stream:.2f} s, {requests} requests")
    print(f"  bytes: {share:.1%} of the file (goal: at most {MAY_TAKE_BYTES:.0%})")
    print(f"  time:  {stream / whole:.1%} of the download (goal: at most {MAY_TAKE_TIME:.0%})")


if __name__ == "__main__":
    main()
