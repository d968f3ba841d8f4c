import type { FlotillaClient, Handle } from "../client/flotilla-client.ts";
import { expect, type Scenario } from "./scenario.ts";

const CLIENTS = 500;
const SECONDS = 5;
const TICKS = 20;

/** Many clients follow one run: each has to see every event, and all the end at about the same time. */
export const fanOut: Scenario = {
  number: 7,
  title: `fan-out: ${CLIENTS} clients join one run`,
  async run(client) {
    const started = performance.now();
    const handle = await client.submit("sleep", { seconds: SECONDS, ticks: TICKS }, { stream_mode: ["custom"] });
    let open = 0;
    let allOpenMs = NaN;
    const onOpen = (): void => {
      if (++open === CLIENTS) allOpenMs = performance.now() - started;
    };
    const ends = await Promise.all(Array.from({ length: CLIENTS }, () => followTicks(client, handle, onOpen)));
    expect(allOpenMs < SECONDS * 1000, "all clients join before the first tick", allOpenMs);
    const first = Math.min(...ends);
    const last = Math.max(...ends);
    return [
      { name: `${CLIENTS} clients, first to last end`, unit: "ms", value: last - first, goal: { atMost: 100 } },
      { name: "last end after the run's last tick", unit: "ms", value: last - started - SECONDS * 1000 },
      { name: `all ${CLIENTS} joined`, unit: "ms", value: allOpenMs },
    ];
  },
};

/** @returns when the end came. */
async function followTicks(client: FlotillaClient, handle: Handle, onOpen: () => void): Promise<number> {
  let ticks = 0;
  let endedAt = NaN;
  await client.join(handle, {
    onOpen,
    onEvent({ event, data }) {
      if (event === "custom" && data === `{"tick":${ticks}}`) ticks++;
      if (event === "end") endedAt = performance.now();
    },
  });
  expect(ticks === TICKS, "every client sees every tick in order", ticks);
  expect(!Number.isNaN(endedAt), "every client sees the end", endedAt);
  return endedAt;
}
