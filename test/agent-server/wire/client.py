"""A plain HTTP client: what is on the wire, byte by byte, without a library's kindness. Standard library only, Python 3.8."""

import http.client
import json
import socket
import time
import urllib.parse
import uuid

GATEWAYS = []  # addresses, set by the entry
TIMEOUT_SECONDS = 15
ABSENT = object()


class Answer:
    """A whole response. `json` reads its body, which must then be JSON by its content type as well."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        kind = self.headers.get("content-type", "")
        assert kind.split(";")[0] == "application/json", "content-type %r of %r" % (kind, self.body[:200])
        return json.loads(self.body.decode("utf-8"))

    def __repr__(self):
        return "%d %s" % (self.status, self.body[:300].decode("utf-8", "replace"))


def connect(gateway=0, timeout=TIMEOUT_SECONDS):
    url = urllib.parse.urlsplit(GATEWAYS[gateway])
    return http.client.HTTPConnection(url.hostname, url.port, timeout=timeout)


def raw_socket(gateway=0):
    url = urllib.parse.urlsplit(GATEWAYS[gateway])
    return socket.create_connection((url.hostname, url.port), timeout=TIMEOUT_SECONDS)


def encode(body):
    return None if body is ABSENT else json.dumps(body).encode("utf-8")


def call(method, path, body=ABSENT, headers=None, raw=None, gateway=0):
    """One request on a connection of its own. `raw` is sent as it is, without a content type."""
    connection = connect(gateway)
    sent = {} if body is ABSENT else {"content-type": "application/json"}
    sent.update(headers or {})
    try:
        connection.request(method, path, raw if raw is not None else encode(body), sent)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def get(path, **more):
    return call("GET", path, **more)


def post(path, body=ABSENT, **more):
    return call("POST", path, {} if body is ABSENT else body, **more)


class Event:
    def __init__(self, id, name, text):
        self.id, self.name, self.text = id, name, text

    @property
    def data(self):
        return json.loads(self.text)

    def __eq__(self, other):
        return (self.id, self.name, self.text) == (other.id, other.name, other.text)

    def __repr__(self):
        return "%s %s %s" % (self.id, self.name, self.text[:120])


class Stream:
    """Server-Sent Events by a parser that forgives nothing: what it raises is a breach of section 7.1."""

    def __init__(self, method, path, body=ABSENT, headers=None, gateway=0):
        self.connection = connect(gateway)
        sent = {"accept": "text/event-stream"}
        sent.update({} if body is ABSENT else {"content-type": "application/json"})
        sent.update(headers or {})
        self.opened = time.monotonic()
        self.connection.request(method, path, encode(body), sent)
        self.response = self.connection.getresponse()
        self.headers = self.response.headers
        self.comments = []  # (seconds after the opening, text)
        self.seen = []
        if self.response.status != 200:
            raise AssertionError("%s %s: %d %r" % (method, path, self.response.status, self.response.read()[:300]))

    def next(self):
        """The next event; None at the end of the body."""
        fields = []
        while True:
            line = self.response.readline()
            if line == b"":
                assert not fields, "the body ends inside an event: %r" % fields
                return None
            assert line.endswith(b"\n") and b"\r" not in line, "a line ends with something else than LF: %r" % line
            text = line[:-1].decode("utf-8")
            if text.startswith(":"):
                assert not fields, "a comment inside an event: %r" % fields
                self.comments.append((time.monotonic() - self.opened, text))
            elif text.startswith("retry: "):
                int(text[len("retry: ") :])
            elif text != "":
                fields.append(text.split(": ", 1))
            elif fields:
                break
            else:
                raise AssertionError("a blank line that ends no event")
        names = [field[0] for field in fields]
        assert names in (["id", "event", "data"], ["event", "data"]), "lines of an event: %r" % fields
        values = dict(fields)
        json.loads(values["data"])  # never empty, never two lines
        event = Event(values.get("id"), values["event"], values["data"])
        self.seen.append(event)
        return event

    def until(self, name, count=1):
        while True:
            event = self.next()
            assert event is not None, "no %s in %r" % (name, self.seen)
            count -= event.name == name
            if count == 0:
                return event

    def rest(self):
        while self.next() is not None:
            pass
        self.close()
        return self.seen

    def close(self):
        self.connection.close()


def stream(path, body, **more):
    return Stream("POST", path, body, **more)


def follow(path, last_event_id=None, **more):
    headers = {} if last_event_id is None else {"last-event-id": last_event_id}
    return Stream("GET", path, headers=headers, **more)


# What checks say about what they see. The message of a failure has both sides in it.


def same(actual, wanted, what=""):
    assert actual == wanted, "%s: %r, not %r" % (what or "got", actual, wanted)


def status(answer, *wanted):
    assert answer.status in wanted, "status %r, not %s" % (answer, " or ".join(map(str, wanted)))
    return answer


def ok(answer):
    return status(answer, 200).json


def contains(whole, part, what=""):
    """Every key of `part` is in `whole` with that value, at any depth."""
    for key, value in part.items():
        assert isinstance(whole, dict) and key in whole, "%s: no %r in %r" % (what, key, whole)
        if isinstance(value, dict) and value:
            contains(whole[key], value, "%s.%s" % (what, key))
        else:
            same(whole[key], value, "%s.%s" % (what, key))


def refused(answer, *wanted):
    """An error in the shape of section 1."""
    body = status(answer, *wanted).json
    assert isinstance(body.get("detail"), str) and body["detail"] != "", "no text in detail: %r" % body
    return body["detail"]


def eventually(look, what, seconds=10):
    """Looks until it is true or the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, "%s did not come true; last: %r" % (what, found)
        time.sleep(0.05)


# The test graphs.


def new_id():
    return str(uuid.uuid4())


def new_thread(**body):
    return ok(post("/threads", body))["thread_id"]


def steps(count, delay_ms=5):
    return {"inputs": ["in"], "steps": count, "delay_ms": delay_ms}


def run_body(graph, input=None, **more):
    body = {"assistant_id": graph, "input": input, "config": {"recursion_limit": 1000}}
    body.update(more)
    return body


def long_run(**more):
    return run_body("steps", steps(400, 50), **more)


def wait(thread_id, graph, input=None, **more):
    return post("/threads/%s/runs/wait" % thread_id, run_body(graph, input, **more))


def run_status(path):
    return ok(get(path))["status"]
