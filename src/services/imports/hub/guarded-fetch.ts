import { explainRefusal, HubError } from "./hub-error.js";

/** The hub that imports read from. */
export interface HubSettings {
  /** Address of the hub, without a slash at its end. */
  url: string;
  /** Sent to the hub, and to nobody else. */
  token: string | null;
  /** Origins that the hub may send downloads of large files to: "https://cdn.example.org". */
  fileOrigins: readonly string[];
}

/** What one import may take. */
export interface HubLimits {
  /** Longest that one request may take, its body included. */
  requestMs: number;
  /** Longest that all requests of an import may take together. */
  importMs: number;
  /** Requests of an import, redirects included. */
  requests: number;
  /** Bytes of one answer. The largest that is needed is the index of a checkpoint in hundreds of files, some 20 MB. */
  answerBytes: number;
  /** Bytes of all answers of an import together. */
  totalBytes: number;
}

export const DEFAULT_LIMITS: HubLimits = {
  requestMs: 15_000,
  importMs: 25_000,
  requests: 150,
  answerBytes: 32 * 2 ** 20,
  totalBytes: 128 * 2 ** 20,
};

/** Redirects that one request may follow. */
const MAX_REDIRECTS = 5;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * A `fetch` for one import that reaches the configured hub and nothing else: redirects are followed by hand, each only to
 * the hub or to a host that is set for its files; the token goes to the hub alone; time, requests and bytes are bounded;
 * refusals are told apart.
 *
 * The function throws HubError for whatever it does not give.
 */
export function createGuardedFetch(hub: HubSettings, limits: HubLimits): typeof fetch {
  const session = new Session(hub, limits);
  return (input: Parameters<typeof fetch>[0], init?: RequestInit) => session.fetch(toUrl(input), init ?? {});
}

function toUrl(input: string | URL | Request): URL {
  const text = input instanceof Request ? input.url : String(input);
  if (!URL.canParse(text)) throw new HubError("REFUSED_HOST", "The hub named an address that is none.");
  return new URL(text);
}

/** What is left of an import's means. */
class Session {
  private readonly host: string;
  private readonly origin: string;
  private readonly deadline: AbortSignal;
  private requests = 0;
  private bytes = 0;

  constructor(
    private readonly hub: HubSettings,
    private readonly limits: HubLimits,
  ) {
    const { host, origin } = new URL(hub.url);
    this.host = host;
    this.origin = origin;
    this.deadline = AbortSignal.timeout(limits.importMs);
  }

  async fetch(address: URL, { method = "GET", headers }: RequestInit): Promise<Response> {
    let url = address;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      this.admit(url);
      const response = await this.request(url, method, new Headers(headers));
      if (!REDIRECTS.has(response.status)) return this.bounded(response);
      await response.body?.cancel();
      url = this.followed(response, url);
    }
    throw new HubError("UNREACHABLE", `${this.host} redirects in circles.`);
  }

  private admit(url: URL): void {
    const isAllowed = url.origin === this.origin || this.hub.fileOrigins.includes(url.origin);
    if (!isAllowed || url.username !== "" || url.password !== "") {
      const other = url.host === "" ? url.protocol : url.host;
      throw new HubError(
        "REFUSED_HOST",
        `${this.host} sends the request on to ${other}, which is not contacted: only the host of HUGGINGFACE_URL is. ` +
          "Where large files are kept on hosts of their own, HUGGINGFACE_FILE_HOSTS can name them.",
      );
    }
    this.requests += 1;
    if (this.requests > this.limits.requests) {
      throw new HubError("TOO_LARGE", `Reading the repository takes more than ${this.limits.requests} requests.`);
    }
  }

  private async request(url: URL, method: string, headers: Headers): Promise<Response> {
    headers.delete("authorization");
    headers.set("user-agent", "vramql");
    if (this.hub.token !== null && url.origin === this.origin) {
      headers.set("authorization", `Bearer ${this.hub.token}`);
    }
    const signal = AbortSignal.any([this.deadline, AbortSignal.timeout(this.limits.requestMs)]);
    try {
      return await fetch(url, { method, headers, redirect: "manual", signal });
    } catch (error) {
      throw this.explainFailure(error);
    }
  }

  private followed(response: Response, from: URL): URL {
    const location = response.headers.get("location") ?? "";
    if (!URL.canParse(location, from.href)) {
      throw new HubError("REFUSED_HOST", `${this.host} redirects to an address that is none.`);
    }
    return new URL(location, from);
  }

  /** The answer with a body that ends when too much comes, or the refusal that it is. */
  private async bounded(response: Response): Promise<Response> {
    if (!response.ok) {
      await response.body?.cancel();
      throw explainRefusal(response, this.host, this.hub.token !== null);
    }
    const announced = Number(response.headers.get("content-length") ?? 0);
    if (announced > this.limits.answerBytes) {
      await response.body?.cancel();
      throw this.tooLarge();
    }
    const { status, headers } = response;
    return new Response(response.body === null ? null : this.countedBody(response.body), { status, headers });
  }

  private countedBody(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
    const reader = body.getReader();
    let bytes = 0;
    return new ReadableStream({
      pull: async (controller) => {
        try {
          const { done, value } = await reader.read();
          if (done) return controller.close();
          bytes += value.length;
          this.bytes += value.length;
          if (bytes > this.limits.answerBytes || this.bytes > this.limits.totalBytes) {
            await reader.cancel();
            throw this.tooLarge();
          }
          controller.enqueue(value);
        } catch (error) {
          controller.error(this.explainFailure(error));
        }
      },
      cancel: (reason) => reader.cancel(reason),
    });
  }

  private tooLarge(): HubError {
    const { answerBytes, totalBytes } = this.limits;
    return new HubError(
      "TOO_LARGE",
      `${this.host} sends more than is read: ${answerBytes / 2 ** 20} MiB of one file, ${totalBytes / 2 ** 20} MiB in all.`,
    );
  }

  private explainFailure(error: unknown): HubError {
    if (error instanceof HubError) return error;
    const name = error instanceof Error ? error.name : "";
    if (name === "TimeoutError" || name === "AbortError" || this.deadline.aborted) {
      const { requestMs, importMs } = this.limits;
      return new HubError(
        "TIMED_OUT",
        `${this.host} did not answer in time: ${requestMs / 1000} seconds for one request, ${importMs / 1000} for all.`,
      );
    }
    const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
    const code = typeof cause?.code === "string" ? ` (${cause.code})` : "";
    return new HubError("UNREACHABLE", `${this.host} cannot be reached, or broke off${code}. Try again later.`);
  }
}
