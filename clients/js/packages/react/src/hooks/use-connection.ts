"use client";

import type { Client, ClientStatus } from "@voxwire/client";
import { useCallback, useState } from "react";
import { useVoxwire } from "../context.js";
import { useReadable } from "../use-readable.js";

export interface Connection {
  /** What the client is doing, with what belongs to it (`sessionId`, `attempt`, `reason` …). */
  readonly status: ClientStatus;
  readonly isReady: boolean;
  /** Connecting, or coming back after a loss. */
  readonly isBusy: boolean;
  /** Why the last session could not be had, or was lost. */
  readonly error: Error | undefined;
  /** Fit for `onClick`: never rejects (see `error`); does nothing while a session is up. */
  readonly connect: () => Promise<void>;
  readonly disconnect: () => Promise<void>;
}

/** The session's connection, and how to start and end it. */
export function useConnection(): Connection {
  const client = useVoxwire();
  const status = useReadable(client.status);
  const [failed, setFailed] = useState<{ client: Client; error: Error }>();
  const connect = useCallback(async () => {
    if (!startable(client.status.get())) return;
    setFailed(undefined);
    try {
      await client.connect();
    } catch (error) {
      if (error instanceof Error) setFailed({ client, error });
    }
  }, [client]);
  const disconnect = useCallback(() => client.disconnect(), [client]);
  const isReady = status.status === "ready";
  return {
    status,
    isReady,
    isBusy: !isReady && !startable(status),
    error: errorOf(status) ?? (startable(status) ? errorFor(client, failed) : undefined),
    connect,
    disconnect,
  };
}

const startable = ({ status }: ClientStatus) => status === "idle" || status === "closed";

function errorOf(status: ClientStatus): Error | undefined {
  if (status.status === "closed") return status.error;
  return status.status === "reconnecting" ? status.cause : undefined;
}

const errorFor = (client: Client, failed: { client: Client; error: Error } | undefined) =>
  failed?.client === client && failed.error.name !== "AbortError" ? failed.error : undefined;
