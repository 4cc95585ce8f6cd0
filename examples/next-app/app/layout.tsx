import type { Metadata } from "next";
import type { ReactNode } from "react";
import { Voice } from "./voice";

export const metadata: Metadata = { title: "Voxwire in a Next app" };

// The session is kept in the layout: it goes on from page to page.
export default function Layout({ children }: { readonly children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        <Voice>{children}</Voice>
      </body>
    </html>
  );
}
