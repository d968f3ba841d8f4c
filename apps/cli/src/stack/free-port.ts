import { createServer } from "node:net";

/** Whether a port of this machine's loopback can be listened on right now. */
export function isPortFree(port: number): Promise<boolean> {
  return listenBriefly(port).then((got) => got !== undefined);
}

/**
 * A free loopback port, the preferred one when nothing else has it. Somebody may take it before it is used; callers
 * that care start again.
 */
export async function findFreePort(preferred?: number): Promise<number> {
  const port = (preferred && (await listenBriefly(preferred))) || (await listenBriefly(0));
  if (port === undefined) throw new Error("no free port on 127.0.0.1");
  return port;
}

function listenBriefly(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" ? address?.port : undefined));
    });
  });
}
