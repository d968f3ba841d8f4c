/**
 * Failpoints: named places at which a test lets a process die. Production never sets one, and an unset failpoint costs a
 * function call. The idea is River's test signals; the action is always the hardest one.
 */
export type Failpoint = (name: string) => Promise<void>;

export const noFailpoint: Failpoint = async () => {};

/** The failpoints that a test's environment sets; none anywhere else. */
export function failpointOf(env: NodeJS.ProcessEnv, kill: () => void): Failpoint {
  const text = env["NODE_ENV"] === "test" ? env["FLOTILLA_FAILPOINTS"] : undefined;
  return text ? parseFailpoints(text, kill) : noFailpoint;
}

/**
 * Dies by SIGKILL at the n-th time that a failpoint is reached: `name:n`, several separated by commas, n from 1.
 * @param kill ends the process at once, without any clean-up.
 */
export function parseFailpoints(text: string, kill: () => void): Failpoint {
  const left = new Map<string, number>();
  for (const part of text.split(",")) {
    const [name, n] = part.split(":");
    if (name) left.set(name, Number(n ?? 1));
  }
  return async (name) => {
    const count = left.get(name);
    if (count === undefined) return;
    left.set(name, count - 1);
    if (count !== 1) return;
    kill();
    await new Promise(() => {}); // nothing may happen between here and the death of the process
  };
}
