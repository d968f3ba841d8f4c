import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { EffectLine } from "../history/lines.ts";
import { CampaignClient, type Handle } from "../load/client.ts";
import type { Fleet } from "../stack/fleet.ts";

/** Waits until `look` gives something, looking every few ms. @throws Error when that takes longer than `seconds`. */
export async function until<T>(
  what: string,
  seconds: number,
  look: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const deadline = performance.now() + seconds * 1_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`${what} did not come within ${seconds} s`);
    await delay(20);
  }
}

/** Keeps runs of many short steps in flight, for minutes, so that whatever happens to a process happens to some of them. */
export class LongRuns {
  readonly client: CampaignClient;
  readonly #fleet: Fleet;
  readonly handles: Handle[] = [];

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
    this.client = new CampaignClient(fleet, fleet.tenants[0] as (typeof fleet.tenants)[0]);
  }

  async submit(count: number, { steps = 1_900, step_ms = 100 } = {}): Promise<void> {
    for (let i = 0; i < count; i++) {
      const key = randomUUID();
      const answer = await this.client.submit(
        "/graphs/steps/invoke",
        { input: { inputs: [key], steps, step_ms } },
        key,
      );
      if (answer === undefined || answer.status >= 300) throw new Error(`not accepted: ${JSON.stringify(answer)}`);
      this.handles.push(answer.body as unknown as Handle);
    }
  }

  /** What nodes have noted so far. */
  effects(): EffectLine[] {
    return this.#fleet
      .effects()
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as EffectLine);
  }

  /** Cancels whatever still runs. */
  async close(): Promise<void> {
    for (const { thread_id, run_id } of this.handles)
      await this.client.post(`/threads/${thread_id}/runs/${run_id}/cancel`);
    await this.client.close();
  }
}
