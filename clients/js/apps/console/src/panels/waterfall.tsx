import { type CSSProperties, type ReactNode, useState } from "react";
import { NarrowFacts } from "../header/quality-facts.js";
import { STAGES, type Stage, type TurnWait } from "../state/turn-stages.js";
import { useRecorder, useStore } from "../state/use-recorder.js";
import { Panel } from "./panel.js";

const NAME = new Map(STAGES.map((stage) => [stage.key, stage]));

/** How long each turn made the user wait, and for what. */
export function Waterfall(): ReactNode {
  const waits = useStore(useRecorder().waits);
  const [chosen, setChosen] = useState<string>();
  const shown = waits.find(({ turnId }) => turnId === chosen) ?? waits.at(-1);
  const longestMs = Math.max(1, ...waits.map(({ totalMs }) => totalMs));
  return (
    <Panel
      className="waterfall"
      title="Latency"
      testId="waterfall"
      aside={shown && <Total wait={shown} />}
    >
      <NarrowFacts />
      {shown ? (
        <div className="waterfall-body">
          <Stages wait={shown} />
          <div className="waits-box">
            <ol className="waits" aria-label="Turns, the newest first">
              {waits.toReversed().map((wait) => (
                <li key={wait.turnId}>
                  <WaitButton
                    wait={wait}
                    longestMs={longestMs}
                    pressed={wait === shown}
                    onPress={() => setChosen(wait === waits.at(-1) ? undefined : wait.turnId)}
                  />
                </li>
              ))}
            </ol>
          </div>
        </div>
      ) : (
        <StagesToCome />
      )}
    </Panel>
  );
}

/** Before the first answer: what will be shown. */
function StagesToCome(): ReactNode {
  return (
    <div className="to-come">
      <p>After each answer, what the wait was made of, from your last word to the first sound:</p>
      <ul>
        {STAGES.map(({ key, name, hint }) => (
          <li key={key} data-stage={key}>
            <b>{name}</b> {hint}
          </li>
        ))}
      </ul>
    </div>
  );
}

function Total({ wait }: { readonly wait: TurnWait }): ReactNode {
  return (
    <p className="total">
      <b data-testid="total">{Math.round(wait.totalMs)}</b> ms{" "}
      <span>{wait.typed ? "from Enter to sound" : "from last word to sound"}</span>
    </p>
  );
}

/** One row a stage, each beginning where the one before ended. */
function Stages({ wait }: { readonly wait: TurnWait }): ReactNode {
  return (
    <table className="stages">
      <caption className="visually-hidden">{`Stages of “${wait.text}”`}</caption>
      <thead className="visually-hidden">
        <tr>
          <th scope="col">Stage</th>
          <th scope="col">Time</th>
          <th scope="col">When</th>
        </tr>
      </thead>
      <tbody>
        {wait.stages.map((stage) => (
          <tr key={stage.key} data-stage={stage.key} title={NAME.get(stage.key)?.hint}>
            <th scope="row">{NAME.get(stage.key)?.name}</th>
            <td className="stage-ms" data-ms={stage.durationMs}>
              {Math.round(stage.durationMs)} ms
            </td>
            <td className="stage-track">
              <span className="bar" style={placed(stage, wait.totalMs)} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface WaitButtonProps {
  readonly wait: TurnWait;
  readonly longestMs: number;
  readonly pressed: boolean;
  readonly onPress: () => void;
}

/** A whole turn as one line of coloured pieces. */
function WaitButton({ wait, longestMs, pressed, onPress }: WaitButtonProps): ReactNode {
  return (
    <button type="button" className="wait" aria-pressed={pressed} onClick={onPress}>
      <span className="wait-text">{wait.text || "(turn)"}</span>
      <span className="wait-ms">{Math.round(wait.totalMs)} ms</span>
      <span className="wait-bar" aria-hidden="true">
        {wait.stages.map((stage) => (
          <span
            key={stage.key}
            className="bar"
            data-stage={stage.key}
            style={placed(stage, longestMs)}
          />
        ))}
      </span>
    </button>
  );
}

const placed = (stage: Stage, wholeMs: number): CSSProperties => ({
  left: `${(100 * stage.startMs) / wholeMs}%`,
  width: `${(100 * stage.durationMs) / wholeMs}%`,
});
