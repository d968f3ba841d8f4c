"""Section 5 of the contract: making, awaiting, listing and deleting runs."""

import json
import time
import urllib.parse

from client import call, connect, contains, encode, eventually, get, long_run, new_id, new_thread, ok, post, refused
from client import run_body, run_status, same, status, steps, stream, wait
from registry import check


@check("A run on a thread that is not there is refused, or makes it where that is asked")
def _():
    thread = new_id()
    refused(post("/threads/%s/runs" % thread, run_body("steps", steps(1))), 404)
    same(ok(wait(thread, "steps", steps(2), if_not_exists="create", metadata={"who": "я"}))["log"], [1, 2])
    row = ok(get("/threads/" + thread))
    contains(row["metadata"], {"graph_id": "steps", "who": "я", "assistant_id": ok(get("/assistants/steps"))["assistant_id"]})
    contains(row, {"status": "idle", "interrupts": {}})
    same(row["values"]["log"], [1, 2])


@check("A wait commits to 200 at once and keeps its line alive with white space before its JSON")
def _():
    begun = time.monotonic()
    connection = connect()
    connection.request("POST", "/threads/%s/runs/wait" % new_thread(), encode(run_body("steps", steps(1, 5500))))
    response = connection.getresponse()
    assert time.monotonic() - begun < 3, "the headers took %.1f s" % (time.monotonic() - begun)
    same((response.status, response.headers["content-type"].split(";")[0]), (200, "application/json"))
    arrivals, body = [begun], b""
    while not body.strip():
        part = response.read1()
        assert part != b"", "the body ends without a state: %r" % body
        body += part
        arrivals.append(time.monotonic())
    body += response.read()
    connection.close()
    assert len(arrivals) >= 3, "no white space in %.1f s" % (arrivals[-1] - begun)
    assert max(b - a for a, b in zip(arrivals, arrivals[1:])) < 5.5, [b - a for a, b in zip(arrivals, arrivals[1:])]
    same(body[: -len(body.lstrip())].strip(b"\n"), b"", "what comes before the JSON")
    same(json.loads(body)["log"], [1])


@check("A join keeps its line alive as well and ends with the same state on every gateway")
def _():
    thread = new_thread()
    run = ok(post("/threads/%s/runs" % thread, run_body("steps", steps(1, 3000))))
    path = "/threads/%s/runs/%s/join" % (thread, run["run_id"])
    first = get(path)
    assert first.body.startswith(b"\n"), first.body[:40]
    same(ok(first)["log"], [1])
    for gateway in [0, 1]:
        same(ok(get(path, gateway=gateway)), ok(first), "a join of a run that has ended")


@check("A failed run is an answer: 200 with __error__, to wait, join and a run without a thread")
def _():
    thread = new_thread()
    wanted = {"__error__": {"error": "TypeError", "message": "boom ☠"}}
    failing = {"fail": "boom ☠"}
    same(ok(wait(thread, "echo", failing)), wanted)
    same(ok(post("/runs/wait", run_body("echo", failing))), wanted)
    run = ok(post("/threads/%s/runs" % thread, run_body("echo", failing)))
    path = "/threads/%s/runs/%s" % (thread, run["run_id"])
    same(ok(get(path + "/join")), wanted)
    same(run_status(path), "error")
    same(ok(get("/threads/" + thread))["status"], "error")
    same(ok(get("/threads/%s/state" % thread))["tasks"][0]["error"] is None, False, "the task has its error")


@check("A run that asks ends in success; its output has the state and __interrupt__")
def _():
    thread = new_thread()
    output = ok(wait(thread, "ask", {"question": "что?"}))
    same(output["question"], "что?")
    same([one["value"] for one in output["__interrupt__"]], [{"question": "что?"}])
    run = ok(get("/threads/%s/runs" % thread))[0]
    same(run["status"], "success")
    same(ok(get("/threads/" + thread))["status"], "interrupted")
    assert "__interrupt__" not in ok(wait(thread, "ask", None, command={"resume": "x"}))
    same(ok(get("/threads/" + thread))["status"], "idle")


@check("A run that is unknown, or another thread's, is not found, before anything is streamed or awaited")
def _():
    mine, other = new_thread(), new_thread()
    run = ok(post("/threads/%s/runs" % mine, run_body("steps", steps(1))))["run_id"]
    for suffix in ["", "/join", "/stream"]:
        refused(get("/threads/%s/runs/%s%s" % (other, run, suffix)), 404)
    refused(call("POST", "/threads/%s/runs/%s/cancel" % (other, run)), 404)
    refused(call("DELETE", "/threads/%s/runs/%s" % (other, run)), 404)
    ok(get("/threads/%s/runs/%s/join" % (mine, run)))


@check("The runs of a thread are listed newest first, by page, status, metadata and field")
def _():
    thread = new_thread()
    ids = []
    for turn in range(3):
        ids.append(ok(post("/threads/%s/runs" % thread, run_body("steps", steps(1), metadata={"turn": turn})))["run_id"])
        ok(get("/threads/%s/runs/%s/join" % (thread, ids[-1])))
    path = "/threads/%s/runs" % thread
    listed = lambda query: [run["run_id"] for run in ok(get(path + query))]
    same(listed(""), ids[::-1])
    same(listed("?limit=1&offset=1"), ids[1:2])
    same(listed("?status=success"), ids[::-1])
    same(listed("?status=error"), [])
    same(listed("?metadata=" + urllib.parse.quote('{"turn":1}')), ids[1:2])
    refused(get(path + "?status=lost"), 422)
    refused(get(path + "?limit=0"), 422)


@check("A deleted run is gone with the checkpoints it made; one that is active is cancelled or refused")
def _():
    thread = new_thread()
    ok(wait(thread, "steps", steps(2)))
    run = ok(post("/threads/%s/runs" % thread, run_body("steps", steps(4))))["run_id"]
    path = "/threads/%s/runs/%s" % (thread, run)
    ok(get(path + "/join"))
    status(call("DELETE", path), 204)
    refused(get(path), 404)
    assert all(state["metadata"].get("run_id") != run for state in ok(get("/threads/%s/history?limit=100" % thread)))
    same(ok(get("/threads/%s/state" % thread))["values"]["log"], [1, 2])
    active = "/threads/%s/runs/%s" % (thread, ok(post("/threads/%s/runs" % thread, long_run()))["run_id"])
    if status(call("DELETE", active), 204, 409).status == 409:
        call("POST", active + "/cancel")


@check("Runs without a thread answer like others, singly and in batches in their order")
def _():
    same(ok(post("/runs/wait", run_body("steps", steps(2))))["log"], [1, 2])
    run = ok(post("/runs", run_body("steps", steps(1))))
    same(run["status"], "pending")
    assert run["thread_id"], run
    events = stream("/runs/stream", run_body("steps", steps(2), stream_mode="updates")).rest()
    same([event.name for event in events], ["metadata", "updates", "updates", "end"])
    batch = ok(post("/runs/batch", [run_body("steps", steps(n), metadata={"n": n}, assistantId="x") for n in (1, 2, 3)]))
    same([one["metadata"]["n"] for one in batch], [1, 2, 3])
    same(len({one["run_id"] for one in batch} | {one["thread_id"] for one in batch}), 6)


@check("Cancelled runs end as interrupted, a rolled back one is gone with what it did, and a finished one stays")
def _():
    thread = new_thread()
    runs = "/threads/%s/runs" % thread
    ok(wait(thread, "steps", steps(2)))
    finished = ok(get(runs))[0]["run_id"]
    for target in ["", "?wait=0", "?wait=1", "?action=interrupt"]:
        status(call("POST", "%s/%s/cancel%s" % (runs, finished, target)), 200, 202, 204)
    same(run_status("%s/%s" % (runs, finished)), "success")
    kept = stream(runs + "/stream", long_run())
    kept.until("values", 3)
    path = kept.headers["content-location"]
    status(call("POST", path + "/cancel?wait=1"), 200, 204)
    same(run_status(path), "interrupted")
    assert kept.rest()[-1].data["status"] == "interrupted", kept.seen[-1]
    done = len(ok(get("/threads/%s/state" % thread))["values"]["log"])
    assert done > 2, done
    same(ok(get("/threads/" + thread))["status"], "idle")
    rolled = stream(runs + "/stream", long_run())
    rolled.until("values", 3)
    path = rolled.headers["content-location"]
    status(call("POST", path + "/cancel?wait=1&action=rollback"), 200, 204)
    refused(get(path), 404)
    row = ok(get("/threads/" + thread))
    same((len(row["values"]["log"]), row["status"]), (done, "idle"), "the thread after a rollback")
    same(len(ok(get("/threads/%s/state" % thread))["values"]["log"]), done)
    assert rolled.rest()[-1].name == "end"


@check("Several runs are cancelled at once, and none is 404")
def _():
    thread = new_thread()
    runs = [ok(post("/threads/%s/runs" % thread, long_run()))["run_id"] for _i in range(2)]
    answer = status(post("/runs/cancel", {"thread_id": thread, "run_ids": runs}), 204)
    same(answer.body, b"")
    for run in runs:
        eventually(lambda: run_status("/threads/%s/runs/%s" % (thread, run)) == "interrupted", "the cancel of %s" % run)
    refused(post("/runs/cancel", {"thread_id": thread, "run_ids": [new_id()]}), 404)


@check("A client that hangs up with on_disconnect cancel takes its run along, otherwise not")
def _():
    for on_disconnect, ends_as in [("cancel", "interrupted"), ("continue", "success"), (None, "success")]:
        body = run_body("steps", steps(15, 40) if ends_as == "success" else steps(400, 50))
        body.update({} if on_disconnect is None else {"on_disconnect": on_disconnect})
        opened = stream("/threads/%s/runs/stream" % new_thread(), body)
        opened.until("values")
        opened.close()
        path = opened.headers["content-location"]
        eventually(lambda: run_status(path) == ends_as, "%s after %s" % (ends_as, on_disconnect))


@check("A wait and a join that hang up cancel where that is asked")
def _():
    thread = new_thread()
    connection = connect()
    connection.request("POST", "/threads/%s/runs/wait" % thread, encode(long_run(on_disconnect="cancel")))
    path = connection.getresponse().headers["content-location"]
    connection.sock and connection.close()
    eventually(lambda: run_status(path) == "interrupted", "the cancel of an abandoned wait")
    run = ok(post("/threads/%s/runs" % thread, long_run()))["run_id"]
    connection = connect()
    connection.request("GET", "/threads/%s/runs/%s/join?cancel_on_disconnect=1" % (thread, run))
    response = connection.getresponse()
    response.close()
    connection.close()
    eventually(lambda: run_status("/threads/%s/runs/%s" % (thread, run)) == "interrupted", "the cancel of an abandoned join")


@check("Keys of a caller are in no state, no stream and no run")
def _():
    thread = new_thread()
    secret = "sk-" + new_id()
    headers = {"authorization": "Bearer " + secret, "x-api-key": secret, "x-service-key": secret, "cookie": "s=" + secret}
    body = run_body("echo", {"value": 1}, stream_mode=["values", "debug", "tasks", "checkpoints", "events", "messages"])
    body["config"]["configurable"] = {"langgraph_auth_user": {"identity": "forged"}, "__pregel_x": 1, "mine": 1}
    seen = stream("/threads/%s/runs/stream" % thread, body, headers=headers).rest()
    visible = [event.text for event in seen]
    for path in ["", "/state", "/history", "/runs"]:
        visible.append(get("/threads/%s%s" % (thread, path)).body.decode("utf-8"))
    for text in visible:
        assert secret not in text and "forged" not in text, text[:300]
    configurable = ok(get("/threads/%s/state" % thread))["values"]["seen"]["configurable"]
    same(configurable["mine"], 1)
