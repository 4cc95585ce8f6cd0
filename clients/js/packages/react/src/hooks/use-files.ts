"use client";

import type { Client, FileAcceptance, SendFileOptions } from "@voxwire/client";
import { useCallback, useEffect, useRef, useState } from "react";
import { useVoxwire } from "../context.js";
import { useReadable } from "../use-readable.js";

/** A file on its way to the bot. */
export interface FileOnItsWay {
  readonly name: string;
  readonly size: number;
  /** What the server has of it, bytes. */
  readonly takenBytes: number;
  /** Gives it up. */
  readonly cancel: () => void;
}

export interface FileControl {
  /** What the bot takes; undefined = no files. `accepts.types.join()` fits `<input accept>`. */
  readonly accepts: FileAcceptance | undefined;
  readonly sending: readonly FileOnItsWay[];
  /** Why the last one that was sent did not get there; undefined = it did, or was given up. */
  readonly error: Error | undefined;
  /** Fit for `onChange`: never rejects (see `error`). True when the bot has it; false
   * also for one that was given up. */
  readonly send: (file: File, options?: Omit<SendFileOptions, "signal">) => Promise<boolean>;
}

type Entry = FileOnItsWay & { readonly client: Client };

/**
 * Sends files to the bot, and tells how far they are. A file belongs to the component: it is given
 * up when that goes, or gets another client. One that is to outlive it goes by `client.sendFile`.
 */
export function useFiles(): FileControl {
  const client = useVoxwire();
  const accepts = useReadable(client.accepts);
  const [entries, setEntries] = useState<readonly Entry[]>([]);
  const [failed, setFailed] = useState<{ client: Client; error: Error }>();
  const lives = useRef(new WeakMap<Client, AbortSignal>());
  useEffect(() => {
    const life = new AbortController();
    lives.current.set(client, life.signal);
    return () => life.abort();
  }, [client]);
  const send = useCallback<FileControl["send"]>(
    async (file, { onProgress, ...options } = {}) => {
      const controller = new AbortController();
      const { name, size } = file;
      const cancel = () => controller.abort();
      const life = lives.current.get(client);
      life?.addEventListener("abort", cancel);
      if (life?.aborted) cancel();
      let entry: Entry = { client, name, size, takenBytes: 0, cancel };
      const put = (next: Entry | undefined) => {
        const last = entry;
        if (next) entry = next;
        setEntries((all) => all.flatMap((one) => (one === last ? (next ?? []) : one)));
      };
      setFailed(undefined);
      setEntries((all) => [...all, entry]);
      try {
        await client.sendFile(name, file.type || "application/octet-stream", file, {
          ...options,
          signal: controller.signal,
          onProgress: (takenBytes, bytes) => {
            put({ ...entry, takenBytes });
            onProgress?.(takenBytes, bytes);
          },
        });
        return true;
      } catch (error) {
        if (error instanceof Error && !controller.signal.aborted) setFailed({ client, error });
        return false;
      } finally {
        life?.removeEventListener("abort", cancel);
        put(undefined);
      }
    },
    [client],
  );
  const sending = entries.filter((entry) => entry.client === client);
  return { accepts, sending, error: failed?.client === client ? failed.error : undefined, send };
}
