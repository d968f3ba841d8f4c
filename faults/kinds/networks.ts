import { setTimeout as delay } from "node:timers/promises";
import type { Node } from "../stack/fleet.ts";
import type { TcpProxy } from "../stack/tcp-proxy.ts";
import { runsOf, type FaultContext, type FaultKind } from "./fault.ts";

/** Faults of the network between one process and one of its servers. */

interface Way {
  readonly name: string;
  readonly weight: number;
  readonly ms: [number, number];
  disturb(proxy: TcpProxy, context: FaultContext): void;
}

const WAYS: readonly Way[] = [
  { name: "cut", weight: 4, ms: [100, 8_000], disturb: (proxy) => proxy.cut() },
  { name: "half-open", weight: 3, ms: [500, 10_000], disturb: (proxy) => proxy.hold() },
  { name: "deaf", weight: 2, ms: [500, 9_000], disturb: (proxy) => proxy.oneWay("towards server") },
  { name: "dumb", weight: 2, ms: [500, 9_000], disturb: (proxy) => proxy.oneWay("towards client") },
  {
    name: "slow",
    weight: 3,
    ms: [1_000, 6_000],
    disturb: (proxy, { random }) => proxy.slow(random.int(50, 1_000)),
  },
];

const SERVERS: readonly { name: string; of(node: Node): TcpProxy }[] = [
  { name: "Postgres", of: (node) => node.toPostgres },
  { name: "Redis", of: (node) => node.toRedis },
];

export const NETWORK_FAULTS: readonly FaultKind[] = SERVERS.flatMap((server) =>
  WAYS.map((way): FaultKind => ({
    name: `network to ${server.name} ${way.name}`,
    weight: way.weight / 2,
    recoversFrom: "healing",
    async inject(context) {
      const { fleet, node, random } = context;
      const { pid, name } = node.process;
      const affected = await runsOf(fleet, pid);
      const proxy = server.of(node);
      const at = Date.now();
      way.disturb(proxy, context);
      await delay(random.int(...way.ms));
      proxy.mend();
      return { target: name, pid, at, healedAt: Date.now(), affected };
    },
  })),
);
