"use client";

import { type Client, type ClientOptions, createClient } from "@voxwire/client";
import { type ReactNode, useEffect, useState } from "react";
import { ClientContext } from "./context.js";
import { SessionKeeper } from "./session-keeper.js";

interface CommonProps {
  /** Connects when it mounts; default false, since browsers want a click before sound. */
  readonly autoConnect?: boolean | undefined;
  readonly children?: ReactNode | undefined;
}

/** Either a client of your own, or the options that make one for this provider. */
export type VoxwireProviderProps = CommonProps &
  (
    | {
        readonly client: Client;
        /** True = the session goes on when the provider unmounts; you end it. Default false. */
        readonly keepSession?: boolean | undefined;
      }
    | {
        /** Read once; give the provider another `key` to use others. */
        readonly options: ClientOptions;
      }
  );

/**
 * Gives everything below it a client, and ends the session when it unmounts: then no microphone is
 * open and nothing runs. StrictMode's second mount starts no second session.
 */
export function VoxwireProvider(props: VoxwireProviderProps): ReactNode {
  const [own] = useState(() => ("client" in props ? undefined : createClient(props.options)));
  const client = "client" in props ? props.client : own;
  const keepSession = "client" in props && props.keepSession === true;
  const autoConnect = props.autoConnect === true;
  useEffect(() => {
    if (client === undefined) return;
    return SessionKeeper.of(client).mount({ autoConnect, keepSession });
  }, [client, autoConnect, keepSession]);
  return <ClientContext.Provider value={client}>{props.children}</ClientContext.Provider>;
}
