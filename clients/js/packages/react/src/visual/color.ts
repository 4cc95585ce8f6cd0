const PARTS = /^rgba?\(([^)]+)\)$/;

/** A computed CSS colour (`rgb(…)`, as browsers give them) with another opacity. */
export function withAlpha(color: string, alpha: number): string {
  const parts = PARTS.exec(color)?.[1]
    ?.split(/[\s,/]+/)
    .filter(Boolean);
  if (parts === undefined || parts.length < 3) return color;
  return `rgba(${parts[0]}, ${parts[1]}, ${parts[2]}, ${alpha.toFixed(3)})`;
}
