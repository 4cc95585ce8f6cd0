import type { ReactNode } from "react";
import { WarnIcon } from "../icons.js";

export interface NoticeProps {
  readonly tone: "info" | "warn" | "error";
  readonly title: string;
  readonly testId?: string;
  readonly busy?: boolean;
  readonly children: ReactNode;
}

/** One message beside the orb. */
export function Notice({ tone, title, testId, busy, children }: NoticeProps): ReactNode {
  return (
    <div
      className="notice"
      data-tone={tone}
      data-testid={testId && `notice-${testId}`}
      role={tone === "error" ? "alert" : "status"}
    >
      {busy ? <span className="spinner" aria-hidden="true" /> : <WarnIcon />}
      <div>
        <strong>{title}</strong>
        <div className="notice-text">{children}</div>
      </div>
    </div>
  );
}
