import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { HistoryWriter } from "../history/history.ts";
import type { AcceptedLine, Operation } from "../history/lines.ts";
import type { Random } from "../random.ts";
import type { CampaignClient, Handle } from "./client.ts";

export interface Workload {
  readonly clients: readonly CampaignClient[];
  readonly history: HistoryWriter;
}

type Submission = Pick<AcceptedLine, "operation" | "input" | "steps" | "strategy">;

export interface Kind {
  readonly weight: number;
  perform(user: User): Promise<void>;
}

const EVERYTHING: readonly Kind[] = [
  { weight: 30, perform: (user) => user.invoke({ steps: [3, 8], stepMs: [2, 40] }) },
  { weight: 6, perform: (user) => user.invoke({ steps: [10, 20], stepMs: [200, 500] }) },
  { weight: 12, perform: (user) => user.invoke({ steps: [3, 6], stepMs: [5, 30], compute: true }) },
  { weight: 20, perform: (user) => user.stream() },
  { weight: 12, perform: (user) => user.cancel() },
  { weight: 4, perform: (user) => user.storm() },
  { weight: 8, perform: (user) => user.approve() },
  { weight: 3, perform: (user) => user.peek() },
];

/** Nodes that compute without giving way: a process is nearly always in the middle of one. */
export const COMPUTE: readonly Kind[] = [
  { weight: 1, perform: (user) => user.invoke({ steps: [20, 40], stepMs: [20, 40], compute: true }) },
];

/** Runs that are cancelled at a random instant, and nothing else. */
export const CANCELS: readonly Kind[] = [{ weight: 1, perform: (user) => user.cancel() }];

/**
 * Applications at work: so many at once, each one thing after the other, until the signal or until enough was accepted.
 * @returns how many runs were accepted.
 */
export async function work(
  load: Workload,
  random: Random,
  concurrency: number,
  { stop, enough = Infinity, kinds = EVERYTHING }: { stop?: AbortSignal; enough?: number; kinds?: readonly Kind[] },
): Promise<number> {
  let accepted = 0;
  const one = async (mine: Random, client: CampaignClient, other: CampaignClient): Promise<void> => {
    const user = new User(client, other, load.history, mine, () => accepted++);
    while (stop?.aborted !== true && accepted < enough) await mine.weighted(kinds).perform(user);
  };
  await Promise.all(
    Array.from({ length: concurrency }, (_, i) => {
      const [client, other] = [load.clients[i % 2], load.clients[(i + 1) % 2]] as [CampaignClient, CampaignClient];
      return one(random.fork(), client, other);
    }),
  );
  return accepted;
}

/** A graph that kills its process, once: its run has to end as poison, and take nobody with it. */
export async function submitPoison({ clients, history }: Workload): Promise<void> {
  const client = clients[0] as CampaignClient;
  const user = new User(client, client, history, undefined as never, () => {});
  const handle = await user.submit(
    "/graphs/poison/invoke",
    {},
    { operation: "poison", input: "", steps: 0, strategy: "enqueue" },
  );
  if (handle !== undefined) await client.ended(handle);
}

class User {
  readonly #client: CampaignClient;
  readonly #other: CampaignClient;
  readonly #history: HistoryWriter;
  readonly #random: Random;
  readonly #onAccepted: () => void;
  #last: Handle | undefined;

  constructor(
    client: CampaignClient,
    other: CampaignClient,
    history: HistoryWriter,
    random: Random,
    onAccepted: () => void,
  ) {
    this.#client = client;
    this.#other = other;
    this.#history = history;
    this.#random = random;
    this.#onAccepted = onAccepted;
  }

  async invoke({
    steps,
    stepMs,
    compute = false,
  }: {
    steps: [number, number];
    stepMs: [number, number];
    compute?: boolean;
  }): Promise<void> {
    const operation = compute ? "compute" : "invoke";
    const handle = await this.#submitSteps(operation, this.#random.int(...steps), this.#random.int(...stepMs), {
      compute,
    });
    if (handle !== undefined) await this.#client.ended(handle);
  }

  async stream(): Promise<void> {
    const [steps, step_ms] = [this.#random.int(4, 12), this.#random.int(5, 150)];
    const input = randomUUID();
    const body = { input: { inputs: [input], steps, step_ms }, stream_mode: ["values", "updates"] };
    const seen = await this.#client.follow({ path: "/graphs/steps/stream", body, key: input });
    if (seen === undefined) return this.#unanswered("stream", input);
    const submission = { operation: "stream", input, steps, strategy: "enqueue" } as const;
    this.#accepted({ run_id: seen.run, thread_id: seen.thread }, submission);
    const { run, events, connections, last } = seen;
    this.#history.add({ type: "stream", run, events, connections, last });
  }

  async cancel(): Promise<void> {
    const handle = await this.#submitSteps("cancel", this.#random.int(5, 15), this.#random.int(10, 60));
    if (handle === undefined) return;
    await delay(this.#random.int(0, 600));
    const action = this.#random.pick(["interrupt", "rollback"] as const);
    const answer = await this.#client.post(
      `/threads/${handle.thread_id}/runs/${handle.run_id}/cancel?action=${action}`,
    );
    if (answer !== undefined && answer.status < 300)
      this.#history.add({ type: "cancel", at: Date.now(), run: handle.run_id, action });
    await this.#client.ended(handle);
  }

  /** Five messages on one thread, one hard upon the other, with whatever strategy. */
  async storm(): Promise<void> {
    const thread_id = randomUUID();
    const handles = await Promise.all(
      [0, 1, 2, 3, 4].map(async (i) => {
        await delay(i * this.#random.int(0, 120));
        const strategy = this.#random.pick(["enqueue", "enqueue", "interrupt", "rollback"] as const);
        return this.#submitSteps("storm", this.#random.int(2, 8), this.#random.int(5, 60), { strategy, thread_id });
      }),
    );
    await Promise.all(handles.map((handle) => handle && this.#client.ended(handle)));
  }

  async approve(): Promise<void> {
    const question = randomUUID();
    const asked = await this.submit(
      "/graphs/approve/invoke",
      { input: { question } },
      { operation: "approve", input: question, steps: 0, strategy: "enqueue" },
    );
    if (asked === undefined || (await this.#client.ended(asked)) === undefined) return;
    await delay(this.#random.int(0, 50));
    const answer = randomUUID();
    const resumed = await this.submit(
      "/graphs/approve/resume",
      { thread_id: asked.thread_id, resume_data: answer },
      { operation: "answer", input: answer, steps: 0, strategy: "enqueue" },
    );
    if (resumed !== undefined) await this.#client.ended(resumed);
  }

  /** Asks for what belongs to another tenant. */
  async peek(): Promise<void> {
    if (this.#last === undefined) return;
    const { thread_id, run_id } = this.#last;
    for (const path of [`/threads/${thread_id}/runs/${run_id}`, `/threads/${thread_id}/state`]) {
      const answer = await this.#other.get(path);
      if (answer === undefined) continue;
      this.#history.add({ type: "peek", at: Date.now(), tenant: this.#other.tenant, path, status: answer.status });
    }
  }

  async submit(path: string, body: object, submission: Submission): Promise<Handle | undefined> {
    const answer = await this.#client.submit(path, body, submission.input === "" ? randomUUID() : submission.input);
    if (answer === undefined || answer.status >= 300) {
      const reason = answer && `refused with ${answer.status}: ${JSON.stringify(answer.body)}`;
      this.#unanswered(submission.operation, submission.input, reason);
      return undefined;
    }
    return this.#accepted(answer.body as unknown as Handle, submission);
  }

  #submitSteps(
    operation: Operation,
    steps: number,
    step_ms: number,
    more: { compute?: boolean; strategy?: Submission["strategy"]; thread_id?: string } = {},
  ): Promise<Handle | undefined> {
    const { compute, strategy = "enqueue", thread_id } = more;
    const input = randomUUID();
    const body = {
      input: { inputs: [input], steps, step_ms, ...(compute === undefined ? {} : { compute }) },
      multitask_strategy: strategy,
      ...(thread_id === undefined ? {} : { thread_id }),
    };
    return this.submit("/graphs/steps/invoke", body, { operation, input, steps, strategy });
  }

  #accepted(handle: Handle, submission: Submission): Handle {
    this.#last = handle;
    this.#onAccepted();
    const { run_id: run, thread_id: thread } = handle;
    this.#history.add({ type: "accepted", at: Date.now(), run, thread, tenant: this.#client.tenant, ...submission });
    return handle;
  }

  #unanswered(operation: Operation, input: string, reason = "no answer"): void {
    this.#history.add({ type: "unanswered", at: Date.now(), operation, input, reason });
  }
}
