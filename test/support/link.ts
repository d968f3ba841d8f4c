import { afterAll } from "vitest";
import { TcpProxy } from "../../faults/stack/tcp-proxy.ts";

const links: TcpProxy[] = [];

afterAll(async () => {
  await Promise.all(links.map((link) => link.close()));
});

/** The network between one process and the server of `url`, which a test can break for that process alone. Ends with the test file. */
export async function linkTo(url: string): Promise<TcpProxy> {
  const link = await TcpProxy.to(url);
  links.push(link);
  return link;
}
