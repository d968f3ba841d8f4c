"""Section 1 of the contract: parsing, bodies, errors, headers. And section 10: what a server says about itself."""

import http.client
import json
import re
import time
import time
import urllib.parse
import uuid

import client
from client import ABSENT, Stream, call, connect, contains, eventually, follow, get, long_run, new_id, new_thread, ok
from client import post, raw_socket, refused, run_body, run_status, same, status, steps, stream, wait
from registry import check

ORIGIN = "https://app.example"
UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
RUN_PATH = re.compile("/threads/%s/runs/%s" % (UUID, UUID))


def read_raw(connection):
    """One response of a raw connection."""
    response = http.client.HTTPResponse(connection, method="POST")
    response.begin()
    return client.Answer(response.status, response.headers, response.read())


def request_head(path, *lines):
    return ("\r\n".join(["POST %s HTTP/1.1" % path, "Host: localhost"] + list(lines)) + "\r\n\r\n").encode("latin-1")


# Request bodies


@check("A body is JSON whatever content type it comes under, or none")
def _():
    text = json.dumps({"metadata": {"a": "é"}}).encode("utf-8")
    for kind in [None, "text/plain", "text/plain;charset=UTF-8", "application/octet-stream", "application/x-www-form-urlencoded"]:
        answer = call("POST", "/threads", raw=text, headers={} if kind is None else {"content-type": kind})
        same(ok(answer)["metadata"], {"a": "é"}, str(kind))


@check("Copies and cancels need no body")
def _():
    thread = new_thread()
    copy = ok(call("POST", "/threads/%s/copy" % thread))
    assert copy["thread_id"] != thread
    run = ok(post("/threads/%s/runs" % thread, long_run()))
    status(call("POST", "/threads/%s/runs/%s/cancel" % (thread, run["run_id"])), 202)


@check("A chunked body is a body")
def _():
    pieces = [b'{"metadata": {"text": "\xc3', b'\xa9"', b"}}"]  # a character in two chunks
    connection = connect()
    connection.request("POST", "/threads", iter(pieces), {"transfer-encoding": "chunked"}, encode_chunked=True)
    response = connection.getresponse()
    same(json.loads(response.read())["metadata"], {"text": "é"})
    connection.close()


@check("A client that expects 100-continue gets it before it sends its body, and a refusal as well")
def _():
    body = b'{"metadata": {}}'
    with raw_socket() as connection:
        connection.sendall(request_head("/threads", "Expect: 100-continue", "Content-Length: %d" % len(body)))
        interim = b""
        while not interim.endswith(b"\r\n\r\n"):
            interim += connection.recv(1)
        assert interim.startswith(b"HTTP/1.1 100 "), interim
        connection.sendall(body)
        status(read_raw(connection), 200)
    with raw_socket() as connection:  # a body that is never sent, for it would be too large
        connection.sendall(request_head("/threads", "Expect: 100-continue", "Content-Length: 2000000"))
        refused(read_raw(connection), 413)


@check("A client of HTTP/1.0 gets whole answers, and streams, that end with their connection")
def _():
    def ask(path, graph_input):
        body = json.dumps(run_body("steps", graph_input)).encode("utf-8")
        with raw_socket() as connection:
            head = "POST %s HTTP/1.0\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (path, len(body))
            connection.sendall(head.encode("latin-1") + body)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, rest = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ") and b"chunked" not in head.lower(), head
        return rest

    same(json.loads(ask("/runs/wait", steps(2, 1200)))["log"], [1, 2])
    text = ask("/runs/stream", steps(2)).decode("utf-8")
    assert text.endswith("\n\n") and "event: end\n" in text, text[-200:]


@check("A connection is used again after answers of every kind")
def _():
    connection = connect()
    thread = new_thread()
    for method, path, body, wanted in [
        ("POST", "/threads", b"{", 400),
        ("POST", "/threads", b"{}", 200),
        ("GET", "/threads/%00", None, 422),
        ("PATCH", "/threads/" + thread, b"{}", 200),
        ("HEAD", "/threads/" + thread, None, 200),
        ("DELETE", "/threads/" + thread, None, 204),
        ("GET", "/threads/" + thread, None, 404),
        ("GET", "/ok", None, 200),
    ]:
        connection.request(method, path, body)
        response = connection.getresponse()
        response.read()
        same(response.status, wanted, "%s %s" % (method, path))
        assert connection.sock is not None, "%s %s closed the connection" % (method, path)
    connection.close()


@check("Unknown fields of a body are ignored")
def _():
    extra = {"added_in_2031": {"deep": [1]}, "": 1}
    thread = ok(post("/threads", dict(extra, metadata={})))["thread_id"]
    same(ok(wait(thread, "steps", steps(1), **extra))["log"], [1])
    run = ok(post("/threads/%s/runs" % thread, run_body("steps", steps(1), camelCase=1, **extra)))
    ok(get("/threads/%s/runs/%s/join" % (thread, run["run_id"])))
    for path, body in [
        ("/threads/search", {"ids": [thread]}),
        ("/threads/count", {"metadata": {}}),
        ("/assistants/search", {}),
        ("/threads/%s/history" % thread, {"limit": 1}),
        ("/threads/%s/state" % thread, {"values": {"inputs": ["edited"]}, "as_node": "step"}),
        ("/assistants", {"graph_id": "steps"}),
    ]:
        status(post(path, dict(body, **extra)), 200)
    status(call("PATCH", "/threads/" + thread, dict(extra, metadata={})), 200)


@check("null is absent in optional fields")
def _():
    optional = ["metadata", "context", "checkpoint", "checkpoint_id", "command", "webhook", "interrupt_before", "on_completion"]
    optional += ["interrupt_after", "stream_mode", "stream_subgraphs", "stream_resumable", "feedback_keys", "durability"]
    optional += ["multitask_strategy", "if_not_exists", "after_seconds", "on_disconnect", "checkpoint_during"]
    nulls = dict.fromkeys(optional + ["langsmith_tracer", "strict_resume"])
    thread = ok(post("/threads", {"thread_id": None, "metadata": None, "if_exists": None, "ttl": None}))["thread_id"]
    same(ok(wait(thread, "steps", steps(2), **nulls))["log"], [1, 2])
    same(stream("/threads/%s/runs/stream" % thread, run_body("steps", steps(4), **nulls)).rest()[-1].name, "end")
    search = ["metadata", "values", "status", "limit", "offset", "sort_by", "sort_order", "select", "extract"]
    same(len(ok(post("/threads/search", dict(dict.fromkeys(search), ids=[thread])))), 1)
    ok(post("/assistants/search", dict.fromkeys(["metadata", "graph_id", "name", "limit", "offset", "sort_by", "select"])))
    ok(post("/threads/%s/history" % thread, {"limit": 5, "before": None, "metadata": None, "checkpoint": None}))


# Query strings


@check("Booleans of a query are true, 1 and yes; 0 and false are false")
def _():
    for text in ["0", "false"]:
        thread = new_thread()
        run = ok(post("/threads/%s/runs" % thread, long_run()))
        answer = status(call("POST", "/threads/%s/runs/%s/cancel?wait=%s" % (thread, run["run_id"], text)), 202)
        same(answer.body, b"", "body of 202")
    for text in ["1", "true", "yes"]:
        thread = new_thread()
        path = "/threads/%s/runs/%s" % (thread, ok(post("/threads/%s/runs" % thread, long_run()))["run_id"])
        answer = status(call("POST", "%s/cancel?wait=%s" % (path, text)), 200, 204)
        assert answer.status != 204 or answer.body == b""
        same(run_status(path), "interrupted", "after wait=%s" % text)


@check("A closed join with cancel_on_disconnect=0 cancels nothing")
def _():
    thread = new_thread()
    run = ok(post("/threads/%s/runs" % thread, run_body("steps", steps(20, 40))))
    path = "/threads/%s/runs/%s" % (thread, run["run_id"])
    for text in ["0", "false"]:
        joined = follow("%s/stream?cancel_on_disconnect=%s" % (path, text), "-1")
        joined.until("metadata")
        joined.close()
    ok(get(path + "/join?cancel_on_disconnect=0"))
    same(run_status(path), "success")


@check("Lists of a query come once, repeated, or as one JSON text")
def _():
    thread = new_thread()
    run = ok(post("/threads/%s/runs" % thread, run_body("steps", steps(1), stream_mode=["updates", "custom", "values"])))
    path = "/threads/%s/runs" % thread
    ok(get("%s/%s/join" % (path, run["run_id"])))
    quoted = urllib.parse.quote
    for query in ["select=run_id&select=status", "select=" + quoted('["run_id","status"]')]:
        same(ok(get("%s?%s" % (path, query))), [{"run_id": run["run_id"], "status": "success"}], query)
    same(ok(get(path + "?select=status")), [{"status": "success"}])
    kept = {"metadata", "end"}
    for query, names in [
        ("stream_mode=updates", {"updates"}),
        ("stream_mode=updates&stream_mode=custom", {"updates", "custom"}),
        ("stream_mode=" + quoted('["updates","custom"]'), {"updates", "custom"}),
        ("stream_mode=" + quoted('["updates", "custom"]').replace("%20", "+"), {"updates", "custom"}),
    ]:
        events = follow("%s/%s/stream?%s" % (path, run["run_id"], query), "-1").rest()
        same({event.name for event in events}, names | kept, query)


@check("Segments of a path may be percent-encoded")
def _():
    thread = new_thread()
    encoded = thread.replace("-", "%2D")
    same(ok(get("/threads/" + encoded))["thread_id"], thread)
    run = ok(post("/threads/%s/runs" % encoded, run_body("steps", steps(1))))
    ok(get("/threads/%s/runs/%s/join" % (encoded, run["run_id"].replace("-", "%2d"))))
    same(ok(get("/assistants/st%65ps"))["graph_id"], "steps")
    for namespace in ["inner", "%69nner"]:
        assert "inner" in ok(get("/assistants/nested_steps/subgraphs/" + namespace))
    for namespace in ["a|b", "a%7Cb"]:
        with raw_socket() as connection:  # http.client would not mind; other clients send the bar as it is
            connection.sendall(("GET /assistants/nested_steps/subgraphs/%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % namespace).encode())
            status(read_raw(connection), 200, 404)
    refused(get("/threads/%E0%A4%A"), 400, 404, 422)


@check("Odd query strings are refused or ignored, never a 5xx")
def _():
    thread = new_thread()
    for query in ["limit=1&limit=2", "limit[]=1", "limit[a]=1", "limit=", "limit=1e999", "limit=%ff", "limit=0x10", "&&=&", "__proto__[a]=1", "%", "a=%E0%A4", "status=&status=", "select[0]=run_id", "offset=99999999999999999999", "metadata={", "metadata=[]"]:
        for path in ["/threads/%s/runs" % thread, "/threads/%s/history" % thread, "/threads/%s/state" % thread]:
            answer = get("%s?%s" % (path, query))
            assert answer.status < 500, "%s?%s: %r" % (path, query, answer)
            if answer.status != 200:
                refused(answer, 400, 422)


# Errors


@check("Every refusal is JSON with a text in detail, under the status that the contract names")
def _():
    thread = new_thread()
    run = ok(post("/threads/%s/runs" % thread, run_body("steps", steps(1))))
    ok(get("/threads/%s/runs/%s/join" % (thread, run["run_id"])))
    nobody = new_id()
    for method, path, body, wanted in [
        ("GET", "/nowhere", ABSENT, [404]),
        ("DELETE", "/threads/search", ABSENT, [404, 405, 422]),
        ("PUT", "/threads", {}, [404, 405]),
        ("GET", "/threads/" + nobody, ABSENT, [404]),
        ("GET", "/threads/not-a-uuid", ABSENT, [404, 422]),  # this server takes other ids than UUIDs as well
        ("GET", "/threads/%20", ABSENT, [422]),
        ("PATCH", "/threads/" + nobody, {"metadata": {}}, [404]),
        ("DELETE", "/threads/" + nobody, ABSENT, [404]),
        ("POST", "/threads", {"thread_id": "no id"}, [422]),
        ("POST", "/threads", {"thread_id": thread}, [409]),
        ("POST", "/threads", {"if_exists": "maybe"}, [422]),
        ("POST", "/threads", {"metadata": []}, [422]),
        ("POST", "/threads", [], [400, 422]),
        ("POST", "/threads", "text", [400, 422]),
        ("POST", "/threads/search", {"limit": 0}, [422]),
        ("POST", "/threads/search", {"limit": 1001}, [422]),
        ("POST", "/threads/search", {"limit": "ten"}, [422]),
        ("POST", "/threads/search", {"offset": -1}, [422]),
        ("POST", "/threads/search", {"status": "asleep"}, [422]),
        ("POST", "/threads/search", {"sort_by": "mood"}, [422]),
        ("POST", "/threads/search", {"ids": "x"}, [422]),
        ("POST", "/assistants", {}, [422]),
        ("POST", "/assistants", {"graph_id": "nothing"}, [404]),
        ("GET", "/assistants/" + nobody, ABSENT, [404]),
        ("POST", "/assistants/search", {"limit": 1001}, [422]),
        ("POST", "/assistants/steps/latest", {"version": 99}, [404]),
        ("POST", "/assistants/steps/latest", {}, [422]),
        ("POST", "/threads/%s/runs" % thread, {"assistant_id": "nothing"}, [404]),
        ("POST", "/threads/%s/runs" % thread, {}, [422]),
        ("POST", "/threads/%s/runs" % nobody, {"assistant_id": "steps"}, [404]),
        ("POST", "/threads/%s/runs/stream" % nobody, {"assistant_id": "steps"}, [404]),
        ("POST", "/threads/%s/runs/wait" % nobody, {"assistant_id": "steps"}, [404]),
        ("POST", "/threads/%s/runs" % thread, {"assistant_id": "steps", "stream_mode": "smoke"}, [422]),
        ("POST", "/threads/%s/runs" % thread, {"assistant_id": "steps", "multitask_strategy": "hope"}, [422]),
        ("POST", "/threads/%s/runs" % thread, {"assistant_id": "steps", "on_disconnect": "cry"}, [422]),
        ("POST", "/threads/%s/runs" % thread, {"assistant_id": "steps", "durability": "never"}, [422]),
        ("POST", "/runs/wait", {"assistant_id": "nothing"}, [404]),
        ("POST", "/runs/batch", [], [422]),
        ("GET", "/threads/%s/runs" % nobody, ABSENT, [404]),
        ("GET", "/threads/%s/runs/%s" % (thread, nobody), ABSENT, [404]),
        ("GET", "/threads/%s/runs/none" % thread, ABSENT, [422]),
        ("GET", "/threads/%s/runs/%s" % (nobody, run["run_id"]), ABSENT, [404]),
        ("GET", "/threads/%s/runs/%s/join" % (thread, nobody), ABSENT, [404]),
        ("GET", "/threads/%s/runs/%s/stream" % (thread, nobody), ABSENT, [404]),
        ("POST", "/threads/%s/runs/%s/cancel" % (thread, nobody), ABSENT, [404]),
        ("POST", "/threads/%s/runs/%s/cancel?action=maim" % (thread, run["run_id"]), ABSENT, [422]),
        ("DELETE", "/threads/%s/runs/%s" % (thread, nobody), ABSENT, [404]),
        ("GET", "/threads/%s/state" % nobody, ABSENT, [404]),
        ("POST", "/threads/%s/state" % nobody, {"values": {}}, [404]),
        ("POST", "/threads/%s/state" % new_thread(), {"values": {"inputs": ["x"]}}, [400]),
        ("POST", "/threads/%s/history" % nobody, {"limit": 1}, [404]),
        ("POST", "/threads/%s/history" % thread, {"limit": 0}, [422]),
        ("GET", "/threads/%s/history?limit=1001" % thread, ABSENT, [422]),
        ("GET", "/threads/%s/stream" % nobody, ABSENT, [404]),
        ("POST", "/threads/%s/copy" % nobody, ABSENT, [404, 409]),
    ]:
        try:
            refused(call(method, path, body), *wanted)
        except AssertionError as error:
            raise AssertionError("%s %s %s: %s" % (method, path, "" if body is ABSENT else json.dumps(body), error))


@check("A body that is not JSON, or not UTF-8, is a malformed request")
def _():
    for raw in [b"{", b"{'a': 1}", b"undefined", b'{"metadata": {"a": NaN}}', b'{"a": 1} x']:
        refused(call("POST", "/threads", raw=raw), 400)
    status(call("POST", "/threads", raw=b'{"metadata": {"a": "\xff"}}'), 200, 400, 422)
    deep = b'{"metadata":' + b'{"a":' * 5000 + b"1" + b"}" * 5001
    refused(call("POST", "/threads", raw=deep), 400, 413, 422)


@check("A body that is too large is refused with 413")
def _():
    refused(call("POST", "/threads", {"metadata": {"text": "x" * 1_100_000}}), 413)


@check("What is not supported is never a 5xx, which clients would try again")
def _():
    thread = new_thread()
    for method, path, body in [
        ("PATCH", "/threads/%s/state" % thread, {"metadata": {}}),
        ("POST", "/threads/%s/commands" % thread, {"id": 1, "method": "run.start", "params": {}}),
        ("POST", "/threads/%s/stream/events" % thread, {"channels": []}),
        ("POST", "/runs/crons/search", {}),
        ("POST", "/runs/crons", {"schedule": "nonsense", "assistant_id": "steps"}),
        ("PUT", "/store/items", {}),
        ("POST", "/ui/steps", {"name": "x"}),
        ("GET", "/mcp", ABSENT),
        ("POST", "/a2a/steps", {}),
        ("GET", "/threads/%s/storage" % thread, ABSENT),
        ("POST", "/internal/truncate", {}),
    ]:
        answer = call(method, path, body)
        assert answer.status < 500, "%s %s: %r" % (method, path, answer)
    status(post("/internal/truncate"), 404, 405)
    upgrade = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    upgrade["sec-websocket-key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    assert get("/threads/%s/stream/events" % thread, headers=upgrade).status < 500


# Methods


@check("HEAD answers like GET, without a body and at once, where GET would stream as well")
def _():
    thread = new_thread()
    run = ok(post("/threads/%s/runs" % thread, long_run()))
    path = "/threads/%s/runs/%s" % (thread, run["run_id"])
    for target in ["/ok", "/info", "/threads/" + thread, "/assistants/steps", path]:
        whole, head = get(target), call("HEAD", target)
        same((head.status, head.body), (200, b""), target)
        same(head.headers.get("content-type"), whole.headers.get("content-type"), target)
    for target in [path + "/stream", path + "/join", "/threads/%s/stream" % thread, "/runs/%s/stream" % run["run_id"]]:
        begun = time.monotonic()
        same(call("HEAD", target + "?cancel_on_disconnect=1").body, b"", target)
        assert time.monotonic() - begun < 3, "%s took %.1f s" % (target, time.monotonic() - begun)
    assert run_status(path) in ("pending", "running"), "a HEAD cancelled the run"
    same(call("HEAD", "/threads/" + new_id()).status, 404)
    call("POST", path + "/cancel")


@check("A preflight is answered without a key and names what a page may send")
def _():
    asked = {"origin": ORIGIN, "access-control-request-method": "POST"}
    asked["access-control-request-headers"] = "content-type,x-api-key,last-event-id,authorization"
    for path in ["/threads", "/threads/%s/runs/stream" % new_id(), "/assistants/search"]:
        answer = status(call("OPTIONS", path, headers=asked), 200, 204)
        same(answer.headers["access-control-allow-origin"], ORIGIN)
        allowed = answer.headers["access-control-allow-headers"].lower()
        for name in asked["access-control-request-headers"].split(","):
            assert name in allowed or allowed == "*", allowed
        methods = answer.headers["access-control-allow-methods"]
        assert all(method in methods for method in ["GET", "POST", "PATCH", "DELETE", "PUT"]), methods
    assert call("OPTIONS", "/threads").status < 500


@check("A page of an allowed origin sees the headers that clients read, also of refusals and streams")
def _():
    thread = new_thread()
    headers = {"origin": ORIGIN}
    streamed = Stream("POST", "/threads/%s/runs/stream" % thread, run_body("steps", steps(1)), headers)
    streamed.rest()
    for answer in [get("/ok", headers=headers), get("/nowhere", headers=headers), post("/threads", headers=headers), streamed]:
        same(answer.headers["access-control-allow-origin"], ORIGIN)
        exposed = [name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")]
        for name in ["content-location", "location", "x-pagination-total", "x-pagination-next"]:
            assert name in exposed, exposed
        assert "origin" in answer.headers.get("vary", "").lower()
    foreign = get("/threads/" + thread, headers={"origin": "https://evil.example"})
    assert foreign.headers.get("access-control-allow-origin") in (None, ORIGIN)


# Response headers


@check("Content-Location names the run, and Location where to go on, on every way to make one")
def _():
    thread = new_thread()
    for prefix, where in [("/threads/%s" % thread, thread), ("", None)]:
        for kind, suffix in [("", None), ("/wait", "/join"), ("/stream", "/stream")]:
            connection = connect()
            connection.request("POST", prefix + "/runs" + kind, json.dumps(run_body("steps", steps(1), stream_resumable=True)))
            response = connection.getresponse()
            here = response.headers["content-location"]
            response.read()
            connection.close()
            assert re.fullmatch("(?:/threads/%s)?/runs/%s" % (UUID, UUID), here), here
            if where is not None:
                assert here.startswith("/threads/%s/" % where), here
            location = response.headers["location"]
            if suffix is None:
                assert location is None or location.startswith("/"), location
                continue
            assert location.endswith(suffix) and RUN_PATH.fullmatch(location[: -len(suffix)]), location
            assert here.rsplit("/", 1)[1] in location
            again = get(location, headers={"last-event-id": "-1"}, gateway=1)
            same(again.status, 200, location)


@check("Pages of a search say how many there are and where the next begins")
def _():
    mark = {"mark": new_id()}
    for _i in range(5):
        new_thread(metadata=mark)
    for offset, returned, following in [(0, 2, "2"), (2, 2, "4"), (4, 1, None), (9, 0, None)]:
        answer = post("/threads/search", {"metadata": mark, "limit": 2, "offset": offset})
        same(len(ok(answer)), returned)
        same(answer.headers["x-pagination-total"], "5", "total at %d" % offset)
        same(answer.headers.get("x-pagination-next"), following, "next at %d" % offset)
    exact = post("/threads/search", {"metadata": mark, "limit": 5})
    same((len(ok(exact)), exact.headers.get("x-pagination-next")), (5, None))
    for _i in range(3):
        ok(post("/assistants", {"graph_id": "steps", "metadata": mark}))
    answer = post("/assistants/search", {"metadata": mark, "limit": 2})
    same((answer.headers["x-pagination-total"], answer.headers["x-pagination-next"]), ("3", "2"))


@check("Empty answers are 204 or 202 without a body, never an empty 200")
def _():
    thread, mark = new_thread(), new_id()
    assistant = ok(post("/assistants", {"graph_id": "steps", "metadata": {"mark": mark}}))["assistant_id"]
    run = ok(post("/threads/%s/runs" % thread, run_body("steps", steps(1))))
    path = "/threads/%s/runs/%s" % (thread, run["run_id"])
    ok(get(path + "/join"))
    for method, target, headers in [
        ("POST", path + "/cancel", {}),
        ("DELETE", path, {}),
        ("PATCH", "/threads/" + thread, {"prefer": "return=minimal"}),
        ("DELETE", "/threads/" + thread, {}),
        ("DELETE", "/assistants/" + assistant, {}),
    ]:
        answer = call(method, target, {"metadata": {}} if method == "PATCH" else ABSENT, headers)
        if answer.status == 200:
            answer.json
            continue
        status(answer, 202, 204)
        same(answer.body, b"", target)
        same(answer.headers.get("content-length", "0"), "0", target)


# IDs and shapes that everything else builds on


@check("The default assistant of a graph has the id that clients compute, and the graph's id is as good")
def _():
    namespace = uuid.UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")
    same(str(uuid.uuid5(namespace, "agent")), "fe096781-5601-53d2-b2f6-0d3403f7e9ca")
    by_id = str(uuid.uuid5(namespace, "steps"))
    assistant = ok(get("/assistants/" + by_id))
    contains(assistant, {"assistant_id": by_id, "graph_id": "steps", "name": "steps", "version": 1})
    contains(assistant["metadata"], {"created_by": "system"})
    same(ok(get("/assistants/steps")), assistant)
    thread = new_thread()
    for name in ["steps", by_id]:
        run = ok(post("/threads/%s/runs" % thread, run_body(name, steps(1))))
        same(run["assistant_id"], by_id)
    for part in ["graph", "schemas", "subgraphs"]:
        same(ok(get("/assistants/steps/" + part)), ok(get("/assistants/%s/%s" % (by_id, part))))


@check("A server says that it is there, what it is and what it counts")
def _():
    same(ok(get("/ok")), {"ok": True})
    same(ok(get("/ok?check_db=1"))["ok"], True)
    info = ok(get("/info"))
    assert isinstance(info["version"], str) and isinstance(info["flags"]["assistants"], bool), info
    same(info["context"], "js")
    assert isinstance(info["langgraph_js_version"], str), info
    for query in ["", "?format=prometheus"]:
        answer = status(get("/metrics" + query), 200)
        assert answer.headers["content-type"].startswith("text/plain"), answer.headers["content-type"]
        assert b"# TYPE" in answer.body
    status(get("/metrics?format=json"), 200).json
    assert status(get("/docs"), 200, 301, 302).headers["content-type"].startswith("text/html")
    assert ok(get("/openapi.json"))["openapi"].startswith("3")
