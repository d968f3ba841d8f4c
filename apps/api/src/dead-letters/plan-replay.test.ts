import { describe, expect, test } from "vitest";
import type { RunKwargs } from "@flotilla/shared/runs/run";
import { planReplay, type ReplayFrom } from "./plan-replay.ts";

const asked: RunKwargs = { input: { a: 1 }, stream_mode: ["values"], listening: "result", context: { c: 1 } };
const sent: RunKwargs = { input: { a: 1 }, stream_mode: ["values"], context: { c: 1 } };
const answer: RunKwargs = { command: { resume: "yes" }, stream_mode: ["values"] };
const goingOn: RunKwargs = { input: null, stream_mode: ["values"] };

/** A run that began on `base`, stored `last`, on a thread that stands at `latest`. */
function dead(more: {
  kwargs?: RunKwargs;
  base?: string | null;
  last?: string;
  latest?: string;
  busy?: boolean;
  seq?: string | null;
}) {
  const { kwargs = asked, base = null, last = null, latest = null, busy = false } = more;
  return {
    run_id: "r",
    thread_id: "t",
    kwargs,
    base_seq: more.seq === undefined ? (base === null ? "0" : "7") : more.seq,
    base_checkpoint_id: base,
    last_checkpoint_id: last,
    latest_checkpoint_id: latest,
    in_flight: busy,
  };
}

function codeOf(run: ReturnType<typeof dead>, from: ReplayFrom): unknown {
  try {
    return planReplay(run, from);
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe("from the checkpoint", () => {
  test("null goes on, with config and context, where the run stopped and nobody else has been", () => {
    expect(
      planReplay(dead({ kwargs: { ...asked, checkpoint_id: "x" }, last: "l", latest: "l" }), "checkpoint"),
    ).toEqual({
      kwargs: { input: null, stream_mode: ["values"], context: { c: 1 }, replay: "checkpoint" },
      answers: false,
      atRest: { latest: "l" },
    });
  });

  test.each([
    ["without a checkpoint", {}, "no_checkpoint"],
    ["after another run", { last: "l", latest: "m" }, "thread_moved_on"],
    ["behind a run in flight", { last: "l", latest: "l", busy: true }, "thread_busy"],
  ])("%s it is refused", (_when, run, code) => {
    expect(codeOf(dead(run), "checkpoint")).toBe(code);
  });

  test("a run that was to go on itself, and got nowhere, goes on from where it began", () => {
    expect(planReplay(dead({ kwargs: goingOn, base: "b", latest: "b" }), "checkpoint")).toMatchObject({
      kwargs: goingOn,
      atRest: { latest: "b" },
    });
  });
});

describe("from the start", () => {
  test("the same goes to where it went, if the thread is still there", () => {
    expect(planReplay(dead({ base: "b", latest: "b" }), "start")).toEqual({
      kwargs: sent,
      answers: false,
      atRest: { latest: "b" },
    });
    expect(planReplay(dead({}), "start")).toEqual({ kwargs: sent, answers: false, atRest: { latest: null } });
  });

  test("otherwise it is a fork from there, or a beginning anew", () => {
    const fork = { kwargs: { ...sent, checkpoint_id: "b" }, atRest: undefined };
    expect(planReplay(dead({ base: "b", last: "l", latest: "l" }), "start")).toMatchObject(fork);
    expect(planReplay(dead({ base: "b", latest: "b", busy: true }), "start")).toMatchObject(fork);
    expect(planReplay(dead({ last: "l", latest: "l" }), "start")).toMatchObject({
      kwargs: { ...sent, replay: "anew" },
    });
  });

  test("a run that never began, or that said where, is sent as it was", () => {
    expect(planReplay(dead({ seq: null, latest: "x", busy: true }), "start")).toMatchObject({
      kwargs: sent,
      atRest: undefined,
    });
    const placed = { ...sent, checkpoint_id: "c" };
    expect(planReplay(dead({ kwargs: placed, base: "b", latest: "z" }), "start")).toMatchObject({ kwargs: placed });
  });

  test("an answer is given again as long as its question waits", () => {
    const again = { kwargs: answer, answers: true, atRest: { latest: "b" } };
    expect(planReplay(dead({ kwargs: answer, base: "b", latest: "b" }), "start")).toEqual(again);
    expect(codeOf(dead({ kwargs: answer, base: "b", last: "l", latest: "l" }), "start")).toBe("answer_taken");
    expect(codeOf(dead({ kwargs: answer, base: "b", latest: "m" }), "start")).toBe("thread_moved_on");
    expect(codeOf(dead({ kwargs: answer, base: "b", latest: "b", busy: true }), "start")).toBe("thread_busy");
  });

  test("without the checkpoint on which it began it is refused", () => {
    expect(codeOf(dead({ seq: "7", latest: "m" }), "start")).toBe("checkpoint_gone");
  });
});
