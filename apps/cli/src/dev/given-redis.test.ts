import { createServer, type AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { checkGivenRedis, parseRedisAddress } from "./given-redis.ts";

/** A server that says what it is told to, whatever it is asked. */
async function serverSaying(text: string): Promise<string> {
  const server = createServer((socket) => socket.once("data", () => socket.write(text)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const INFO = "$30\r\n# Server\r\nredis_version:7.2.4\r\n\r\n";

test("an address may hold a user, a password with any characters, a database and TLS", () => {
  expect(parseRedisAddress("rediss://me:p%40ss%20word@cache.example:6380/2")).toEqual({
    host: "cache.example",
    port: 6380,
    username: "me",
    password: "p@ss word",
    database: 2,
    tls: true,
  });
  expect(parseRedisAddress("localhost:6379")).toMatchObject({ host: "localhost", port: 6379, tls: false });
  expect(parseRedisAddress("http://localhost")).toBeUndefined();
});

test.each([
  ["no password asked for", `-ERR AUTH <password> called without any password configured\r\n+PONG\r\n${INFO}`, "7.2.4"],
  ["INFO is forbidden, as some hosters do", "+OK\r\n+PONG\r\n-NOPERM no permissions to run INFO\r\n", ""],
])("a Redis that clients can use is accepted: %s", async (_, answer, version) => {
  const address = `redis://:secret@${await serverSaying(answer)}`;
  expect(await checkGivenRedis({ variable: "REDIS_URL", address }, "npm start")).toBe(version);
});

test.each([
  [
    "-NOAUTH Authentication required.\r\n",
    /refuses us \(NOAUTH/,
    /^REDIS_URL=redis:\/\/:password@127\.0\.0\.1:\d+ npm start$/,
  ],
  ["-LOADING Redis is loading\r\n", /is not ready yet/, /^npm start {3}\(in a moment\)$/],
])("a Redis that says %j is told with what mends it", async (answer, why, remedy) => {
  const address = `redis://${await serverSaying(answer)}`;
  const checked = checkGivenRedis({ variable: "REDIS_URL", address }, "npm start");
  await expect(checked).rejects.toMatchObject({
    part: "redis",
    message: expect.stringMatching(why),
    remedy: expect.stringMatching(remedy),
  });
});
