import { type NextRequest, NextResponse } from "next/server";

/** The strictest policy that Next can live with: its own inline scripts carry a nonce. */
export function proxy(request: NextRequest) {
  const nonce = crypto.randomUUID();
  const policy = `default-src 'self'; script-src 'self' 'nonce-${nonce}'`;
  const headers = new Headers(request.headers);
  headers.set("content-security-policy", policy);
  const response = NextResponse.next({ request: { headers } });
  response.headers.set("content-security-policy", policy);
  return response;
}

export const config = { matcher: "/" };
