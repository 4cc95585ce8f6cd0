/** The header of a WAV file of so many bytes of 16-bit samples. */
export function wavHeader(
  dataBytes: number,
  { rate, channels }: { readonly rate: number; readonly channels: number },
): ArrayBuffer {
  const header = new DataView(new ArrayBuffer(44));
  const text = (at: number, name: string) => {
    for (const [offset, letter] of [...name].entries())
      header.setUint8(at + offset, letter.charCodeAt(0));
  };
  text(0, "RIFF");
  header.setUint32(4, 36 + dataBytes, true);
  text(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true);
  header.setUint16(22, channels, true);
  header.setUint32(24, rate, true);
  header.setUint32(28, rate * channels * 2, true);
  header.setUint16(32, channels * 2, true);
  header.setUint16(34, 16, true);
  text(36, "data");
  header.setUint32(40, dataBytes, true);
  return header.buffer;
}
