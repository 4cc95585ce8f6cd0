import { useConnection } from "@voxwire/react";
import { type FormEvent, type ReactNode, useId, useState } from "react";
import { type SettingsProps, serverPath } from "../settings.js";
import { FindCause } from "./find-cause.js";
import { Notice } from "./notice.js";
import { ServerGone } from "./server-gone.js";
import { Unreachable } from "./unreachable.js";

/** The server stopped answering, or has no such session any more. */
const GONE = new Set(["session_expired", "connection_lost"]);

/** Told by `MicrophoneTrouble`. */
const OF_A_DEVICE = new Set(["device", "permission_denied"]);

const ADVICE: { readonly [code: string]: string } = {
  forbidden: "The server turns this page away",
  unreachable: "The server cannot be reached",
  capacity: "The server is full at the moment. Try again in a little while.",
  rate_limited: "Too many tries. Wait a little, then try again.",
  superseded: "The conversation goes on in another window",
  duration_limit: "The longest time of a session is over",
  going_away: "The server is going down",
  ice_failed: "WebRTC could not get through. Try the WebSocket transport.",
  version: "Page and server are of different versions: reload the page.",
  timeout: "The server took too long. Try again, or another transport.",
};

/** Why the last session did not begin, or ended. */
export function ConnectionFailure({ settings, onSettings }: SettingsProps): ReactNode {
  const { status, error } = useConnection();
  if (error === undefined || (status.status !== "closed" && status.status !== "idle")) return null;
  const code = "code" in error ? String(error.code) : "";
  if (OF_A_DEVICE.has(code)) return null;
  // Without a token, `forbidden` is about this page: its origin, its Host, a proxy.
  if (code === "unauthorized" || (code === "forbidden" && settings.token !== "")) {
    return (
      <Notice tone="warn" testId="token" title="This server asks for a token">
        <TokenForm
          refused={settings.token !== ""}
          onToken={(token) => onSettings({ ...settings, token }, true)}
        />
      </Notice>
    );
  }
  // The code is for programs; the rest of the message is for people.
  const reason = error.message.replace(/^[a-z_]+: /, "");
  if (GONE.has(code)) return <ServerGone reason={reason} />;
  return (
    <Notice tone="error" testId="failure" title={ADVICE[code] ?? "The session could not go on"}>
      {code === "unreachable" ? <Unreachable error={error} /> : <p>{reason}</p>}
      <FindCause />
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
      <pre>{`curl ${location.origin}${serverPath()}v1/tokens -H "Authorization: Bearer $VOXWIRE_KEY" -H "Content-Type: application/json" -d '{"user":"me"}'`}</pre>
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
