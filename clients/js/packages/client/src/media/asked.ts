/** What becomes of a question to a STUN or TURN server. */

/** What is wrong: nothing; the server said no; nothing came back; its machine says that nobody
 * listens there; it cannot be sent to; its certificate; its name is not known. */
export type Trouble = "" | "refused" | "silent" | "closed" | "blocked" | "tls" | "name";
export type Kind = "stun" | "turn_udp" | "turn_tcp" | "turn_tls";

/** What became of one URL of a STUN or TURN server. */
export interface Asked {
  /** As the server names it. */
  readonly url: string;
  readonly kind: Kind;
  readonly host: string;
  readonly trouble: Trouble;
  /** In words: the address that it gave, or why it gave none. */
  readonly told: string;
  /** The server's error code; 0 = it sent none. */
  readonly error: number;
  /** Of its credentials. */
  readonly username: string;
}
