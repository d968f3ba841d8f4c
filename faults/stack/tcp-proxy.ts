import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";

interface Connection {
  client: Socket;
  server: Socket;
}

/** Where bytes get through: both ways, none, or one of them. `towards` names the end that still receives. */
type Passage = "both ways" | "no way" | "towards server" | "towards client";

/**
 * The network between one process and one server, which a campaign can cut, stop, narrow to one direction, or slow down
 * while everybody else still reaches the server.
 *
 * What is held back is not lost: like in a network that drops packets for a while, it arrives once the way is open again,
 * if the connection lives until then.
 */
export class TcpProxy {
  /** The server's address as the process gets it. */
  readonly url: string;
  readonly #target: URL;
  readonly #listener: Server;
  readonly #connections = new Set<Connection>();
  #refuses = false;
  #passage: Passage = "both ways";
  #delayMs = 0;

  static async to(url: string): Promise<TcpProxy> {
    const listener = createServer();
    await new Promise<void>((resolve, reject) => {
      listener.once("error", reject);
      listener.listen(0, "127.0.0.1", resolve);
    });
    return new TcpProxy(listener, new URL(url));
  }

  private constructor(listener: Server, target: URL) {
    this.#listener = listener;
    this.#target = target;
    const own = new URL(target);
    own.host = `127.0.0.1:${(listener.address() as AddressInfo).port}`;
    this.url = own.href;
    listener.on("connection", (client) => this.#open(client));
  }

  /** Connections end at once, and no new one comes about. */
  cut(): void {
    this.#refuses = true;
    for (const one of this.#connections) this.#close(one);
  }

  /** Nothing gets through and nobody is told: a half-open connection. */
  hold(): void {
    this.#narrow("no way");
  }

  /** Bytes get through in one direction only. */
  oneWay(passage: "towards server" | "towards client"): void {
    this.#narrow(passage);
  }

  /** Everything takes so much longer, each way. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  mend(): void {
    this.#refuses = false;
    this.#delayMs = 0;
    this.#narrow("both ways");
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#listener.close(resolve));
  }

  #narrow(passage: Passage): void {
    this.#passage = passage;
    for (const one of this.#connections) this.#regulate(one);
  }

  #regulate({ client, server }: Connection): void {
    const passes = (to: "server" | "client") => this.#passage === "both ways" || this.#passage === `towards ${to}`;
    if (passes("server")) client.resume();
    else client.pause();
    if (passes("client")) server.resume();
    else server.pause();
  }

  #open(client: Socket): void {
    if (this.#refuses) return void client.destroy();
    const one = { client, server: connect(Number(this.#target.port), this.#target.hostname) };
    this.#connections.add(one);
    for (const socket of [one.client, one.server]) {
      socket.setNoDelay(true);
      socket.on("error", () => {}); // `close` follows
      socket.on("close", () => this.#close(one));
    }
    this.#copy(one.client, one.server);
    this.#copy(one.server, one.client);
    this.#regulate(one);
  }

  #copy(from: Socket, to: Socket): void {
    from.on("data", (bytes) => {
      if (this.#delayMs > 0) setTimeout(() => to.writable && to.write(bytes), this.#delayMs);
      else if (to.writable && !to.write(bytes)) {
        from.pause();
        to.once("drain", () => [...this.#connections].forEach((one) => this.#regulate(one)));
      }
    });
    from.on("end", () => to.end());
  }

  #close(one: Connection): void {
    this.#connections.delete(one);
    one.client.destroy();
    one.server.destroy();
  }
}
