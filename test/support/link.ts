import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterAll } from "vitest";

interface Connection {
  client: Socket;
  server: Socket;
}

/** A network between one process and a server, which a test can cut while everybody else still reaches the server. */
export class Link {
  readonly url: string;
  readonly #listener: Server;
  readonly #connections = new Set<Connection>();
  #state: "whole" | "refuses" | "silent" = "whole";

  /** To the server of `url`; ends with the test file. */
  static async to(url: string): Promise<Link> {
    const target = new URL(url);
    const listener = createServer();
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const link = new Link(listener, target);
    links.push(link);
    return link;
  }

  private constructor(listener: Server, target: URL) {
    this.#listener = listener;
    const own = new URL(target);
    own.host = `127.0.0.1:${(listener.address() as AddressInfo).port}`;
    this.url = own.href;
    listener.on("connection", (client) => this.#open(client, target));
  }

  /** Connections end, and no new ones come about. */
  refuse(): void {
    this.#state = "refuses";
    for (const one of this.#connections) this.#close(one);
  }

  /** Nothing gets through, and nobody is told. What is sent meanwhile arrives when the link is mended. */
  hold(): void {
    this.#state = "silent";
    for (const { client, server } of this.#connections) {
      client.unpipe(server).pause();
      server.unpipe(client).pause();
    }
  }

  mend(): void {
    const wasSilent = this.#state === "silent";
    this.#state = "whole";
    if (wasSilent) for (const one of this.#connections) join(one);
  }

  close(): void {
    this.refuse();
    this.#listener.close();
  }

  #open(client: Socket, target: URL): void {
    if (this.#state === "refuses") return void client.destroy();
    const one = { client, server: connect(Number(target.port || 5432), target.hostname) };
    this.#connections.add(one);
    for (const socket of [one.client, one.server]) {
      socket.on("error", () => {}); // `close` follows
      socket.on("close", () => this.#close(one));
    }
    if (this.#state === "whole") join(one);
  }

  #close(one: Connection): void {
    this.#connections.delete(one);
    one.client.destroy();
    one.server.destroy();
  }
}

function join({ client, server }: Connection): void {
  client.pipe(server);
  server.pipe(client);
}

const links: Link[] = [];

afterAll(() => {
  for (const link of links) link.close();
});
