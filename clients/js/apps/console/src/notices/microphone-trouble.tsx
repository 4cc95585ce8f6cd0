import type { DeviceFailure } from "@voxwire/client";
import { useDevices } from "@voxwire/react";
import type { ReactNode } from "react";
import { Notice } from "./notice.js";

const TITLES: { readonly [reason in DeviceFailure]: string } = {
  denied: "The microphone is not allowed",
  missing: "No microphone found",
  busy: "Another program holds the microphone",
  insecure_origin: "No microphone on this address",
  unsupported: "This browser gives pages no microphone",
  lost: "The microphone went away",
  other: "The microphone cannot be used",
};

/** Why there is no microphone, and what to do. Typing works all the same. */
export function MicrophoneTrouble(): ReactNode {
  const { state, reason } = useDevices().microphone;
  const trouble = isSecureContext
    ? state === "error"
      ? (reason ?? "other")
      : undefined
    : "insecure_origin";
  if (trouble === undefined) return null;
  return (
    <Notice tone="warn" testId="microphone" title={TITLES[trouble]}>
      {advice(trouble)}
    </Notice>
  );
}

function advice(reason: DeviceFailure): ReactNode {
  switch (reason) {
    case "insecure_origin":
      return <InsecureOrigin />;
    case "denied":
      return "Click the sign beside the address, allow the microphone for this page, and turn it on below. You can type meanwhile.";
    case "missing":
      return "Plug one in or switch it on, then turn it on below. You can type meanwhile.";
    case "busy":
      return "Close the other call or recording, then turn it on below. You can type meanwhile.";
    case "lost":
      return "It was unplugged or switched off. Choose another one in the device menu below.";
    case "unsupported":
      return "Try a current Chrome, Edge, Firefox or Safari. You can type meanwhile.";
    case "other":
      return "Choose another one in the device menu, or type.";
  }
}

function InsecureOrigin(): ReactNode {
  const port = location.port || "80";
  return (
    <>
      <p>
        Browsers open the microphone on <code>https://</code> and on this machine only. You can
        type, or do one of these:
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
