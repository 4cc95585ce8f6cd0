import { type Client, createClient } from "@voxwire/client";
import { VoxwireProvider } from "@voxwire/react";
import { type ReactNode, useMemo, useState } from "react";
import { initialSettings, optionsOf, remember, type Settings } from "./settings.js";
import { Shell } from "./shell.js";
import { Recording } from "./state/use-recorder.js";

export interface AppProps {
  /** Makes the client; by default one that talks to the server of this page. */
  readonly makeClient?: ((settings: Settings) => Client) | undefined;
}

/** The console. Other settings are another client; the session of the one before ends. What was
 * said in a session that is over stays until the next one begins. */
export function App({ makeClient = connectedClient }: AppProps): ReactNode {
  const [settings, setSettings] = useState(initialSettings);
  const [connectNow, setConnectNow] = useState(false);
  const [used, setUsed] = useState(settings);
  const client = useMemo(() => makeClient(used), [makeClient, used]);
  const change = (next: Settings, connect = false) => {
    remember(next);
    setSettings(next);
    if (!connect && client.status.get().status === "closed") return;
    setUsed(next);
    setConnectNow(connect);
  };
  return (
    <VoxwireProvider client={client} autoConnect={connectNow}>
      <Recording>
        <Shell settings={settings} isStale={settings !== used} onSettings={change} />
      </Recording>
    </VoxwireProvider>
  );
}

const connectedClient = (settings: Settings) => createClient(optionsOf(settings));
