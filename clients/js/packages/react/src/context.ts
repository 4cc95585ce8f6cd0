"use client";

import type { Client } from "@voxwire/client";
import { createContext, useContext } from "react";

/** The client of the nearest `VoxwireProvider`. */
export const ClientContext = createContext<Client | undefined>(undefined);

/**
 * The client itself, for everything that has no hook: `sendText`, `interrupt`, `call`.
 *
 * @throws Error outside a `VoxwireProvider`.
 */
export function useVoxwire(): Client {
  const client = useContext(ClientContext);
  if (client === undefined) throw new Error("useVoxwire: there is no <VoxwireProvider> above");
  return client;
}
