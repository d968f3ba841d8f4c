import { Client as Client1 } from "langgraph-sdk-1";
import { Client as Client2 } from "langgraph-sdk-2";

/**
 * The official JS SDK in both its lines, unchanged. 1.15.0 is typed; what 2.0.0 does not have is not called on it.
 * Neither retries: a test sees the first answer.
 */
export const SDKS: { version: string; connect(url: string, headers?: Record<string, string>): Client1 }[] = [
  {
    version: "1.15.0",
    connect: (apiUrl, defaultHeaders) =>
      new Client1({ apiUrl, apiKey: null, callerOptions: { maxRetries: 0 }, ...given(defaultHeaders) }),
  },
  {
    version: "2.0.0",
    connect: (apiUrl, defaultHeaders) =>
      new Client2({
        apiUrl,
        apiKey: null,
        callerOptions: { maxRetries: 0 },
        ...given(defaultHeaders),
      }) as unknown as Client1,
  },
];

function given(defaultHeaders: Record<string, string> | undefined): { defaultHeaders?: Record<string, string> } {
  return defaultHeaders === undefined ? {} : { defaultHeaders };
}
