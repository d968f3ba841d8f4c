import type { FlotillaClient } from "../client/flotilla-client.ts";
import type { Figure } from "../report/figure.ts";

/** A piece of work for a server. Checks what it gets: a wrong result is an error, not a figure. */
export interface Scenario {
  readonly number: number;
  readonly title: string;
  run(client: FlotillaClient): Promise<Figure[]>;
}

/** @throws with what came, so that a failed check needs no debugger. */
export function expect(condition: boolean, what: string, got: unknown): asserts condition {
  if (!condition) throw new Error(`${what}; got ${JSON.stringify(got)?.slice(0, 500)}`);
}
