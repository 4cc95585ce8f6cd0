import type { DeviceFailure, DeviceState } from "@voxwire/client";
import { useConnection, useDevices } from "@voxwire/react";
import type { ReactNode } from "react";
import type { SettingsProps } from "../settings.js";
import { Notice } from "./notice.js";

const TITLES: { readonly [reason in DeviceFailure]: string } = {
  denied: "The microphone is not allowed",
  policy: "This page may not use the microphone",
  missing: "No microphone found",
  busy: "Another program holds the microphone",
  insecure_origin: "No microphone and no sound on this address",
  unsupported: "This browser gives pages no microphone",
  lost: "The microphone went away",
  other: "The microphone cannot be used",
};

/** Why there is no microphone, and what to do. Typing works all the same. */
export function MicrophoneTrouble({ settings, onSettings }: SettingsProps): ReactNode {
  const { state, reason } = useDevices().microphone;
  const { status } = useConnection();
  const over = status.status === "idle" || (status.status === "closed" && !status.error);
  const trouble = isSecureContext ? troubleOf(state, reason) : over ? "insecure_origin" : undefined;
  if (trouble === undefined) return null;
  return (
    <Notice tone="warn" testId="microphone" title={TITLES[trouble]}>
      {advice(trouble)}
      {status.status === "closed" && isSecureContext && (
        <button
          type="button"
          className="notice-button"
          onClick={() => onSettings({ ...settings, microphone: false }, true)}
        >
          Continue by typing
        </button>
      )}
    </Notice>
  );
}

const troubleOf = (state: DeviceState["state"], reason: DeviceFailure | undefined) =>
  state === "error" ? (reason ?? "other") : undefined;

function advice(reason: DeviceFailure): ReactNode {
  switch (reason) {
    case "insecure_origin":
      return <InsecureOrigin />;
    case "denied":
      return "Click the sign beside the address, allow the microphone for this page, then try again.";
    case "policy":
      return 'A Permissions-Policy header, or a frame without allow="microphone", forbids it.';
    case "missing":
      return "Plug one in or switch it on, then try again.";
    case "busy":
      return "Close the other call or recording, then try again.";
    case "lost":
      return "It was unplugged or switched off. Choose another one in the device menu.";
    case "unsupported":
      return "Try a current Chrome, Edge, Firefox or Safari, or type.";
    case "other":
      return "Choose another one in the device menu, or type.";
  }
}

function InsecureOrigin(): ReactNode {
  const port = location.port || "80";
  return (
    <>
      <p>
        Browsers give pages the microphone on <code>https://</code> and on this machine only. You
        can type and read, or do one of these:
      </p>
      <ul>
        <li>
          forward the port, <code>{`ssh -L ${port}:127.0.0.1:${port} ${location.hostname}`}</code>,
          and open <code>{`http://127.0.0.1:${port}`}</code>
        </li>
        <li>
          put TLS in front, for instance{" "}
          <code>{`caddy reverse-proxy --from ${location.hostname} --to 127.0.0.1:${port}`}</code>
        </li>
      </ul>
    </>
  );
}
