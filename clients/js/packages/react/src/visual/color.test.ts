import { expect, test } from "vitest";
import { withAlpha } from "./color.js";

test("computed colours get another opacity; others stay as they are", () => {
  expect(withAlpha("rgb(1, 2, 3)", 0.5)).toBe("rgba(1, 2, 3, 0.500)");
  expect(withAlpha("rgba(1, 2, 3, 0.9)", 0)).toBe("rgba(1, 2, 3, 0.000)");
  expect(withAlpha("rgb(1 2 3 / 0.2)", 1)).toBe("rgba(1, 2, 3, 1.000)");
  expect(withAlpha("color(srgb 0 0 1)", 0.5)).toBe("color(srgb 0 0 1)");
});
