"""The page `my-work` of a participant's server: save all as a zip, begin a chapter again."""

import asyncio
import os
import shutil
import subprocess
import tempfile
import zipfile
from datetime import datetime
from html import escape
from pathlib import Path

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado import web

BRANCH = "origin/notebooks"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>My work</title>
<meta name="viewport" content="width=device-width">
<style>body {{ font: 1rem/1.5 system-ui; max-width: 40rem; margin: 2rem auto; padding: 0 1rem;
  color-scheme: light dark }} td {{ padding: .15rem 1rem .15rem 0 }}</style>
<h1>My work</h1>
{message}
<p><a href="my-work/zip" download>Save my work as a zip</a>: all files in your folder.
Save the notebooks that are open first.</p>
<h2>Begin a chapter again</h2>
<p>Your version is kept beside the new one, with the date and time in its name. Close the
notebook before.</p>
<form method="post">{xsrf}<table>{chapters}</table></form>
<p><a href="lab">Back to JupyterLab</a></p></html>"""


def git(folder, *arguments):
    """Return git's output, as bytes."""
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, timeout=60
    ).stdout


def chapters(home):
    """Return the participants' notebooks of the courses that were opened in `home`."""
    names = []
    for folder in sorted(path.parent for path in home.glob("*/.git")):
        listed = git(folder, "ls-tree", "-r", "-z", "--name-only", BRANCH, "participant/")
        names += [f"{folder.name}/{name}" for name in listed.decode().split("\0") if name]
    return names


def begin_again(home, chapter):
    """Replace `chapter` by the course's version; return the path of the copy of the old one.

    The old one is copied before anything is written, and replaced atomically.
    """
    repository, _, inside = chapter.partition("/")
    try:  # the newest version, if the repository can be reached
        git(home / repository, "fetch", "--quiet")
    except (subprocess.SubprocessError, OSError):
        pass
    fresh = git(home / repository, "show", f"{BRANCH}:{inside}")
    path = home / chapter
    kept = None
    if path.exists():
        kept = path.with_stem(f"{path.stem}_before_{datetime.now():%Y%m%d-%H%M%S-%f}")
        shutil.copy2(path, kept)
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(fresh)
    os.replace(partial, path)
    return kept


def write_zip(home, target):
    """Write everything in `home` that is not hidden into the zip file `target`."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder, folders, files in os.walk(home):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                path = Path(folder, name)
                if not name.startswith(".") and path.is_file():
                    archive.write(path, path.relative_to(home))


class MyWork(JupyterHandler):
    """The page."""

    @property
    def home(self):
        return Path(self.settings["server_root_dir"]).expanduser()

    def show(self, message=""):
        rows = "".join(
            f'<tr><td>{escape(chapter)}<td><button name="chapter" value="{escape(chapter)}">'
            "Begin again</button>"
            for chapter in chapters(self.home)
        )
        xsrf = self.xsrf_form_html()
        self.finish(PAGE.format(message=message, chapters=rows or "None yet.", xsrf=xsrf))

    @web.authenticated
    def get(self):
        self.show()

    @web.authenticated
    async def post(self):
        chapter = self.get_body_argument("chapter")
        if chapter not in chapters(self.home):
            raise web.HTTPError(404, f"{chapter} is not a chapter of the course.")
        kept = await asyncio.to_thread(begin_again, self.home, chapter)
        link = f'<a href="lab/tree/{escape(chapter)}?reset">{escape(chapter)}</a>'
        message = f'<p role="status">{link} is new again.'
        if kept:
            message += f" Your version is now beside it: <code>{escape(kept.name)}</code>."
        self.show(message + "</p>")


class Zip(JupyterHandler):
    """The download."""

    @web.authenticated
    async def get(self):
        name = f"my-work-{datetime.now():%Y-%m-%d-%H%M}.zip"
        self.set_header("Content-Type", "application/zip")
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        home = Path(self.settings["server_root_dir"]).expanduser()
        with tempfile.TemporaryFile() as file:
            await asyncio.to_thread(write_zip, home, file)
            file.seek(0)
            while block := file.read(2**20):
                self.write(block)
                await self.flush()


def add_pages(server):
    """Add the page to a server."""
    base = url_path_join(server.web_app.settings["base_url"], "my-work")
    server.web_app.add_handlers(".*", [(base, MyWork), (url_path_join(base, "zip"), Zip)])
