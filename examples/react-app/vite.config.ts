import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The page talks to its own origin; this server passes that on to Voxwire (`make run`).
const target = process.env.VOXWIRE_SERVER ?? "http://127.0.0.1:7860";
const voxwire = { target, ws: true, changeOrigin: true, rewriteWsOrigin: true };

export default defineConfig({
  plugins: [react()],
  server: { proxy: { "/v1": voxwire } },
  preview: { proxy: { "/v1": voxwire } },
});
