import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { followRun } from "./follow-run.ts";

test.each<[what: string, onConnection: (socket: Socket) => void]>([
  ["hangs up without an answer", (socket) => socket.end()],
  ["says nothing", () => {}],
])(
  "another program at the address that %s is said to give no answer, with what to start instead",
  async (_what, act) => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket.on("error", () => {}));
      act(socket);
    }).listen(0, "127.0.0.1");
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const remedies = { noGateway: "npm start", noKey: "" };
    const run = followRun({ url, graph: "g", body: {}, apiKey: undefined, remedies, say: () => {}, answerMs: 300 });
    await expect(run.next()).rejects.toMatchObject({
      part: "demo",
      message: expect.stringContaining(`nothing answers at ${url}`),
      remedy: "npm start",
    });
  },
);
