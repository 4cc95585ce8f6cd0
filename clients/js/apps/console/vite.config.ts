import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const server = process.env.VOXWIRE_SERVER ?? "http://127.0.0.1:7860";

export default defineConfig({
  root: here("."),
  base: "./", // the server may be mounted anywhere
  plugins: [react()],
  build: {
    // What the server serves at "/".
    outDir: here("../../../../server/src/voxwire_server/console"),
    emptyOutDir: true,
    target: "es2022",
    // Everything is a file of its own: the content-security policy allows no data: URLs.
    assetsInlineLimit: 0,
    sourcemap: false,
  },
  // For `npm run dev`: the page beside a server that runs on its own.
  server: {
    proxy: { "/v1": { target: server, ws: true, changeOrigin: true, rewriteWsOrigin: true } },
  },
});
