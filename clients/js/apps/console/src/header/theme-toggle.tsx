import { type ReactNode, useEffect, useState } from "react";
import { MoonIcon, SunIcon, SystemIcon } from "../icons.js";
import { store, stored } from "../settings.js";

const THEMES = ["system", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];
const ICONS = { system: SystemIcon, light: SunIcon, dark: MoonIcon };
const KEY = "voxwire.theme";

/** Steps through system, light, dark. */
export function ThemeToggle(): ReactNode {
  const [theme, setTheme] = useState<Theme>(
    () => THEMES.find((known) => known === stored(KEY)) ?? "system",
  );
  useEffect(() => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    store(KEY, theme === "system" ? null : theme);
  }, [theme]);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system";
  const Icon = ICONS[theme];
  return (
    <button
      type="button"
      className="icon-button"
      aria-label={`Theme: ${theme}. Change to ${next}`}
      title={`Theme: ${theme}`}
      onClick={() => setTheme(next)}
    >
      <Icon />
    </button>
  );
}
