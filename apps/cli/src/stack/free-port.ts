import { createServer, type AddressInfo } from "node:net";

/** Why a port of this machine's loopback cannot be listened on right now, as an error code; undefined when it can. */
export async function portRefusal(port: number): Promise<string | undefined> {
  const got = await listenBriefly(port);
  return "code" in got ? got.code : undefined;
}

/**
 * A free loopback port, the preferred one when nothing else has it. Somebody may take it before it is used; callers
 * that care start again.
 */
export async function findFreePort(preferred = 0): Promise<number> {
  for (const wanted of [preferred, 0]) {
    const got = await listenBriefly(wanted);
    if ("port" in got) return got.port;
  }
  throw new Error("no free port on 127.0.0.1");
}

function listenBriefly(wanted: number): Promise<{ port: number } | { code: string }> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", ({ code = "unknown" }: NodeJS.ErrnoException) => resolve({ code }));
    server.listen({ port: wanted, host: "127.0.0.1", exclusive: true }, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve({ port }));
    });
  });
}
