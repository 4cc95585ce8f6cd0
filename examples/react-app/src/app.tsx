import { tool } from "@voxwire/client";
import {
  BotAudio,
  Captions,
  MicToggle,
  StartAudio,
  useBotState,
  useConnection,
  useTool,
  useVoxwire,
  Visualizer,
} from "@voxwire/react";
import { useState } from "react";

const PLACE = { type: "object", properties: { place: { type: "string" } } } as const;

export function App() {
  const { isReady, isBusy, connect, disconnect, error } = useConnection();
  const { bot } = useBotState();
  const [place, setPlace] = useState("");

  // The bot may call this while the page is open: say or type "show Paris on the map".
  const show = ({ place }: { place: string }) => {
    setPlace(place);
    return `${place} is on the map`;
  };
  useTool(tool("show_on_map", PLACE, show, { description: "Show a place on the user's map." }));

  return (
    <main>
      <Visualizer className="voice" />
      <p data-testid="state">{isReady ? bot : "offline"}</p>
      <Captions className="captions" turns={4} data-testid="captions" />
      {place !== "" && <p data-testid="map">📍 {place}</p>}
      <div className="controls">
        <button
          type="button"
          data-testid="connect"
          onClick={isReady || isBusy ? disconnect : connect}
        >
          {isReady ? "Hang up" : isBusy ? "Cancel" : "Talk"}
        </button>
        {isReady && <MicToggle />}
        <StartAudio />
      </div>
      {isReady && <Say />}
      {error && <p role="alert">{error.message}</p>}
      <BotAudio volume={0.9} />
    </main>
  );
}

function Say() {
  const client = useVoxwire();
  const send = (form: FormData) =>
    client.sendText(String(form.get("text")), { interrupt: true }).catch(() => undefined);
  return (
    <form action={send}>
      <input name="text" aria-label="Say something" defaultValue="show Paris on the map" required />
      <button type="submit">Send</button>
    </form>
  );
}
