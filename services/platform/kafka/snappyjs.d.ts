// Types of the used part of snappyjs, which has none.

declare module 'snappyjs' {
  interface Snappy {
    /** Throws when the bytes are damaged or the length they state is above `maxLength`. */
    uncompress(bytes: Buffer, maxLength?: number): Buffer
    compress(bytes: Buffer): Buffer
  }

  const snappy: Snappy
  export default snappy
}
