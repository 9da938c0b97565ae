"""Runs a real llama.cpp server, speaking the OpenAI dialect, on a free port of 127.0.0.1.

    python tests/llama_server.py MODEL.gguf

Prints `ready http://127.0.0.1:PORT` when it answers, and ends when its standard input ends, so that it never
outlives the test that started it. `scripts/setup-test-peers.sh` makes the python and the model for it.
"""

import os
import sys

import xllamacpp


def main() -> None:
    params = xllamacpp.CommonParams()
    params.model.path = sys.argv[1]
    params.model_alias = ["smollm2-135m"]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = 8192
    params.n_parallel = 1
    params.cpuparams.n_threads = 2
    params.n_gpu_layers = 0
    params.offline = True
    params.ui = False
    params.use_jinja = True
    # The same question gives the same answer.
    params.sampling.seed = 1
    params.sampling.temp = 0.0
    server = xllamacpp.Server(params)
    print("ready", server.listening_address, flush=True)
    sys.stdin.buffer.read()
    # Without waiting for answers still under way, and without running destructors over them.
    os._exit(0)


if __name__ == "__main__":
    main()
