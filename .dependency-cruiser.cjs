// The import rules of ARCHITECTURE.md, executable. test/cli/import-rules.test.ts plants violations and sees them found.

// Without swc dependency-cruiser reads no TypeScript 7 at all: it finds 0 modules and prints a green tick. Fail instead.
const { Visitor } = require("@swc/core/Visitor.js");

// swc parses `await using`, but its visitor gives up on it. To us it is a declaration like any other.
const { visitStatement } = Visitor.prototype;
Visitor.prototype.visitStatement = function (statement) {
  if (statement.type !== "UsingDeclaration") return visitStatement.call(this, statement);
  statement.decls = this.visitVariableDeclarators(statement.decls);
  return statement;
};

const SHARED = "^packages/shared/src";
/** Everybody in shared may use these; they know nothing of runs or threads. */
const FOUNDATION = "(process|postgres|redis|metrics)";
/** One table or topic each. Work over two of them is a use case and lives in an app. */
const FEATURES = "(access|assistants|crons|runs|store|threads|webhooks)";
const TESTS = "\\.test\\.ts$";

/** @type {import("dependency-cruiser").IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: "no-cycles",
      comment: "Whatever is in a cycle can only be understood, tested and deleted together. Types count as well.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "nothing-missing",
      comment: "An import that leads nowhere.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true, pathNot: "(^|/)dist/" }, // may not be built yet
    },
    {
      name: "apps-do-not-import-each-other",
      comment: "What two apps need is in packages/shared.",
      severity: "error",
      from: { path: "^apps/([^/]+)/", pathNot: TESTS },
      to: { path: "^apps/", pathNot: "^apps/$1/" },
    },
    {
      name: "packages-do-not-import-apps",
      severity: "error",
      from: { path: "^packages/", pathNot: TESTS },
      to: { path: "^apps/" },
    },
    {
      name: "product-does-not-import-tests",
      severity: "error",
      from: { path: "^(apps|packages)/", pathNot: TESTS },
      to: { path: ["^test/", TESTS] },
    },
    {
      name: "graphs-only-by-path",
      comment: "The server knows graphs through langgraph.json alone; one that it imports could not be exchanged.",
      severity: "error",
      from: { path: "^(apps|packages/shared)/", pathNot: TESTS },
      to: { path: "^packages/graphs/" },
    },
    {
      name: "protocol-imports-zod-only",
      comment: "The wire format depends on nothing that could change it unnoticed.",
      severity: "error",
      // wire-value.ts has to recognise LangChain's messages to write them as the SDKs expect
      from: { path: `${SHARED}/protocol/`, pathNot: [`${SHARED}/protocol/wire-value\\.ts$`, TESTS] },
      to: { pathNot: [`${SHARED}/protocol/`, "(^|/)node_modules/zod/"] },
    },
    {
      name: "errors-import-nothing",
      severity: "error",
      from: { path: `${SHARED}/errors\\.ts$` },
      to: {},
    },
    {
      name: "foundation-knows-no-features",
      severity: "error",
      from: { path: `${SHARED}/${FOUNDATION}/`, pathNot: TESTS },
      to: { path: SHARED, pathNot: [`${SHARED}/${FOUNDATION}/`, `${SHARED}/(errors|version)\\.ts$`] },
    },
    {
      name: "features-do-not-import-each-other",
      comment: "Work over two tables is a use case: it lives in an app.",
      severity: "error",
      from: { path: `${SHARED}/${FEATURES}/`, pathNot: TESTS },
      to: { path: `${SHARED}/${FEATURES}/`, pathNot: `${SHARED}/$1/` },
    },
    {
      name: "only-the-queue-knows-bullmq",
      comment: "Another backend of the queue must be able to take its place.",
      severity: "error",
      from: { pathNot: [`${SHARED}/queue/`, "^apps/worker/src/run-consumer\\.ts$", TESTS, "^(test|bench|faults)/"] },
      to: { path: "(^|/)node_modules/bullmq/" },
    },
    {
      name: "only-a-few-know-ioredis",
      severity: "error",
      from: { pathNot: [`${SHARED}/(redis|queue|events)/`, TESTS, "^(test|bench|faults)/"] },
      to: { path: "(^|/)node_modules/ioredis/" },
    },
    {
      name: "only-http-knows-express",
      comment: "Use cases take and give values. The three in runs/ write streams; they name the type of a response.",
      severity: "error",
      from: {
        path: "^(apps|packages)/",
        pathNot: [
          "^apps/api/src/(http/|app\\.ts$)",
          "routes\\.ts$",
          "^apps/api/src/runs/(answer-run|join-run|open-streams)\\.ts$",
          TESTS,
        ],
      },
      to: { path: "(^|/)node_modules/(@types/)?express/" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    // swc is called without its switch for JSX: the page of a browser test would be a syntax error
    exclude: { path: ["^(apps|packages)/[^/]+/dist/", "\\.flotilla/", "^test/agent-server/browser/"] },
    parser: "swc",
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.base.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["source", "import", "require", "node", "default", "types"],
      extensions: [".ts", ".js", ".mjs", ".cjs", ".d.ts"],
    },
  },
};
