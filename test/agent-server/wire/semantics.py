"""Section 6 of the contract: busy threads, commands, breakpoints, forks, merging."""

from client import call, contains, eventually, get, long_run, new_id, new_thread, ok, post, refused, run_body
from client import run_status, same, status, steps, stream, wait
from registry import check


def busy_thread():
    """A thread with a run that has done something and goes on for long."""
    thread = new_thread()
    going = stream("/threads/%s/runs/stream" % thread, long_run(on_disconnect="continue"))
    going.until("values", 3)
    return thread, going


@check("A busy thread refuses with reject, and the refused run is nowhere")
def _():
    thread, going = busy_thread()
    detail = refused(post("/threads/%s/runs" % thread, run_body("steps", steps(1), multitask_strategy="reject")), 409)
    assert "already running" in detail, detail
    same(len(ok(get("/threads/%s/runs" % thread))), 1)
    same(ok(get("/threads/" + thread))["status"], "busy")
    call("POST", going.headers["content-location"] + "/cancel?wait=1")
    ok(post("/threads/%s/runs" % thread, run_body("steps", steps(1), multitask_strategy="reject")))


@check("Runs of a thread queue up and go in their order, none beside another")
def _():
    thread = new_thread()
    runs = [ok(post("/threads/%s/runs" % thread, run_body("steps", dict(steps(3), inputs=[str(i)]))))["run_id"] for i in range(4)]
    ok(get("/threads/%s/runs/%s/join" % (thread, runs[-1])))
    values = ok(get("/threads/%s/state" % thread))["values"]
    same((values["inputs"], values["log"]), ([str(i) for i in range(4)], list(range(1, 13))))


@check("interrupt stops the run before it and starts from what that reached")
def _():
    thread, going = busy_thread()
    values = ok(wait(thread, "steps", {"inputs": ["new"], "steps": 1}, multitask_strategy="interrupt"))
    same(values["log"], list(range(1, len(values["log"]) + 1)))
    same(values["inputs"], ["in", "new"])
    same(run_status(going.headers["content-location"]), "interrupted")
    names = [event.name for event in going.rest()]
    assert "error" not in names and names.count("end") == 1, names


@check("rollback undoes the run before it, which is not there any more")
def _():
    thread, going = busy_thread()
    values = ok(wait(thread, "steps", {"inputs": ["new"], "steps": 1}, multitask_strategy="rollback"))
    same((values["inputs"], values["log"]), (["new"], [1]))
    refused(get(going.headers["content-location"]), 404)
    same(going.rest()[-1].name, "end")
    same(len(ok(get("/threads/%s/runs" % thread))), 1)


@check("after_seconds holds a run back, which counts as in flight")
def _():
    thread = new_thread()
    run = ok(post("/threads/%s/runs" % thread, run_body("steps", steps(1), after_seconds=2)))["run_id"]
    same(ok(get("/threads/" + thread))["status"], "busy")
    refused(post("/threads/%s/runs" % thread, run_body("steps", steps(1), multitask_strategy="reject")), 409)
    same(run_status("/threads/%s/runs/%s" % (thread, run)), "pending")
    same(ok(get("/threads/%s/runs/%s/join" % (thread, run)))["log"], [1])


@check("An answer may be null, false, 0 or empty")
def _():
    for answer in [None, False, 0, "", [], {}]:
        thread = new_thread()
        ok(wait(thread, "ask", {"question": "?"}))
        same(ok(wait(thread, "ask", None, command={"resume": answer}))["answers"], [{"got": answer}], repr(answer))


@check("Several questions are answered by their ids, and command wins over input")
def _():
    thread = new_thread()
    questions = ok(wait(thread, "ask_both", {"question": "?"}))["__interrupt__"]
    same(len(questions), 2)
    answers = {one["id"]: one["value"]["question"] + "!" for one in questions}
    done = ok(wait(thread, "ask_both", {"question": "ignored"}, command={"resume": answers}))
    same(sorted(done["answers"], key=str), [{"left": "left!"}, {"right": "right!"}])
    same(done["question"], "?")


@check("A command goes to a node and updates the state, in each of its forms")
def _():
    for update in [{"inputs": ["u"]}, [["inputs", ["u"]]]]:
        for goto in ["step", ["step"], {"node": "step", "input": {"log": [], "steps": 1}}]:
            thread = new_thread()
            ok(wait(thread, "steps", steps(2)))
            done = ok(wait(thread, "steps", None, command={"update": update, "goto": goto}))
            same(done["inputs"], ["in", "u"], "%r %r" % (update, goto))
            assert len(done["log"]) > 2, done


@check("A breakpoint stops a run in success, and null goes on from it")
def _():
    for point in [{"interrupt_before": ["rest"]}, {"interrupt_after": ["work"]}, {"interrupt_before": "*"}]:
        thread = new_thread()
        ok(wait(thread, "ask_then_work", {"delay_ms": 1}))
        stopped = ok(wait(thread, "ask_then_work", None, command={"resume": "yes"}, **point))
        assert "rested" not in stopped["log"], stopped
        row = ok(get("/threads/" + thread))
        same(row["status"], "interrupted")
        same(ok(get("/threads/%s/runs" % thread))[0]["status"], "success")
        for _i in range(3):
            done = ok(wait(thread, "ask_then_work", None))
            if ok(get("/threads/" + thread))["status"] == "idle":
                break
        same(done["log"], ["yes", "worked", "rested"], str(point))


@check("A run from an earlier checkpoint is a branch, and later runs do not branch again")
def _():
    thread = new_thread()
    ok(wait(thread, "steps", steps(2)))
    earlier = ok(get("/threads/%s/state" % thread))["checkpoint"]
    ok(wait(thread, "steps", steps(4)))
    branch = ok(wait(thread, "steps", {"inputs": ["b"], "steps": 3}, checkpoint=earlier))
    same((branch["inputs"], branch["log"]), (["in", "b"], [1, 2, 3]))
    history = ok(get("/threads/%s/history?limit=100" % thread))
    children = [one for one in history if (one["parent_checkpoint"] or {}).get("checkpoint_id") == earlier["checkpoint_id"]]
    same(len(children), 2)
    again = ok(wait(thread, "steps", {"inputs": ["c"], "steps": 4}))
    same(again["inputs"], ["in", "b", "c"], "the run after a branch")
    by_id = ok(wait(thread, "steps", {"inputs": ["d"], "steps": 3}, checkpoint_id=earlier["checkpoint_id"]))
    same(by_id["inputs"], ["in", "d"])
    unknown = post("/threads/%s/runs/wait" % thread, run_body("steps", steps(1), checkpoint_id=new_id()))
    assert unknown.status == 404 or "__error__" in ok(unknown), unknown


@check("Config and metadata merge from assistant, thread and run; the server's keys win and ids are the run's own")
def _():
    config = {"configurable": {"a": 1, "b": 1}, "tags": ["assistant"]}
    body = {"graph_id": "echo", "config": config, "metadata": {"from": "assistant", "x": 1}, "context": {"k": 1, "l": 1}}
    assistant = ok(post("/assistants", body))["assistant_id"]
    thread = new_thread(metadata={"from": "thread", "y": 1})
    run = run_body(assistant, {"value": 1}, metadata={"from": "run", "z": 1}, context={"l": 2})
    run["config"] = {"configurable": {"b": 2, "run_id": "forged", "thread_id": new_id(), "checkpoint_ns": "forged"}}
    seen = ok(post("/threads/%s/runs/wait" % thread, run))["seen"]
    made = ok(get("/threads/%s/runs" % thread))[0]
    wanted = {"a": 1, "b": 2, "run_id": made["run_id"], "thread_id": thread, "graph_id": "echo", "assistant_id": assistant}
    contains(seen["configurable"], wanted)
    contains(seen["metadata"], {"from": "run", "x": 1, "y": 1, "z": 1})
    same(seen["context"], {"k": 1, "l": 2})
    contains(made["metadata"], {"from": "run", "x": 1, "y": 1, "z": 1})
    same(made["assistant_id"], assistant)
    state = ok(get("/threads/%s/state" % thread))
    contains(state["metadata"], {"from": "run", "run_id": made["run_id"]})
    same(ok(get("/threads/" + thread))["config"].get("configurable", {}).get("checkpoint_ns"), None)


@check("A graph's own recursion limit holds where a run names none, and a run's where it does")
def _():
    plain = {"assistant_id": "steps", "input": steps(30, 1)}
    contains(ok(post("/runs/wait", plain)), {"__error__": {"error": "GraphRecursionError"}})
    contains(ok(post("/runs/wait", dict(plain, config={"recursion_limit": 3}, input=steps(4, 1)))), {"__error__": {"error": "GraphRecursionError"}})
    same(len(ok(post("/runs/wait", dict(plain, config={"recursion_limit": 40})))["log"]), 30)


@check("Every durability ends in the same state, with a checkpoint for each step or for the end alone")
def _():
    for fields, checkpoints in [({"durability": "sync"}, 6), ({"durability": "async"}, 6), ({"durability": "exit"}, 1), ({"checkpoint_during": False}, 1), ({"checkpoint_during": False, "durability": "sync"}, 6)]:
        thread = new_thread()
        same(ok(wait(thread, "steps", steps(4), **fields))["log"], [1, 2, 3, 4])
        same(len(ok(get("/threads/%s/history?limit=100" % thread))), checkpoints, str(fields))
