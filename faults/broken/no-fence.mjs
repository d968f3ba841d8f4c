import { rewriteQueries } from "./rewrite-queries.mjs";

// Checkpoints are stored whoever sends them: a worker that lost its lease goes on writing.
rewriteQueries((text) =>
  text.includes("fence(run_id, attempt)")
    ? text.replace("where r.attempt = f.attempt and r.status = 'running'", "where true")
    : text,
);

// And the worker does not hear of it, or it would stop by itself.
const { abort } = AbortController.prototype;
AbortController.prototype.abort = function (reason) {
  if (reason?.name !== "LeaseLost") abort.call(this, reason);
};
