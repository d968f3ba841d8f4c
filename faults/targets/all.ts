import { CANCELLED } from "./cancels.ts";
import { FAIR_SHARES } from "./fair-shares.ts";
import { GATEWAY_KILLED } from "./lost-gateway.ts";
import { DRAINED, KILLED, KILLED_AND_WIPED } from "./lost-worker.ts";
import { POSTGRES_AWAY, REDIS_AWAY } from "./outages.ts";
import { SAME_KEY } from "./same-key.ts";
import { SLOW_CLIENT } from "./slow-client.ts";
import type { Target } from "./target.ts";
import { WIPED } from "./wiped-redis.ts";

export const TARGETS: readonly Target[] = [
  KILLED,
  KILLED_AND_WIPED,
  DRAINED,
  WIPED,
  POSTGRES_AWAY,
  REDIS_AWAY,
  GATEWAY_KILLED,
  SLOW_CLIENT,
  CANCELLED,
  SAME_KEY,
  FAIR_SHARES,
];
