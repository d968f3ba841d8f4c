"""Section 7 of the contract: frames, order, modes, ids, going on after a break."""

import re
import threading

from client import Stream, call, connect, contains, encode, follow, get, long_run, new_id, new_thread, ok, post, refused
from client import run_body, same, status, steps, stream, wait
from registry import check

HELLO = {"messages": [{"role": "user", "content": "hello"}]}


def run_stream(graph, input=None, thread=None, **more):
    return stream("/threads/%s/runs/stream" % (thread or new_thread()), run_body(graph, input, **more))


def names(events):
    return [event.name for event in events]


def slow(function):
    function.slow = True
    return function


@check("A silent stream has a heartbeat of one line about every five seconds, from its opening on")
@slow
def _():
    opened = run_stream("steps", steps(1, 11000), stream_mode="updates")
    opened.rest()
    beats = [when for when, text in opened.comments if text == ": heartbeat"]
    same(len(opened.comments), len(beats), "comments that are no heartbeats")
    assert len(beats) >= 2 and 3 < beats[0] < 7 and 3 < beats[1] - beats[0] < 7, beats


@check("A stream says what it is and that nobody may keep or delay it")
def _():
    opened = run_stream("steps", steps(1))
    opened.rest()
    same(opened.headers["content-type"].split(";")[0], "text/event-stream")
    assert re.search("no-cache|no-store", opened.headers["cache-control"]), opened.headers["cache-control"]
    same(opened.headers["x-accel-buffering"], "no")
    same(opened.headers["connection"].lower(), "keep-alive")
    same(opened.headers.get("content-length"), None)
    same(opened.headers.get("content-encoding"), None)


@check("A stream begins with metadata and ends with one end that names the outcome")
def _():
    thread = new_thread()
    for graph, input, outcome, last in [("steps", steps(1), "success", "values"), ("echo", {"fail": "x"}, "error", "error"), ("ask", {"question": "?"}, "success", "values")]:
        opened = run_stream(graph, input, thread)
        events = opened.rest()
        run = opened.headers["content-location"].rsplit("/", 1)[1]
        same(events[0].name, "metadata")
        contains(events[0].data, {"run_id": run, "attempt": 1})
        same(names(events).count("metadata"), 1)
        same(names(events).count("end"), 1)
        same((events[-1].name, events[-1].data), ("end", {"run_id": run, "status": outcome}))
        same(events[-2].name, last)
    same(names(events).count("error"), 0)


@check("An error event has the error's class and text")
def _():
    events = run_stream("echo", {"fail": "line one\nline two ☃"}).rest()
    same([one.data for one in events if one.name == "error"], [{"error": "TypeError", "message": "line one\nline two ☃"}])


@check("Each mode has its events, and only those that were asked for go out")
def _():
    for modes, wanted in [
        (None, {"values"}),
        ([], {"values"}),
        ("updates", {"updates"}),
        (["custom"], {"custom"}),
        (["updates", "values"], {"updates", "values"}),
        (["debug"], {"debug"}),
        (["tasks", "checkpoints"], {"tasks", "checkpoints"}),
        (["events"], {"events"}),
    ]:
        more = {} if modes is None else {"stream_mode": modes}
        events = run_stream("steps", steps(2), **more).rest()
        same(set(names(events)), wanted | {"metadata", "end"}, str(modes))
    values = [one.data for one in run_stream("steps", steps(2)).rest() if one.name == "values"]
    same([one["log"] for one in values], [[], [1], [1, 2]], "values after the input and each step")
    custom = [one.data for one in run_stream("steps", steps(2), stream_mode="custom").rest() if one.name == "custom"]
    same(custom, [{"step": 1}, {"step": 2}])


@check("messages-tuple streams tokens as messages, and messages streams what has come together")
def _():
    events = run_stream("talk", HELLO, stream_mode="messages-tuple").rest()
    same(set(names(events)), {"metadata", "messages", "end"})
    tokens = [one.data for one in events if one.name == "messages"]
    spoken = [message for message, meta in tokens if meta["langgraph_node"] == "speak"]
    same("".join(one["content"] for one in spoken if one["type"] == "AIMessageChunk"), "The quick fox")
    same(len({one["id"] for one in spoken if one["type"] == "AIMessageChunk"}), 1, "ids of one message")
    for key in ["langgraph_node", "langgraph_step", "langgraph_triggers", "langgraph_path", "langgraph_checkpoint_ns"]:
        assert key in tokens[0][1], tokens[0][1]
    events = run_stream("talk", HELLO, stream_mode="messages").rest()
    assert set(names(events)) <= {"metadata", "messages/metadata", "messages/partial", "messages/complete", "end"}, set(names(events))
    partial = [one.data[0] for one in events if one.name == "messages/partial"]
    texts = [one["content"] for one in partial if one["content"] != "Goodbye"]
    assert texts == sorted(texts, key=len) and texts[-1] == "The quick fox", texts
    metadata = next(one.data for one in events if one.name == "messages/metadata")
    assert all("metadata" in one for one in metadata.values()), metadata


@check("A question is in values, and in updates where they are asked for")
def _():
    for mode in ["values", "updates"]:
        events = run_stream("ask", {"question": "?"}, stream_mode=mode).rest()
        asked = [one.data["__interrupt__"] for one in events if one.name == mode and "__interrupt__" in one.data]
        same(len(asked), 1, mode)
        same(asked[0][0]["value"], {"question": "?"})
        assert asked[0][0]["id"]
    stopped = run_stream("steps", steps(2), interrupt_before=["step"]).rest()
    same(stopped[-2].data.get("__interrupt__"), [], "a breakpoint in values")


@check("debug, tasks and checkpoints have the fields that tools read, and nothing internal")
def _():
    events = run_stream("nested_steps", {"rounds": 1}, stream_mode=["debug", "tasks", "checkpoints"]).rest()
    for one in events:
        if one.name == "debug":
            assert {"step", "timestamp", "type", "payload"} <= set(one.data), one
            assert one.data["type"] in ("checkpoint", "task", "task_result"), one
        if one.name == "tasks":
            assert {"id", "name"} <= set(one.data) and ("input" in one.data or "result" in one.data), one
        if one.name == "checkpoints":
            assert {"values", "metadata", "next"} <= set(one.data), one
        assert '"__pregel_' not in one.text.replace('"__pregel_pull"', "").replace('"__pregel_push"', ""), one.text[:400]


@check("Events of subgraphs carry their namespace in the name, only when they are asked for, and pass a filter by mode")
def _():
    opened = run_stream("talk", HELLO, stream_mode=["updates", "custom"], stream_subgraphs=True)
    events = opened.rest()
    inner = [name for name in names(events) if "|" in name]
    assert inner and all(re.fullmatch(r"(?:updates|custom)\|inner:[0-9a-f-]{36}", name) for name in inner), inner
    assert "updates" in names(events)
    filtered = follow(opened.headers["location"] + "?stream_mode=custom", "-1").rest()
    same([name.split("|")[0] for name in names(filtered)], ["metadata", "custom", "end"])
    plain = run_stream("talk", HELLO, stream_mode=["updates", "custom"]).rest()
    assert not [name for name in names(plain) if "|" in name], names(plain)


@check("Last-Event-ID is exclusive: what follows each id is exactly the rest, on every gateway")
def _():
    opened = run_stream("steps", steps(4), stream_mode=["updates", "custom"], stream_resumable=True)
    events = opened.rest()
    path = opened.headers["location"]
    ids = [event.id for event in events]
    assert all(ids) and len(set(ids)) == len(ids), ids
    for i, last in enumerate(ids):
        same(follow(path, last, gateway=i % 2).rest(), events[i + 1 :], "after %s" % last)
    for everything in ["-1", "-"]:
        same(follow(path, everything, gateway=1).rest(), events, everything)


@check("A stream that breaks in the middle goes on without a hole or a double, on the other gateway")
def _():
    opened = run_stream("steps", steps(30, 20), stream_mode=["updates", "custom"], stream_resumable=True)
    opened.until("updates", 3)
    seen, gateway = opened.seen, 0
    opened.close()
    path = opened.headers["location"]
    while seen[-1].name != "end":
        gateway = 1 - gateway
        again = follow(path, seen[-1].id, gateway=gateway)
        for _i in range(9):
            if again.next() is None:
                break
        again.close()
        seen = seen + again.seen
    same(seen, follow(path, "-1").rest())
    same([one.data["step"]["log"] for one in seen if one.name == "updates"], [[n] for n in range(1, 31)])


@check("Ids that no event has are refused or answered with a stream, never a 5xx")
def _():
    opened = run_stream("steps", steps(2), stream_resumable=True)
    opened.rest()
    for last in ["0", "999999", "nonsense", "9-9999999999999999999999", "-2", "1-1 ", "é".encode("utf-8").decode("latin-1")]:
        answer = get(opened.headers["location"], headers={"last-event-id": last})
        assert answer.status < 500, "%r: %r" % (last, answer)
        assert answer.status != 200 or b"event: end" in answer.body or answer.body.strip() in (b"", b"retry: 1000"), answer


@check("Many join at once and each gets everything; one that names no event gets what comes from now on")
def _():
    thread = new_thread()
    opened = run_stream("steps", steps(24, 100), thread, stream_mode=["updates"], stream_resumable=True)
    opened.until("updates", 2)
    path = opened.headers["location"]
    joined = [follow(path, "-1" if i % 2 else None, gateway=i % 2) for i in range(6)]
    events = opened.rest()
    for i, one in enumerate(joined):
        one.rest()
        if i % 2:
            same(one.seen, events, "from the beginning")
        else:
            tail = [event for event in one.seen if event.name != "metadata"]
            same(tail, events[len(events) - len(tail) :], "from now on")
            assert 0 < len(tail) < len(events), len(tail)


@check("The stream of a run that has ended ends, replayed or not")
def _():
    opened = run_stream("steps", steps(2))
    opened.rest()
    same(follow(opened.headers["location"]).rest()[-1].name, "end")
    refused(get("/threads/%s/runs/%s/stream" % (new_thread(), new_id())), 404)


@check("The stream of a thread follows run after run, goes on after an id, and begins at - or now")
def _():
    thread = new_thread()
    path = "/threads/%s/stream" % thread
    live = follow(path, gateway=1)
    body = dict(stream_mode="updates")
    for count in (1, 2):
        ok(wait(thread, "steps", steps(count), **body))
    live.until("end", 2)
    whole = follow(path, "-")
    whole.until("end", 2)
    same(names(whole.seen).count("metadata"), 2)
    same([(one.name, one.text) for one in whole.seen], [(one.name, one.text) for one in live.seen], "from the start and live")
    assert all(one.id for one in whole.seen) and len({one.id for one in whole.seen}) == len(whole.seen)
    middle = whole.seen[2]
    rest = follow(path, middle.id, gateway=1)
    rest.until("end", names(whole.seen[3:]).count("end"))
    same(rest.seen, whole.seen[3:])
    late = follow(path)
    ok(wait(thread, "steps", steps(1), **body))
    late.until("end")
    same(names(late.seen).count("metadata"), 1)
    for one in (live, whole, rest, late):
        one.close()


@check("The stream of a thread shows starts and ends alone, or states, by either name of its parameter")
def _():
    thread = new_thread()
    for query, shown in [
        ("stream_mode=lifecycle", ["metadata", "end"]),
        ("stream_modes=lifecycle", ["metadata", "end"]),
        ("stream_mode=%5B%22run_modes%22%5D", None),
        ("stream_mode=lifecycle&stream_mode=state_update", ["metadata", "state_update", "end"]),
    ]:
        opened = follow("/threads/%s/stream?%s" % (thread, query))
        values = ok(wait(thread, "steps", steps(1)))
        opened.until("end")
        opened.close()
        if shown is None:
            assert "values" in names(opened.seen), names(opened.seen)
        else:
            same(names(opened.seen), shown, query)
    update = [one.data for one in opened.seen if one.name == "state_update"][0]
    same(update["values"], values)
    assert update["checkpoint"]["checkpoint_id"], update
    refused(get("/threads/%s/stream?stream_mode=everything" % thread), 422)


@check("A large event of every kind of character arrives as one line, whole")
def _():
    text = "".join(chr(n) for n in list(range(1, 0x300)) + [0x2028, 0x2029, 0xFEFF, 0x1F600]) * 200 + "\r\n\r\ndata: {}\n\nid: 1\n"
    events = run_stream("echo", {"value": text}, stream_mode=["values", "updates"]).rest()
    same([one.data["value"] == text for one in events if one.name == "values"][-1], True, "the text came whole")


@check("Feedback keys and webhooks that cannot be used do not break a stream")
def _():
    events = run_stream("steps", steps(1), feedback_keys=["score"]).rest()
    same((events[0].name, events[-1].name), ("metadata", "end"))
