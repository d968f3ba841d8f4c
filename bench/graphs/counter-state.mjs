import { Annotation } from "@langchain/langgraph";

/** What noop and chain5 count in: how many nodes ran, and which. */
export const CounterState = Annotation.Root({
  count: Annotation({ reducer: (total, more) => total + more, default: () => 0 }),
  trail: Annotation({ reducer: (names, more) => [...names, ...more], default: () => [] }),
});
