import type { ReactNode } from "react";

/** An icon of the console: lines on a 24 px grid in the colour of the text. */
function icon(paths: string): () => ReactNode {
  return () => (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={paths} />
    </svg>
  );
}

export const MicIcon = icon(
  "M12 3a3 3 0 0 1 3 3v6a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3ZM5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3",
);
export const MicOffIcon = icon(
  "M9 9.5V12a3 3 0 0 0 4.6 2.5M15 11V6a3 3 0 0 0-5.8-1M5.5 11.5a6.5 6.5 0 0 0 10.4 5.2M18.5 11.5a6.4 6.4 0 0 1-.5 2.5M12 18v3M4 4l16 16",
);
export const SendIcon = icon("M12 19V5M6 11l6-6 6 6");
export const StopIcon = icon(
  "M8.5 6.5h7a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2h-7a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2Z",
);
export const SettingsIcon = icon(
  "M4 7h9M19 7h1M4 17h1M11 17h9M16 4.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5ZM8 14.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5Z",
);
export const SunIcon = icon(
  "M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8ZM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4",
);
export const MoonIcon = icon("M20 13.5A8 8 0 1 1 10.5 4a6.5 6.5 0 0 0 9.5 9.5Z");
export const SystemIcon = icon("M4 5h16v11H4zM9 20h6M12 16v4");
export const ToolIcon = icon(
  "M14.5 6.5a4 4 0 0 1 5-1.2l-2.7 2.7 1.2 1.2 2.7-2.7a4 4 0 0 1-5.6 4.8l-7.6 7.6a1.8 1.8 0 0 1-2.5-2.5l7.6-7.6a4 4 0 0 1 1.9-2.3Z",
);
export const CheckIcon = icon("M5 12.5l4.5 4.5L19 7.5");
export const CrossIcon = icon("M7 7l10 10M17 7 7 17");
export const CopyIcon = icon("M9 9h10v11H9zM15 9V4H5v11h4");
export const SaveIcon = icon("M12 4v11M7.5 10.5 12 15l4.5-4.5M5 19h14");
export const WarnIcon = icon("M12 4 2.8 19.5h18.4zM12 10v4M12 17v.2");
export const SpeakerIcon = icon(
  "M4 10v4h3.5L12 18V6L7.5 10ZM15.5 9.5a4 4 0 0 1 0 5M18 7a7.5 7.5 0 0 1 0 10",
);
