/** A token for one session of whoever is logged in here; the key stays on the server. */
export async function POST(): Promise<Response> {
  const voxwire = process.env.VOXWIRE_SERVER ?? "http://127.0.0.1:7860";
  const answer = await fetch(`${voxwire}/v1/tokens`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${process.env.VOXWIRE_KEY}`,
      "content-type": "application/json",
    },
    body: JSON.stringify({ user: "ada" }),
    cache: "no-store",
  });
  if (!answer.ok) return new Response("no token", { status: 502 });
  const { token } = await answer.json();
  return new Response(token, { headers: { "cache-control": "no-store" } });
}
