import { fileURLToPath } from "node:url";

/** The langgraph.json of the graphs that tests run. */
export const TEST_GRAPHS = fileURLToPath(new URL("langgraph.json", import.meta.url));
