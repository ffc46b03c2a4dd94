"""A real web server on this computer whose behaviour a test chooses."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Answers every request by calling `behave(handler, start)`; counts the requests."""

    daemon_threads = True

    def __init__(self, behave, name="allen_478498617.nwb"):
        self.behave = behave
        self.requests = 0
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/{name}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        with self.server.lock:
            self.server.requests += 1
        wanted = self.headers.get("Range", "bytes=0-")
        start, _, last = wanted.removeprefix("bytes=").partition("-")
        self.last = int(last) if last else None  # position of the last byte that is asked for
        try:
            self.server.behave(self, int(start))
        except (BrokenPipeError, ConnectionResetError):
            pass  # the other side has heard enough

    def log_message(self, *args):
        pass

    def head(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def body(self, chunk):
        self.wfile.write(chunk)


def status(code, **headers):
    def behave(handler, start):
        handler.head(code, Content_Length=0, **headers)

    return behave


def login_page(handler, start):
    page = b"<!doctype html><title>Sign in</title>"
    handler.head(200, Content_Type="text/html; charset=utf-8", Content_Length=len(page))
    handler.body(page)


def in_turn(*behaviours):
    """Behave in one way in each request; in the last way from then on."""

    def behave(handler, start):
        behaviours[min(handler.server.requests, len(behaviours)) - 1](handler, start)

    return behave


def unused_port():
    """Return a port on which nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
