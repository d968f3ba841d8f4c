import type { EventTails } from "@flotilla/shared/events/event-tail";
import type { WakeUps } from "@flotilla/shared/events/wake-ups";
import type { GraphRegistry } from "@flotilla/shared/graphs/graph-registry";
import type { Pool } from "@flotilla/shared/postgres/pool";
import type { Failpoint } from "@flotilla/shared/process/failpoints";
import type { Logger } from "@flotilla/shared/process/logger";
import type { RunQueue } from "@flotilla/shared/queue/run-queue";
import type { ThreadTtl } from "@flotilla/shared/protocol/thread-body";
import type { Redis } from "@flotilla/shared/redis/connection";
import type { Admission } from "./admission/admission.ts";
import type { Assistants } from "./assistants/assistants.ts";
import type { SourceSchemas } from "./assistants/source/source-schemas.ts";
import type { HeaderPicker } from "./http/pick-headers.ts";
import type { GatewayMetrics } from "./metrics.ts";
import type { EndedRuns } from "./runs/ended-runs.ts";
import type { RunSignals } from "./runs/run-signals.ts";
import type { OpenStreams } from "./runs/open-streams.ts";
import type { ThreadStates } from "./threads/thread-state.ts";

/** The parts of a gateway, as main.ts started them. Each function takes of it what it names. */
export interface Gateway {
  pool: Pool;
  redis: Redis;
  prefix: string;
  /** Of threads that are made without a time to live of their own. */
  threadTtl: ThreadTtl | undefined;
  /** Whether runs are accepted at all. */
  admission: Admission;
  queue: RunQueue;
  signals: RunSignals;
  wakeUps: WakeUps;
  endedRuns: EndedRuns;
  tails: EventTails;
  streams: OpenStreams;
  states: ThreadStates;
  registry: GraphRegistry;
  assistants: Assistants;
  sourceSchemas: SourceSchemas;
  /** The path below which the API is served, `""` or `/path`: links and locations begin with it. */
  mountPrefix: string;
  /** Which request headers graphs find in their `configurable`. */
  configurableHeaders: HeaderPicker;
  metrics: GatewayMetrics;
  logger: Logger;
  /** Test hook; does nothing in production. */
  failpoint: Failpoint;
}
