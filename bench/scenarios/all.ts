import { latency } from "./1-latency.ts";
import { throughput } from "./2-throughput.ts";
import { submit } from "./3-submit.ts";
import { streaming } from "./4-streaming.ts";
import { waiting } from "./5-waiting.ts";
import { fanOut } from "./7-fan-out.ts";
import { approve } from "./8-approve.ts";
import type { Scenario } from "./scenario.ts";

/** In the order in which they run. The sixth, memory, watches the others: see stack/memory.ts. */
export const SCENARIOS: readonly Scenario[] = [latency, throughput, submit, streaming, waiting, fanOut, approve];
export const MEMORY = 6;
