# SPDX-License-Identifier: BSD-2-Clause
"""A file that guests fetch from the host by HTTP."""

import contextlib
import hashlib
import http.server
import os
import threading

FILE_BYTES = 3 << 20


class Files(http.server.BaseHTTPRequestHandler):
    """One file, whatever is asked for."""

    content = os.urandom(FILE_BYTES)

    def do_GET(self):  # pylint: disable=invalid-name # the library's
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_):  # pylint: disable=arguments-differ # nobody reads it
        pass


@contextlib.contextmanager
def served():
    """On a port of the loopback; yields what scripts/net.sh wants to know: URL and SUM."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield {"URL": f"http://10.0.2.2:{server.server_port}/file",
                   "SUM": hashlib.sha256(Files.content).hexdigest()}
        finally:
            server.shutdown()
