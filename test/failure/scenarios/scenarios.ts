import type { StateSnapshot } from "@langchain/langgraph";
import type { RunKwargs } from "@flotilla/shared/runs/run";

/** What a run asks for. */
export type Asked = Pick<RunKwargs, "input" | "command" | "checkpoint_id" | "interrupt_before" | "interrupt_after">;

/** A thread as the run finds it. */
export interface ThreadView {
  /** Question → interrupt id. */
  questions: Record<string, string>;
  /** Newest first. */
  history: StateSnapshot[];
}

export interface Scenario {
  name: string;
  graph: string;
  /** Runs before the one that is tried. */
  before?: ((thread: ThreadView) => Asked)[];
  run(thread: ThreadView): Asked;
  /** A node at which the worker may also be told to go: the run is handed over after it. */
  sigtermAt?: string;
  /** The graph fails, with this error. */
  fails?: string;
  /** The run ends at its claim with this error: its answer fits no question, or several. */
  refused?: string;
}

const input =
  (...log: string[]) =>
  (): Asked => ({ input: { log } });
const nothing = (): Asked => ({ input: null });
const resume =
  (answer: unknown, more: { update?: unknown; goto?: string } = {}) =>
  (): Asked => ({ command: { resume: answer, ...more } });
/** Answers by the ids of questions. */
const answer =
  (answers: Record<string, string>) =>
  (thread: ThreadView): Asked => ({
    command: {
      resume: Object.fromEntries(
        Object.entries(answers).map(([question, text]) => [thread.questions[question] as string, text]),
      ),
    },
  });
const command = (fields: { update?: unknown; goto?: string }) => (): Asked => ({ command: fields });

/** From the newest checkpoint at which `next` waits, and of which `also` is true. */
const from =
  (next: string, ask: (thread: ThreadView) => Asked, also: (state: StateSnapshot) => boolean = () => true) =>
  (thread: ThreadView): Asked => {
    const found = thread.history.find((state) => state.next[0] === next && also(state));
    return { ...ask(thread), checkpoint_id: found?.config.configurable?.["checkpoint_id"] as string };
  };
const withBreakpoints =
  (breakpoints: Pick<Asked, "interrupt_before" | "interrupt_after">, ask: (thread: ThreadView) => Asked) =>
  (thread: ThreadView): Asked => ({
    ...ask(thread),
    ...breakpoints,
  });
const isFirstRun = (state: StateSnapshot) => !(state.values as { log: string[] }).log.includes("second");

const U = { log: ["U"] };
const began = [input("first")];
const answeredOnce = [input("first"), resume("A1")];
const answeredBoth = [input("first"), resume("old1"), resume("old2")];
const twice = [input("first"), input("second")];

export const scenarios: Scenario[] = [
  { name: "input on a new thread", graph: "abc", run: input("in") },
  { name: "input on a finished thread", graph: "abc", before: began, run: input("in") },
  { name: "input on an interrupted thread", graph: "questions", before: began, run: input("in") },
  { name: "five sends", graph: "sends", run: input("in") },
  { name: "input, question in a subgraph", graph: "nested", run: input("in") },

  { name: "a node that fails", graph: "fails", run: input("in"), fails: "Error" },
  { name: "a node that fails after an answer", graph: "fails_late", before: began, run: resume("A1"), fails: "Error" },

  { name: "answer", graph: "questions", before: began, run: resume("A1"), sigtermAt: "n1" },
  { name: "answer of the first question of a node", graph: "two_in_one", before: began, run: resume("A1") },
  { name: "answer of the second question of a node", graph: "two_in_one", before: answeredOnce, run: resume("A2") },
  {
    name: "answer by id of the first question of a node",
    graph: "two_in_one",
    before: began,
    run: answer({ q1: "A1" }),
  },
  {
    name: "answer by id of the second question of a node",
    graph: "two_in_one",
    before: answeredOnce,
    run: answer({ q2: "A2" }),
  },
  {
    name: "answers by id of two questions",
    graph: "side_by_side",
    before: began,
    run: answer({ "q-A": "AA", "q-B": "BB" }),
  },
  { name: "answer by id of one question of two", graph: "one_asks_late", before: began, run: answer({ "q-A": "AA" }) },
  {
    name: "one answer, two questions",
    graph: "one_asks_late",
    before: began,
    run: resume("AA"),
    refused: "SeveralInterrupts",
  },
  { name: "answer in a subgraph", graph: "nested", before: began, run: resume("A1"), sigtermAt: "m" },
  { name: "answer by id in a subgraph", graph: "nested", before: began, run: answer({ "q-s1": "A1" }), sigtermAt: "m" },
  { name: "answer with an update", graph: "questions", before: began, run: resume("A1", { update: U }) },
  {
    name: "answer with a jump",
    graph: "jumps",
    before: [input("first"), command({ goto: "n" })],
    run: resume("A1", { goto: "x", update: U }),
  },

  { name: "update of a finished thread", graph: "abc", before: began, run: command({ update: U }) },
  { name: "jump on a finished thread", graph: "jumps", before: began, run: command({ goto: "x", update: U }) },
  { name: "jump to a question", graph: "jumps", before: began, run: command({ goto: "n" }) },
  { name: "update of an interrupted thread", graph: "side_by_side", before: began, run: command({ update: U }) },
  { name: "jump on an interrupted thread", graph: "questions", before: began, run: command({ goto: "b", update: U }) },

  { name: "breakpoint before a node", graph: "abc", run: withBreakpoints({ interrupt_before: ["b"] }, input("in")) },
  {
    name: "from breakpoint to breakpoint",
    graph: "abc",
    before: [withBreakpoints({ interrupt_before: ["b", "c"] }, input("first"))],
    run: withBreakpoints({ interrupt_before: ["b", "c"] }, nothing),
  },
  {
    name: "breakpoint before the node of a jump",
    graph: "jumps",
    before: began,
    run: withBreakpoints({ interrupt_before: ["x"] }, command({ goto: "x" })),
  },
  { name: "breakpoint after a node", graph: "abc", run: withBreakpoints({ interrupt_after: ["a"] }, input("in")) },
  {
    name: "from a breakpoint after a node to the next",
    graph: "abc",
    before: [withBreakpoints({ interrupt_after: ["a", "b"] }, input("first"))],
    run: withBreakpoints({ interrupt_after: ["a", "b"] }, nothing),
  },
  {
    name: "answer, breakpoint after its node",
    graph: "questions",
    before: began,
    run: withBreakpoints({ interrupt_after: ["n1"] }, resume("A1")),
  },

  { name: "no input on an interrupted thread", graph: "questions", before: began, run: nothing },
  {
    name: "no input after one answer of two",
    graph: "one_asks_late",
    before: [input("first"), answer({ "q-A": "AA" })],
    run: nothing,
  },
  { name: "no input at the second question of a node", graph: "two_in_one", before: answeredOnce, run: nothing },
  {
    name: "no input at the second question of a node, first answered by id",
    graph: "two_in_one",
    before: [input("first"), answer({ q1: "A1" })],
    run: nothing,
  },

  { name: "fork with input", graph: "abc", before: began, run: from("b", input("in")) },
  { name: "fork without input", graph: "abc", before: began, run: from("b", nothing) },
  {
    name: "fork to a breakpoint",
    graph: "abc",
    before: began,
    run: from("b", withBreakpoints({ interrupt_before: ["b", "c"] }, nothing)),
  },
  { name: "fork with an update", graph: "abc", before: began, run: from("b", command({ update: U })) },
  {
    name: "fork with another answer",
    graph: "questions",
    before: answeredBoth,
    run: from("n1", resume("NEW")),
    refused: "NothingToResume",
  },
  {
    name: "fork with another answer of two in one node",
    graph: "two_in_one",
    before: answeredBoth,
    run: from("n", resume("NEW")),
    refused: "NothingToResume",
  },
  { name: "fork at an open question", graph: "questions", before: twice, run: from("n1", resume("NEW"), isFirstRun) },
  {
    name: "fork at an open question of two in one node",
    graph: "two_in_one",
    before: twice,
    run: from("n", resume("NEW"), isFirstRun),
  },
  {
    name: "fork at an open question in a subgraph",
    graph: "nested",
    before: twice,
    run: from("S", resume("NEW"), isFirstRun),
  },
  {
    name: "fork without input at a subgraph",
    graph: "nested",
    before: [input("first"), resume("x1"), resume("x2")],
    run: from("S", nothing),
  },
];
