"""A small web server on this computer, so that streaming can be tried without a network."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

__all__ = ["serve_folder"]


def serve_folder(folder: str | os.PathLike) -> str:
    """Serve a folder over HTTP on this computer only, until the Python process ends.

    The server answers range requests (single pieces of a file), which `http.server` of the
    standard library does not. It listens on 127.0.0.1, so nobody else can reach it.

    Parameters
    ----------
    folder : str or path-like
        The folder to serve.

    Returns
    -------
    str
        Address of the folder, such as ``"http://127.0.0.1:43210"``; a file in it is at
        ``f"{address}/{file_name}"``.

    Raises
    ------
    NotADirectoryError
        If `folder` is not a folder.
    """
    from aiohttp import web

    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder, so it cannot be served.")
    app = web.Application()
    app.router.add_static("/", folder)
    port: list[int] = []
    ready = threading.Event()

    async def serve() -> None:
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)  # 0: any free port
        await site.start()
        port.append(runner.addresses[0][1])
        ready.set()
        await asyncio.Event().wait()

    threading.Thread(target=asyncio.run, args=(serve(),), daemon=True).start()
    if not ready.wait(10):
        raise RuntimeError("The local web server did not start within 10 s.")
    return f"http://127.0.0.1:{port[0]}"
