import { connect } from "node:net";

/** What a Redis says to a first hello: its version, "not yet" while it loads its data, or why it refuses. */
export type RedisAnswer = { version: string } | "not yet" | { refusal: string };

const TIMEOUT_MS = 2_000;

/** Logs in and asks for the version. Too little to need a client library, which would retry and reconnect. */
export function pingRedis(port: number, password: string): Promise<RedisAnswer> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", timeout: TIMEOUT_MS });
    let received = "";
    const answer = (value: RedisAnswer): void => {
      socket.destroy();
      resolve(value);
    };
    socket.on("connect", () => socket.write(`AUTH ${password}\r\nPING\r\nINFO server\r\n`));
    socket.on("data", (chunk) => {
      received += chunk.toString();
      const refusal = /^-(.+)$/m.exec(received)?.[1];
      if (refusal?.startsWith("LOADING")) return answer("not yet");
      if (refusal !== undefined) return answer({ refusal });
      const version = /^(?:redis|valkey)_version:(\S+)\r$/m.exec(received)?.[1];
      if (received.includes("+PONG") && version !== undefined) answer({ version });
    });
    socket.on("error", () => answer("not yet"));
    socket.on("timeout", () => answer("not yet"));
    socket.on("close", () => resolve("not yet"));
  });
}
