import { Redis } from "ioredis";

export interface CommandCount {
  command: string;
  count: number;
}

/** Commands that clients sent while `work` ran, most frequent first. Those that scripts ran inside Redis are not counted. */
export async function countCommands(redisUrl: string, work: () => Promise<void>): Promise<CommandCount[]> {
  const redis = new Redis(redisUrl);
  const monitor = await redis.monitor();
  const counts = new Map<string, number>();
  monitor.on("monitor", (_time: string, [command = "", script = ""]: string[], source: string) => {
    if (source === "lua") return;
    const name = /^(eval|evalsha|fcall)$/i.test(command) ? `script ${script.slice(0, 8)}` : command.toLowerCase();
    counts.set(name, (counts.get(name) ?? 0) + 1);
  });
  await work();
  monitor.disconnect();
  redis.disconnect();
  return [...counts].map(([command, count]) => ({ command, count })).toSorted((a, b) => b.count - a.count);
}
