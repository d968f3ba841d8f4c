/**
 * One answer for all who ask within a while: gauges of one source are collected side by side, and each shows what its own
 * collection has found. A failure is undefined, and asked for again by the next.
 * @param ms how long an answer is believed.
 */
export function readOnce<T>(read: () => Promise<T>, ms: number): () => Promise<T | undefined> {
  let answer: Promise<T | undefined> | undefined;
  let until = -Infinity;
  return () => {
    if (answer === undefined || performance.now() > until) {
      until = performance.now() + ms;
      answer = read().catch(() => {
        until = -Infinity;
        return undefined;
      });
    }
    return answer;
  };
}
