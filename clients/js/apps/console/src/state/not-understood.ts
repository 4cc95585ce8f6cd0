/** True of a transcript that says that there were no words: it stands in brackets, as the offline
 * bot writes it. */
export const notUnderstood = (text: string): boolean => /^\(not understood\b.*\)$/s.test(text);
