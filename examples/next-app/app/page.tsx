import { Captions, MicToggle, StartAudio } from "@voxwire/react";
import { Talk } from "./talk";

// A server component: what has state says "use client" by itself.
export default function Page() {
  return (
    <main>
      <h1>Talk to the bot</h1>
      <Talk />
      <MicToggle />
      <StartAudio />
      <Captions turns={4} />
    </main>
  );
}
