/**
 * Embedded: the files that open terminals, inside a program that is one file. There are none here:
 * the build of such a program puts its own in this file's place.
 */

/** Per platform, file names and their contents, brotli in base64. */
export const embedded: Readonly<Record<string, Readonly<Record<string, string>>>> | null = null;
