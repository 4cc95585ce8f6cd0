import type { Diagnosis } from "@voxwire/client";
import { useVoxwire } from "@voxwire/react";
import { type ReactNode, useEffect, useRef, useState } from "react";

type Check = Diagnosis["checks"][number];

const NAMES: { readonly [name in Check["name"]]: string } = {
  secure_origin: "Secure page",
  name: "Name",
  tls: "TLS",
  server: "Server",
  clock: "Clock",
  token: "Token",
  capacity: "Room",
  rtt: "Round trip",
  webrtc: "WebRTC",
  stun: "STUN",
  turn_udp: "TURN over UDP",
  turn_tcp: "TURN over TCP",
  turn_tls: "TURN over TLS",
  udp: "UDP",
  echo: "Packets",
  session: "Session",
  microphone: "Microphone",
  speaker: "Speaker",
};

/** A button that tries what a conversation needs, and what came of it: the faults, each with what
 * to do. */
export function FindCause(): ReactNode {
  const client = useVoxwire();
  const [found, setFound] = useState<Diagnosis>();
  const [busy, setBusy] = useState(false);
  const [missing, setMissing] = useState(false);
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);
  const find = async () => {
    running.current = new AbortController();
    setBusy(true);
    setMissing(false);
    try {
      setFound(await client.diagnose({ signal: running.current.signal }));
    } catch {
      setMissing(true); // its code comes from the server that may be gone
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="find-cause">
      <button
        type="button"
        className="notice-button"
        data-testid="find-cause"
        disabled={busy}
        onClick={() => void find()}
      >
        {busy ? "Looking…" : "Find the cause"}
      </button>
      <div aria-live="polite">
        {missing && (
          <p data-testid="cause-unknown">
            What looks for the cause could not be loaded: the server of this page does not answer.
          </p>
        )}
        {found && !missing && <Found {...found} />}
      </div>
    </div>
  );
}

function Found({ ok, checks }: Diagnosis): ReactNode {
  const told = checks.filter(({ state }) => state === "failed" || state === "warning");
  return (
    <>
      {ok && <p data-testid="cause-none">Nothing is in the way now. Try again.</p>}
      <ul className="causes">
        {told.map(({ name, state, detail, advice }) => (
          <li key={name} data-testid="cause" data-check={name} data-state={state}>
            <b>{NAMES[name]}</b>: {detail}. {sentence(advice)}
          </li>
        ))}
      </ul>
    </>
  );
}

const sentence = (text: string) => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
