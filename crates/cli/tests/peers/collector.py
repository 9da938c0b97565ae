"""An OpenTelemetry collector on this machine, for OTLP over HTTP in JSON:
python collector.py PORT TAKEN [REFUSED...]

Decodes each request with the official messages, writes its entries to the file TAKEN, one JSON object a line, and then
says that it took them. A request with one of the entries REFUSED in it gets the status 400 and is taken in no part.
Prints its port (PORT may be 0) when it listens.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from read_export import records_of

PORT, TAKEN, REFUSED = int(sys.argv[1]), open(sys.argv[2], "a", encoding="utf-8"), set(map(int, sys.argv[3:]))


class Collector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            if self.path != "/v1/logs" or self.headers["content-type"] != "application/json":
                raise ValueError("not OTLP's logs in JSON")
            entries = [entry for entry, _ in records_of(body)]
            refused = REFUSED.intersection(entry["attributes"]["raincoat.index"] for entry in entries)
            if refused:
                raise ValueError(f"I do not like {sorted(refused)}")
        except Exception as error:
            return self.answer(400, {"code": 3, "message": str(error)})
        TAKEN.write("".join(json.dumps(entry) + "\n" for entry in entries))
        TAKEN.flush()
        self.answer(200, {"partialSuccess": {}})

    def answer(self, status, words):
        words = json.dumps(words).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(words)))
        self.end_headers()
        self.wfile.write(words)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", PORT), Collector)
# An exporter that is killed does not wait for its answer, and that is no news.
server.handle_error = lambda *_: None
print(server.server_port, flush=True)
server.serve_forever()
