import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { CampaignClient } from "../load/client.ts";
import type { Fleet } from "../stack/fleet.ts";
import { until } from "./long-runs.ts";
import { none, type Target } from "./target.ts";

const MB = 1024 * 1024;
const CHUNK = 64 * 1024;

/** Somebody opens a stream of 100 MB and hardly reads from it. */
export const SLOW_CLIENT: Target = {
  name: "slow-client",
  title: "a client that takes a byte a second from a stream of 100 MB",
  async measure({ startFleet, say }) {
    const fleet = await startFleet({ gateways: 1, workers: 1 });
    const [gateway] = fleet.gateways as [(typeof fleet.gateways)[0]];
    const client = new CampaignClient(fleet, fleet.tenants[0] as (typeof fleet.tenants)[0]);
    const flood = (bytes: number) => ({ input: { bytes, chunk_bytes: CHUNK }, stream_mode: ["custom"] });
    // Before: what a gateway needs for any stream at all, and somebody who reads, so that its code is compiled.
    await client.follow({ path: "/graphs/flood/stream", body: flood(20 * MB) });
    await delay(2_000);
    const before = residentMb(gateway.process.pid);

    const { socket, answered } = await openSlowly(fleet, await gateway.process.ready, flood(100 * MB));
    let most = before;
    const watch = setInterval(() => (most = Math.max(most, residentMb(gateway.process.pid))), 50);
    const run = await until("the run's end", 120, async () => {
      const { rows } = await fleet.pool.query<{ status: string }>("select status from runs order by seq desc limit 1");
      return rows[0]?.status === "success" ? rows[0] : undefined;
    });
    await delay(3_000); // whatever the gateway would still take for it
    clearInterval(watch);
    const fast = await client.follow({
      path: "/graphs/steps/stream",
      body: { input: { inputs: ["x"], steps: 3, step_ms: 5 } },
    });
    say(
      `${run.status}; the gateway had ${before.toFixed(0)} MB before and ${most.toFixed(0)} MB at most; ${answered()} bytes were taken`,
    );
    socket.destroy();
    await client.close();
    return [
      { name: "growth of the gateway", unit: "MB", value: most - before, goal: { atMost: 20 } },
      none("other streams that did not come through", fast?.events.at(-1)?.endsWith(" end") === true ? 0 : 1),
    ];
  },
};

/** Sends a request by hand and takes a byte a second of the answer. */
async function openSlowly(
  fleet: Fleet,
  url: string,
  body: object,
): Promise<{ socket: import("node:net").Socket; answered(): number }> {
  const { port, hostname } = new URL(url);
  const socket = connect({ port: Number(port), host: hostname, readableHighWaterMark: 1 } as never);
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  const text = JSON.stringify(body);
  const key = fleet.tenants[0]?.key ?? "";
  socket.write(
    `POST /graphs/flood/stream HTTP/1.1\r\nhost: ${hostname}:${port}\r\nx-api-key: ${key}\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`,
  );
  let taken = 0;
  socket.pause();
  const reading = setInterval(() => (taken += (socket.read(1) as Buffer | null)?.length ?? 0), 1_000);
  socket.on("close", () => clearInterval(reading));
  return { socket, answered: () => taken };
}

function residentMb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}
