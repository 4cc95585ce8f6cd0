/** A Voxwire server as what a client talks to. */
import { Greeting } from "./attach.js";
import { Control } from "./control.js";
import type { Peer } from "./peer.js";
import { declarationsOf } from "./tool-declarations.js";
import { controlUrl } from "./url.js";

export const voxwirePeer: Peer = {
  locate: controlUrl,
  open({ scope, options, host, handler }) {
    const webrtc = options.carriers.includes("webrtc");
    const tools = declarationsOf(host.tools);
    const greeting = new Greeting(scope.env, { ...options, tools, webrtc });
    return new Control(scope, greeting, host.gate, handler, host.tap);
  },
};
