import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Registry } from "prom-client";
import type { Stoppable } from "@flotilla/shared/process/lifecycle";

export interface HealthServerOptions {
  host: string;
  port: number;
  registry: Registry;
  /** Why the worker should get no work; undefined when it is ready. */
  unreadyReason(): Promise<string | undefined>;
}

/** `/health`, `/ready` and `/metrics` of a worker, on a port of its own. Bodies hold nothing internal. */
export class HealthServer implements Stoppable {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(options: HealthServerOptions): Promise<HealthServer> {
    const server = createServer((request, response) => {
      const send = (status: number, body: string, type = "application/json") => {
        response.writeHead(status, { "content-type": type, "cache-control": "no-store" }).end(body);
      };
      answer(options, request.url ?? "/", send).catch(() => send(500, '{"status":"error"}'));
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(options.port, options.host, resolve);
    });
    return new HealthServer(server);
  }

  get url(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return `http://${address}:${port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

async function answer(
  { registry, unreadyReason }: HealthServerOptions,
  url: string,
  send: (status: number, body: string, type?: string) => void,
): Promise<void> {
  const path = url.split("?")[0];
  if (path === "/health" || path === "/ok") return send(200, '{"status":"healthy"}');
  if (path === "/metrics") return send(200, await registry.metrics(), registry.contentType);
  if (path !== "/ready") return send(404, '{"detail":"Not found","code":"route_not_found"}');
  const reason = await unreadyReason();
  send(
    reason === undefined ? 200 : 503,
    JSON.stringify(reason === undefined ? { status: "ready" } : { status: "unready", reason }),
  );
}
