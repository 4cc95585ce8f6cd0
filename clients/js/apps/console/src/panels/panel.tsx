import { type ReactNode, useId } from "react";

export interface PanelProps {
  readonly className: string;
  readonly title: string;
  readonly aside?: ReactNode;
  readonly testId?: string;
  readonly children: ReactNode;
}

/** A part of the page with a heading. */
export function Panel({ className, title, aside, testId, children }: PanelProps): ReactNode {
  const id = useId();
  return (
    <section className={`panel ${className}`} aria-labelledby={id} data-testid={testId}>
      <header className="panel-head">
        <h2 id={id}>{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  );
}
