import { fileURLToPath } from "node:url";

/** The langgraph.json of the graphs that tests run. */
export const TEST_GRAPHS = fileURLToPath(new URL("langgraph.json", import.meta.url));
/** One of a server that has lost them: `steps` is gone, `echo` cannot be loaded, the factory of `ask` fails. */
export const UNUSABLE_GRAPHS = fileURLToPath(new URL("unusable.json", import.meta.url));
/** Graphs of every kind of state, nested ones and a factory: what is said about graphs rather than what they do. */
export const SHAPES = fileURLToPath(new URL("shapes.json", import.meta.url));
/** One whose threads are reduced to their newest state after three seconds. */
export const EXPIRING_GRAPHS = fileURLToPath(new URL("expiring.json", import.meta.url));
/** Graphs that take their process down. */
export const DOOMED = fileURLToPath(new URL("doomed.json", import.meta.url));
