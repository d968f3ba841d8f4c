import { createRequire } from "node:module";

/**
 * Changes the text of statements before they are sent.
 * @param {(text: string) => string} rewrite
 */
export function rewriteQueries(rewrite) {
  const { Client } = createRequire(import.meta.url)("pg");
  const { query } = Client.prototype;
  Client.prototype.query = function (config, ...rest) {
    if (typeof config === "string") return query.call(this, rewrite(config), ...rest);
    if (typeof config?.text === "string") return query.call(this, { ...config, text: rewrite(config.text) }, ...rest);
    return query.call(this, config, ...rest);
  };
}
