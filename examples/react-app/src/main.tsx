import { VoxwireProvider } from "@voxwire/react";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.js";
import "./app.css";

createRoot(document.getElementById("root") as HTMLElement).render(
  <StrictMode>
    <VoxwireProvider options={{ url: "/" }}>
      <App />
    </VoxwireProvider>
  </StrictMode>,
);
