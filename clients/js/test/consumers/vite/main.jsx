import { Captions, MicToggle, useConnection, VoxwireProvider } from "@voxwire/react";
import { createRoot } from "react-dom/client";

function Talk() {
  const { isReady, connect, disconnect, error } = useConnection();
  return (
    <>
      <button type="button" onClick={isReady ? disconnect : connect}>
        {isReady ? "Hang up" : "Talk"}
      </button>
      <MicToggle />
      <Captions />
      {error && <p role="alert">{error.message}</p>}
    </>
  );
}

createRoot(document.getElementById("root")).render(
  <VoxwireProvider options={{ url: "/" }}>
    <Talk />
  </VoxwireProvider>,
);
