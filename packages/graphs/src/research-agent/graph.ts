import { Command, END, type LangGraphRunnableConfig, Send, START, StateGraph } from "@langchain/langgraph";
import type { ModelCall } from "../ask-model.ts";
import { chatModel, configuredModel } from "../model.ts";
import { OfflineChatModel } from "../offline-model.ts";
import { citationsOf, withoutInventions } from "./citations.ts";
import { shippedCorpus } from "./corpus.ts";
import { criticise, MAX_REVISIONS } from "./critique.ts";
import { planQueries } from "./plan.ts";
import { Input, Output, State } from "./state.ts";
import { MAX_PASSAGES, writeOffline, writingPrompt } from "./write.ts";

const HITS_PER_SEARCH = 4;

/** Decides what to search for, and forgets what an earlier run on the thread found. */
async function plan({ query }: State, config: LangGraphRunnableConfig): Promise<Command> {
  const queries = await planQueries(query, await modelCallOf(config));
  config.writer?.({ stage: "plan", queries });
  return new Command({
    update: { queries, passages: null, draft: "", feedback: "", revisions: 0, answer: "", citations: [] },
    goto: searchesFor(queries),
  });
}

/** One search; several of them run side by side in one super-step. */
async function search({ query }: { query: string }, config: LangGraphRunnableConfig) {
  const passages = (await shippedCorpus()).search(query, HITS_PER_SEARCH);
  config.writer?.({ stage: "search", query, found: passages.map(({ id }) => id) });
  return { passages };
}

/** Writes the answer, or writes it again with the critic's feedback. Its words are streamed. */
async function write({ query, passages, feedback }: State, config: LangGraphRunnableConfig) {
  const material = (passages ?? []).slice(0, MAX_PASSAGES);
  if (material.length === 0) return { draft: await admitNothingFound(query, config) };
  const model = await chatModel(writeOffline);
  const reply = await model.invoke(writingPrompt(query, material, feedback), config);
  return { draft: reply.text };
}

/** Never left to a provider's model, which would answer from memory; still streamed like any other answer. */
async function admitNothingFound(query: string, config: LangGraphRunnableConfig): Promise<string> {
  const text = `I found nothing in the library about "${query}", so I cannot answer this question.`;
  const reply = await new OfflineChatModel({ reply: () => ({ text }) }).invoke(query, config);
  return reply.text;
}

/** Sends the draft back to be rewritten, after more searches if need be, until it is good or has been revised enough. */
async function critique(state: State, config: LangGraphRunnableConfig): Promise<Command> {
  const { query, draft, passages, queries, revisions } = state;
  if (passages === null || passages.length === 0 || revisions >= MAX_REVISIONS) return new Command({ goto: "finish" });
  const material = passages.slice(0, MAX_PASSAGES);
  const answer = { question: query, draft, passages: material, queries };
  const verdict = await criticise(answer, await shippedCorpus(), await modelCallOf(config));
  if (verdict.feedback === "") return new Command({ goto: "finish" });
  config.writer?.({ stage: "critique", feedback: verdict.feedback });
  const fresh = verdict.queries.filter((other) => !queries.includes(other));
  return new Command({
    update: { feedback: verdict.feedback, revisions: revisions + 1, queries: [...queries, ...fresh] },
    goto: fresh.length === 0 ? "write" : searchesFor(fresh),
  });
}

/** The answer with citations of passages that were really found. */
function finish({ draft, passages }: State) {
  const material = (passages ?? []).slice(0, MAX_PASSAGES);
  const answer = withoutInventions(draft, material.length);
  return { answer, citations: citationsOf(answer, material) };
}

function searchesFor(queries: readonly string[]): Send[] {
  return queries.map((query) => new Send("search", { query }));
}

async function modelCallOf(config: LangGraphRunnableConfig): Promise<ModelCall | undefined> {
  const model = await configuredModel();
  return model === undefined ? undefined : { model, config };
}

/** Plans searches, runs them side by side, writes a cited answer and has it criticised, at most twice. */
export const graph = new StateGraph({ state: State, input: Input, output: Output })
  .addNode("plan", plan, { ends: ["search"] })
  .addNode("search", search)
  .addNode("write", write)
  .addNode("critique", critique, { ends: ["search", "write", "finish"] })
  .addNode("finish", finish)
  .addEdge(START, "plan")
  .addEdge("search", "write")
  .addEdge("write", "critique")
  .addEdge("finish", END)
  .compile({ name: "research_agent" });
