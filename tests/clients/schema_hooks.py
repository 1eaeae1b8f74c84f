r"""schema_hooks.py - makes the requests that schemathesis generates from Ollama's docs/openapi.yaml ask for what is there.

    MODEL=tiny SCHEMATHESIS_HOOKS=schema_hooks PYTHONPATH=tests/clients st run openapi.yaml --url http://127.0.0.1:11434 \
        --phases coverage,fuzzing --checks not_a_server_error --max-examples 1450 --continue-on-failure --no-shrink \
        --suppress-health-check all --exclude-path-regex 'pull|push' --workers 2

Names of models are random texts in a generated request, so nearly all would be 404. Here a text that stands for a model
becomes a name: MODEL's, or one that an earlier request has copied. An answer has at most 4 tokens. What is of another type
than a text stays as it was generated. At the end the answers are counted; ERRORS=FILE gets every error once.
"""
import atexit
import collections
import os

import schemathesis

MODEL = os.environ.get("MODEL", "tiny")
NAMES = {"/api/copy": {"source": MODEL, "destination": "copy-%d"}, "/api/delete": {"model": "copy-%d"},
         "/api/create": {"from": MODEL, "model": "made"}}
ASKED = collections.Counter()
ANSWERS = collections.Counter()
ERRORS = collections.Counter()


@schemathesis.hook
def before_call(context, case, kwargs):
    body = case.body
    if not isinstance(body, dict):
        return
    ASKED[case.operation.path] += 1
    for key, name in NAMES.get(case.operation.path, {"model": MODEL}).items():
        if isinstance(body.get(key), str):
            body[key] = name.replace("%d", str(ASKED[case.operation.path]))
    options = body.setdefault("options", {}) if case.operation.path in ("/api/generate", "/api/chat") else None
    if isinstance(options, dict) and isinstance(options.get("num_predict", 0), int):
        options["num_predict"] = 4


@schemathesis.hook
def after_call(context, case, response):
    path = case.operation.path
    ANSWERS[path, response.status_code] += 1
    if response.status_code >= 400:
        text = response.content.decode(errors="replace")[:300]
        ERRORS[path, response.status_code, text] += 1


@atexit.register
def tell():
    total = sum(ANSWERS.values())
    good = sum(n for (_, status), n in ANSWERS.items() if status < 300)
    print(f"{total} requests, {good} answered 2xx")
    for (path, status), n in sorted(ANSWERS.items()):
        print(f"{n:7} {status} {path}")
    if os.environ.get("ERRORS"):
        with open(os.environ["ERRORS"], "w") as f:
            for (p, s, t), n in ERRORS.most_common():
                f.write(f"{n} {s} {p} {t}\n")
