import { beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../../test/support/database.ts";
import type { Queryable } from "../postgres/pool.ts";
import { listExpiredThreads } from "./thread-expiry-queries.ts";
import { countThreads, searchThreads, type ThreadFilter, type ThreadOrder } from "./thread-search-queries.ts";

// 20,000 threads of one tenant and as many of another: what is read of them for one page.

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  await database.pool.query(`
    insert into threads (tenant_id, thread_id, status, settled_status, metadata, "values", created_at, updated_at, state_updated_at)
    select case when n % 2 = 0 then 'ann' else 'bob' end, 't' || n, case when n % 5000 = 0 then 'interrupted' else 'idle' end,
           case when n % 5000 = 0 then 'interrupted' else 'idle' end,
           jsonb_build_object('user', 'u' || n % 7000, 'deep', jsonb_build_object('n', n)), jsonb_build_object('n', n % 3),
           now() - make_interval(secs => n), now() - make_interval(secs => n), now() - make_interval(secs => n)
      from generate_series(1, 40000) n`);
  await database.pool.query("vacuum analyze threads");
});

interface Plan {
  "Node Type": string;
  "Actual Rows": number;
  "Rows Removed by Filter"?: number;
  Plans?: Plan[];
}

/** Runs what a query function asks for under EXPLAIN. @returns how many rows its scans touched, and their kinds. */
async function scansOf(ask: (db: Queryable) => Promise<unknown>): Promise<{ kinds: string[]; touched: number }> {
  const plans: Plan[] = [];
  const explaining = {
    query: async (text: string, values: unknown[]) => {
      const { rows } = await database.pool.query(`explain (analyze, timing off, format json) ${text}`, values);
      plans.push(rows[0]["QUERY PLAN"][0].Plan as Plan);
      return { rows: [] };
    },
  };
  await ask(explaining as unknown as Queryable);
  const scans = plans
    .flatMap(flatten)
    .filter(({ "Node Type": kind }) => kind.includes("Scan") && kind !== "Subquery Scan");
  return {
    kinds: scans.map((node) => node["Node Type"]),
    touched: scans.reduce((sum, node) => sum + node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0), 0),
  };
}

function flatten(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(flatten)];
}

const search = (filter: ThreadFilter, order: Partial<ThreadOrder> = {}, offset = 0) =>
  scansOf((db) =>
    searchThreads(db, "ann", filter, {
      order: { column: "updated_at", direction: "desc", ...order },
      limit: 10,
      offset,
    }),
  );

test.each([
  ["thread_id", "asc"],
  ["created_at", "desc"],
  ["created_at", "asc"],
  ["updated_at", "desc"],
  ["updated_at", "asc"],
] as const)("a page in the order of %s %s is read from an index", async (column, direction) => {
  const { kinds, touched } = await search({}, { column, direction }, 20);
  expect(kinds.every((kind) => kind.includes("Index"))).toBe(true);
  expect(touched).toBeLessThan(100);
});

test("threads of a status, of an id, or with certain metadata are found without reading the others", async () => {
  expect((await search({ status: "interrupted" })).touched).toBeLessThan(100);
  expect((await search({ ids: ["t2", "t4"] })).touched).toBeLessThan(100);
  expect((await search({ metadata: { user: "u77" } })).touched).toBeLessThan(100);
  expect((await search({ metadata: { deep: { n: 38_000 } } }, { column: "created_at" })).touched).toBeLessThan(100);
});

test("a search by values stops when its page is full", async () => {
  expect((await search({ values: { n: 1 } })).touched).toBeLessThan(200);
});

test("counting for a page goes only as far as it is told", async () => {
  const bounded = await scansOf((db) => countThreads(db, "ann", {}, 500));
  expect(bounded.touched).toBeLessThan(2_000); // of 40,000, however the planner gets at them
  expect(await countThreads(database.pool, "ann", {}, 500)).toBe(500);
  expect(await countThreads(database.pool, "ann", {})).toBe(20_000);
});

test("a sweep reads what is due, not what lives, stays or has been reduced already", async () => {
  await database.pool.query(
    `update threads set ttl_strategy = 'keep_latest', ttl_minutes = case when thread_id = 't39000' then 5 else 1000 end,
            kept_latest_at = case when updated_at < now() - interval '39100 s' then now() end
      where updated_at < now() - interval '38900 s' or thread_id in ('t100', 't200')`,
  );
  await database.pool.query("vacuum analyze threads");
  const due = await listExpiredThreads(database.pool, 1_000);
  expect(due.map(({ thread_id }) => thread_id)).toEqual(["t39000"]);
  const { kinds, touched } = await scansOf((db) => listExpiredThreads(db, 1_000));
  expect(kinds.every((kind) => kind.includes("Index"))).toBe(true);
  expect(touched).toBeLessThan(500);
});
