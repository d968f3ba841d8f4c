import { StartupError } from "../stack/startup-error.ts";
import { describeResult } from "./narration.ts";
import type { InputDocument } from "./sample-documents.ts";

/** What a demo has done. */
export interface Work {
  readonly title: string;
  readonly graph: string;
  readonly input: Record<string, unknown>;
  readonly streamMode: readonly string[];
  /**
   * The last values as a person wants to read them.
   * @throws StartupError when they are not what they have to be
   */
  describe(values: Record<string, unknown>): string;
}

/** A batch of documents through several agents. */
export function documentWork(documents: readonly InputDocument[]): Work {
  const names = documents.map(({ name }) => name);
  const shown = `${names.slice(0, 8).join(", ")}${names.length > 8 ? ", …" : ""}`;
  return {
    title: `sending ${names.length === 1 ? shown : `${names.length} documents: ${shown}`}`,
    graph: "document_processor",
    input: { documents },
    streamMode: ["updates", "custom", "values"],
    describe: describeResult,
  };
}

const STEPS = 60;
const STEP_MS = 1_000;

/** Long enough to kill the worker in the middle, and with a result that shows whether a step was lost or done twice. */
export function slowWork(): Work {
  return {
    title: `counting to ${STEPS}, one step a second`,
    graph: "counter",
    input: { steps: STEPS, delay_ms: STEP_MS },
    streamMode: ["custom", "values"],
    describe({ log }) {
      const expected = Array.from({ length: STEPS }, (_, index) => index + 1);
      if (JSON.stringify(log) === JSON.stringify(expected))
        return `1 to ${STEPS}: no step is missing, and none is there twice.`;
      throw new StartupError("demo", `the steps should be 1 to ${STEPS} but are ${JSON.stringify(log)}`);
    },
  };
}
