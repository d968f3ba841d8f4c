import type { FlotillaClient } from "../client/flotilla-client.ts";
import { inParallel } from "../client/in-parallel.ts";
import type { Figure, Goal } from "../report/figure.ts";
import { percentile } from "../report/statistics.ts";
import { expect, type Scenario } from "./scenario.ts";

interface Level {
  /** streams at once */
  clients: number;
  streams: number;
  events: Goal;
  firstEvent?: Goal;
}

const CHUNKS = 200;
const WARM_UP = 5;
const LEVELS: Level[] = [
  { clients: 1, streams: 40, events: { atLeast: 3_500 }, firstEvent: { atMost: 25 } },
  { clients: 16, streams: 320, events: { atLeast: 6_000 } },
  { clients: 64, streams: 512, events: { atLeast: 6_000 }, firstEvent: { atMost: 600 } },
];

/** Token streams: 200 chunks of a model that does not wait, as `messages-tuple`, from submission to the end. */
export const streaming: Scenario = {
  number: 4,
  title: `streaming: ${CHUNKS} chunks a run, ${LEVELS.map(({ clients }) => clients).join(", ")} streams at once`,
  async run(client) {
    for (let i = 0; i < WARM_UP; i++) await followTokens(client);
    const figures: Figure[] = [];
    for (const level of LEVELS) figures.push(...(await measureLevel(client, level)));
    return figures;
  },
};

async function measureLevel(
  client: FlotillaClient,
  { clients, streams, events, firstEvent }: Level,
): Promise<Figure[]> {
  const firsts: number[] = [];
  let count = 0;
  const started = performance.now();
  await inParallel(streams, clients, async () => {
    const stream = await followTokens(client);
    firsts.push(stream.firstEventMs);
    count += stream.events;
  });
  const seconds = (performance.now() - started) / 1000;
  return [
    { name: `×${clients} events`, unit: "/s", value: count / seconds, goal: events },
    {
      name: `×${clients} first event, p50`,
      unit: "ms",
      value: percentile(firsts, 50),
      ...(firstEvent && { goal: firstEvent }),
    },
    { name: `×${clients} first event, p95`, unit: "ms", value: percentile(firsts, 95) },
  ];
}

/** Every chunk once and in order, then the end. */
async function followTokens(client: FlotillaClient): Promise<{ events: number; firstEventMs: number }> {
  const started = performance.now();
  let events = 0;
  let chunks = 0;
  let firstEventMs = NaN;
  let last = { event: "nothing", data: "" };
  await client.stream("tokens", {}, ["messages-tuple"], {
    onEvent(event) {
      if (events++ === 0) firstEventMs = performance.now() - started;
      if (event.event === "messages" && event.data.includes(`"tok${chunks} "`)) chunks++;
      last = event;
    },
  });
  expect(chunks === CHUNKS, `${CHUNKS} chunks come in order`, chunks);
  expect(last.event === "end" && last.data.includes('"success"'), "a stream ends with success", last);
  return { events, firstEventMs };
}
