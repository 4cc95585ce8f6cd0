import type { NextConfig } from "next";

// The page talks to its own origin; Next passes the session on to Voxwire.
const voxwire = process.env.VOXWIRE_SERVER ?? "http://127.0.0.1:7860";

export default {
  rewrites: async () => [{ source: "/v1/session", destination: `${voxwire}/v1/session` }],
} satisfies NextConfig;
