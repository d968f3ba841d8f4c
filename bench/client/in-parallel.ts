/** Calls `work` with 0 to `total` - 1, from so many clients side by side, each one call after the other. */
export async function inParallel(total: number, clients: number, work: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const client = async (): Promise<void> => {
    for (let i = next++; i < total; i = next++) await work(i);
  };
  await Promise.all(Array.from({ length: Math.min(clients, total) }, client));
}
