import {
  Command,
  END,
  isGraphBubbleUp,
  type LangGraphRunnableConfig,
  Send,
  START,
  StateGraph,
} from "@langchain/langgraph";
import { configuredModel } from "../model.ts";
import { classify } from "./agents/classify.ts";
import { extract } from "./agents/extract.ts";
import { takeIn } from "./agents/intake.ts";
import { review } from "./agents/review.ts";
import { summarise } from "./agents/summarise.ts";
import { validate } from "./agents/validate.ts";
import type { Draft, DraftChange, Progress } from "./draft.ts";
import type { ModelCall } from "../ask-model.ts";
import { type Document, type Finding, Input, Output, type Report, State } from "./state.ts";

/** What a document enters the line with; only the first agent sees the raw content. */
interface Arrival {
  readonly index: number;
  readonly review: boolean;
  readonly document: Document;
}

type Agent = (draft: Draft, progress: Progress, modelCall?: ModelCall) => DraftChange | Promise<DraftChange>;

/** Starts a batch: forgets the thread's previous one and sends every document to intake, each as a task of its own. */
function distribute({ documents, review: isReviewed }: State): Command {
  const arrivals = documents.map((document, index) => ({ index, review: isReviewed, document }) satisfies Arrival);
  return new Command({
    update: { findings: null, finished: null, reports: [] },
    goto: arrivals.map((arrival) => new Send("intake", arrival)),
  });
}

async function intake(
  { index, review: isReviewed, document }: Arrival,
  config: LangGraphRunnableConfig,
): Promise<Command> {
  const { name } = document;
  const progress = progressOf(name, "intake", config);
  progress("started");
  const blank: Draft = {
    index,
    name,
    review: isReviewed,
    text: "",
    type: "unknown",
    confidence: 0,
    fields: {},
    problems: [],
  };
  return handOn({ ...blank, ...(await takeIn(document, progress)) }, "intake", "classify");
}

/**
 * Makes a node of an agent: it works on one document's draft and sends the result to the next stage. Every node is a
 * pure function of the draft (but for the model's words), so a step that is executed again does no harm.
 */
function stage(name: string, agent: Agent, next: string, usesModel = false) {
  return async (draft: Draft, config: LangGraphRunnableConfig): Promise<Command> => {
    const progress = progressOf(draft.name, name, config);
    progress("started");
    const model = usesModel ? await configuredModel() : undefined;
    const call = model === undefined ? undefined : { model, config };
    const change = await survive(draft, name, config, () => agent(draft, progress, call));
    return handOn({ ...draft, ...change }, name, next);
  };
}

/**
 * A mistake in an agent costs one document, not the batch: it becomes a problem of the draft. Questions to a person and
 * cancellation are no mistakes and go on their way.
 */
async function survive(
  draft: Draft,
  stageName: string,
  config: LangGraphRunnableConfig,
  work: () => DraftChange | Promise<DraftChange>,
): Promise<DraftChange> {
  try {
    return await work();
  } catch (error) {
    if (isGraphBubbleUp(error as Error) || config.signal?.aborted === true) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    return { confidence: 0, problems: [...draft.problems, `${stageName}_failed: ${reason.slice(0, 200)}`] };
  }
}

function handOn(draft: Draft, stageName: string, next: string): Command {
  const { index, name, type, confidence, problems } = draft;
  const finding: Finding = { name, stage: stageName, type, confidence, problems: [...problems] };
  return new Command({ update: { findings: { [index]: finding } }, goto: new Send(next, draft) });
}

/** The last stage: files the document's report under its place in the batch. */
async function lastStage(draft: Draft, config: LangGraphRunnableConfig): Promise<Command> {
  const progress = progressOf(draft.name, "summarise", config);
  progress("started");
  const model = await configuredModel();
  const call = model === undefined ? undefined : { model, config };
  const change = await survive(draft, "summarise", config, () => summarise(draft, progress, call));
  const { index, name, type, confidence, fields, problems, summary = "" } = { ...draft, ...change };
  const report: Report = { name, type, confidence, fields, problems: [...problems], summary };
  const finding: Finding = { name, stage: "summarise", type, confidence, problems: [...problems] };
  progress("finished");
  return new Command({ update: { finished: { [index]: report }, findings: { [index]: finding } }, goto: "collect" });
}

/** Puts the reports into the order of the input. */
function collect({ documents, finished }: State, config: LangGraphRunnableConfig) {
  const reports = documents.flatMap((_, index) => finished?.[index] ?? []);
  config.writer?.({ stage: "collect", message: `${reports.length} of ${documents.length} reports are ready` });
  return { reports };
}

function progressOf(document: string, stageName: string, config: LangGraphRunnableConfig): Progress {
  return (message) => config.writer?.({ document, stage: stageName, message });
}

/**
 * Five agents in a line: intake, classify, extract, validate and summarise, with a person's review before the summary.
 * The documents of a batch go down the line side by side, so each super-step is one stage of the whole batch and a
 * crash costs at most that stage. A document that cannot be read still goes all the way, and says why in its report.
 */
export const graph = new StateGraph({ state: State, input: Input, output: Output })
  .addNode("distribute", distribute, { ends: ["intake"] })
  .addNode("intake", intake, { ends: ["classify"] })
  .addNode("classify", stage("classify", classify, "extract", true), { ends: ["extract"] })
  .addNode("extract", stage("extract", extract, "validate", true), { ends: ["validate"] })
  .addNode("validate", stage("validate", validate, "ask_reviewer"), { ends: ["ask_reviewer"] })
  .addNode("ask_reviewer", stage("ask_reviewer", review, "summarise"), { ends: ["summarise"] })
  .addNode("summarise", lastStage, { ends: ["collect"] })
  .addNode("collect", collect)
  .addEdge(START, "distribute")
  .addEdge("collect", END)
  .compile({ name: "document_processor" });
