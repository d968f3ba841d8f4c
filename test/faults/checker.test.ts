import { describe, expect, test } from "vitest";
import { check } from "../../faults/check/check.ts";
import { historyOf } from "../../faults/history/history.ts";
import type {
  AcceptedLine,
  CheckpointLine,
  EffectLine,
  Line,
  RunLine,
  TransitionLine,
} from "../../faults/history/lines.ts";

// The checker is the judge of every campaign: what it does not see, nobody sees. Each promise broken once, by hand.

const accepted: AcceptedLine = {
  type: "accepted",
  at: 1_000,
  operation: "invoke",
  run: "r1",
  thread: "t1",
  tenant: "acme",
  input: "hello",
  steps: 2,
  strategy: "enqueue",
};
const transition = (n: number, became: string, more: Partial<TransitionLine> = {}): TransitionLine => ({
  type: "transition",
  n,
  run: "r1",
  tenant: "acme",
  thread: "t1",
  seq: 1,
  was: n === 1 ? null : "pending",
  became,
  attempt: became === "pending" ? 0 : 1,
  holder: null,
  at: 1_000 + n * 100,
  ...more,
});
const row: RunLine = {
  type: "run",
  run: "r1",
  tenant: "acme",
  thread: "t1",
  seq: 1,
  status: "success",
  attempt: 1,
  losses: 0,
  error: null,
};
const checkpoint = (
  id: string,
  parent: string | null,
  step: number,
  more: Partial<CheckpointLine> = {},
): CheckpointLine => ({
  type: "checkpoint",
  thread: "acme/t1",
  id,
  parent,
  run: "r1",
  attempt: 1,
  source: step === -1 ? "input" : "loop",
  step,
  ...more,
});
const effect = (step: number, at: number, more: Partial<EffectLine> = {}): EffectLine => ({
  type: "effect",
  at,
  pid: 7,
  run: "r1",
  step,
  ...more,
});
const stream = (...events: string[]): Line => ({ type: "stream", run: "r1", events, connections: 1, last: "" });

const WHOLE_STREAM = ["1-1 metadata", "1-2 values", "1-3 values", "1-18446744073709551615 end"];

/** A run of two steps that nothing happened to. */
const undisturbed: Line[] = [
  accepted,
  transition(1, "pending"),
  transition(2, "running"),
  transition(3, "success", { was: "running" }),
  row,
  checkpoint("c1", null, -1),
  checkpoint("c2", "c1", 0),
  checkpoint("c3", "c2", 1),
  checkpoint("c4", "c3", 2),
  effect(1, 1_210),
  effect(2, 1_250),
  { type: "thread", tenant: "acme", thread: "t1", status: "idle", values: { inputs: ["hello"], log: [1, 2] } },
  stream(...WHOLE_STREAM),
  { type: "peek", at: 1_300, tenant: "globex", path: "/threads/t1/state", status: 404 },
  { type: "resource", name: "jobs: wait", value: 0, limit: 0 },
];

const judge = (lines: Line[]) => check(historyOf(lines)).map(({ invariant, what }) => `${invariant} ${what}`);
/** The undisturbed history with each line of one kind changed by hand; what is undefined is left out. */
const with_ = <K extends Line["type"]>(
  type: K,
  change: (line: Extract<Line, { type: K }>, i: number) => Line | undefined,
) => {
  let i = 0;
  return undisturbed.flatMap((line) => (line.type === type ? (change(line as never, i++) ?? []) : line));
};

test("an undisturbed history breaks no promise", () => {
  expect(judge(undisturbed)).toEqual([]);
});

describe("a broken promise is found:", () => {
  test.each<[what: string, lines: Line[], found: RegExp]>([
    [
      "a run that was accepted and is not there",
      with_("transition", () => undefined),
      /^I1 was accepted and left no trace/,
    ],
    ["a run that never ends", with_("transition", (line, i) => (i < 2 ? line : undefined)), /^I1 is still running/],
    [
      "a second end",
      [...undisturbed, transition(4, "error", { was: "success" })],
      /^I1 had ended, and became error afterwards/,
    ],
    [
      "a failure that nobody caused",
      with_("transition", (line, i) => (i === 2 ? { ...line, became: "error" } : line)),
      /^I1 failed/,
    ],
    [
      "a cancel that nobody asked for",
      with_("transition", (line, i) => (i === 2 ? { ...line, became: "interrupted" } : line)),
      /^I1 ended as interrupted, and nobody had asked/,
    ],
    [
      "a submission that was never answered",
      [...undisturbed, { type: "unanswered", at: 1, operation: "invoke", input: "x", reason: "no answer" }],
      /^I1 submission/,
    ],
    [
      "a checkpoint of an attempt that is over",
      with_("checkpoint", (line, i) => ({ ...line, attempt: i === 2 ? 2 : 1 })),
      /^I2 a checkpoint of attempt 1 was stored after one of attempt 2/,
    ],
    [
      "a fork that nobody asked for",
      with_("checkpoint", (line, i) => (i === 3 ? { ...line, parent: "c2" } : line)),
      /^I2 checkpoint c4 .* is not the child/,
    ],
    [
      "a step that is missing from the chain",
      with_("checkpoint", (line, i) => (i === 3 ? { ...line, step: 3 } : line)),
      /^I2 step 3 follows step 1/,
    ],
    [
      "a checkpoint of a run that was rolled back",
      [...undisturbed, checkpoint("c5", "c4", 3, { run: "r9" })],
      /^I2 .* belongs to a run that is gone/,
    ],
    ["a step that never ran", with_("effect", (line, i) => (i === 0 ? line : undefined)), /^I3 succeeded with 1 of 2/],
    [
      "a step that ran twice in one attempt",
      [...undisturbed, effect(2, 1_260)],
      /^I3 step 2 ran 2 times in 1 attempts/,
    ],
    ["a step after the end", [...undisturbed, effect(3, 9_000)], /^I3 step 3 began 7700 ms after its end/],
    [
      "an event that is missing",
      [...undisturbed, stream("1-1 metadata", ...WHOLE_STREAM.slice(2))],
      /^I4 a hole between 1-1 and 1-3/,
    ],
    [
      "an event that comes twice",
      [...undisturbed, stream(...WHOLE_STREAM.slice(0, 2), ...WHOLE_STREAM.slice(1))],
      /^I4 id 1-2 after 1-2/,
    ],
    ["a stream that begins late", [...undisturbed, stream(...WHOLE_STREAM.slice(1))], /^I4 it begins with 1-2/],
    ["a stream without an end", [...undisturbed, stream(...WHOLE_STREAM.slice(0, 3))], /^I4 0 ends/],
    ["a stream with two ends", [...undisturbed, stream(...WHOLE_STREAM, "2-18446744073709551615 end")], /^I4 2 ends/],
    [
      "two runs of a thread at once",
      [
        ...undisturbed.slice(0, 3),
        transition(3, "pending", { run: "r2", seq: 2, was: null }),
        transition(4, "running", { run: "r2", seq: 2 }),
      ],
      /^I5 r2 began while r1 ran/,
    ],
    [
      "a run that overtakes",
      [
        transition(1, "running", { run: "r2", seq: 2 }),
        transition(2, "success", { run: "r2", seq: 2 }),
        transition(3, "running"),
      ],
      /^I5 r1 \(1\) began after a later one/,
    ],
    [
      "a run that begins before one that was handed over",
      [transition(1, "running"), transition(2, "pending"), transition(3, "running", { run: "r2", seq: 2 })],
      /^I5 r2 began before r1 had ended/,
    ],
    [
      "an input that was applied twice",
      [...undisturbed, checkpoint("c5", "c4", 3, { source: "input" })],
      /^I6 its input was applied 2 times/,
    ],
    [
      "a state with an input too many",
      with_("thread", (line) => ({ ...line, values: { inputs: ["hello", "hello"], log: [1, 2] } })),
      /^I6 its inputs are 2, of 1/,
    ],
    [
      "a state with a step twice",
      with_("thread", (line) => ({ ...line, values: { inputs: ["hello"], log: [1, 1, 2] } })),
      /^I6 its log has 1 at place 2/,
    ],
    [
      "a state without its last step",
      with_("thread", (line) => ({ ...line, values: { inputs: ["hello"], log: [1] } })),
      /^I6 its log has 1 of 2 steps/,
    ],
    [
      "another tenant's thread",
      with_("peek", (line) => ({ ...line, status: 200 })),
      /^I7 was answered to globex with 200/,
    ],
    ["a job that is left over", with_("resource", (line) => ({ ...line, value: 1 })), /^I8 1, at most 0/],
    ["a resource that could not be read", with_("resource", (line) => ({ ...line, value: NaN })), /^I8 NaN, at most 0/],
  ])("%s", (_what, lines, found) => {
    expect(judge(lines)).toContainEqual(expect.stringMatching(found));
  });
});

describe("what a fault explains is no violation:", () => {
  const fault: Line = {
    type: "fault",
    n: 1,
    kind: "worker asleep beyond its lease",
    target: "worker 1",
    pid: 7,
    at: 1_000,
    healedAt: 8_900,
    recoversFrom: "injection",
    affected: ["r1"],
  };

  test("a process that was asleep ends the step that it was in", () => {
    expect(judge([...undisturbed, fault, effect(3, 9_000)])).toEqual([]);
    expect(judge([...undisturbed, fault, effect(3, 9_000, { pid: 8 })])).toContainEqual(expect.stringMatching(/^I3/));
  });

  test("a step of a second attempt runs again", () => {
    const again = with_("run", (line) => ({ ...line, attempt: 2 }));
    expect(judge([...again, effect(2, 1_260)])).toEqual([]);
  });

  test("a hole that is announced, and a stream that a gateway closed", () => {
    const END = "1-18446744073709551615 end";
    expect(judge([...undisturbed, stream("1-1 metadata", "1-4 gap", "- values", "1-5 values", END)])).toEqual([]);
    expect(
      judge([
        ...undisturbed,
        stream("1-1 metadata", "1-18446744073709551612 gap", "1-18446744073709551613 values", END),
      ]),
    ).toEqual([]);
  });
});
