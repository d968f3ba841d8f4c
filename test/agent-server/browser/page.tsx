import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { useStream } from "langgraph-sdk-1/react"; // the test bundles it a second time, with the other line of the SDK

// A chat as somebody would write it with useStream. The address says which server and graph, and keeps the thread, so that
// a reload comes back to it.

interface Message {
  id?: string;
  type: string;
  content: unknown;
}
interface State extends Record<string, unknown> {
  messages?: Message[];
  log?: number[];
}

declare global {
  interface Window {
    /** Every text of the last message that was on the screen, in turn. */
    shown: string[];
  }
}
window.shown = [];

const address = new URL(location.href);
const setting = (name: string) => address.searchParams.get(name);

function Chat() {
  const [threadId, setThreadId] = useState(setting("thread"));
  const [draft, setDraft] = useState("");
  const stream = useStream<State>({
    apiUrl: setting("api") ?? "",
    apiKey: "none", // sent as a header, so that the browser asks first
    assistantId: setting("assistant") ?? "",
    threadId,
    onThreadId: (id) => {
      address.searchParams.set("thread", id);
      history.replaceState(null, "", address);
      setThreadId(id);
    },
    reconnectOnMount: setting("reconnect") === "yes",
    fetchStateHistory: true,
    callerOptions: { maxRetries: 0 },
    onError: () => {}, // shown below
  });
  const messages = stream.messages as Message[];
  const shown = textOf(messages.at(-1));
  useEffect(() => void window.shown.push(shown), [shown]);

  const send = (text: string, checkpoint?: unknown) => {
    const input: State = text.startsWith("{") ? (JSON.parse(text) as State) : { messages: [humanMessage(text)] };
    void stream.submit(input as never, {
      config: { recursion_limit: 10_000 },
      ...(checkpoint === undefined ? {} : { checkpoint: checkpoint as never }),
      optimisticValues: (before) =>
        checkpoint === undefined && input.messages
          ? { messages: [...((before as State).messages ?? []), ...input.messages] as never }
          : {},
    });
  };
  const question = stream.interrupt?.value;
  return (
    <main aria-busy={stream.isLoading}>
      <ol>
        {messages.map((message, index) => {
          const meta = stream.getMessagesMetadata(message as never, index);
          const checkpoint = meta?.firstSeenState?.parent_checkpoint;
          const branches = meta?.branchOptions ?? [];
          return (
            <li key={message.id ?? index} data-type={message.type}>
              <span>{textOf(message)}</span>
              {message.type === "human" && <button onClick={() => send(draft, checkpoint)}>Edit</button>}
              {message.type === "ai" && (
                <button onClick={() => void stream.submit(undefined, { checkpoint: checkpoint ?? null })}>Again</button>
              )}
              {branches.map((branch, i) => (
                <button key={branch} aria-pressed={branch === meta?.branch} onClick={() => stream.setBranch(branch)}>
                  {`Branch ${i + 1}`}
                </button>
              ))}
            </li>
          );
        })}
      </ol>
      <output>{JSON.stringify((stream.values as State).log ?? [])}</output>
      {question !== undefined && (
        <section>
          <q>{JSON.stringify(question)}</q>
          <button onClick={() => void stream.submit(undefined, { command: { resume: { approved: true } } })}>
            Approve
          </button>
        </section>
      )}
      {stream.error !== undefined && <p role="alert">{String((stream.error as Error).message ?? stream.error)}</p>}
      <input aria-label="Message" value={draft} onChange={({ target }) => setDraft(target.value)} />
      <button onClick={() => send(draft)}>Send</button>
      <button onClick={() => void stream.stop()}>Stop</button>
    </main>
  );
}

function humanMessage(content: string): Message {
  return { id: crypto.randomUUID(), type: "human", content };
}

function textOf(message: Message | undefined): string {
  const content = message?.content;
  return typeof content === "string" ? content : content === undefined ? "" : JSON.stringify(content);
}

createRoot(document.body.appendChild(document.createElement("div"))).render(<Chat />);
