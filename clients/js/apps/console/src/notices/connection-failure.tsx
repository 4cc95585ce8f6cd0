import { useConnection } from "@voxwire/react";
import { type FormEvent, type ReactNode, useId, useState } from "react";
import { Notice } from "./notice.js";
import type { NoticesProps } from "./notices.js";

const NEEDS_TOKEN = new Set(["unauthorized", "forbidden"]);

/** Told by `MicrophoneTrouble`. */
const OF_A_DEVICE = new Set(["device", "permission_denied"]);

const ADVICE: { readonly [code: string]: string } = {
  unreachable: "Is the server still running? Start it with make run, then try again.",
  capacity: "The server is full at the moment. Try again in a little while.",
  version: "Page and server are of different versions: reload the page.",
  timeout: "The server took too long. Try again, or another transport.",
  no_path: "No audio path could be had. Try the WebSocket transport.",
};

/** Why the last session did not begin, or ended. */
export function ConnectionFailure({ settings, onSettings }: NoticesProps): ReactNode {
  const { status, error } = useConnection();
  if (error === undefined || (status.status !== "closed" && status.status !== "idle")) return null;
  const code = "code" in error ? String(error.code) : "";
  if (OF_A_DEVICE.has(code)) return null;
  if (NEEDS_TOKEN.has(code)) {
    return (
      <Notice tone="warn" testId="token" title="This server asks for a token">
        <TokenForm
          refused={settings.token !== ""}
          onToken={(token) => onSettings({ ...settings, token }, true)}
        />
      </Notice>
    );
  }
  return (
    <Notice tone="error" testId="failure" title={ADVICE[code] ?? "The session could not go on"}>
      <code>{error.message}</code>
    </Notice>
  );
}

interface TokenFormProps {
  readonly refused: boolean;
  readonly onToken: (token: string) => void;
}

function TokenForm({ refused, onToken }: TokenFormProps): ReactNode {
  const [token, setToken] = useState("");
  const id = useId();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onToken(token.trim());
  };
  return (
    <form className="token" onSubmit={submit}>
      <p>
        {refused ? "The last one was refused; each is good for one session. " : ""}
        Whoever has <code>VOXWIRE_KEY</code> makes one with <code>POST /v1/tokens</code>:
      </p>
      <pre>{`curl ${location.origin}/v1/tokens -H "Authorization: Bearer $VOXWIRE_KEY" -H "Content-Type: application/json" -d '{"user":"me"}'`}</pre>
      <label htmlFor={id}>Token</label>
      <div className="token-row">
        <input
          id={id}
          type="password"
          autoComplete="off"
          value={token}
          onChange={(event) => setToken(event.target.value)}
        />
        <button type="submit" disabled={token.trim() === ""}>
          Connect
        </button>
      </div>
    </form>
  );
}
