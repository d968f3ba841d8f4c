import * as ours from "@langchain/core/language_models/chat_models";
import { copiesOf } from "./project-copies.ts";

/**
 * Counts the tokens that chat models report with their answers, where every answer passes: in the base class of LangChain's chat
 * models, in each copy of it that the graphs of a langgraph.json may use.
 *
 * The rejected alternative, a callback handler among those of the run, makes LangChain build a callback manager around every
 * node (chain of five small nodes: a quarter more processor time), though most nodes call no model.
 */
export async function countTokens(configPath: string, count: TokenCount): Promise<void> {
  const copies = await copiesOf("@langchain/core/language_models/chat_models", ours as unknown as Module, configPath);
  for (const { prototype } of new Set(copies.map((copy) => copy.BaseChatModel))) countIn(prototype, count);
}

/** Called once for each answer. */
export type TokenCount = (model: string, usage: { input: number; output: number }) => void;

interface Module {
  BaseChatModel: { prototype: ChatModel };
}

/** LangChain's `BaseChatModel`, as far as this needs it. */
export interface ChatModel {
  disableStreaming?: boolean;
  getLsParams?(options: object): { ls_model_name?: string } | undefined;
  /** Of `invoke` and `batch`: whole answers that do not come out of a cache. */
  _generateUncached(...given: unknown[]): Promise<{ generations: { message?: Answer }[][] }>;
  /** Of `stream`: an answer in pieces. */
  _streamIterator(...given: unknown[]): AsyncGenerator<Answer>;
  _streamResponseChunks: unknown;
}

interface Answer {
  usage_metadata?: { input_tokens?: unknown; output_tokens?: unknown };
  response_metadata?: { model_name?: unknown };
}

export function countIn(prototype: ChatModel, count: TokenCount): void {
  const { _generateUncached: generate, _streamIterator: stream, _streamResponseChunks: cannotStream } = prototype;
  if (typeof generate !== "function" || typeof stream !== "function") return; // of another version: it works as it always did

  prototype._generateUncached = async function (this: ChatModel, ...given) {
    const result = await generate.apply(this, given);
    for (const { message } of result.generations.flat()) if (message !== undefined) report(this, [message], count);
    return result;
  };

  prototype._streamIterator = function (this: ChatModel, ...given) {
    const answer = stream.apply(this, given);
    const isGenerated = this._streamResponseChunks === cannotStream || this.disableStreaming === true; // counted there
    return isGenerated ? answer : watched(answer, (pieces) => report(this, pieces, count));
  };
}

/**
 * The same generator, watched from beside: one around it would cost each token several turns of the microtask queue.
 * @param onEnd is given the pieces that report usage, once: also those from before the node stopped listening, or before a failure.
 */
function watched(answer: AsyncGenerator<Answer>, onEnd: (pieces: Answer[]) => void): AsyncGenerator<Answer> {
  const pieces: Answer[] = [];
  let hasEnded = false;
  const end = () => {
    if (!hasEnded) onEnd(pieces);
    hasEnded = true;
  };
  const { next, return: stop } = answer;
  answer.next = (...value) => {
    const step = next.apply(answer, value);
    step.then(({ done, value: piece }) => {
      if (done === true) end();
      else if ((piece as Answer).usage_metadata !== undefined) pieces.push(piece as Answer);
    }, end);
    return step;
  };
  answer.return = (value) => {
    end();
    return stop.call(answer, value);
  };
  return answer;
}

/** The usage of an answer is the sum over its pieces, as LangChain adds them up. */
function report(model: ChatModel, pieces: Answer[], count: TokenCount): void {
  const usage = { input: 0, output: 0 };
  for (const { usage_metadata: part } of pieces) {
    usage.input += tokens(part?.input_tokens);
    usage.output += tokens(part?.output_tokens);
  }
  if (usage.input > 0 || usage.output > 0) count(nameOf(model, pieces), usage);
}

/** Models of all makers say it: what is no number must not fail the run that only wanted to be counted. */
function tokens(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? value : 0;
}

/** The model that was asked for; for one that does not tell, the one that says it has answered. */
function nameOf(model: ChatModel, pieces: Answer[]): string {
  const names = [askedFor(model), ...pieces.map((piece) => piece.response_metadata?.model_name)];
  return (names.find((name) => typeof name === "string" && name !== "") as string | undefined) ?? "unknown";
}

function askedFor(model: ChatModel): string | undefined {
  try {
    return model.getLsParams?.({})?.ls_model_name;
  } catch {
    return undefined;
  }
}
