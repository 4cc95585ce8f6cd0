/** The tests' page on a server of its own, for sessions with somebody else's: what it may connect to
 * is named, and nothing else. */
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".wav": "audio/wav",
};

export interface StaticSite {
  readonly url: string;
  stop(): Promise<void>;
}

/** Serves a folder below /page/; `peers` are origins that the page may talk to. */
export async function serveStatic(folder: string, peers: readonly string[]): Promise<StaticSite> {
  const connect = peers.flatMap((peer) => [peer, peer.replace(/^http/, "ws")]).join(" ");
  const policy = `default-src 'self'; script-src 'self'; connect-src 'self' ${connect}`;
  const server: Server = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://page").pathname);
    const name = path.replace(/^\/page\//, "") || "index.html";
    try {
      const body = readFileSync(join(folder, name));
      const type = TYPES[extname(name)] ?? "application/octet-stream";
      response.writeHead(200, { "content-type": type, "content-security-policy": policy });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
