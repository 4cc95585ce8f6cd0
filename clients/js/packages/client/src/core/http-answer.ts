/** What a server says over HTTP where its control channel is. */
export interface HttpAnswer {
  /** 0 = something answers, and this page may not read what. */
  readonly status: number;
  readonly body: string;
  /** Its `Date`, where this page may read it. */
  readonly date?: string | undefined;
}

/** `Environment.ask`: asks over HTTP. Rejects when nothing answers. */
export async function askOverHttp(url: string, signal: AbortSignal): Promise<HttpAnswer> {
  const cache = "no-store";
  try {
    // POST: a browser names the Origin of a page of the very same server only then
    const answer = await fetch(url, { method: "POST", cache, signal });
    const date = answer.headers.get("date") ?? undefined;
    return { status: answer.status, body: await answer.text(), date };
  } catch {
    await fetch(url, { mode: "no-cors", cache, signal });
    return { status: 0, body: "" };
  }
}
