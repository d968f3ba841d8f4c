import type { History } from "../history/history.ts";
import { checkCheckpoints } from "./checkpoints.ts";
import { checkEffects } from "./effects.ts";
import { checkEnds } from "./ends.ts";
import { checkOrder } from "./order.ts";
import { checkStates } from "./states.ts";
import { checkStreams } from "./streams.ts";
import type { Check, Violation } from "./violation.ts";

/** I7: what belongs to another tenant does not exist. */
const checkTenants: Check = ({ peek }) =>
  peek
    .filter(({ status }) => status !== 404)
    .map(({ tenant, path, status }) => ({
      invariant: "I7",
      subject: path,
      what: `was answered to ${tenant} with ${status}`,
    }));

/** I8: when nothing is left to do, nothing is held. */
const checkResources: Check = ({ resource }) =>
  resource
    .filter(({ value, limit }) => !(value <= limit))
    .map(({ name, value, limit }) => ({ invariant: "I8", subject: name, what: `${value}, at most ${limit}` }));

const CHECKS: readonly Check[] = [
  checkEnds,
  checkCheckpoints,
  checkEffects,
  checkStreams,
  checkOrder,
  checkStates,
  checkTenants,
  checkResources,
];

/** The one judge of every campaign: all that a history shows to be wrong. */
export function check(history: History): Violation[] {
  return CHECKS.flatMap((one) => one(history));
}
