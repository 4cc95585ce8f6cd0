/** The page's microphone: silent, until a test plays a recording into it. */
const context = new AudioContext();
const output = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });

// A copy each time: a client stops the tracks that it was given.
navigator.mediaDevices.getUserMedia = async () => output.stream.clone();

/** Plays a WAV; resolves when it is over. */
export async function say(wav: string): Promise<void> {
  const data = await (await fetch(wav)).arrayBuffer();
  const source = new AudioBufferSourceNode(context, {
    buffer: await context.decodeAudioData(data),
  });
  const over = new Promise<void>((resolve) => {
    source.onended = () => resolve();
  });
  source.connect(output);
  source.start();
  await over;
}
