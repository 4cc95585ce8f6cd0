"use client";

import { VoxwireProvider } from "@voxwire/react";
import type { ReactNode } from "react";

const options = {
  url: "/",
  tokenSource: async ({ signal }: { readonly signal: AbortSignal }) => {
    const answer = await fetch("/token", { method: "POST", signal });
    if (!answer.ok) throw new Error(`/token answered ${answer.status}`);
    return answer.text();
  },
};

/** A function cannot come from a server component: what has a tokenSource is a client's. */
export function Voice({ children }: { readonly children: ReactNode }) {
  return <VoxwireProvider options={options}>{children}</VoxwireProvider>;
}
