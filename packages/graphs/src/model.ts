import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { OfflineChatModel, type Reply } from "./offline-model.ts";

/** The variable that holds each supported provider's key. */
const KEY_VARIABLE: Readonly<Record<string, string>> = { openai: "OPENAI_API_KEY", anthropic: "ANTHROPIC_API_KEY" };

/** `MODEL` cannot be used as it is; the message names the variable to set. It never holds a key. */
export class ModelNotConfigured extends Error {
  override get name(): string {
    return "ModelNotConfigured";
  }
}

/** Models already built in this process, by setting: a provider's client keeps its connections between calls. */
const built = new Map<string, Promise<BaseChatModel>>();

/**
 * The provider's chat model that `MODEL=provider:name` asks for, or undefined when `MODEL` is unset, empty or
 * `offline`. Nothing of LangChain's providers is loaded until a model is configured: they cost tens of megabytes.
 *
 * `OPENAI_BASE_URL` sends OpenAI's protocol to any server that speaks it.
 */
export async function configuredModel(env: NodeJS.ProcessEnv = process.env): Promise<BaseChatModel | undefined> {
  const setting = env["MODEL"]?.trim() ?? "";
  if (setting === "" || setting === "offline") return undefined;
  const { provider, name } = parseModelSetting(setting);
  const key = requireKey(provider, env);
  const baseUrl = provider === "openai" ? env["OPENAI_BASE_URL"] : undefined;
  const identity = JSON.stringify([setting, baseUrl, key]);
  const model = built.get(identity) ?? buildModel(provider, name, key, baseUrl);
  built.set(identity, model);
  return model;
}

/** The configured model, or one that makes up its replies with `reply`: a chat works the same with either. */
export async function chatModel(reply: Reply, env: NodeJS.ProcessEnv = process.env): Promise<BaseChatModel> {
  return (await configuredModel(env)) ?? new OfflineChatModel({ reply, tokenDelayMs: offlineDelay(env) });
}

/** Splits `provider:name`; only the first colon separates, because model names may hold more of them. */
function parseModelSetting(setting: string): { provider: string; name: string } {
  const colon = setting.indexOf(":");
  const provider = setting.slice(0, Math.max(colon, 0));
  const name = setting.slice(colon + 1);
  if (name !== "" && Object.hasOwn(KEY_VARIABLE, provider)) return { provider, name };
  const example = Object.keys(KEY_VARIABLE).map((known) => `${known}:<model name>`);
  throw new ModelNotConfigured(`MODEL is "${setting}"; expected ${example.join(" or ")}, or "offline"`);
}

function requireKey(provider: string, env: NodeJS.ProcessEnv): string {
  const variable = KEY_VARIABLE[provider] ?? "";
  const key = env[variable]?.trim() ?? "";
  if (key === "") throw new ModelNotConfigured(`MODEL asks for ${provider}, but ${variable} is not set`);
  return key;
}

/**
 * The provider's own model out of LangChain's configurable one. The wrapper keeps a client for every config it is ever
 * called with, which in a server means one for every run, and lets a caller's config choose another model.
 */
async function buildModel(
  provider: string,
  name: string,
  apiKey: string,
  baseUrl: string | undefined,
): Promise<BaseChatModel> {
  const { initChatModel } = await import("langchain/chat_models/universal");
  const configurable = await initChatModel(name, {
    modelProvider: provider,
    apiKey,
    maxRetries: 2,
    // Usage arrives with the last chunk of a stream; without this OpenAI's clients leave it out.
    ...(provider === "openai" && { streamUsage: true }),
    ...(baseUrl !== undefined && baseUrl !== "" && { configuration: { baseURL: baseUrl } }),
  });
  return configurable._getModelInstance();
}

/** Pause between the words of the offline model, so that a demonstration shows text arriving. */
function offlineDelay(env: NodeJS.ProcessEnv): number {
  const delay = Number(env["OFFLINE_MODEL_DELAY_MS"] ?? "5");
  return Number.isFinite(delay) && delay >= 0 ? delay : 5;
}
