# SPDX-License-Identifier: BSD-2-Clause
"""A network for a User Mode Linux guest: its driver on `paravane serve net` with a network of its own, by
which it gets its address and a file of the host."""

import hashlib
import http.server
import os
import threading

import harness
import uml
from backend import Network

MAC = "52:54:00:12:34:56"
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


def body(report, test):
    uml.need()
    options = f"user,mac={MAC},hostname=guest,domain=example"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as files, \
            Network(report, test.log_path("network"), options) as network:
        threading.Thread(target=files.serve_forever, daemon=True).start()
        with uml.boot(report, test, network.path, "net.sh", device_id=uml.NET_ID, MODULE="virtio_net",
                      MAC=MAC, FIRST_IF="eth0", URL=f"http://10.0.2.2:{files.server_port}/file",
                      SUM=hashlib.sha256(Files.content).hexdigest()) as guest:
            values = guest.run(link=network.set_link)
            counters = network.counters()
        files.shutdown()
        report.ok(counters["packets"] >= int(values["sent"]) + int(values["received"]),
                  "the frames were ours", f"{counters['packets']}, {values}")
        report.equal(counters["malformed"], 0, "each frame of the driver was good")
        report.equal(counters["bad_chains"], 0, "each of its buffers was good")


harness.main(body)
