import type { Quality } from "@voxwire/client";
import { useConnection, useQuality } from "@voxwire/react";
import type { ReactNode } from "react";

const NAMES = {
  webrtc: "WebRTC",
  websocket: "WebSocket",
  daily: "Daily",
  none: "no audio",
} as const;

/** Transport, round trip, loss, playout buffer. */
export function QualityFacts(): ReactNode {
  const { status } = useConnection();
  const quality = useQuality();
  const up = status.status === "ready" || status.status === "reconnecting";
  const transport = up ? (quality?.transport ?? "none") : "none";
  const grade = status.status === "reconnecting" ? "lost" : up ? quality?.grade : undefined;
  return (
    <dl className="facts" data-grade={grade ?? "none"}>
      <div className="fact fact-transport">
        <dt className="visually-hidden">Transport</dt>
        <dd data-testid="transport" data-transport={transport}>
          <span className="dot" aria-hidden="true" />
          {up ? NAMES[transport] : "not connected"}
        </dd>
      </div>
      {up && <LinkFacts quality={quality} />}
    </dl>
  );
}

/** Round trip, loss, playout buffer. */
function LinkFacts({ quality }: { readonly quality: Quality | undefined }): ReactNode {
  return (
    <>
      <Fact name="RTT" value={ms(quality?.rttMs)} />
      <Fact name="Loss" value={percent(quality?.loss)} />
      <Fact name="Buffer" value={ms(quality?.bufferedMs)} />
    </>
  );
}

/** The same for narrow screens, where the header has no room for it. */
export function NarrowFacts(): ReactNode {
  return (
    <dl className="facts narrow-facts">
      <LinkFacts quality={useQuality()} />
    </dl>
  );
}

function Fact({ name, value }: { readonly name: string; readonly value: string }): ReactNode {
  return (
    <div className="fact">
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

const ms = (value: number | undefined) => (value === undefined ? "–" : `${Math.round(value)} ms`);

function percent(share: number | undefined): string {
  if (share === undefined) return "–";
  return share > 0 && share < 0.1
    ? `${(share * 100).toFixed(1)} %`
    : `${Math.round(share * 100)} %`;
}
