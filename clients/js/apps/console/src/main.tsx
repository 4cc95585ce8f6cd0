import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.js";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/header.css";
import "./styles/stage.css";
import "./styles/controls.css";
import "./styles/notices.css";
import "./styles/waterfall.css";
import "./styles/panels.css";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");

// The build "demo" plays a script instead of talking to a server: for screenshots and layout checks.
const makeClient =
  import.meta.env.MODE === "demo" ? (await import("./demo/make-demo.js")).makeDemo : undefined;

createRoot(root).render(
  <StrictMode>
    <App makeClient={makeClient} />
  </StrictMode>,
);
