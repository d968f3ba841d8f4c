import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { gatewayUrl, readProject } from "./project.ts";

test.each([
  [{}, {}, ""],
  [{ http: null }, {}, ""],
  [{ http: { mount_prefix: "/api/" } }, {}, "/api"],
  [{ http: { mount_prefix: "/api" } }, { MOUNT_PREFIX: "/env" }, "/env"],
  [{ http: { mount_prefix: "/api" } }, { MOUNT_PREFIX: "/" }, ""],
])("the address of a project with %j and %j ends with %j", (config, env, path) => {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-project-"));
  writeFileSync(join(folder, "langgraph.json"), JSON.stringify({ graphs: { a: "./a.ts:graph" }, ...config }));
  const project = readProject({ config: folder + "/langgraph.json" });
  expect(gatewayUrl(2024, project, env)).toBe(`http://127.0.0.1:2024${path}`);
  rmSync(folder, { recursive: true });
});
