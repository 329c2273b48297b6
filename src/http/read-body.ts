import type { IncomingMessage } from "node:http";

/**
 * Largest body of a request. A config.json of 5 MB must get the estimate's own answer (that it is too large to be
 * one), and quoting it as a JSON string can nearly double it.
 */
export const MAX_BODY_BYTES = 12 * 2 ** 20;

/** A request whose body cannot be used. */
export class BodyError extends Error {
  readonly status: 400 | 413 | 415;

  constructor(status: 400 | 413 | 415, message: string) {
    super(message);
    this.name = "BodyError";
    this.status = status;
  }
}

/**
 * Reads a JSON body.
 * @param count told of the bytes that arrive; what it throws ends the reading
 * @returns undefined when the content type is not JSON's
 * @throws BodyError for a body that is too large, compressed, not UTF-8 or not JSON
 */
export async function readJsonBody(request: IncomingMessage, count: (bytes: number) => void): Promise<unknown> {
  const { type, charset } = parseContentType(request.headers["content-type"] ?? "");
  if (type !== "application/json") return undefined;
  if (charset !== "utf-8") throw new BodyError(415, "The body must be UTF-8.");
  const encoding = request.headers["content-encoding"] ?? "identity";
  if (encoding !== "identity") throw new BodyError(415, "The body must not be compressed.");
  return parseJson(await readBytes(request, count));
}

function parseContentType(header: string): { type: string; charset: string } {
  const [type = "", ...parameters] = header.split(";").map((part) => part.trim().toLowerCase());
  const charset = parameters.find((parameter) => parameter.startsWith("charset="))?.slice("charset=".length);
  return { type, charset: (charset ?? "utf-8").replaceAll('"', "").replace(/^utf8$/, "utf-8") };
}

async function readBytes(request: IncomingMessage, count: (bytes: number) => void): Promise<Buffer> {
  const tooLarge = () => new BodyError(413, `The body must not be larger than ${MAX_BODY_BYTES / 2 ** 20} MiB.`);
  if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let refused = false;
    const refuse = (error: unknown) => {
      refused = true;
      chunks.length = 0;
      reject(error);
    };
    request.on("data", (chunk: Buffer) => {
      if (refused) return;
      size += chunk.length;
      if (size > MAX_BODY_BYTES) return refuse(tooLarge());
      try {
        count(chunk.length);
        chunks.push(chunk);
      } catch (error) {
        refuse(error);
      }
    });
    request.on("end", () => resolve(Buffer.concat(chunks)));
    request.on("error", reject);
    request.on("aborted", () => reject(new BodyError(400, "The body ended early.")));
  });
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new BodyError(400, "The body must be JSON.");
  }
}
