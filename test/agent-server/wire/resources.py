"""Sections 2 to 4 of the contract: shapes, assistants, threads with their state and history."""

import datetime
import re
import urllib.parse
import uuid

from client import call, contains, eventually, get, long_run, new_id, new_thread, ok, post, refused, run_body, same
from client import status, steps, wait
from registry import check

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
UNICODE = {"ключ": "значение", "emoji": "👩🏽‍🚀", "quote": "it's \"so\" \\ 100%", "": "empty key", "a.b$c": "no path"}


def timestamp(value):
    assert isinstance(value, str) and TIMESTAMP.fullmatch(value), value
    return datetime.datetime.strptime(re.sub(r"(\.\d+)?(Z|\+00:00)$", "", value), "%Y-%m-%dT%H:%M:%S")


def keys(record, needed, what):
    missing = set(needed) - set(record)
    assert not missing, "%s lacks %r: %r" % (what, missing, record)


def asked_thread():
    """A thread that waits for an answer."""
    thread = new_thread()
    ok(wait(thread, "ask", {"question": "why?"}))
    return thread


# Shapes


@check("An assistant, a thread, a run and a state have all their fields")
def _():
    assistant = ok(post("/assistants", {"graph_id": "steps"}))
    wanted = ["assistant_id", "graph_id", "config", "context", "metadata", "name", "description", "version"]
    keys(assistant, wanted + ["created_at", "updated_at"], "assistant")
    contains(assistant, {"config": {}, "context": {}, "metadata": {}, "version": 1})
    thread = ok(post("/threads"))
    wanted = ["thread_id", "created_at", "updated_at", "metadata", "status", "config", "values", "interrupts"]
    keys(thread, wanted, "thread")
    contains(thread, {"metadata": {}, "status": "idle", "config": {}, "values": None, "interrupts": {}})
    assert "ttl" not in thread
    run = ok(post("/threads/%s/runs" % thread["thread_id"], run_body("steps", steps(1), metadata={"a": 1})))
    wanted = ["run_id", "thread_id", "assistant_id", "created_at", "updated_at", "status", "metadata", "kwargs"]
    keys(run, wanted + ["multitask_strategy"], "run")
    contains(run, {"status": "pending", "thread_id": thread["thread_id"], "multitask_strategy": "enqueue"})
    contains(run["metadata"], {"a": 1})
    same(run["kwargs"]["input"], steps(1), "kwargs.input")
    ok(get("/threads/%s/runs/%s/join" % (thread["thread_id"], run["run_id"])))
    state = ok(get("/threads/%s/state" % thread["thread_id"]))
    wanted = ["values", "next", "tasks", "metadata", "created_at", "checkpoint", "parent_checkpoint", "interrupts"]
    keys(state, wanted, "state")
    keys(state["checkpoint"], ["thread_id", "checkpoint_ns", "checkpoint_id"], "checkpoint")
    same(state["checkpoint"]["checkpoint_ns"], "")
    for record in [assistant, thread, run]:
        timestamp(record["created_at"]), timestamp(record["updated_at"])
    timestamp(state["created_at"])
    for record, name in [(assistant, "assistant_id"), (thread, "thread_id"), (run, "run_id")]:
        assert uuid.UUID(record[name]).version in (4, 7), record[name]


@check("A thread that never ran has an empty state and no history")
def _():
    thread = new_thread()
    state = ok(get("/threads/%s/state" % thread))
    contains(state, {"values": {}, "next": [], "tasks": [], "checkpoint": None, "parent_checkpoint": None, "created_at": None})
    assert state["metadata"] in (None, {})
    same(ok(get("/threads/%s/history" % thread)), [])
    same(ok(post("/threads/%s/history" % thread, {"limit": 10})), [])


@check("A question is in the state's tasks, in its interrupts and in the thread's")
def _():
    thread = asked_thread()
    state = ok(get("/threads/%s/state" % thread))
    same(state["next"], ["ask"])
    task = state["tasks"][0]
    keys(task, ["id", "name", "path", "error", "interrupts", "checkpoint", "state", "result"], "task")
    contains(task, {"name": "ask", "path": ["__pregel_pull", "ask"], "error": None, "checkpoint": None, "state": None})
    question = task["interrupts"][0]
    same(question["value"], {"question": "why?"})
    assert re.fullmatch("[0-9a-f]{32}", question["id"]), question
    same([one["id"] for one in state["interrupts"]], [question["id"]])
    row = ok(get("/threads/" + thread))
    same(row["status"], "interrupted")
    same({key: [one["id"] for one in many] for key, many in row["interrupts"].items()}, {task["id"]: [question["id"]]})


@check("Messages are flat on the wire: type and content, never a constructor's form")
def _():
    for message in [{"role": "user", "content": "hé"}, {"type": "human", "content": "hé"}]:
        thread = new_thread()
        values = ok(wait(thread, "talk", {"messages": [message]}))
        last = ok(get("/threads/%s/state" % thread))["values"]
        same(values, last)
        for one in values["messages"]:
            keys(one, ["type", "content", "id", "additional_kwargs", "response_metadata"], "message")
            assert "lc" not in one and "kwargs" not in one and one["id"], one
        same([one["type"] for one in values["messages"]], ["human", "ai", "ai"])
        keys(values["messages"][-1], ["tool_calls", "invalid_tool_calls"], "ai message")
    same(values["messages"][0]["content"], "hé")


# Assistants


@check("An assistant is made once, kept by do_nothing, and refused again otherwise")
def _():
    body = {"graph_id": "steps", "assistant_id": new_id(), "name": "Zoë", "metadata": UNICODE, "description": "d"}
    made = ok(post("/assistants", body))
    same(made["metadata"], UNICODE)
    refused(post("/assistants", body), 409)
    refused(post("/assistants", dict(body, if_exists="raise")), 409)
    same(ok(post("/assistants", dict(body, if_exists="do_nothing", name="other"))), made)
    same(ok(get("/assistants/" + body["assistant_id"])), made)


@check("Assistants are found by name, graph and what their metadata contain, in order, in part")
def _():
    mark = {"mark": new_id()}
    nested = dict(mark, flag=True, n=1, deep={"a": {"b": [1, 2]}, "c": None})
    ids = [
        ok(post("/assistants", {"graph_id": graph, "name": name, "metadata": metadata}))["assistant_id"]
        for graph, name, metadata in [("steps", "alPHa 100%", nested), ("ask", "beta_x", mark), ("steps", "gamma", mark)]
    ]
    search = lambda **body: [one["assistant_id"] for one in ok(post("/assistants/search", body))]
    same(search(metadata=mark), ids[::-1], "newest first")
    same(search(metadata=mark, sort_by="name", sort_order="asc"), ids)
    same(search(metadata=mark, sort_by="created_at", sort_order="asc"), ids)
    same(search(metadata=mark, graph_id="ask"), ids[1:2])
    same(search(metadata=mark, name="ALPHA"), ids[:1])
    same(search(metadata=mark, name="100%"), ids[:1])
    same(search(metadata=mark, name="a_x"), ids[1:2], "_ is no wildcard")
    same(search(metadata=mark, name="%"), ids[:1], "% is no wildcard")
    same(search(metadata=dict(mark, deep={"a": {}})), ids[:1])
    same(search(metadata=dict(mark, flag=True, n=1)), ids[:1])
    same(search(metadata=dict(mark, flag="true")), [], "a text is no boolean")
    same(search(metadata=dict(mark, n="1")), [], "a text is no number")
    same(search(metadata=mark, limit=1, offset=1), ids[1:2])
    same(ok(post("/assistants/count", {"metadata": mark})), 3)
    same(ok(post("/assistants/count", {"metadata": mark, "name": "ALPHA"})), 1)
    selected = ok(post("/assistants/search", {"metadata": mark, "select": ["name", "graph_id"], "name": "beta"}))
    same(selected, [{"name": "beta_x", "graph_id": "ask"}])


@check("A change makes a version, metadata merge, and an earlier version comes back whole")
def _():
    body = {"graph_id": "steps", "name": "one", "metadata": {"a": 1, "b": {"c": 1}}, "description": "first"}
    body.update(config={"configurable": {"x": 1}, "tags": ["t"]}, context={"k": "v"})
    path = "/assistants/" + ok(post("/assistants", body))["assistant_id"]
    second = ok(call("PATCH", path, {"metadata": {"b": 2}, "config": {"configurable": {"y": 1}}, "graph_id": "ask"}))
    contains(second, {"version": 2, "name": "one", "description": "first", "graph_id": "ask", "context": {"k": "v"}})
    same(second["metadata"], {"a": 1, "b": 2})
    same(second["config"], {"configurable": {"y": 1}}, "config is replaced")
    third = ok(call("PATCH", path, {"name": "three", "description": "third", "context": {}}))
    contains(third, {"version": 3, "name": "three", "context": {}})
    versions = ok(post(path + "/versions", {}))
    same([one["version"] for one in versions], [3, 2, 1])
    same([one["version"] for one in ok(post(path + "/versions", {"limit": 1, "offset": 1}))], [2])
    first = ok(post(path + "/latest", {"version": 1}))
    contains(first, dict(body, version=1))
    same(ok(get(path)), first)
    same(ok(call("PATCH", path, {"name": "four"}))["version"], 4, "after the highest")


@check("A graph is drawn and described")
def _():
    drawn = ok(get("/assistants/nested_steps/graph"))
    names = [node["id"] for node in drawn["nodes"]]
    assert "__start__" in names and "__end__" in names and "inner" in names, names
    for edge in drawn["edges"]:
        assert edge["source"] in names and edge["target"] in names, edge
    assert len(ok(get("/assistants/nested_steps/graph?xray=true"))["nodes"]) > len(names)
    same(len(ok(get("/assistants/nested_steps/graph?xray=false"))["nodes"]), len(names))
    ok(get("/assistants/nested_steps/graph?xray=1"))
    schemas = ok(get("/assistants/steps/schemas"))
    keys(schemas, ["graph_id", "input_schema", "output_schema", "state_schema", "config_schema", "context_schema"], "schemas")
    assert "inner" in ok(get("/assistants/nested_steps/subgraphs?recurse=true"))
    same(ok(get("/assistants/steps/subgraphs")), {})


# Threads


@check("A thread is made once, kept by do_nothing, and refused again otherwise")
def _():
    body = {"thread_id": new_id(), "metadata": UNICODE}
    made = ok(post("/threads", body))
    same((made["thread_id"], made["metadata"]), (body["thread_id"], UNICODE))
    refused(post("/threads", body), 409)
    same(ok(post("/threads", dict(body, if_exists="do_nothing", metadata={"x": 1}))), made)


@check("Threads are found by metadata, values, ids and status, in order, in part, with what is taken out of them")
def _():
    mark = {"mark": new_id(), "nested": {"flag": False, "list": [1, {"a": 2}]}}
    idle, asked = new_thread(metadata=dict(mark, order=1)), new_thread(metadata=dict(mark, order=2))
    ok(wait(asked, "ask", {"question": "wer?"}))
    search = lambda **body: [one["thread_id"] for one in ok(post("/threads/search", body))]
    same(set(search(metadata=mark)), {idle, asked})
    same(search(metadata={"mark": mark["mark"], "order": 2}), [asked])
    same(search(metadata=dict(mark, nested={"flag": "false"})), [])
    same(search(metadata=mark, status="interrupted"), [asked])
    same(search(metadata=mark, values={"question": "wer?"}), [asked])
    same(search(ids=[idle, new_id()]), [idle])
    same(search(metadata=mark, sort_by="created_at", sort_order="asc"), [idle, asked])
    same(search(metadata=mark, sort_by="created_at", sort_order="desc"), [asked, idle])
    for column in ["thread_id", "status", "updated_at", "state_updated_at"]:
        same(len(search(metadata=mark, sort_by=column)), 2, column)
    same(ok(post("/threads/count", {"metadata": mark})), 2)
    same(ok(post("/threads/count", {"metadata": mark, "status": "idle"})), 1)
    paths = {"q": "values.question", "last": "metadata.nested.list[-1].a", "none": "values.absent[0]"}
    body = {"metadata": mark, "status": "interrupted", "select": ["thread_id"], "extract": paths}
    same(ok(post("/threads/search", body)), [{"thread_id": asked, "extracted": {"q": "wer?", "last": 2, "none": None}}])


@check("A change of a thread merges its metadata; return=minimal has no body")
def _():
    thread = new_thread(metadata={"a": 1, "b": {"c": 1}})
    changed = ok(call("PATCH", "/threads/" + thread, {"metadata": {"b": {"d": 2}, "é": None}}))
    same(changed["metadata"], {"a": 1, "b": {"d": 2}, "é": None})
    answer = call("PATCH", "/threads/" + thread, {"metadata": {"a": 2}}, {"prefer": "return=minimal"})
    same((status(answer, 204).body, answer.headers.get("content-type")), (b"", None))
    same(ok(get("/threads/" + thread))["metadata"]["a"], 2)


@check("Characters that no database column holds are replaced, not a failure")
def _():
    raw = b'{"metadata": {"nul": "a\\u0000b", "half": "\\ud83d", "k\\u0000": 1}}'
    thread = ok(call("POST", "/threads", raw=raw))
    contains(thread["metadata"], {"nul": "a\ufffdb", "half": "\ufffd"})
    body = b'{"assistant_id": "echo", "input": {"value": "x\\u0000\\udc00y"}}'
    values = ok(call("POST", "/threads/%s/runs/wait" % thread["thread_id"], raw=body))
    same(values["value"], "x\ufffd\ufffdy")
    same(ok(get("/threads/" + thread["thread_id"]))["values"]["value"], "x\ufffd\ufffdy")


@check("A copy has the state, the history and the questions of its thread, and a life of its own")
def _():
    thread = asked_thread()
    copy = ok(post("/threads/%s/copy" % thread))
    assert copy["thread_id"] != thread
    state = ok(get("/threads/%s/state" % copy["thread_id"]))
    same(state["checkpoint"]["thread_id"], copy["thread_id"])
    same(state["metadata"].get("thread_id", copy["thread_id"]), copy["thread_id"])
    assert state["tasks"][0]["interrupts"], state
    same(ok(wait(copy["thread_id"], "ask", None, command={"resume": 0}))["answers"], [{"got": 0}])
    same(ok(get("/threads/%s/state" % thread))["values"].get("answers", []), [])


@check("A deleted thread is gone with its runs and state, and so is the work on it")
def _():
    thread = new_thread()
    run = ok(post("/threads/%s/runs" % thread, long_run()))
    status(call("DELETE", "/threads/" + thread), 204)
    for path in ["", "/state", "/runs", "/runs/" + run["run_id"]]:
        status(get("/threads/%s%s" % (thread, path)), 404)
    same(ok(get("/threads/%s/history" % ok(post("/threads", {"thread_id": thread}))["thread_id"])), [])


@check("Pruned threads are deleted, or keep their newest state alone")
def _():
    gone, kept = new_thread(), new_thread()
    ok(wait(kept, "steps", steps(3)))
    same(ok(post("/threads/prune", {"thread_ids": [gone]}))["pruned_count"], 1)
    status(get("/threads/" + gone), 404)
    before = ok(get("/threads/%s/state" % kept))
    ok(post("/threads/prune", {"thread_ids": [kept], "strategy": "keep_latest"}))
    same(ok(get("/threads/%s/state" % kept))["values"], before["values"])
    same(len(ok(get("/threads/%s/history" % kept))), 1)
    same(ok(wait(kept, "steps", steps(4)))["log"], [1, 2, 3, 4])


# State and history


@check("A state is edited from a node, or from an earlier checkpoint as a fork, and shows it at once")
def _():
    thread = new_thread()
    ok(wait(thread, "steps", steps(2)))
    path = "/threads/%s/state" % thread
    first = ok(get(path))
    made = ok(post(path, {"values": {"inputs": ["edit"]}, "as_node": "step"}))["checkpoint"]
    keys(made, ["thread_id", "checkpoint_ns", "checkpoint_id"], "checkpoint")
    edited = ok(get(path))
    same(edited["values"]["inputs"], ["in", "edit"])
    same((edited["metadata"]["source"], edited["checkpoint"]["checkpoint_id"]), ("update", made["checkpoint_id"]))
    same(edited["parent_checkpoint"]["checkpoint_id"], first["checkpoint"]["checkpoint_id"])
    same(ok(get("/threads/" + thread))["values"]["inputs"], ["in", "edit"])
    fork = {"values": {"inputs": ["fork"]}, "as_node": "step", "checkpoint": first["checkpoint"]}
    ok(post(path, fork))
    forked = ok(get(path))
    same(forked["values"]["inputs"], ["in", "fork"])
    same(forked["parent_checkpoint"]["checkpoint_id"], first["checkpoint"]["checkpoint_id"])
    same(ok(get("%s/%s" % (path, made["checkpoint_id"])))["values"]["inputs"], ["in", "edit"])
    same(ok(post(path + "/checkpoint", {"checkpoint": made}))["values"]["inputs"], ["in", "edit"])
    status(get("%s/%s" % (path, new_id())), 404, 200)


@check("A thread with a graph is edited before any run, and not while one is there")
def _():
    fresh = new_thread(metadata={"graph_id": "steps"})
    ok(post("/threads/%s/state" % fresh, {"values": {"inputs": ["early"]}, "as_node": "__start__"}))
    same(ok(get("/threads/%s/state" % fresh))["values"]["inputs"], ["early"])
    busy = new_thread()
    run = ok(post("/threads/%s/runs" % busy, long_run()))
    refused(post("/threads/%s/state" % busy, {"values": {"inputs": ["x"]}, "as_node": "step"}), 409)
    status(call("POST", "/threads/%s/runs/%s/cancel?wait=1" % (busy, run["run_id"])), 200, 204)
    delayed = ok(post("/threads/%s/runs" % busy, run_body("steps", steps(1), after_seconds=60)))
    refused(post("/threads/%s/state" % busy, {"values": {"inputs": ["x"]}, "as_node": "step"}), 409)
    call("POST", "/threads/%s/runs/%s/cancel" % (busy, delayed["run_id"]))


@check("Part of a state is read by select")
def _():
    thread = new_thread()
    ok(wait(thread, "steps", steps(2)))
    path = "/threads/%s/state?" % thread
    same(set(ok(get(path + "select=next&select=values"))), {"next", "values"})
    same(ok(get(path + "select=" + urllib.parse.quote('["values.log"]'))), {"values": {"log": [1, 2]}})


@check("History is newest first, by page, before a checkpoint in each of its forms, and by metadata")
def _():
    thread = new_thread()
    one = ok(post("/threads/%s/runs" % thread, run_body("steps", steps(2), metadata={"turn": "один"})))
    ok(get("/threads/%s/runs/%s/join" % (thread, one["run_id"])))
    ok(wait(thread, "steps", steps(4), metadata={"turn": "два"}))
    path = "/threads/%s/history" % thread
    history = ok(post(path, {"limit": 1000}))
    ids = [state["checkpoint"]["checkpoint_id"] for state in history]
    same(len(set(ids)), len(ids))
    for newer, older in zip(history, history[1:]):
        same(newer["parent_checkpoint"]["checkpoint_id"], older["checkpoint"]["checkpoint_id"])
        assert newer["created_at"] >= older["created_at"]
    same(history[-1]["next"], ["__start__"])
    same(history[0]["next"], [])
    read = lambda answer: [state["checkpoint"]["checkpoint_id"] for state in ok(answer)]
    same(read(get(path + "?limit=1000")), ids)
    same(read(get(path + "?limit=2&before=" + ids[1])), ids[2:4])
    checkpoint = history[1]["checkpoint"]
    for before in [ids[1], checkpoint, {"configurable": {"checkpoint_id": ids[1]}}, {"configurable": checkpoint}]:
        same(read(post(path, {"limit": 2, "before": before})), ids[2:4], "before %r" % before)
    first = [i for i, state in zip(ids, history) if state["metadata"].get("run_id") == one["run_id"]]
    same(read(post(path, {"limit": 100, "metadata": {"turn": "один"}})), first)
    same(read(post(path, {"limit": 100, "metadata": {"source": "input"}})), [ids[i] for i, state in enumerate(history) if state["metadata"]["source"] == "input"])
    same(len(read(post(path, {"limit": 1}))), 1)


@check("The states of a subgraph are read by its namespace")
def _():
    thread = new_thread()
    ok(wait(thread, "nested_steps", {"rounds": 1}))
    history = ok(post("/threads/%s/history" % thread, {"limit": 20}))
    task = next(task for state in history for task in state["tasks"] if task["name"] == "inner")
    checkpoint = task["checkpoint"]
    same(checkpoint["thread_id"], thread)
    assert checkpoint["checkpoint_ns"].split(":")[0] == "inner", checkpoint
    inside = ok(post("/threads/%s/state/checkpoint" % thread, {"checkpoint": checkpoint}))
    assert inside["checkpoint"]["checkpoint_ns"].split(":")[0] == "inner", inside["checkpoint"]
    states = ok(post("/threads/%s/history" % thread, {"limit": 20, "checkpoint": {"checkpoint_ns": checkpoint["checkpoint_ns"]}}))
    assert len(states) >= 2 and all(one["checkpoint"]["checkpoint_ns"] == inside["checkpoint"]["checkpoint_ns"] for one in states)


@check("Supersteps build a thread's past")
def _():
    update = lambda text: {"updates": [{"values": {"inputs": [text]}, "as_node": "__start__"}]}
    one = {"updates": [{"values": {"log": [1]}, "as_node": "step"}]}
    thread = ok(post("/threads", {"metadata": {"graph_id": "steps"}, "supersteps": [update("a"), one]}))["thread_id"]
    same(ok(get("/threads/%s/state" % thread))["values"]["inputs"], ["a"])
    assert len(ok(get("/threads/%s/history" % thread))) >= 2
    refused(post("/threads", {"supersteps": [update("a")]}), 400)


@check("A thread shows its time to live when it is asked for")
def _():
    thread = ok(post("/threads", {"ttl": {"ttl": 60, "strategy": "delete"}}))["thread_id"]
    for query in ["include=ttl", "include=" + urllib.parse.quote("ttl,other"), "include=ttl&include=x"]:
        contains(ok(get("/threads/%s?%s" % (thread, query)))["ttl"], {"strategy": "delete", "ttl_minutes": 60}, query)
