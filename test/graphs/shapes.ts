import {
  Annotation,
  END,
  MessagesAnnotation,
  MessagesValue,
  ReducedValue,
  START,
  StateGraph,
  StateSchema,
} from "@langchain/langgraph";
import * as z from "zod";

const nothing = () => ({});

const State = z.object({ topic: z.string(), pages: z.number().default(1), due: z.date().optional() });
const Context = z.object({ model: z.string() });

export const agent = new StateGraph({
  state: State,
  input: z.object({ topic: z.string() }),
  output: z.object({ pages: z.number() }),
  context: Context,
})
  .addNode("plan", nothing)
  .addNode("write", nothing)
  .addEdge(START, "plan")
  .addConditionalEdges("plan", () => "write", ["write", END])
  .addEdge("write", END)
  .compile();

const Inmost = z.object({ deep: z.string() });
const inmost = new StateGraph(Inmost)
  .addNode("one", nothing)
  .addNode("two", nothing)
  .addEdge(START, "one")
  .addEdge("one", "two")
  .addEdge("two", END)
  .compile();
const Inner = z.object({ middle: z.string(), deep: z.string() });
const inner = new StateGraph(Inner)
  .addNode("before", nothing)
  .addNode("inmost", inmost)
  .addEdge(START, "before")
  .addEdge("before", "inmost")
  .addEdge("inmost", END)
  .compile();

/** A graph in a graph in a graph. */
export const nested = new StateGraph(z.object({ outer: z.string(), middle: z.string(), deep: z.string() }))
  .addNode("inner", inner)
  .addNode("last", nothing)
  .addEdge(START, "inner")
  .addEdge("inner", "last")
  .addEdge("last", END)
  .compile();

/** A state whose reducers take something else than they keep. */
export const fields = new StateGraph(
  new StateSchema({
    messages: MessagesValue,
    notes: new ReducedValue(
      z.array(z.string()).default(() => []),
      { inputSchema: z.string(), reducer: (before: string[], note: string) => [...before, note] },
    ),
  }),
)
  .addNode("read", nothing)
  .addEdge(START, "read")
  .addEdge("read", END)
  .compile();

interface Person {
  /** As it is called. */
  name: string;
  age?: number;
  friends: Person[];
}

const Annotated = Annotation.Root({
  ...MessagesAnnotation.spec,
  topic: Annotation<string>(),
  mood: Annotation<"good" | "bad" | undefined>(),
  people: Annotation<Person[]>({ reducer: (before, after) => [...before, ...after], default: () => [] }),
});
const Input = Annotation.Root({ topic: Annotation<string>() });

/** A state of types alone: at run time nothing is left of them. */
export const annotated = new StateGraph({ stateSchema: Annotated, input: Input })
  .addNode("read", nothing)
  .addEdge(START, "read")
  .addEdge("read", END)
  .compile();
