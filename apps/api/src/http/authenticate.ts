import { BlockList, isIPv6 } from "node:net";
import type { Request } from "express";
import { ANONYMOUS, hashKey, type Principal } from "@flotilla/shared/access/api-key";
import { findApiKey, hasApiKeys } from "@flotilla/shared/access/api-key-queries";
import { Forbidden, Unauthorized } from "@flotilla/shared/errors";
import type { Queryable } from "@flotilla/shared/postgres/pool";
import type { AllowedOrigins } from "./origins.ts";

/** How long a key that was found, and whether there are keys at all, is believed, in ms. A revoked key works for as long. */
const BELIEVED_MS = 5_000;
const MAX_CACHED = 10_000;

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");
LOOPBACK.addSubnet("::ffff:127.0.0.0", 104, "ipv6");

export interface AuthenticatorOptions {
  db: Queryable;
  allowedOrigins: AllowedOrigins;
}

/**
 * Says who calls. With keys: the one that came as `Authorization: Bearer` or `x-api-key`. Without any key, only this machine
 * may call, and no web page may do it through somebody's browser: the Host must be a loopback name (DNS rebinding) and an
 * Origin must be one of ours.
 */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #known = new Map<string, { principal: Principal | undefined; until: number }>();
  #keys: { exist: boolean; until: number } | undefined;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** @throws Unauthorized, Forbidden */
  async authenticate(request: Request): Promise<Principal> {
    if (!(await this.hasKeys())) {
      this.#requireLocal(request);
      return ANONYMOUS;
    }
    const key = keyOf(request);
    if (key === undefined) throw new Unauthorized("Send an API key: Authorization: Bearer <key>, or x-api-key: <key>");
    const principal = await this.#find(key);
    if (principal === undefined) throw new Unauthorized("The API key is not valid");
    return principal;
  }

  /**
   * Whether anything at all is shown: on a server without keys not even its description goes to a foreign page or name. Local
   * requests are told apart without Postgres, so that they are answered while it is away.
   * @throws Forbidden
   */
  async admit(request: Request): Promise<void> {
    try {
      this.#requireLocal(request);
    } catch (error) {
      if (!(await this.hasKeys().catch(() => false))) throw error;
    }
  }

  async hasKeys(): Promise<boolean> {
    const now = Date.now();
    if (this.#keys === undefined || this.#keys.until < now) {
      this.#keys = {
        exist: this.#keys?.exist === true || (await hasApiKeys(this.#options.db)),
        until: now + BELIEVED_MS,
      };
    }
    return this.#keys.exist;
  }

  async #find(key: string): Promise<Principal | undefined> {
    const hash = hashKey(key);
    const name = hash.toString("base64");
    const known = this.#known.get(name);
    if (known !== undefined && known.until > Date.now()) return known.principal;
    const found = await findApiKey(this.#options.db, hash);
    const principal = found === undefined ? undefined : { tenantId: found.tenant_id, keyId: found.key_id };
    if (this.#known.size >= MAX_CACHED) this.#known.clear();
    this.#known.set(name, { principal, until: Date.now() + BELIEVED_MS });
    return principal;
  }

  #requireLocal(request: Request): void {
    const local = request.socket.localAddress ?? "";
    if (!LOOPBACK.check(local, isIPv6(local) ? "ipv6" : "ipv4")) {
      throw new Forbidden(
        "This server has no API keys and answers on the loopback interface only. Make one: npm run keys -- create",
      );
    }
    if (!isLoopbackName(hostName(request.headers.host))) {
      throw new Forbidden(
        "This server has no API keys and answers requests for localhost only. Make one: npm run keys -- create",
      );
    }
    const { origin } = request.headers;
    if (origin === undefined || this.#options.allowedOrigins.allows(origin)) return;
    if (origin !== `http://${request.headers.host}`) {
      throw new Forbidden("This server does not answer web pages of other origins. Name them in ALLOWED_ORIGINS");
    }
  }
}

function keyOf(request: Request): string | undefined {
  const { authorization } = request.headers;
  const bearer = authorization === undefined ? undefined : /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
  const header = request.headers["x-api-key"];
  return bearer ?? (typeof header === "string" && header !== "" ? header : undefined);
}

function hostName(host: string | undefined): string {
  if (host === undefined) return "";
  return host.startsWith("[") ? host.slice(1, host.indexOf("]")) : (host.split(":")[0] ?? "");
}

function isLoopbackName(name: string): boolean {
  if (name.toLowerCase() === "localhost") return true;
  if (!/^[\d.]+$/.test(name) && !name.includes(":")) return false;
  try {
    return LOOPBACK.check(name, isIPv6(name) ? "ipv6" : "ipv4");
  } catch {
    return false;
  }
}
