import { connect as connectPlain } from "node:net";
import { connect as connectTls } from "node:tls";
import { reasonOf } from "./startup-error.ts";

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly username?: string;
  readonly password?: string;
  readonly database?: number;
  readonly tls?: boolean;
}

/** What a Redis says to a first hello. `silence` and `loading` may pass by themselves, a `refusal` does not. */
export type RedisAnswer = { version: string } | { silence: string } | { loading: string } | { refusal: string };

const TIMEOUT_MS = 5_000;
/** Said to a password that is not needed. Clients warn about it and go on. */
const NEEDS_NO_PASSWORD = /^ERR (?:AUTH <password> called without any password|Client sent AUTH, but no password)/;

/** Logs in and asks for the version. Too little to need a client library, which would retry and reconnect. */
export function pingRedis(address: RedisAddress): Promise<RedisAnswer> {
  const { host, port, tls = false } = address;
  return new Promise((resolve) => {
    const greet = (): void => void socket.write(hello(address).map(encode).join(""));
    const socket = tls ? connectTls({ host, port, servername: host }, greet) : connectPlain({ host, port }, greet);
    let received = "";
    const answer = (value: RedisAnswer): void => {
      socket.destroy();
      resolve(value);
    };
    socket.setTimeout(TIMEOUT_MS, () => answer({ silence: `no answer within ${TIMEOUT_MS / 1000} s` }));
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString();
      const meaning = understand(received);
      if (meaning !== undefined) answer(meaning);
    });
    socket.on("error", (error) => answer({ silence: reasonOf(error) }));
    socket.on("close", () => resolve({ silence: "it closed the connection" }));
  });
}

function hello({ username, password, database = 0 }: RedisAddress): string[][] {
  return [
    ...(password === undefined ? [] : [["AUTH", ...(username === undefined ? [] : [username]), password]]),
    ...(database === 0 ? [] : [["SELECT", `${database}`]]),
    ["PING"],
    ["INFO", "server"],
  ];
}

function encode(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
}

/** undefined while the answer is not complete. */
function understand(received: string): RedisAnswer | undefined {
  const lines = received.split("\r\n").slice(0, -1);
  const refusal = lines.find((line) => line.startsWith("-") && !NEEDS_NO_PASSWORD.test(line.slice(1)))?.slice(1);
  if (refusal?.startsWith("LOADING")) return { loading: refusal };
  const pong = lines.includes("+PONG");
  if (refusal !== undefined) return pong ? { version: "" } : { refusal }; // INFO may be forbidden where it is managed
  const version = lines.map((line) => /^(?:redis|valkey)_version:(\S+)$/.exec(line)?.[1]).find(Boolean);
  return pong && version !== undefined ? { version } : undefined;
}
