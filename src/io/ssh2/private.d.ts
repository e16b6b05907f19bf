/** What of ssh2's private modules is used, see `post-quantum.ts` and scripts/ssh2.patch. */
declare module "ssh2/lib/protocol/kex.js" {
  const kex: {
    /** Of the patch: from a name to what makes its key exchange. */
    readonly extraKex: Map<string, unknown>;
  };
  // biome-ignore lint/style/noDefaultExport: what Node makes of module.exports
  export default kex;
}
declare module "ssh2/lib/protocol/constants.js" {
  const constants: { readonly SUPPORTED_KEX: string[] };
  // biome-ignore lint/style/noDefaultExport: what Node makes of module.exports
  export default constants;
}

declare module "ssh2/lib/protocol/crypto.js" {
  const crypto: {
    /** Sets up ssh2's own Poly1305. */
    readonly init: Promise<void>;
    /** Of the patch; to be called after `init`. */
    readonly setPoly1305: (
      authenticate: (result: Uint8Array, head: Uint8Array, data: Uint8Array, key: Buffer) => void,
    ) => void;
  };
  // biome-ignore lint/style/noDefaultExport: what Node makes of module.exports
  export default crypto;
}
