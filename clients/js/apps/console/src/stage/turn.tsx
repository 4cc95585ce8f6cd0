import type { LoggedToolCall, LoggedTurn, LoggedUtterance } from "@voxwire/client";
import { type CaptionWord, captionLine, captionWords } from "@voxwire/react";
import { memo, type ReactNode } from "react";
import { notUnderstood } from "../state/not-understood.js";
import { useRecorder } from "../state/use-recorder.js";
import { ToolCard } from "./tool-card.js";

/** One turn of the log. */
export const TurnView = memo(function TurnView(props: {
  readonly turn: LoggedTurn;
  readonly current: boolean;
}): ReactNode {
  const { turn, current } = props;
  return (
    <article className="turn" data-role={turn.role} data-current={current}>
      <h2 className="visually-hidden">{turn.role === "user" ? "You" : "Bot"}</h2>
      {turn.role === "user" ? <UserTurn turn={turn} /> : <BotTurn turn={turn} />}
    </article>
  );
});

function UserTurn({ turn }: { readonly turn: LoggedTurn & { role: "user" } }): ReactNode {
  return (
    <p
      className="said"
      data-final={turn.final}
      data-understood={!notUnderstood(turn.text)}
      dir="auto"
    >
      {turn.text}
      {!turn.final && <span className="visually-hidden"> (still speaking)</span>}
    </p>
  );
}

function BotTurn({ turn }: { readonly turn: LoggedTurn & { role: "bot" } }): ReactNode {
  const { order } = useRecorder();
  const before = (at: number) =>
    turn.toolCalls.filter(({ id }) => Math.min(order.get(id) ?? 0, turn.utterances.length) === at);
  return (
    <>
      {turn.heardText !== undefined && (
        <p className="spoken" dir="auto">
          <Words words={captionLine({ ...turn, utterances: [] }).words} />
        </p>
      )}
      {turn.utterances.map((utterance, at) => (
        <Said key={utterance.id} utterance={utterance} calls={before(at)} />
      ))}
      <Cards calls={before(turn.utterances.length)} />
      {turn.interrupted && <p className="aside">interrupted</p>}
    </>
  );
}

const Said = memo(function Said(props: {
  readonly utterance: LoggedUtterance;
  readonly calls: readonly LoggedToolCall[];
}): ReactNode {
  return (
    <>
      <Cards calls={props.calls} />
      <p className="spoken" dir="auto">
        <Words words={captionWords(props.utterance)} />
      </p>
    </>
  );
});

/** What was cut is struck through; who cannot see that is told where it begins and ends. */
const Words = ({ words }: { readonly words: readonly CaptionWord[] }) =>
  words.map(({ key, gap, text, state }, at) => (
    <span key={key}>
      {gap}
      {state === "cut" && words[at - 1]?.state !== "cut" && <Unseen>[not heard: </Unseen>}
      <span className="word" data-testid="word" data-state={state}>
        {text}
      </span>
      {state === "cut" && words[at + 1]?.state !== "cut" && <Unseen>]</Unseen>}
    </span>
  ));

const Unseen = ({ children }: { readonly children: string }) => (
  <span className="visually-hidden">{children}</span>
);

const Cards = ({ calls }: { readonly calls: readonly LoggedToolCall[] }) =>
  calls.map((call) => <ToolCard key={call.id} call={call} />);
